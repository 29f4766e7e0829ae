/**
 * Incidents: what goes wrong on connections, counted by what it is and logged at warn, each kind at
 * most once in LOG_INTERVAL_MS: who wants to fill the log with refusals cannot.
 */
import type { Logger } from '../logger.ts'
import type { Clock } from './clock.ts'

const LOG_INTERVAL_MS = 10_000

/** Why the other side of a connection that has not proved who it is was turned away. */
export const REFUSALS = [
  /** The handshake took too long: idle, or byte by byte. */
  'handshakeTimeout',
  /** It closed the connection before the handshake was done. */
  'closedEarly',
  /** It does not speak this protocol: random bytes, a huge length, a wrong checksum. */
  'malformed',
  'version',
  'cluster',
  /** It wants another node than this one, or says that it is this one. */
  'node',
  'secret',
  /** The TLS handshake failed: no certificate, one of another authority, or no TLS at all. */
  'tls',
  /** Too many connections at a time: it was the oldest, or of one member too many. */
  'crowded',
] as const
export type Refusal = (typeof REFUSALS)[number]

/** What befell connections of this node to members, and of members to it. */
export const BREAKS = [
  /** A member could not be reached. */
  'unreachable',
  /** A member closed the connection during the handshake; its own counters say why. */
  'turnedAway',
  /** A member sent what is not in the format. */
  'brokenFrame',
  /** Nothing came from a member for too long. */
  'silent',
  /** A member took too little of what it was sent. */
  'backlog',
  /** A member that was connected has connected again. */
  'replaced',
  /** A connection to or of a member ended without a word, or with a complaint. */
  'lost',
  /** The system could not take a connection: too many files are open, or the like. */
  'notAccepted',
] as const
export type Break = (typeof BREAKS)[number]

export type Incident = Refusal | Break

export class Incidents {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #counts = new Map<Incident, number>()
  readonly #loggedAtMs = new Map<Incident, number>()
  readonly #unlogged = new Map<Incident, number>()

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
    for (const incident of [...REFUSALS, ...BREAKS]) this.#counts.set(incident, 0)
  }

  /** @param details who it was, and what is known of why */
  count(incident: Incident, details: object): void {
    this.#counts.set(incident, this.countOf(incident) + 1)
    const unlogged = (this.#unlogged.get(incident) ?? 0) + 1
    const now = this.#clock.nowMs()
    const loggedAt = this.#loggedAtMs.get(incident)
    if (loggedAt !== undefined && now < loggedAt + LOG_INTERVAL_MS) {
      this.#unlogged.set(incident, unlogged)
      return
    }
    this.#loggedAtMs.set(incident, now)
    this.#unlogged.set(incident, 0)
    // `times`: since the last line about the like.
    this.#logger.warn({ incident, times: unlogged, ...details }, messageOf(incident))
  }

  countOf(incident: Incident): number {
    return this.#counts.get(incident) ?? 0
  }

  counts(): Record<Incident, number> {
    return Object.fromEntries(this.#counts) as Record<Incident, number>
  }
}

function messageOf(incident: Incident): string {
  const isRefusal = (REFUSALS as readonly Incident[]).includes(incident)
  return isRefusal ? 'a connection was refused' : 'a connection between members failed'
}
