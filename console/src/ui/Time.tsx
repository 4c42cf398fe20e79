import { useEffect, useState } from 'react'
import { useFormat, utc } from './format'

/** A moment in the browser's zone; UTC on hover. */
export function Time({ at, form = 'short' }: { at: number; form?: 'short' | 'ago' | 'whole' }) {
  const format = useFormat()
  useTick(form === 'ago')
  return (
    <time dateTime={new Date(at).toISOString()} title={`${format.whole(at)} · ${utc(at)}`}>
      {format[form](at)}
    </time>
  )
}

/** How long until `at`. */
export function Left({ at }: { at: number }) {
  const format = useFormat()
  const now = useTick(true)
  return (
    <time dateTime={new Date(at).toISOString()} title={`${format.whole(at)} · ${utc(at)}`}>
      {format.span(at - now)}
    </time>
  )
}

const TICK_MS = 10_000

/** The time now, again every ten seconds. */
export function useTick(on: boolean): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!on) return
    const timer = setInterval(() => setNow(Date.now()), TICK_MS)
    return () => clearInterval(timer)
  }, [on])
  return now
}
