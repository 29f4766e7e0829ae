/** getTermForOffset, getEndOffsetForTerm. */
import { outOfRange } from '../../codec/errors.ts'
import { keyNumber } from '../../codec/keys.ts'
import { decodeTerm } from '../../codec/rows.ts'
import { describeTp, getTp, partitionOf, type Read, readKeys } from './read.ts'

/** 20 topic partition | varint offset -> varint term */
export const getTermForOffset: Read<{ tp: Uint8Array; offset: number }, number> = {
  encode: (out, { tp, offset }) => out.raw(tp).varint(offset),
  answer(view, reader, out) {
    const tp = getTp(reader)
    const offset = reader.varint()
    const { nextOffset } = partitionOf(view, tp)
    if (offset > nextOffset) {
      throw outOfRange(`offset ${offset} of ${describeTp(tp)} is past its end at ${nextOffset}`)
    }
    const terms = view.cursor(readKeys.termPrefix(tp))
    for (terms.seekLast(); terms.valid; terms.prev()) {
      const key = terms.key()
      if (decodeTerm(key, terms.value()).startOffset <= offset) {
        out.varint(keyNumber(key))
        return
      }
    }
    throw outOfRange(`offset ${offset} of ${describeTp(tp)} is before its first term`)
  },
  decode: reader => reader.varint(),
}

/** 20 topic partition | varint term -> varint offset */
export const getEndOffsetForTerm: Read<{ tp: Uint8Array; term: number }, number> = {
  encode: (out, { tp, term }) => out.raw(tp).varint(term),
  answer(view, reader, out) {
    const tp = getTp(reader)
    const term = reader.varint()
    const { nextOffset } = partitionOf(view, tp)
    const terms = view.cursor(readKeys.termPrefix(tp))
    terms.seek(readKeys.term(tp, term + 1))
    if (terms.valid) {
      out.varint(decodeTerm(terms.key(), terms.value()).startOffset)
      return
    }
    terms.seekLast()
    if (!terms.valid || keyNumber(terms.key()) !== term) {
      throw outOfRange(`term ${term} of ${describeTp(tp)} is after its last term`)
    }
    out.varint(nextOffset)
  },
  decode: reader => reader.varint(),
}
