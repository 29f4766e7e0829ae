/**
 * Goal: members that meet come to the same list, whoever has changed it, and keep it.
 * Method: books in directories of their own, which show each other their lists.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, test } from 'node:test'
import { isNewerList, type Member, MemberBook } from '../../../src/main/cluster/member-book.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'

const member = (nodeId: number, host = 'h'): Member => ({ nodeId, host, port: 4100 })
const FOUNDERS = [member(1), member(2)]

let directories: string[]
beforeEach(async () => {
  directories = [await temporaryDirectory(), await temporaryDirectory()]
})
afterEach(async () => {
  for (const directory of directories) await rm(directory, { recursive: true })
})

function openBooks(): Promise<MemberBook[]> {
  return Promise.all(directories.map(directory => MemberBook.open(directory, FOUNDERS)))
}

async function meet([one, two]: MemberBook[]): Promise<void> {
  await two.adopt(one.list)
  await one.adopt(two.list)
}

test('the later change counts, and is there after a restart', async () => {
  const books = await openBooks()
  await books[0].adopt({ change: 1, members: [...FOUNDERS, member(3)] })
  await books[1].adopt({ change: 2, members: [member(2), member(4)] })
  await meet(books)
  const expected = { change: 2, members: [member(2), member(4)] }
  for (const { list } of await openBooks()) {
    assert.deepEqual({ change: list.change, members: list.members }, expected)
  }
})

test('of two changes made at once all take the same one', async () => {
  const books = await openBooks()
  await books[0].adopt({ change: 1, members: [...FOUNDERS, member(3)] })
  await books[1].adopt({ change: 1, members: [...FOUNDERS, member(4)] })
  await meet(books)
  assert.deepEqual(books[0].list, books[1].list)
  await meet(books.toReversed())
  assert.deepEqual(books[0].list, books[1].list)
})

test('what options say is no change: each node may reach the others in its own way', () => {
  const [one, two] = ['a', 'b'].map(host => ({ change: 0, members: [member(1, host)] }))
  assert.ok(!isNewerList(one, two) && !isNewerList(two, one))
})
