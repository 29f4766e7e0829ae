/**
 * The network between nodes: loses, doubles, delays and so reorders packets; any set of directed
 * links can be cut, and what is sent over them is lost or comes when they are whole again.
 */
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

/** What is known of a packet here, and of a cut. */
export interface Link {
  readonly from: number
  readonly to: number
}

export class Network<Packet extends Link> {
  readonly #queue: EventQueue
  readonly #dice: Dice
  readonly #deliver: (packet: Packet) => void
  readonly #cut = new Map<string, 'lose' | 'hold'>()
  #held: Packet[] = []
  weather: Weather = { ...FAIR_WEATHER }
  sent = 0

  constructor(queue: EventQueue, dice: Dice, deliver: (packet: Packet) => void) {
    this.#queue = queue
    this.#dice = dice
    this.#deliver = deliver
  }

  send(packet: Packet): void {
    this.sent++
    const dice = this.#dice
    const cut = this.#cut.get(nameOf(packet))
    if (cut === 'hold') this.#held.push(packet)
    if (cut !== undefined || dice.chance(this.weather.lossPercent)) return
    this.#carry(packet)
    if (dice.chance(this.weather.doubledPercent)) this.#carry(packet)
  }

  #carry(packet: Packet): void {
    const { latencyMs, lateMs, latePercent } = this.weather
    const isLate = this.#dice.chance(latePercent)
    const delayMs = this.#dice.between(0.1, isLate ? lateMs : latencyMs)
    this.#queue.after(delayMs, () => this.#deliver(packet))
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
    for (const packet of held) {
      if (this.#cut.has(nameOf(packet))) this.#held.push(packet)
      else this.#carry(packet)
    }
  }
}

function nameOf({ from, to }: Link): string {
  return `${from}>${to}`
}
