import { useMemo } from 'react'
import { useTranslation } from '~/i18n'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const BYTES = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']

/** Numbers and times as the reader's language writes them, in the browser's time zone. */
export function useFormat() {
  const { i18n } = useTranslation()
  const tag = i18n.language
  return useMemo(() => {
    const at = (options: Intl.DateTimeFormatOptions) =>
      new Intl.DateTimeFormat(tag, { hourCycle: 'h23', ...options })
    const clock = at({ hour: '2-digit', minute: '2-digit', second: '2-digit' })
    const hour = at({ hour: '2-digit', minute: '2-digit' })
    const day = at({ month: 'short', day: 'numeric' })
    const utcDay = at({ month: 'short', day: 'numeric', timeZone: 'UTC' })
    const whole = at({ dateStyle: 'medium', timeStyle: 'medium' })
    const number = new Intl.NumberFormat(tag, { maximumFractionDigits: 2 })
    const compact = new Intl.NumberFormat(tag, { notation: 'compact', maximumFractionDigits: 1 })
    const share = new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 0 })
    const ago = new Intl.RelativeTimeFormat(tag, { numeric: 'auto', style: 'short' })
    const unit = (name: string, value: number, display: 'short' | 'narrow' = 'short') =>
      new Intl.NumberFormat(tag, {
        style: 'unit',
        unit: name,
        unitDisplay: display,
        maximumFractionDigits: 1,
      }).format(value)
    return {
      number: (value: number) => number.format(value),
      compact: (value: number) => compact.format(value),
      share: (value: number) => share.format(value),
      /** In the largest unit that leaves a whole number before the point; powers of 1000, as disks count. */
      bytes: (value: number) => {
        const at = Math.min(BYTES.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3))
        return unit(BYTES[at] ?? 'byte', value / 1000 ** at, 'narrow')
      },
      /** Today the clock, on another day with the day. */
      short: (ms: number) =>
        new Date(ms).toDateString() === new Date().toDateString()
          ? clock.format(ms)
          : `${day.format(ms)} ${clock.format(ms)}`,
      clock: (ms: number) => clock.format(ms),
      /** A whole day, `2026-01-31`, which belongs to no zone. */
      utcDay: (day: string) => utcDay.format(Date.parse(day)),
      hour: (ms: number) => hour.format(ms),
      day: (ms: number) => day.format(ms),
      whole: (ms: number) => whole.format(ms),
      ago: (ms: number) => {
        const past = ms - Date.now()
        const size = Math.abs(past)
        if (size < MINUTE) return ago.format(Math.round(past / SECOND), 'second')
        if (size < HOUR) return ago.format(Math.round(past / MINUTE), 'minute')
        if (size < DAY) return ago.format(Math.round(past / HOUR), 'hour')
        return ago.format(Math.round(past / DAY), 'day')
      },
      /** How long, in its two largest units. */
      span: (ms: number) => {
        const left = Math.max(0, ms)
        if (left < MINUTE) return unit('second', Math.floor(left / SECOND))
        if (left < HOUR) return unit('minute', Math.floor(left / MINUTE))
        const [big, small] = left < DAY ? [HOUR, MINUTE] : [DAY, HOUR]
        const names = left < DAY ? ['hour', 'minute'] : ['day', 'hour']
        const first = unit(names[0] ?? 'hour', Math.floor(left / big))
        const rest = Math.floor((left % big) / small)
        return rest === 0 ? first : `${first} ${unit(names[1] ?? 'minute', rest)}`
      },
    }
  }, [tag])
}

export const utc = (ms: number) =>
  `${new Date(ms).toISOString().replace('T', ' ').slice(0, 19)} UTC`
