/** A member on another thread, which counts messages and answers requests; for network.ts. */
import { parentPort } from 'node:worker_threads'
import { putU32 } from '../src/codec/bytes.ts'
import { Answers } from './answers.ts'
import { COUNT, startMember, THREAD_NODE } from './network-member.ts'

let answers = new Answers()

const transport = await startMember(THREAD_NODE, {
  onMessages: (_peer, messages) => {
    for (const { message } of messages) {
      answers.expect(message.entries[0].payload[0], message.index % 256)
    }
  },
  onRequest: ({ kind, payload, respond }) => {
    if (kind !== COUNT) {
      respond(payload)
      return
    }
    const counted = new Uint8Array(8)
    putU32(counted, 0, answers.checked)
    putU32(counted, 4, answers.hash)
    answers = new Answers()
    respond(counted)
  },
  onLink: () => {},
})
parentPort?.postMessage(transport.port)
