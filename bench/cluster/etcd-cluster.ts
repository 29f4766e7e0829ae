/**
 * etcd as three members on loopback, processes of this machine with their data in a folder, and its
 * clients: a connection a member, calls spread over them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answers } from '../answers.ts'
import { Random } from '../random.ts'
import { recordKey } from '../records.ts'
import { ValueMaker } from '../values.ts'
import { firstValue, putRequest, rangeRequest, transactionRequest } from './etcd-messages.ts'
import { freePorts, HOST } from './free-ports.ts'
import { GrpcConnection, RefusedCall } from './grpc-connection.ts'

const MEMBERS = 3
const START_TIMEOUT_MS = 30_000
const RETRY_MS = 100
const ATTEMPTS_MAX = 10
const STOP_GRACE_MS = 5_000

export class EtcdCluster implements AsyncDisposable {
  readonly #children: ChildProcess[] = []
  #connections: GrpcConnection[] = []
  #refusals = 0
  readonly #values = new ValueMaker()
  readonly #random = new Random(1)
  readonly #killAll = (): void => {
    for (const child of this.#children) child.kill('SIGKILL')
  }

  /** Resolves when each member answers linearizable reads. */
  static async start(directory: string): Promise<EtcdCluster> {
    const cluster = new EtcdCluster()
    try {
      await cluster.#start(directory)
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
    return cluster
  }

  async #start(directory: string): Promise<void> {
    await mkdir(directory)
    const ports = await freePorts(2 * MEMBERS)
    const urls = ports.map(port => `http://${HOST}:${port}`)
    const [clientUrls, peerUrls] = [urls.slice(0, MEMBERS), urls.slice(MEMBERS)]
    const members = peerUrls.map((url, i) => `member-${i}=${url}`).join(',')
    process.on('exit', this.#killAll)
    for (const [i, clientUrl] of clientUrls.entries()) {
      const log = openSync(join(directory, `member-${i}.log`), 'w')
      const child = spawn(
        'etcd',
        [
          ...['--name', `member-${i}`, '--data-dir', join(directory, `member-${i}`)],
          ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
          ...['--listen-peer-urls', peerUrls[i], '--initial-advertise-peer-urls', peerUrls[i]],
          ...['--initial-cluster', members, '--initial-cluster-state', 'new'],
          ...['--logger', 'zap', '--log-level', 'error'],
        ],
        { stdio: ['ignore', log, log] },
      )
      closeSync(log)
      await once(child, 'spawn')
      this.#children.push(child)
    }
    this.#connections = await Promise.all(ports.slice(0, MEMBERS).map(answering))
  }

  /** Calls that a member has refused: on a busy machine it has no time, or no leader. */
  get refusals(): number {
    return this.#refusals
  }

  /** The i-th call goes to the i-th member, round and round. Refused, it is made again. */
  async #call(i: number, method: string, message: Uint8Array): Promise<Buffer> {
    const connection = this.#connections[i % this.#connections.length]
    for (let attempt = 1; ; attempt++) {
      try {
        return await connection.call(`/etcdserverpb.KV/${method}`, message)
      } catch (error) {
        if (!(error instanceof RefusedCall) || attempt === ATTEMPTS_MAX) throw error
        this.#refusals++
        await sleep(RETRY_MS)
      }
    }
  }

  async put(i: number, row: number): Promise<void> {
    const message = putRequest(recordKey(row), this.#values.of(row))
    await this.#call(i, 'Put', message)
  }

  /** Puts `count` rows in one transaction. */
  async putTogether(i: number, firstRow: number, count: number): Promise<void> {
    const puts = Array.from({ length: count }, (_, at) =>
      putRequest(recordKey(firstRow + at), this.#values.of(firstRow + at)),
    )
    await this.#call(i, 'Txn', transactionRequest(puts))
  }

  /** Reads a row, linearizably, and compares its value. */
  async checkRow(i: number, row: number, answers: Answers): Promise<void> {
    const answer = await this.#call(i, 'Range', rangeRequest(recordKey(row)))
    const value = firstValue(answer)
    const isEqual = value !== undefined && Buffer.compare(value, this.#values.of(row)) === 0
    answers.expect(isEqual ? row : -1, row)
  }

  /** Reads some of the rows [from, to). */
  async checkRows(from: number, to: number, count: number, answers: Answers): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.checkRow(i, from + this.#random.below(to - from), answers)
    }
  }

  /** What the members have used of their cores since they began, in microseconds. Linux only. */
  cpuUs(): number {
    return this.#children.reduce((sum, { pid }) => sum + cpuUsOf(pid ?? 0), 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.close()
    await Promise.all(this.#children.map(stop))
    process.off('exit', this.#killAll)
  }
}

/** Fields 14 and 15 of proc(5)'s stat, in hundredths of a second; the name before may have spaces. */
function cpuUsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

async function answering(port: number): Promise<GrpcConnection> {
  const endsAt = performance.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      const connection = await GrpcConnection.open(HOST, port)
      await connection.call('/etcdserverpb.KV/Range', rangeRequest(recordKey(0)))
      return connection
    } catch (error) {
      if (performance.now() > endsAt) throw error
      await sleep(RETRY_MS)
    }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS)
  child.kill('SIGTERM')
  await exited
  clearTimeout(timer)
}
