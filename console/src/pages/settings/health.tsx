import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { Schema } from '~/api/client'
import { health } from '~/api/queries'
import { useMay, useTenant } from '~/domain/session'
import { Sources } from '~/domain/Sources'
import { hasWord, useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { useFormat } from '~/ui/format'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Time, useTick } from '~/ui/Time'

type State = Schema['Health']

/** What reports, what fell silent, what was lost, and how much there is of it. */
export function Health() {
  const { t } = useTranslation()
  const may = useMay()
  const query = useQuery(health(useTenant()))
  return (
    <Page title={t('settings.health')}>
      <div className="stack">
        <Panel title={t('health.store')}>
          <Loaded query={query} rows={3}>
            {(state) => <Store state={state} />}
          </Loaded>
        </Panel>
        {may('events.query') && (
          <Panel title={t('evidence.sources')}>
            <Sources />
          </Panel>
        )}
        <Panel title={t('health.gateways')}>
          <Loaded query={query} rows={2}>
            {(state) => <Gateways state={state} />}
          </Loaded>
        </Panel>
        <Panel title={t('health.losses')}>
          <Loaded query={query} rows={2}>
            {(state) => <Losses state={state} />}
          </Loaded>
        </Panel>
      </div>
    </Page>
  )
}

function Figure(props: { name: string; isBad?: boolean; about?: string; children: ReactNode }) {
  const { name, isBad = false, about, children } = props
  return (
    <div className={isBad ? 'figure-bad' : undefined} title={about}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Store({ state }: { state: State }) {
  const { t } = useTranslation()
  const format = useFormat()
  const at = (time: number | null | undefined) =>
    time == null ? '–' : <Time at={time} form="ago" />
  return (
    <>
      <dl className="figures">
        <Figure name={t('evidence.events')}>{format.number(state.events)}</Figure>
        <Figure name={t('health.unflushed')} about={t('health.unflushed.text')}>
          {format.number(state.events_unflushed)}
        </Figure>
        <Figure name={t('health.size')}>{format.bytes(state.lake_bytes)}</Figure>
        <Figure name={t('health.files')}>{format.number(state.lake_files)}</Figure>
        <Figure name={t('health.oldest')}>{at(state.oldest)}</Figure>
        <Figure name={t('evidence.newest')}>{at(state.newest)}</Figure>
        <Figure name={t('evidence.dropped')} isBad={state.dropped > 0}>
          {format.number(state.dropped)}
        </Figure>
        <Figure
          name={t('evidence.corrupt')}
          about={t('health.corrupt.text')}
          isBad={state.corrupt_records > 0}
        >
          {format.number(state.corrupt_records)}
        </Figure>
        <Figure name={t('health.pending')} about={t('health.pending.text')}>
          {format.number(state.leaves_pending)}
          {state.leaves_pending >= 1000 && '+'}
        </Figure>
        <Figure name={t('health.version')}>
          <Raw text={state.version} />
        </Figure>
      </dl>
      {state.corrupt_records > 0 && <p className="panel-note">{t('health.corrupt.text')}</p>}
    </>
  )
}

/** A gateway asks at least every 30 s; after some of those, nobody is there. */
const ABSENT_MS = 3 * 60_000

function Gateways({ state }: { state: State }) {
  const { t } = useTranslation()
  const format = useFormat()
  const now = useTick(true)
  if (state.gateways.length === 0) {
    return <Empty title={t('health.gateways.none')}>{t('health.gateways.none.text')}</Empty>
  }
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('health.gateways')}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{t('evidence.gateway')}</th>
            <th scope="col">{t('health.contact')}</th>
            <th scope="col">{t('health.applied')}</th>
            <th scope="col" className="number">
              {t('evidence.dropped')}
            </th>
          </tr>
        </thead>
        <tbody>
          {state.gateways.map((gateway) => {
            const isBehind = gateway.applied_version < state.restriction_version
            const isAbsent = now - gateway.last_seen > ABSENT_MS
            return (
              <tr key={gateway.id}>
                <td>
                  <Raw text={gateway.id} />
                </td>
                <td>
                  <Time at={gateway.last_seen} form="ago" />{' '}
                  {isAbsent && <Badge tone="high">{t('health.absent')}</Badge>}
                </td>
                <td>
                  {t('health.applied.of', {
                    n: format.number(gateway.applied_version),
                    newest: format.number(state.restriction_version),
                  })}{' '}
                  <Badge tone={isBehind ? 'high' : 'good'}>
                    {isBehind ? t('evidence.behind') : t('evidence.inStep')}
                  </Badge>
                </td>
                <td className="number">{format.number(gateway.dropped)}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

function Losses({ state }: { state: State }) {
  const { t } = useTranslation()
  const word = useWord()
  const format = useFormat()
  if (state.losses.length === 0) return <Empty title={t('health.losses.none')} />
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('health.losses')}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{t('evidence.source')}</th>
            <th scope="col">{t('health.since')}</th>
            <th scope="col">{t('health.until')}</th>
            <th scope="col">{t('audit.why')}</th>
            <th scope="col" className="number">
              {t('evidence.events')}
            </th>
          </tr>
        </thead>
        <tbody>
          {state.losses.map((loss, at) => (
            <tr key={at}>
              <td>
                <Raw text={loss.source} />
              </td>
              <td>
                <Time at={loss.since} />
              </td>
              <td>
                <Time at={loss.until} />
              </td>
              <td>
                {hasWord(`loss.${loss.reason}`) ? (
                  word('loss', loss.reason)
                ) : (
                  <Raw text={loss.reason} />
                )}
              </td>
              <td className="number">{format.number(loss.dropped)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
