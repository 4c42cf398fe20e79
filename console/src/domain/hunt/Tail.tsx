import { useEffect, useState } from 'react'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { useFormat } from '~/ui/format'
import { Badge } from '~/ui/Badge'
import { Empty, Failed } from '~/ui/states'
import { ask } from './ask'
import { HuntTable, rowsOf, type Row } from './HuntTable'
import { tailSql, type Shown } from './sql'

const EVERY_MS = 1_000
/** Acknowledged is found at once; the store gathers for milliseconds. Two seconds are left for a slow disk. */
const LAG_MS = 2_000
const NEWEST = 200
const KEPT = 500
const RATE_OVER = 5

type State = {
  rows: Row[]
  /** Events and milliseconds of the last few looks. */
  looks: { events: number; ms: number }[]
  /** Came in, and were not fetched: more than the newest of a look. */
  skipped: number
  isStarted: boolean
}

const NOTHING: State = { rows: [], looks: [], skipped: 0, isStarted: false }

/** What comes in, as it comes in: the newest on top, and never more than is kept. */
export function Tail(props: {
  columns: readonly Shown[]
  condition: string | undefined
  onOpen: (id: string) => void
  onTerm: (field: string, value: string, isExcluded: boolean) => void
}) {
  const { columns, condition, onOpen, onTerm } = props
  const { t } = useTranslation()
  const format = useFormat()
  const tenant = useTenant()
  const [state, setState] = useState(NOTHING)
  const [error, setError] = useState<unknown>()
  const [isPaused, setPaused] = useState(false)
  const [isPointed, setPointed] = useState(false)
  const [isScrolled, setScrolled] = useState(false)
  const isStill = isPaused || isPointed || isScrolled
  // While it stands still, what was shown then stays; what comes in is kept behind it.
  const [frozen, setFrozen] = useState<Row[]>()
  if (isStill && !frozen) setFrozen(state.rows)
  if (!isStill && frozen) setFrozen(undefined)
  const shown = frozen ?? state.rows
  const behind = frozen ? state.rows.findIndex((row) => row === frozen[0]) : 0
  const held = behind < 0 ? state.rows.length : behind
  useEffect(() => {
    const end = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let since: string | undefined
    let last = 0
    const look = async () => {
      if (document.hidden) return
      const begun = performance.now()
      try {
        if (since === undefined) {
          const sql = `select now() - interval '${LAG_MS} milliseconds' as at`
          const answer = await ask(tenant, sql, 1, end.signal)
          // The server's clock, in UTC without saying so.
          const at = Date.parse(`${String(answer.rows[0]?.[0]).slice(0, 23)}Z`)
          since = new Date(at).toISOString()
          last = performance.now()
          setState((now) => ({ ...now, isStarted: true }))
        } else {
          const sql = tailSql(columns, since, condition, LAG_MS)
          const answer = await ask(tenant, sql, NEWEST, end.signal)
          const ms = performance.now() - last
          last = performance.now()
          const [first] = answer.rows
          const events = first ? Number(first.at(-1)) : 0
          if (first) since = String(first.at(-2))
          const rows = rowsOf(answer.rows.map((row) => row.slice(0, -2)))
          setState((now) => add(now, rows, events, ms))
        }
        setError(undefined)
      } catch (failure) {
        if (end.signal.aborted) return
        setError(failure)
      }
      const took = performance.now() - begun
      timer = setTimeout(() => void look(), Math.max(100, EVERY_MS - took))
    }
    // A hidden tab asks nothing; when it is seen again it begins with what comes in then.
    const seen = () => {
      clearTimeout(timer)
      if (document.hidden) return
      since = undefined
      void look()
    }
    document.addEventListener('visibilitychange', seen)
    void look()
    return () => {
      end.abort(new DOMException('left', 'AbortError'))
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', seen)
      setState(NOTHING)
    }
  }, [tenant, columns, condition])
  const events = state.looks.reduce((sum, look) => sum + look.events, 0)
  const ms = state.looks.reduce((sum, look) => sum + look.ms, 0)
  const rate = ms === 0 ? 0 : Math.round((events / ms) * 1000)
  const newest = state.looks.at(-1)?.events ?? 0
  return (
    <div className="panel hunt-tail">
      <header className="panel-head">
        <h2>{t('hunt.tail')}</h2>
        <span className="hunt-tail-state">
          {isStill ? (
            <Badge tone="medium">
              {t(
                isPaused
                  ? 'hunt.tail.paused'
                  : isPointed
                    ? 'hunt.tail.pointed'
                    : 'hunt.tail.scrolled',
              )}
              {held > 0 && ` · ${t('hunt.tail.held', { n: held })}`}
            </Badge>
          ) : (
            <Badge tone="good">{t('hunt.tail.live')}</Badge>
          )}
          <strong data-rate={rate}>{t('hunt.tail.rate', { n: format.number(rate) })}</strong>
          <Button
            icon={isPaused ? 'play' : 'pause'}
            aria-pressed={isPaused}
            onClick={() => setPaused(!isPaused)}
          >
            {t(isPaused ? 'hunt.tail.go' : 'hunt.tail.pause')}
          </Button>
        </span>
      </header>
      {error !== undefined && <Failed error={error} />}
      <p className="panel-note">
        {newest > NEWEST
          ? t('hunt.tail.newest', { shown: NEWEST, n: format.number(newest) })
          : t('hunt.tail.all')}{' '}
        {state.skipped > 0 && t('hunt.tail.skipped', { n: format.number(state.skipped) })}{' '}
        {t('hunt.tail.kept', { n: KEPT })}
      </p>
      <div
        className="hunt-tail-rows"
        tabIndex={0}
        role="region"
        aria-label={t('hunt.tail')}
        onPointerEnter={() => setPointed(true)}
        onPointerLeave={() => setPointed(false)}
        onScroll={(event) => setScrolled(event.currentTarget.scrollTop > 0)}
      >
        {shown.length === 0 ? (
          <Empty title={t(state.isStarted ? 'hunt.tail.none' : 'ui.loading')}>
            {t('hunt.tail.none.text')}
          </Empty>
        ) : (
          <HuntTable columns={columns} rows={shown} onOpen={onOpen} onTerm={onTerm} />
        )}
      </div>
    </div>
  )
}

function add(now: State, rows: Row[], events: number, ms: number): State {
  return {
    ...now,
    rows: rows.length === 0 ? now.rows : [...rows, ...now.rows].slice(0, KEPT),
    looks: [...now.looks, { events, ms }].slice(-RATE_OVER),
    skipped: now.skipped + events - rows.length,
  }
}
