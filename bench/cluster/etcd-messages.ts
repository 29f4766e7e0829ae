/**
 * The few messages of etcd's v3 API that the benches need, as protobuf: a field is a varint of
 * number * 8 + type (0 varint, 2 bytes with their length before them), then the value.
 */
import { ByteReader, ByteWriter } from '../../src/codec/bytes.ts'

const VARINT = 0
const BYTES = 2

/** PutRequest: key = 1, value = 2. */
export function putRequest(key: Uint8Array, value: Uint8Array): Uint8Array {
  const out = new ByteWriter(key.length + value.length + 8)
  return bytesField(bytesField(out, 1, key), 2, value).take()
}

/** RangeRequest: key = 1; linearizable, since serializable (7) is not set. */
export function rangeRequest(key: Uint8Array): Uint8Array {
  return bytesField(new ByteWriter(key.length + 4), 1, key).take()
}

/** TxnRequest: success = 2, each a RequestOp with request_put = 2; there is nothing to compare. */
export function transactionRequest(puts: readonly Uint8Array[]): Uint8Array {
  const out = new ByteWriter(4096)
  for (const put of puts) {
    bytesField(out, 2, bytesField(new ByteWriter(put.length + 4), 2, put).take())
  }
  return out.take()
}

/** Of a RangeResponse: kvs = 2, in it value = 5. Undefined when it has no row. */
export function firstValue(response: Uint8Array): Uint8Array | undefined {
  const row = field(response, 2)
  return row === undefined ? undefined : field(row, 5)
}

function bytesField(out: ByteWriter, number: number, bytes: Uint8Array): ByteWriter {
  return out.varint(number * 8 + BYTES).blob(bytes)
}

/** The first field of bytes with this number. */
function field(message: Uint8Array, wanted: number): Uint8Array | undefined {
  const reader = new ByteReader(message, 'message of etcd')
  while (reader.remaining > 0) {
    const tag = reader.varint()
    if (tag % 8 === VARINT) skipVarint(reader)
    else {
      const bytes = reader.raw(reader.varint())
      if (tag === wanted * 8 + BYTES) return bytes
    }
  }
  return undefined
}

/** Ids of clusters and members are of 64 bits: more than varint() takes. */
function skipVarint(reader: ByteReader): void {
  while (reader.u8() >= 0x80);
}
