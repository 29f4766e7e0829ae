/**
 * The network between nodes: loses, doubles, delays and so reorders messages; any set of directed
 * links can be cut, and what is sent over them is lost or comes when they are whole again.
 */
import type { Message } from '../../src/main/raft/message.ts'
import type { Dice } from './dice.ts'
import type { EventQueue } from './event-queue.ts'

export interface Weather {
  lossPercent: number
  doubledPercent: number
  latencyMs: number
  /** Some messages take up to this long instead. */
  lateMs: number
  latePercent: number
}

export const FAIR_WEATHER: Readonly<Weather> = {
  lossPercent: 0,
  doubledPercent: 0,
  latencyMs: 2,
  lateMs: 0,
  latePercent: 0,
}

export type Deliver = (group: number, message: Message) => void

interface Link {
  readonly from: number
  readonly to: number
}

export class Network {
  readonly #queue: EventQueue
  readonly #dice: Dice
  readonly #deliver: Deliver
  readonly #cut = new Map<string, 'lose' | 'hold'>()
  #held: { group: number; message: Message }[] = []
  weather: Weather = { ...FAIR_WEATHER }
  sent = 0

  constructor(queue: EventQueue, dice: Dice, deliver: Deliver) {
    this.#queue = queue
    this.#dice = dice
    this.#deliver = deliver
  }

  send(group: number, message: Message): void {
    this.sent++
    const dice = this.#dice
    const cut = this.#cut.get(nameOf(message))
    if (cut === 'hold') this.#held.push({ group, message })
    if (cut !== undefined || dice.chance(this.weather.lossPercent)) return
    this.#carry(group, message)
    if (dice.chance(this.weather.doubledPercent)) this.#carry(group, message)
  }

  #carry(group: number, message: Message): void {
    const { latencyMs, lateMs, latePercent } = this.weather
    const isLate = this.#dice.chance(latePercent)
    const delayMs = this.#dice.between(0.1, isLate ? lateMs : latencyMs)
    this.#queue.after(delayMs, () => this.#deliver(group, message))
  }

  cut(links: readonly Link[], how: 'lose' | 'hold'): void {
    for (const link of links) this.#cut.set(nameOf(link), how)
  }

  mend(links: readonly Link[]): void {
    for (const link of links) this.#cut.delete(nameOf(link))
    this.#release()
  }

  mendAll(): void {
    this.#cut.clear()
    this.#release()
  }

  #release(): void {
    const held = this.#held
    this.#held = []
    for (const { group, message } of held) {
      if (this.#cut.has(nameOf(message))) this.#held.push({ group, message })
      else this.#carry(group, message)
    }
  }
}

function nameOf({ from, to }: Link): string {
  return `${from}>${to}`
}
