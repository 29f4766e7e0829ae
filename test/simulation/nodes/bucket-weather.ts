/** Kinds of bad weather of the bucket, and how long each lasts. */
import { type BucketWeather, FAIR_BUCKET } from './bucket.ts'
import type { NodeSettings } from './settings.ts'

export interface WeatherKind {
  readonly name: string
  readonly weather: BucketWeather
  readonly lastsMs: number
  readonly settings: Partial<NodeSettings>
  /** Whether writes must come to their limits, since nothing reaches the bucket. */
  readonly isDead: boolean
}

const MINUTE_MS = 60_000
const SHORT: Partial<NodeSettings> = { electionTimeoutMs: 1000, heartbeatIntervalMs: 200 }
/** An hour is not all heartbeats. */
const LONG: Partial<NodeSettings> = { electionTimeoutMs: 6000, heartbeatIntervalMs: 2000 }

/** A memtable takes 8 MiB past its size before a write finds no room: values to fill that soon. */
const LARGE: Partial<NodeSettings> = {
  ...{ domains: 1, valueBytesMax: 800_000, segmentBytesMax: 4_194_304, logBytesMax: 67_108_864 },
}

function kind(
  name: string,
  weather: Partial<BucketWeather>,
  { isDead = false, lastsMs = 2 * MINUTE_MS, settings = SHORT } = {},
): WeatherKind {
  return { name, weather: { ...FAIR_BUCKET, ...weather }, lastsMs, settings, isDead }
}

export const KINDS: readonly WeatherKind[] = [
  kind('is slow', { latencyMs: 5000 }),
  kind('throttles', { failedPercent: 85 }),
  kind(
    'fails for an hour',
    { failedPercent: 100 },
    { isDead: true, lastsMs: 60 * MINUTE_MS, settings: { ...LONG, ...LARGE } },
  ),
  kind('loses answers', { lostPercent: 60 }),
  kind('cuts what it answers', { cutPercent: 70 }),
  kind(
    'hangs',
    { hungPercent: 100 },
    { isDead: true, lastsMs: 5 * MINUTE_MS, settings: { ...SHORT, ...LARGE } },
  ),
  kind(
    'has clocks that are minutes apart',
    {},
    {
      settings: { ...SHORT, ...{ skewMsMax: 5 * MINUTE_MS, bucketSkewMs: -3 * MINUTE_MS } },
    },
  ),
  kind('is a bit of everything', {
    ...{ latencyMs: 1000, failedPercent: 20, lostPercent: 20, hungPercent: 5, cutPercent: 10 },
  }),
]
