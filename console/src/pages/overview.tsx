import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Suspense, lazy } from 'react'
import {
  actions,
  health,
  incidents,
  restrictions,
  type Action,
  type Incident,
  type Restriction,
  type Rung,
} from '~/api/queries'
import { ActionCard } from '~/domain/ActionCard'
import { splitEntity } from '~/domain/EntityLink'
import { useFirstSteps } from '~/domain/first'
import { IncidentLine } from '~/domain/IncidentLine'
import { TopAtRisk, Trend } from '~/domain/Risk'
import { useMay, useTenant } from '~/domain/session'
import { Sources } from '~/domain/Sources'
import { RungBadge, SEVERITIES, SeverityBadge } from '~/domain/words'
import { useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { useFormat } from '~/ui/format'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Time, useTick } from '~/ui/Time'
import { OPEN_INCIDENTS, WAITING } from './shell'

const DAY_MS = 24 * 3_600_000
const LISTED = 6
const CARDS = 4

const FirstSteps = lazy(() => import('./first-steps').then((it) => ({ default: it.FirstSteps })))

export function Overview() {
  const { t } = useTranslation()
  const may = useMay()
  const first = useFirstSteps()
  return (
    <Page title={t('page.overview')}>
      <div className="overview">
        {first.isShown && (
          <Suspense fallback={null}>
            <FirstSteps />
          </Suspense>
        )}
        <div className="overview-main">
          <Waiting />
          <OpenIncidents />
          <Trend />
        </div>
        <div className="overview-side">
          <Automatic />
          <InForce />
          <TopAtRisk />
        </div>
        {may('health.read') && <Evidence />}
      </div>
    </Page>
  )
}

function Waiting() {
  const { t } = useTranslation()
  const query = useQuery(actions(useTenant(), WAITING))
  return (
    <Panel
      title={t('overview.waiting')}
      aside={<Link to="/response">{t('overview.waiting.all')}</Link>}
    >
      <Loaded query={query} rows={2}>
        {({ items, next }) => {
          if (items.length === 0) return <Empty title={t('overview.waiting.none')} />
          const soonest = [...items].sort((a, b) => deadline(a) - deadline(b))
          const more = items.length - CARDS
          return (
            <>
              {soonest.slice(0, CARDS).map((action) => (
                <ActionCard key={action.id} action={action} />
              ))}
              {more > 0 && (
                <p className="panel-more">
                  <Link to="/response">{t('ui.more', { n: `${more}${next ? '+' : ''}` })}</Link>
                </p>
              )}
            </>
          )
        }}
      </Loaded>
    </Panel>
  )
}

const deadline = (action: Action) => action.approval?.deadline ?? action.expires

function OpenIncidents() {
  const { t } = useTranslation()
  const query = useQuery(incidents(useTenant(), OPEN_INCIDENTS))
  return (
    <Panel
      title={t('overview.incidents')}
      aside={<Link to="/incidents">{t('overview.incidents.all')}</Link>}
    >
      <Loaded query={query}>
        {({ items, next }) => (
          <>
            <ul className="tally">
              {SEVERITIES.slice(0, 4).map((severity) => {
                const n = items.filter((one) => one.severity === severity).length
                return (
                  <li key={severity} className={n === 0 ? 'tally-none' : undefined}>
                    <Link
                      to="/incidents"
                      search={{ severity, isExact: severity === SEVERITIES[0] ? undefined : true }}
                    >
                      <strong>
                        {n}
                        {next ? '+' : ''}
                      </strong>
                      <SeverityBadge severity={severity} />
                    </Link>
                  </li>
                )
              })}
            </ul>
            {items.length === 0 ? (
              <Empty title={t('overview.incidents.none')}>
                {t('overview.incidents.none.text')}
              </Empty>
            ) : (
              <ul className="lines">
                {byWeight(items)
                  .slice(0, LISTED)
                  .map((incident) => (
                    <li key={incident.id}>
                      <IncidentLine incident={incident} />
                    </li>
                  ))}
              </ul>
            )}
          </>
        )}
      </Loaded>
    </Panel>
  )
}

function byWeight(items: Incident[]): Incident[] {
  const weight = (one: Incident) => SEVERITIES.indexOf(one.severity)
  return [...items].sort((a, b) => weight(a) - weight(b) || b.updated - a.updated)
}

/** Whether nobody was asked: a policy set it, and no person approved. */
function isAutomatic(action: Action): boolean {
  const wasDone = ['pending', 'active', 'undone', 'expired'].includes(action.state)
  return wasDone && !action.history.some((change) => change.state === 'awaiting-approval')
}

function Automatic() {
  const { t } = useTranslation()
  // From a full minute, so that the question stays the same for a while.
  const tick = useTick(true)
  const since = Math.floor((tick - DAY_MS) / 60_000) * 60_000
  const query = useQuery(actions(useTenant(), { since: since.toString() }))
  return (
    <Panel
      title={t('overview.done')}
      aside={
        <Link to="/response" search={{ view: 'history' }}>
          {t('overview.done.all')}
        </Link>
      }
    >
      <Loaded query={query} rows={3}>
        {({ items, next }) => {
          const done = items.filter(isAutomatic)
          const undone = done.filter((action) => action.state === 'undone').length
          if (done.length === 0) return <Empty title={t('overview.done.none')} />
          return (
            <>
              <RungCounts
                rungs={done.map((action) => action.rung)}
                isMore={!!next}
                view="history"
              />
              {undone > 0 ? (
                <p className="panel-note">
                  {t('overview.done.undone', { n: `${undone}${next ? '+' : ''}` })}
                </p>
              ) : (
                !next && <p className="panel-note">{t('overview.done.kept')}</p>
              )}
            </>
          )
        }}
      </Loaded>
    </Panel>
  )
}

function RungCounts(props: { rungs: Rung[]; isMore?: boolean; view: 'force' | 'history' }) {
  const { rungs, isMore = false, view } = props
  const order: Rung[] = ['rotate', 'revoke', 'block', 'isolate', 'step-up', 'limit', 'observe']
  const counts = order.map((rung) => ({ rung, n: rungs.filter((one) => one === rung).length }))
  const most = Math.max(...counts.map(({ n }) => n))
  return (
    <ul className="counts">
      {counts
        .filter(({ n }) => n > 0)
        .map(({ rung, n }) => (
          <li key={rung}>
            <Link to="/response" search={{ view, rung }}>
              <RungBadge rung={rung} />
              <progress value={n} max={most} aria-hidden="true" />
              <strong>
                {n}
                {isMore ? '+' : ''}
              </strong>
            </Link>
          </li>
        ))}
    </ul>
  )
}

function InForce() {
  const { t } = useTranslation()
  const word = useWord()
  const query = useQuery(restrictions(useTenant()))
  return (
    <Panel
      title={t('overview.force')}
      aside={
        <Link to="/response" search={{ view: 'force' }}>
          {t('overview.force.all')}
        </Link>
      }
    >
      <Loaded query={query} rows={3}>
        {({ restrictions: held }) =>
          held.length === 0 ? (
            <Empty title={t('overview.force.none')} />
          ) : (
            <>
              <RungCounts rungs={held.map((one) => one.rung)} view="force" />
              <p className="panel-note">
                {kinds(held)
                  .map(([kind, n]) => `${word('kind', kind)} ${n}`)
                  .join(' · ')}
              </p>
            </>
          )
        }
      </Loaded>
    </Panel>
  )
}

function kinds(held: Restriction[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const { target } of held) {
    const { kind } = splitEntity(target)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return [...counts].sort((a, b) => b[1] - a[1])
}

function Evidence() {
  const { t } = useTranslation()
  const format = useFormat()
  const may = useMay()
  const query = useQuery(health(useTenant()))
  return (
    <Panel title={t('overview.evidence')}>
      <Loaded query={query} rows={3}>
        {(state) => (
          <>
            <dl className="figures">
              <div>
                <dt>{t('evidence.events')}</dt>
                <dd title={format.number(state.events)}>{format.compact(state.events)}</dd>
              </div>
              <div>
                <dt>{t('evidence.newest')}</dt>
                <dd>{state.newest == null ? '–' : <Time at={state.newest} form="ago" />}</dd>
              </div>
              <div className={state.dropped > 0 ? 'figure-bad' : undefined}>
                <dt>{t('evidence.dropped')}</dt>
                <dd>{format.number(state.dropped)}</dd>
              </div>
              <div className={state.corrupt_records > 0 ? 'figure-bad' : undefined}>
                <dt>{t('evidence.corrupt')}</dt>
                <dd>{format.number(state.corrupt_records)}</dd>
              </div>
            </dl>
            {may('events.query') && <Sources />}
            {state.gateways.length > 0 && (
              <ul className="lines gateways">
                {state.gateways.map((gateway) => {
                  const isBehind = gateway.applied_version < state.restriction_version
                  return (
                    <li key={gateway.id} className="gateway">
                      <span>
                        {t('evidence.gateway')} <Raw text={gateway.id} />
                      </span>
                      <Badge tone={isBehind ? 'high' : 'good'}>
                        {isBehind ? t('evidence.behind') : t('evidence.inStep')}
                      </Badge>
                      {gateway.dropped > 0 && (
                        <Badge tone="high">{t('evidence.lost', { n: gateway.dropped })}</Badge>
                      )}
                    </li>
                  )
                })}
              </ul>
            )}
            {state.losses.length > 0 && (
              <ul className="lines">
                {state.losses.slice(0, LISTED).map((loss, at) => (
                  <li key={at} className="gateway">
                    <Badge tone="high">{t('evidence.lost', { n: loss.dropped })}</Badge>
                    <Raw text={loss.source} />
                    <span className="quiet">
                      <Raw text={loss.reason} /> · <Time at={loss.since} />
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </Loaded>
    </Panel>
  )
}
