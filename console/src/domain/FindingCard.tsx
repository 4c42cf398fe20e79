import { useQueries } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { event, type Finding } from '~/api/queries'
import { useTranslation, useWord } from '~/i18n'
import { Button } from '~/ui/Button'
import { useFormat } from '~/ui/format'
import { Raw } from '~/ui/Raw'
import { Failed, Loading } from '~/ui/states'
import { Time } from '~/ui/Time'
import { EntityLink } from './EntityLink'
import { EventTable } from './EventTable'
import { ExceptDialog } from './ExceptDialog'
import { useMay, useTenant } from './session'
import { Tactic } from './Story'
import { SeverityBadge, StageBadge } from './words'

const EVENTS_SHOWN = 8
const ENTITIES_SHOWN = 8

/** One detection: what, why, by which numbers, and the events it rests on. */
export function FindingCard(props: { finding: Finding; onEvent: (id: string) => void }) {
  const { finding, onEvent } = props
  const { t } = useTranslation()
  const word = useWord()
  const why = word('why', finding.rule)
  const { analytic } = finding
  return (
    <section className="panel" id={finding.id}>
      <header className="panel-head finding-head">
        <h2>{analytic ? <Raw text={analytic.title} /> : word('rule', finding.rule)}</h2>
        <StageBadge stage={analytic?.stage} />
        <SeverityBadge severity={finding.severity} />
      </header>
      <div className="finding">
        {why !== finding.rule && <p>{why}</p>}
        <dl className="facts">
          <dt>{t('finding.who')}</dt>
          <dd className="entities">
            {finding.entities.slice(0, ENTITIES_SHOWN).map((entity) => (
              <EntityLink key={entity} entity={entity} />
            ))}
            {finding.entities.length > ENTITIES_SHOWN && (
              <span className="quiet">
                {t('incidents.more', { n: finding.entities.length - ENTITIES_SHOWN })}
              </span>
            )}
          </dd>
          <dt>{t('finding.time')}</dt>
          <dd>
            <Time at={finding.first_seen} /> – <Time at={finding.last_seen} />
          </dd>
          <dt>{t('finding.outcome')}</dt>
          <dd>
            {t(`outcome.${finding.outcome}`)}
            {finding.outcome_reason && ` (${word('reason', finding.outcome_reason)})`}
          </dd>
          <dt>{t('finding.confidence')}</dt>
          <dd>{finding.confidence} / 100</dd>
          {finding.attack.length > 0 && (
            <>
              <dt>{t('finding.technique')}</dt>
              <dd className="entities">
                {finding.attack.map((attack, at) => (
                  <Tactic key={at} attack={attack} />
                ))}
              </dd>
            </>
          )}
          {analytic?.author && (
            <>
              <dt>{t('finding.author', { author: '' })}</dt>
              <dd>
                <Raw text={analytic.author} />
              </dd>
            </>
          )}
        </dl>
        <h3>{t('finding.why')}</h3>
        <FindingNumbers finding={finding} />
        {analytic?.matched && analytic.matched.length > 0 && (
          <>
            <h3>{t('finding.matched')}</h3>
            <dl className="facts">
              {analytic.matched.map((one, at) => (
                <div className="facts-pair" key={at}>
                  <dt>
                    <Raw text={one.field} />
                  </dt>
                  <dd>
                    <Raw text={one.value} />
                  </dd>
                </div>
              ))}
            </dl>
          </>
        )}
        {analytic && <RuleLine finding={finding} title={analytic.title} />}
        <h3>{t('finding.evidence', { n: finding.evidence_total })}</h3>
      </div>
      <Evidence finding={finding} onEvent={onEvent} />
    </section>
  )
}

/** To the written rule that spoke, and to keep it quiet where it is wrong. */
function RuleLine({ finding, title }: { finding: Finding; title: string }) {
  const { t } = useTranslation()
  const may = useMay()
  const [isExcepting, setExcepting] = useState(false)
  if (!may('rules.read')) return null
  return (
    <p className="rule-line">
      <Link to="/rules/$id" params={{ id: finding.rule }}>
        {t('finding.rule')}
      </Link>
      {may('rules.except') && (
        <Button onClick={() => setExcepting(true)}>{t('except.make')}</Button>
      )}
      {isExcepting && (
        <ExceptDialog
          of={{ rule: finding.rule, title }}
          finding={finding}
          onClose={() => setExcepting(false)}
        />
      )}
    </p>
  )
}

const YES_NO = new Set([
  'new_agent',
  'new_endpoints',
  'network_new',
  'two_places',
  'linked_to_request',
  'from_web_server',
  'suspicious_command',
  'reverse_shell',
  'file_on_host',
  'script_name',
  'script_content',
])

/** What was observed beside what is usual, what others do, and the mark it passed. */
export function FindingNumbers({ finding }: { finding: Finding }) {
  const { t } = useTranslation()
  const word = useWord()
  const format = useFormat()
  const names = Object.keys(finding.numbers).filter((name) => !/_(usual|mark|peers)$/.test(name))
  const peers = names.some((name) => `${name}_peers` in finding.numbers)
  const show = (name: string, base: string) => {
    const value = finding.numbers[name]
    if (value === undefined) return ''
    if (YES_NO.has(base)) return value > 0 ? t('finding.yes') : t('finding.no')
    return base.endsWith('_share') ? format.share(value) : format.number(value)
  }
  if (names.length === 0) return null
  return (
    <div className="scroll-x">
      <table className="numbers">
        <thead>
          <tr>
            <th scope="col">{t('finding.number')}</th>
            <th scope="col" className="number">
              {t('finding.observed')}
            </th>
            <th scope="col" className="number">
              {t('finding.usual')}
            </th>
            {peers && (
              <th scope="col" className="number">
                {t('finding.peers')}
              </th>
            )}
            <th scope="col" className="number">
              {t('finding.mark')}
            </th>
          </tr>
        </thead>
        <tbody>
          {names.map((name) => (
            <tr key={name}>
              <th scope="row">{word('number', name)}</th>
              <td className="number">
                <strong>{show(name, name)}</strong>
              </td>
              <td className="number">{show(`${name}_usual`, name)}</td>
              {peers && <td className="number">{show(`${name}_peers`, name)}</td>}
              <td className="number">{show(`${name}_mark`, name)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Evidence({ finding, onEvent }: { finding: Finding; onEvent: (id: string) => void }) {
  const { t } = useTranslation()
  const isReader = useMay()('events.read')
  const [shown, setShown] = useState(EVENTS_SHOWN)
  const ids = finding.evidence.slice(0, shown)
  const tenant = useTenant()
  const queries = useQueries({ queries: isReader ? ids.map((id) => event(tenant, id)) : [] })
  if (!isReader) return <p className="panel-note">{t('finding.evidence.role')}</p>
  // In their order as far as they are there: no row moves from under the pointer.
  const awaited = queries.findIndex((query) => query.isPending)
  const events = queries
    .slice(0, awaited < 0 ? undefined : awaited)
    .flatMap((query) => (query.data ? [query.data] : []))
  const failed = queries.find((query) => query.error)
  const more = finding.evidence.length - shown
  const rest = finding.evidence_total - finding.evidence.length
  return (
    <>
      {events.length > 0 && <EventTable events={events} onOpen={onEvent} />}
      {events.length === 0 && failed && <Failed error={failed.error} />}
      {queries.some((query) => query.isPending) && <Loading rows={2} />}
      {more > 0 && (
        <p className="panel-more">
          <button
            type="button"
            className="link-button"
            onClick={() => setShown(shown + 2 * EVENTS_SHOWN)}
          >
            {t('finding.evidence.more', { n: Math.min(more, 2 * EVENTS_SHOWN) })}
          </button>
        </p>
      )}
      {more <= 0 && rest > 0 && (
        <p className="panel-note">{t('finding.evidence.rest', { n: rest })}</p>
      )}
    </>
  )
}
