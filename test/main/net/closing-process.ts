/** A process that opens transports, uses them, closes them, and has nothing else to do. */
import assert from 'node:assert/strict'
import { closeAll, connectAll, ECHO, HELD, Member } from './members.ts'

const members = [await Member.start(1), await Member.start(2)]
const [one, two] = members
await connectAll(members)
assert.equal(await one.ask(2, ECHO, 'x'), 'x')
const waiting = assert.rejects(two.ask(1, HELD, '', 3_600_000), { name: 'MetastoreError' })
await closeAll(members)
await waiting
