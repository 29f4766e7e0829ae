/** Between two members on loopback, each on a thread of its own: Raft messages, and requests. */
import { getU32 } from '../../src/codec/bytes.ts'
import type { Transport } from '../../src/main/net/transport.ts'
import { type Message, message } from '../../src/main/raft/message.ts'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import {
  BENCH_NODE,
  COUNT,
  ECHO,
  MemberThread,
  startMember,
  THREAD_NODE,
} from '../network-member.ts'

const PAYLOAD_BYTES = 128
const MESSAGES_A_TURN = 64
const IN_FLIGHT = [1, 64] as const
const TIMEOUT_MS = 60_000

export async function runNetwork(context: BenchContext): Promise<void> {
  const thread = new MemberThread()
  const port = await thread.port()
  let linked = (): void => {}
  const isLinked = new Promise<void>(resolve => {
    linked = resolve
  })
  await using transport = await startMember(BENCH_NODE, {
    onMessages: () => {},
    onRequest: () => {},
    onLink: () => linked(),
  })
  transport.setPeers(new Map([[THREAD_NODE, { host: '127.0.0.1', port }]]))
  await isLinked
  await messages(context, transport)
  for (const inFlight of IN_FLIGHT) await requests(context, transport, inFlight)
  await thread.stop()
}

async function messages(context: BenchContext, transport: Transport): Promise<void> {
  const count = sized(context, 640_000, 640)
  await context.measure({
    workload: 'network',
    variant: `appends of ${PAYLOAD_BYTES} bytes, ${MESSAGES_A_TURN} a frame`,
    unit: 'messages',
    operationBytes: PAYLOAD_BYTES,
    run: async () => {
      const startedAt = performance.now()
      for (let index = 0; index < count; ) {
        for (const end = index + MESSAGES_A_TURN; index < end; ) {
          if (transport.send(index % MESSAGES_A_TURN, append(index))) index++
          else await nextTurn()
        }
        await nextTurn()
      }
      // It comes behind all messages, so they were taken when it is answered.
      const counted = await transport.request(THREAD_NODE, COUNT, new Uint8Array(0), TIMEOUT_MS)
      const elapsedMs = performance.now() - startedAt
      const answers = Answers.from(getU32(counted, 0), getU32(counted, 4))
      if (answers.checked !== count) throw new Error(`${answers.checked} of ${count} have come`)
      return { operations: count, elapsedMs, answers }
    },
  })
}

function append(index: number): Message {
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(index)
  const entries = [{ term: 3, index: index + 1, kind: 1, payload }]
  const fields = { from: BENCH_NODE, term: 3, index, logTerm: 3, commit: index, entries }
  return message('append', THREAD_NODE, fields)
}

function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

async function requests(
  context: BenchContext,
  transport: Transport,
  inFlight: number,
): Promise<void> {
  const count = sized(context, inFlight === 1 ? 10_000 : 100_000, inFlight * 4)
  await context.measure({
    workload: 'network',
    variant: `requests of ${PAYLOAD_BYTES} bytes, ${inFlight} in flight`,
    unit: 'requests',
    run: async () => {
      const answers = new Answers()
      const latencies = new Latencies()
      const elapsedMs = await callInFlight(count, inFlight, latencies, async i => {
        const payload = new Uint8Array(PAYLOAD_BYTES).fill(i)
        const answer = await transport.request(THREAD_NODE, ECHO, payload, TIMEOUT_MS)
        // Whatever the order in which they are answered.
        answers.expect(answer.length + ((answer[0] - i) % 256), PAYLOAD_BYTES)
      })
      return { operations: count, elapsedMs, answers, latencies }
    },
  })
}
