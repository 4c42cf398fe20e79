import { useMutation, useQueries } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { api, take } from '~/api/client'
import { event as eventQuery, type Replay, type Rule } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Bars } from '~/ui/Bars'
import { Button } from '~/ui/Button'
import { Select } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Panel } from '~/ui/Page'
import { Empty, Failed } from '~/ui/states'
import { Time } from '~/ui/Time'
import { EntityLink } from './EntityLink'
import { EventTable } from './EventTable'
import { Day, SwitchDialog } from './rules'
import { useMay, useTenant } from './session'
import { LOUD_ENTITIES, LOUD_HITS, byDay } from './sigma'

const DAY_MS = 86_400_000
const SPANS = [1, 7, 30, 90]
/** The server ends a replay after this time. */
const SECS_MAX = 40
const ENTITIES_SHOWN = 10
const EVENTS_SHOWN = 5
const NOBODY = 'nobody'

type Counted = Omit<Replay, 'by_day'> & { by_day: Record<string, number> }

/** What the rule would have found in stored events. Leaving the page or cancelling ends it on the server. */
export function RuleReplay({ rule, onEvent }: { rule: Rule; onEvent: (id: string) => void }) {
  const { t } = useTranslation()
  const [days, setDays] = useState(7)
  const running = useRef<AbortController>(null)
  const run = useMutation({
    mutationFn: async () => {
      const ending = new AbortController()
      running.current = ending
      const from = String(Date.now() - days * DAY_MS)
      const params = { path: { id: rule.id }, query: { from } }
      const told = await take(
        api.POST('/api/v1/sigma/rules/{id}/replay', { params, signal: ending.signal }),
      ).catch((error: unknown) => {
        if (ending.signal.aborted) return undefined
        throw error
      })
      return told as Counted | undefined
    },
  })
  useEffect(() => () => running.current?.abort(), [])
  return (
    <div className="stack">
      <Panel title={t('replay.title')}>
        <div className="replay">
          <p className="quiet">{t('replay.text')}</p>
          <p className="replay-run">
            <Select
              label={t('replay.span')}
              isLabelShown
              value={`${days}`}
              onChange={(next) => setDays(Number(next))}
              choices={SPANS.map((n) => ({ value: `${n}`, label: t('replay.days', { n }) }))}
              why={run.isPending && t('replay.running')}
            />
            {run.isPending ? (
              <Button onClick={() => running.current?.abort()}>{t('replay.cancel')}</Button>
            ) : (
              <Button look="primary" onClick={() => run.mutate()}>
                {run.data ? t('replay.again') : t('replay.go')}
              </Button>
            )}
            {run.isPending && <Running />}
          </p>
          <div aria-live="polite">
            {run.isSuccess && !run.data && <p className="quiet">{t('replay.cancelled')}</p>}
            {run.error && <Failed error={run.error} onRetry={() => run.mutate()} />}
          </div>
        </div>
      </Panel>
      {run.data && !run.isPending && <Result rule={rule} told={run.data} onEvent={onEvent} />}
    </div>
  )
}

/** The server says nothing until it is done, so only the time is known. */
function Running() {
  const { t } = useTranslation()
  const [secs, setSecs] = useState(0)
  useEffect(() => {
    const start = Date.now()
    const timer = setInterval(() => setSecs(Math.round((Date.now() - start) / 1000)), 500)
    return () => clearInterval(timer)
  }, [])
  return (
    <span className="replay-running" role="status">
      <progress aria-label={t('replay.running')} />
      <span aria-hidden="true">{t('replay.running.secs', { n: secs, max: SECS_MAX })}</span>
    </span>
  )
}

/** Why the rule would be loud, if it would. */
function useLoud(told: Counted): string | undefined {
  const { t } = useTranslation()
  const format = useFormat()
  const [day, most] = Object.entries(told.by_day).sort(([, a], [, b]) => b - a)[0] ?? ['', 0]
  if (most >= LOUD_HITS) {
    return t('replay.loud.day', { n: format.number(most), day: format.utcDay(day) })
  }
  if (told.entities_total >= LOUD_ENTITIES) {
    return t('replay.loud.entities', { n: format.number(told.entities_total) })
  }
  return undefined
}

function Result(props: { rule: Rule; told: Counted; onEvent: (id: string) => void }) {
  const { rule, told, onEvent } = props
  const { t } = useTranslation()
  const format = useFormat()
  const isWriter = useMay()('rules.write')
  const [isSwitching, setSwitching] = useState(false)
  const loud = useLoud(told)
  // Hits are counted by the day of the event, which may be older than its receipt.
  const first = Math.min(told.from, ...Object.keys(told.by_day).map((day) => Date.parse(day)))
  const days = byDay(told.by_day, Math.max(first, told.to - 120 * DAY_MS), told.to)
  const most = Math.max(1, ...days.map(({ hits }) => hits))
  const warning = loud && (
    <p className="warn" role="status">
      {loud} {t('replay.loud.text')}
    </p>
  )
  return (
    <Panel
      title={t('replay.result')}
      aside={
        isWriter &&
        !rule.enabled && (
          <Button look={loud ? 'plain' : 'primary'} onClick={() => setSwitching(true)}>
            {t('rules.switch.on')}
          </Button>
        )
      }
    >
      <div className="replay">
        {warning}
        {!told.complete && (
          <p className="warn" role="status">
            {t(told.stopped === 'time' ? 'replay.cut.time' : 'replay.cut.events')}{' '}
            <Time at={told.reached} />
          </p>
        )}
        <dl className="figures replay-figures">
          <div>
            <dt>{t('replay.hits')}</dt>
            <dd>{format.number(told.hits)}</dd>
          </div>
          <div>
            <dt>{t('replay.entities')}</dt>
            <dd>{format.number(told.entities_total)}</dd>
          </div>
          <div>
            <dt>{t('replay.events')}</dt>
            <dd>{format.number(told.events)}</dd>
          </div>
          <div>
            <dt>{t('replay.span')}</dt>
            <dd className="replay-span">
              <Time at={told.from} form="whole" /> – <Time at={told.to} form="whole" />
            </dd>
          </div>
        </dl>
      </div>
      {told.hits === 0 ? (
        <Empty title={t('replay.none')}>
          {told.events === 0
            ? t('replay.none.events')
            : rule.served
              ? t('replay.none.text')
              : t('rule.unserved')}
        </Empty>
      ) : (
        <>
          <div className="replay-columns">
            <section>
              <h3>{t('replay.by-day')}</h3>
              <Bars
                values={days.map(({ hits }) => hits)}
                label={t('rules.bars', { n: days.length, most: format.number(most) })}
              />
              <ul className="replay-days">
                {days
                  .filter(({ hits }) => hits > 0)
                  .slice(-ENTITIES_SHOWN)
                  .reverse()
                  .map(({ day, hits }) => (
                    <li key={day}>
                      <Day day={day} />
                      <strong>{format.number(hits)}</strong>
                    </li>
                  ))}
              </ul>
            </section>
            <section>
              <h3>{t('replay.by-entity')}</h3>
              <ul className="replay-days">
                {told.entities.slice(0, ENTITIES_SHOWN).map(({ entity, hits }) => (
                  <li key={entity}>
                    {entity === NOBODY ? (
                      <span className="quiet">{t('replay.nobody')}</span>
                    ) : (
                      <EntityLink entity={entity} />
                    )}
                    <strong>{format.number(hits)}</strong>
                  </li>
                ))}
              </ul>
              {told.entities_total > ENTITIES_SHOWN && (
                <p className="quiet">
                  {t('incidents.more', { n: told.entities_total - ENTITIES_SHOWN })}
                </p>
              )}
            </section>
          </div>
          <Events ids={told.evidence} onEvent={onEvent} />
        </>
      )}
      {isSwitching && (
        <SwitchDialog rule={rule} warning={warning} onClose={() => setSwitching(false)} />
      )}
    </Panel>
  )
}

function Events({ ids, onEvent }: { ids: string[]; onEvent: (id: string) => void }) {
  const { t } = useTranslation()
  const tenant = useTenant()
  const isReader = useMay()('events.read')
  const shown = isReader ? ids.slice(0, EVENTS_SHOWN) : []
  const queries = useQueries({ queries: shown.map((id) => eventQuery(tenant, id)) })
  const events = queries.flatMap(({ data }) => (data ? [data] : []))
  if (events.length === 0) return null
  return (
    <>
      <h3 className="panel-sub">{t('replay.first')}</h3>
      <EventTable events={events} onOpen={onEvent} />
    </>
  )
}
