#!/bin/sh
# Makes the certificates of the tests, good from 2020 to 2120: an authority, a member of it, and a
# member of another authority. Run it in this folder; nothing else is needed than openssl.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/ca.cnf" <<CONFIG
[ca]
default_ca = test
[test]
database = $work/index
rand_serial = yes
unique_subject = no
default_md = sha256
new_certs_dir = $work
policy = any
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:true
[member]
basicConstraints = CA:false
CONFIG
: > "$work/index"

request() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$2" -out "$work/request" -subj "/CN=waymark test $1"
}

sign() {
  openssl ca -batch -notext -config "$work/ca.cnf" -in "$work/request" \
    -startdate 20200101000000Z -enddate 21200101000000Z "$@"
}

# The key of an authority goes with the working folder: nothing more is signed with it.
authority() {
  request "$1" "$work/$1.key"
  sign -selfsign -keyfile "$work/$1.key" -extensions authority -out "$1.pem"
}

member() {
  request "$1" "$1.key"
  sign -cert "$2.pem" -keyfile "$work/$2.key" -extensions member -out "$1.pem"
}

authority authority
authority other-authority
member member authority
member other-member other-authority
rm other-authority.pem
