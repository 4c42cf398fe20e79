import { useQuery } from '@tanstack/react-query'
import { useEffect, useEffectEvent, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useTenant } from '~/domain/session'
import { useTranslation, useWord } from '~/i18n'
import { Select } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Loaded } from '~/ui/states'
import { useTheme } from '~/ui/theme'
import { asked } from './ask'
import { CLASSES } from './fields'
import { bucketsOf } from './range'
import { histogramSql, type Span, type Stack } from './sql'

const HEIGHT = 120
const ROWS_MAX = 5_000
const PARTS_MAX = 5
/** Colours by rank; the last is for all others. */
const RANKS = ['accent', 'medium', 'good', 'high', 'low', 'none'] as const
const OUTCOMES: Record<string, (typeof RANKS)[number]> = { success: 'good', failure: 'high' }

type Part = { name: string; colour: (typeof RANKS)[number]; counts: number[]; total: number }
type Bars = { starts: number[]; ms: number; parts: Part[]; total: number }

/** How the events lie in time; asked when the rows are there, since both read the same files. */
export function useCounts(
  span: Span,
  condition: string | undefined,
  stack: Stack,
  isReady: boolean,
) {
  const bucket = useMemo(() => bucketsOf(span), [span])
  const sql = histogramSql(span, condition, stack, bucket)
  const query = useQuery({ ...asked(useTenant(), sql, ROWS_MAX), enabled: isReady })
  return { query, bucket }
}

export function Histogram(props: {
  of: ReturnType<typeof useCounts>
  span: Span
  stack: Stack
  onStack: (stack: Stack) => void
  onNarrow: (span: Span) => void
}) {
  const { span, stack, onStack, onNarrow } = props
  const { query, bucket } = props.of
  const { t } = useTranslation()
  const format = useFormat()
  const bars = useMemo(
    () => query.data && arrange(query.data.rows, bucket, stack),
    [query.data, bucket, stack],
  )
  return (
    <section className="panel hunt-histogram" aria-label={t('hunt.histogram')}>
      <header className="panel-head">
        <h2>
          {bars ? t('hunt.histogram.title', { n: format.number(bars.total) }) : t('hunt.histogram')}{' '}
          <span className="quiet hunt-bucket">
            {t('hunt.histogram.bucket', { span: format.span(bucket.ms) })}
          </span>
        </h2>
        <Select
          label={t('hunt.stack')}
          isLabelShown
          value={stack}
          onChange={(chosen) => onStack(chosen === 'class_uid' ? 'class_uid' : 'outcome')}
          choices={[
            { value: 'outcome', label: t('hunt.stack.outcome') },
            { value: 'class_uid', label: t('hunt.stack.class') },
          ]}
        />
      </header>
      <Loaded query={query} rows={4}>
        {() => bars && <Chart bars={bars} span={span} stack={stack} onNarrow={onNarrow} />}
      </Loaded>
      {query.data?.truncated && <p className="panel-note">{t('hunt.histogram.cut')}</p>}
    </section>
  )
}

/** Counts by bar and part; the smaller parts are one. */
function arrange(
  rows: unknown[][],
  { ms, origin, count }: { ms: number; origin: number; count: number },
  stack: Stack,
): Bars {
  const found = new Map<string, { counts: number[]; total: number }>()
  let total = 0
  for (const [time, part, events] of rows as [string, string | number | null, number][]) {
    const name = `${part ?? 'unknown'}`
    const known = found.get(name) ?? { counts: Array<number>(count).fill(0), total: 0 }
    const at = Math.floor((Date.parse(time) - origin) / ms)
    if (at >= 0 && at < count) known.counts[at] = (known.counts[at] ?? 0) + events
    known.total += events
    total += events
    found.set(name, known)
  }
  const ranked = [...found].sort(([, a], [, b]) => b.total - a.total)
  const parts: Part[] = ranked.slice(0, PARTS_MAX).map(([name, one], rank) => ({
    name,
    colour: stack === 'outcome' ? (OUTCOMES[name] ?? 'none') : (RANKS[rank] ?? 'none'),
    ...one,
  }))
  const others = ranked.slice(PARTS_MAX).map(([, one]) => one)
  if (others.length > 0) {
    parts.push({
      name: 'others',
      colour: 'none',
      counts: Array.from({ length: count }, (_, at) =>
        others.reduce((sum, one) => sum + (one.counts[at] ?? 0), 0),
      ),
      total: others.reduce((sum, one) => sum + one.total, 0),
    })
  }
  return { starts: Array.from({ length: count }, (_, at) => origin + at * ms), ms, parts, total }
}

function Chart(props: { bars: Bars; span: Span; stack: Stack; onNarrow: (span: Span) => void }) {
  const { bars, span, stack, onNarrow } = props
  const { t, i18n } = useTranslation()
  const word = useWord()
  const format = useFormat()
  const theme = useTheme()
  const isDark = useIsDark()
  const box = useRef<HTMLDivElement>(null)
  const legend = useRef<HTMLUListElement>(null)
  const [at, setAt] = useState<number>()
  const named = (part: Part) => {
    if (part.name === 'others') return t('hunt.others')
    if (stack === 'outcome') return word('outcome', part.name)
    return word('hunt.class', CLASSES[Number(part.name)] ?? part.name)
  }
  const clip = (from: number, until: number): Span => ({
    from: Math.max(span.from, Math.floor(from)),
    until: Math.min(span.until, Math.ceil(until)),
  })
  const narrow = useEffectEvent((from: number, until: number) => onNarrow(clip(from, until)))
  // Midnight is written as the day it begins.
  const tick = useEffectEvent((seconds: number, step: number) => {
    const ms = seconds * 1000
    const isMidnight = new Date(ms).getHours() === 0 && new Date(ms).getMinutes() === 0
    return step >= 86_400 || isMidnight ? format.day(ms) : format.hour(ms)
  })
  const count = useEffectEvent((value: number) => format.compact(value))
  useEffect(() => {
    const place = box.current
    if (!place) return
    const seconds = bars.starts.map((ms) => ms / 1000)
    // Drawn from the highest sum down, so that each part covers what is not its own.
    const sums: number[][] = []
    for (const part of bars.parts) {
      const below = sums.at(-1)
      sums.push(part.counts.map((n, index) => n + (below?.[index] ?? 0)))
    }
    const most = Math.max(1, ...(sums.at(-1) ?? []))
    const swatches = [...(legend.current?.querySelectorAll('i') ?? [])]
    const colours = swatches.map((swatch) => getComputedStyle(swatch).backgroundColor)
    const style = getComputedStyle(place)
    const axis = {
      stroke: style.color,
      font: `11px ${style.fontFamily}`,
      grid: { stroke: style.outlineColor, width: 1 },
      ticks: { show: false },
    }
    const chart = new uPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        padding: [8, 8, 0, 0],
        scales: {
          x: { time: true, range: [seconds[0] ?? 0, span.until / 1000] },
          y: { range: [0, most * 1.08] },
        },
        axes: [
          {
            ...axis,
            size: 24,
            grid: { show: false },
            space: 64,
            values: (_, splits, __, ___, step) => splits.map((value) => tick(value, step)),
          },
          { ...axis, size: 46, splits: () => [0, most / 2, most], values: (_, s) => s.map(count) },
        ],
        cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false } },
        series: [
          {},
          ...bars.parts.map((_, part) => ({
            fill: colours[bars.parts.length - 1 - part],
            stroke: 'transparent',
            width: 0,
            points: { show: false },
            paths: uPlot.paths.bars?.({ size: [0.88, 60], align: 1 }),
          })),
        ],
        hooks: {
          setCursor: [(u) => setAt(u.cursor.idx ?? undefined)],
          setSelect: [
            (u) => {
              const { left, width } = u.select
              if (width < 4) return
              const from = u.posToVal(left, 'x') * 1000
              const until = u.posToVal(left + width, 'x') * 1000
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
              narrow(from, until)
            },
          ],
        },
      },
      [seconds, ...sums.reverse()],
      place,
    )
    let down = 0
    chart.over.addEventListener('pointerdown', (event) => (down = event.clientX))
    chart.over.addEventListener('click', (event) => {
      if (Math.abs(event.clientX - down) > 3) return
      const seconds = chart.posToVal(event.offsetX, 'x')
      const bar = Math.floor((seconds * 1000 - (bars.starts[0] ?? 0)) / bars.ms)
      const from = bars.starts[bar]
      if (from !== undefined) narrow(from, from + bars.ms)
    })
    const watch = new ResizeObserver(() => {
      chart.setSize({ width: place.clientWidth, height: HEIGHT })
    })
    watch.observe(place)
    return () => {
      watch.disconnect()
      chart.destroy()
    }
  }, [bars, span, theme, isDark, i18n.language])
  const start = at === undefined ? undefined : bars.starts[at]
  const nonEmpty = bars.starts.flatMap((from, index) => {
    const counts = bars.parts.map((part) => part.counts[index] ?? 0)
    const total = counts.reduce((sum, n) => sum + n, 0)
    return total === 0 ? [] : [{ from, counts, total }]
  })
  return (
    <div className="hunt-chart">
      <div
        ref={box}
        className="hunt-canvas"
        role="img"
        aria-label={t('hunt.histogram.about', {
          n: format.number(bars.total),
          from: format.whole(span.from),
          until: format.whole(span.until),
        })}
      />
      <div className="hunt-legend">
        <ul ref={legend}>
          {bars.parts.map((part) => (
            <li key={part.name}>
              <i className={`swatch swatch-${part.colour}`} /> {named(part)}{' '}
              <span className="quiet">{format.compact(part.total)}</span>
            </li>
          ))}
        </ul>
        <span className="quiet" aria-hidden="true">
          {start === undefined || at === undefined
            ? t('hunt.histogram.drag')
            : `${format.short(start)} – ${format.clock(start + bars.ms)} · ${bars.parts
                .map((part) => `${named(part)} ${format.number(part.counts[at] ?? 0)}`)
                .join(' · ')}`}
        </span>
      </div>
      <details className="hunt-numbers">
        <summary>{t('hunt.histogram.table')}</summary>
        <div className="scroll-x hunt-numbers-box">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">{t('event.when')}</th>
                {bars.parts.map((part) => (
                  <th scope="col" className="number" key={part.name}>
                    {named(part)}
                  </th>
                ))}
                <th scope="col" className="number">
                  {t('hunt.total')}
                </th>
              </tr>
            </thead>
            <tbody>
              {nonEmpty.map(({ from, counts, total }) => (
                <tr key={from}>
                  <td>
                    <button
                      type="button"
                      className="link-button"
                      aria-label={t('hunt.narrow', { when: format.short(from) })}
                      onClick={() => onNarrow(clip(from, from + bars.ms))}
                    >
                      {format.short(from)}
                    </button>
                  </td>
                  {counts.map((n, index) => (
                    <td className="number" key={index}>
                      {format.number(n)}
                    </td>
                  ))}
                  <td className="number">{format.number(total)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </div>
  )
}

/** Whether the system is dark now: the canvas is drawn anew when that changes. */
function useIsDark(): boolean {
  const [isDark, setDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches)
  useEffect(() => {
    const media = matchMedia('(prefers-color-scheme: dark)')
    const change = () => setDark(media.matches)
    media.addEventListener('change', change)
    return () => media.removeEventListener('change', change)
  }, [])
  return isDark
}
