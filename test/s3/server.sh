#!/usr/bin/env bash
# A real S3 server for tests: the gateway of Ceph over one monitor and one object daemon, on
# loopback only. It keeps everything in memory and is meant for small data.
#
#   server.sh install              once, as root: about a minute, 575 MB in the cache directory
#   server.sh up [PORT]            runs in the foreground; the end of its one process ends it all
#   server.sh with COMMAND...      runs the command beside a server, with WAYMARK_TEST_S3 set to
#                                  its endpoint; the exit code is the command's
#
# Path style, region us-east-1, access key testkey, secret testsecret. What the server needs comes
# from Debian's archive into a root of its own: nothing else of this machine is changed, apart from
# the two packages that build and enter that root. WAYMARK_S3_CACHE says where it is kept.
set -euo pipefail

CACHE=${WAYMARK_S3_CACHE:-/opt/waymark-s3}
# The first release of Debian whose gateway decides conditional puts atomically.
SUITE=forky
PORT_DEFAULT=8333
START_SECONDS_MAX=60

fail() {
  echo "server.sh: $*" >&2
  exit 1
}

# ------------------------------------------------------------------ install

# The archive that this machine's own packages come from.
archive() {
  local found
  found=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d \
    2>/dev/null | head -n 1 | tr -d ' ') || true
  echo "${found:-http://deb.debian.org/debian}"
}

install_tools() {
  command -v mmdebstrap >/dev/null && command -v bwrap >/dev/null && return
  local packages=(mmdebstrap bubblewrap)
  apt-get install -y --no-install-recommends "${packages[@]}" >/dev/null 2>&1 && return
  # The lists of packages may be missing or old.
  apt-get update >/dev/null && apt-get install -y --no-install-recommends "${packages[@]}" >/dev/null
}

install() {
  [ -x "$CACHE/usr/bin/radosgw" ] && return
  [ "$(id -u)" = 0 ] || fail "install must be run as root"
  command -v apt-get >/dev/null || fail "install needs a Debian with apt-get"
  install_tools || fail "the packages mmdebstrap and bubblewrap could not be installed"
  echo "server.sh: installing the S3 server into $CACHE, which takes about a minute" >&2
  # Built beside and then moved, so that a root that is there is whole.
  local new=$CACHE.new
  rm -rf "$new"
  mkdir -p "$(dirname "$CACHE")"
  mmdebstrap --quiet --variant=apt --include=radosgw,ceph-mon,ceph-osd \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$SUITE" "$new" "deb $(archive) $SUITE main" ||
    fail "the server could not be installed from $(archive)"
  rm -rf "$CACHE"
  mv "$new" "$CACHE"
}

# ------------------------------------------------------------------ up

# Enters the root, with a process namespace of its own: when its first process ends, all do, and it
# ends when this one does.
up() {
  [ -x "$CACHE/usr/bin/radosgw" ] || fail "not installed; run $0 install"
  echo "http://127.0.0.1:${1:-$PORT_DEFAULT} region us-east-1 key testkey secret testsecret"
  exec bwrap --ro-bind "$CACHE" / --dev /dev --proc /proc --tmpfs /tmp --tmpfs /run --tmpfs /srv \
    --tmpfs /var/lib/ceph --ro-bind "$(realpath "$0")" /tmp/server.sh --chdir / \
    --unshare-pid --die-with-parent bash /tmp/server.sh inside "${1:-$PORT_DEFAULT}"
}

# $1: the gateway's port. The monitor's is 1000 above; every other one is chosen by the system.
write_config() {
  cat >/srv/ceph.conf <<CONFIG
[global]
fsid = $FSID
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms mon service mode = crc
ms mon cluster mode = crc
ms bind retry delay = 1
mon host = [v2:127.0.0.1:$(($1 + 1000))/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = /srv
log file = /srv/\$name.log
admin socket =
crash dir = /srv
mon data = /srv/mon
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon tick interval = 1
paxos propose interval = 0.05
paxos min wait = 0.01
osd data = /srv/osd
osd objectstore = memstore
osd class dir = $(echo /usr/lib/*/rados-classes)
memstore device bytes = 8589934592
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd op num shards = 2
[client]
rgw data = /srv
rgw frontends = beast endpoint=127.0.0.1:$1 tcp_nodelay=1
rgw enable apis = s3
rgw thread pool size = 64
rgw run sync thread = false
rgw gc processor period = 5
rgw gc obj min wait = 5
CONFIG
}

# The server itself, within the root.
inside() {
  local ceph="-c /srv/ceph.conf" uuid=/proc/sys/kernel/random/uuid osd
  FSID=$(cat $uuid)
  mkdir /srv/mon /srv/osd
  write_config "$1"
  monmaptool --create --addv a "[v2:127.0.0.1:$(($1 + 1000))]" --fsid "$FSID" /srv/monmap >/dev/null
  ceph-mon $ceph -i a --mkfs --monmap /srv/monmap
  ceph-mon $ceph -i a -f &
  timeout $START_SECONDS_MAX ceph $ceph mon dump >/dev/null 2>&1
  osd=$(cat $uuid)
  ceph $ceph osd new "$osd" >/dev/null 2>&1
  ceph-osd $ceph -i 0 --mkfs --osd-uuid "$osd" >/dev/null 2>&1
  ceph-osd $ceph -i 0 -f &
  radosgw-admin $ceph user create --uid=test --display-name=test \
    --access-key=testkey --secret-key=testsecret >/dev/null
  radosgw $ceph -n client.rgw.a -f &
  # Whichever daemon ends first ends the others with it.
  wait -n
}

# ------------------------------------------------------------------ with

listens() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A port that is free, and the monitor's as well.
free_port() {
  local port
  while port=$((RANDOM % 9000 + 20000)) && { listens "$port" || listens $((port + 1000)); }; do :; done
  echo "$port"
}

with() {
  local port status=0
  port=$(free_port)
  log=$(mktemp)
  "$0" up "$port" >"$log" 2>&1 &
  server=$!
  trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -f "$log"' EXIT
  until listens "$port"; do
    if ! kill -0 "$server" 2>/dev/null || [ "$SECONDS" -gt "$START_SECONDS_MAX" ]; then
      tail -n 20 "$log" >&2
      fail "the server did not start at port $port within $SECONDS s"
    fi
    sleep 0.2
  done
  WAYMARK_TEST_S3=http://127.0.0.1:$port "$@" || status=$?
  exit "$status"
}

case ${1:-} in
install) install ;;
up) up "${2:-}" ;;
inside) inside "$2" ;;
with) shift && with "$@" ;;
*) fail "give one of: install, up, with" ;;
esac
