/** The time a hunt looks at, and the bars it is drawn in. */
import type { Span } from './sql'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export const RANGES = { '15m': 15 * MINUTE, '1h': HOUR, '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY }
export type RangeName = keyof typeof RANGES
export const RANGE_NAMES = Object.keys(RANGES) as RangeName[]
export const RANGE_USUAL: RangeName = '24h'

/** A range that ends now ends a little later: clocks differ. */
const AHEAD_MS = MINUTE

/** Whole seconds, so that asking the same twice within one is the same question. */
export function spanOf(
  range: { name?: RangeName | undefined; from?: number | undefined; until?: number | undefined },
  now: number,
): Span {
  if (range.from !== undefined && range.until !== undefined && range.from < range.until) {
    return { from: range.from, until: range.until }
  }
  const end = Math.ceil((now + AHEAD_MS) / 1000) * 1000
  return { from: end - AHEAD_MS - RANGES[range.name ?? RANGE_USUAL], until: end }
}

const NICE = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200]
const BARS_MAX = 90

/** Bars of a width people count in, at most ninety; days begin at the reader's midnight. */
export function bucketsOf({ from, until }: Span): { ms: number; origin: number; count: number } {
  const wanted = (until - from) / BARS_MAX
  const days = Math.ceil(wanted / DAY) * DAY
  const ms = (NICE.find((seconds) => seconds * 1000 >= wanted) ?? days / 1000) * 1000
  const midnight = new Date(from)
  midnight.setHours(0, 0, 0, 0)
  const origin = midnight.getTime() + Math.floor((from - midnight.getTime()) / ms) * ms
  return { ms, origin, count: Math.max(1, Math.ceil((until - origin) / ms)) }
}

/** `2026-11-22T23:45:00` in the browser's zone, as `<input type=datetime-local>` wants it. */
export function toLocal(ms: number): string {
  const at = new Date(ms)
  const two = (n: number) => `${n}`.padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

/** The same with its zone, as RFC 3339 writes it. */
export function toRfc3339(ms: number): string {
  const east = -new Date(ms).getTimezoneOffset()
  const two = (n: number) => `${Math.floor(n)}`.padStart(2, '0')
  const size = Math.abs(east)
  return `${toLocal(ms)}${east < 0 ? '-' : '+'}${two(size / 60)}:${two(size % 60)}`
}
