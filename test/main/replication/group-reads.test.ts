/**
 * Goal: reads that wait for their index share no question that was asked before them. Method: the
 * questions are taken down, and answered by hand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { GroupReads } from '../../../src/main/replication/group-reads.ts'

const FIRST = 10

function readsAsking(): { reads: GroupReads; questions: number[]; leader: { isKnown: boolean } } {
  const questions: number[] = []
  const leader = { isKnown: true }
  const ask = (context: number): boolean => {
    if (leader.isKnown) questions.push(context)
    return leader.isKnown
  }
  return { reads: new GroupReads(ask, FIRST, 100), questions, leader }
}

test('reads of a turn share a question, those after it do not', async () => {
  const { reads, questions } = readsAsking()
  const [first, second] = [reads.ask(), reads.ask()]
  assert.equal(first, second)
  reads.send()
  const third = reads.ask()
  assert.notEqual(third, first)
  reads.send()
  assert.deepEqual(questions, [FIRST, FIRST + 1])
  reads.release(FIRST + 1, 8)
  reads.release(FIRST, 7)
  assert.deepEqual(await Promise.all([first, second, third]), [7, 7, 8])
})

test('a question whose answer was lost is asked again, with the newer reads', async () => {
  const { reads, questions } = readsAsking()
  const first = reads.ask()
  reads.send()
  reads.drop(FIRST)
  const second = reads.ask()
  assert.notEqual(second, first)
  reads.send()
  reads.release(FIRST, 1)
  reads.release(FIRST + 1, 9)
  assert.deepEqual(questions, [FIRST, FIRST + 1])
  assert.deepEqual(await Promise.all([first, second]), [9, 9])
})

test('without a leader reads wait, and are refused at the end', async () => {
  const { reads, questions, leader } = readsAsking()
  leader.isKnown = false
  const first = reads.ask()
  reads.send()
  const second = reads.ask()
  assert.notEqual(second, first)
  reads.fail(new MetastoreError('CLOSED', 'the metastore is closed'))
  await assert.rejects(first, { code: 'CLOSED' })
  await assert.rejects(second, { code: 'CLOSED' })
  assert.deepEqual(questions, [])
})
