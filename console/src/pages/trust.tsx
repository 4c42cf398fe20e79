import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { Suspense, lazy, useState } from 'react'
import { EntityLink } from '~/domain/EntityLink'
import { useMay, useTenant } from '~/domain/session'
import {
  SPAN_NAMES,
  askedBy,
  decision,
  decisions,
  entityOf,
  isSilent,
  spoken,
  standing,
  valueOf,
  whatIf,
  writeSignals,
  type Kept,
} from '~/domain/trust'
import { Score, Waterfall } from '~/domain/Waterfall'
import { useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Select } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { useKeys } from '~/ui/keys'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Failed, Loaded, Loading } from '~/ui/states'
import { Tabs } from '~/ui/Tabs'
import { Time } from '~/ui/Time'

const route = getRouteApi('/in/trust')
const WhatIf = lazy(() => import('./trust-what-if').then((it) => ({ default: it.WhatIf })))
const Policy = lazy(() => import('./trust-policy').then((it) => ({ default: it.TrustPolicy })))

const VIEWS = [undefined, 'what-if', 'policy'] as const

/** How trust is judged: what was decided and why, what would be, and the policy that says so. */
export function Trust() {
  const { t } = useTranslation()
  const { view } = route.useSearch()
  if (!useMay()('trust.read')) {
    return (
      <Page title={t('page.trust')}>
        <Empty title={t('trust.forbidden')}>{t('trust.forbidden.text')}</Empty>
      </Page>
    )
  }
  return (
    <Page title={t('page.trust')}>
      <Tabs label={t('trust.views')}>
        {VIEWS.map((one) => (
          <Link
            key={one ?? 'decisions'}
            className={view === one ? 'tab active' : 'tab'}
            to="/trust"
            search={{ view: one }}
            activeProps={{ 'aria-current': undefined }}
            aria-current={view === one ? 'page' : undefined}
          >
            {t(`trust.view.${one ?? 'decisions'}`)}
          </Link>
        ))}
      </Tabs>
      <Suspense fallback={<Loading rows={8} />}>
        {view === undefined && <Decisions />}
        {view === 'what-if' && <WhatIf />}
        {view === 'policy' && <Policy />}
      </Suspense>
    </Page>
  )
}

function Decisions() {
  const { t } = useTranslation()
  const { session, permit, since, id } = route.useSearch()
  const navigate = route.useNavigate()
  const query = useInfiniteQuery(decisions(useTenant(), { session, permit, since }))
  const items = query.data?.pages.flatMap((page) => page.items) ?? []
  const change = (next: Partial<ReturnType<typeof route.useSearch>>) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true })
  const isFiltered = session !== undefined || permit !== undefined || since !== undefined
  const clear = () => change({ session: undefined, permit: undefined, since: undefined })
  const step = (by: number) => {
    const at = items.findIndex((one) => one.id === id)
    const next = items[at === -1 ? 0 : at + by]
    if (next) change({ id: next.id })
  }
  useKeys({ j: () => step(1), k: () => step(-1), Escape: () => change({ id: undefined }) })
  return (
    <>
      <div className="filters" role="search">
        <SessionFilter
          key={session}
          session={session}
          onChange={(next) => change({ session: next })}
        />
        <Select
          label={t('trust.outcome')}
          value={permit === undefined ? '' : String(permit)}
          onChange={(next) => change({ permit: next === '' ? undefined : next === 'true' })}
          choices={[
            { value: '', label: t('trust.outcome.any') },
            { value: 'true', label: t('trust.permitted') },
            { value: 'false', label: t('trust.refused') },
          ]}
        />
        <Select
          label={t('trust.since')}
          value={since ?? ''}
          onChange={(next) => change({ since: SPAN_NAMES.find((one) => one === next) })}
          choices={[
            { value: '', label: t('trust.since.any') },
            ...SPAN_NAMES.map((one) => ({ value: one, label: t(`trust.since.${one}`) })),
          ]}
        />
        {isFiltered && (
          <Button look="quiet" onClick={clear}>
            {t('incidents.clear')}
          </Button>
        )}
      </div>
      <div className={id ? 'trust-split trust-split-open' : 'trust-split'}>
        <div className="panel">
          <Loaded query={query} rows={8}>
            {() =>
              items.length === 0 ? (
                <Empty title={isFiltered ? t('trust.none.filtered') : t('trust.none')}>
                  {isFiltered ? (
                    <Button onClick={clear}>{t('incidents.clear')}</Button>
                  ) : (
                    t('trust.none.text')
                  )}
                </Empty>
              ) : (
                <>
                  <ul className="lines trust-list" aria-label={t('trust.view.decisions')}>
                    {items.map((one) => (
                      <Line key={one.id} of={one} isOpen={one.id === id} />
                    ))}
                  </ul>
                  {query.hasNextPage && (
                    <p className="panel-more">
                      <Button
                        busy={query.isFetchingNextPage}
                        onClick={() => void query.fetchNextPage()}
                      >
                        {t('ui.older')}
                      </Button>
                    </p>
                  )}
                </>
              )
            }
          </Loaded>
        </div>
        {id && <One key={id} id={id} onClose={() => change({ id: undefined })} />}
      </div>
    </>
  )
}

/** Asked for when it is written whole: each letter of it would be another question. */
function SessionFilter(props: {
  session: string | undefined
  onChange: (session: string | undefined) => void
}) {
  const { t } = useTranslation()
  const [text, setText] = useState(props.session ?? '')
  return (
    <form
      className="trust-session"
      onSubmit={(event) => {
        event.preventDefault()
        props.onChange(text.trim() || undefined)
      }}
    >
      <input
        type="search"
        className="filter-text raw"
        aria-label={t('trust.session')}
        placeholder={t('trust.session.hint')}
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onBlur={() =>
          text.trim() !== (props.session ?? '') && props.onChange(text.trim() || undefined)
        }
      />
    </form>
  )
}

function Line({ of, isOpen }: { of: Kept; isOpen: boolean }) {
  const word = useWord()
  const { t } = useTranslation()
  const { number } = useFormat()
  return (
    <li className={isOpen ? 'trust-line trust-line-open' : 'trust-line'}>
      <Link
        to="/trust"
        from="/trust"
        search={(now) => ({ ...now, id: of.id })}
        aria-current={isOpen ? 'true' : undefined}
      >
        <strong className="trust-line-score">{number(of.decision.score)}</strong>
        <span className="trust-line-who">
          <Raw text={of.session} />
          <span className="quiet">
            <Raw text={of.action} /> <Raw text={of.resource} />
          </span>
        </span>
        <Badge tone={of.permit ? 'good' : 'critical'}>
          {of.permit ? t('trust.permitted') : t('trust.refused')}
        </Badge>
        <span className="trust-line-when quiet">
          <Time at={of.time} />
          <span>{word('trust.cause', of.cause)}</span>
        </span>
      </Link>
    </li>
  )
}

function One({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useTranslation()
  const query = useQuery(decision(useTenant(), id))
  return (
    <div className="trust-one">
      <Panel
        title={t('trust.one')}
        aside={
          <Button look="quiet" icon="close" onClick={onClose}>
            {t('ui.close')}
          </Button>
        }
      >
        <Loaded query={query} rows={10}>
          {(one) => <Explained of={one} />}
        </Loaded>
      </Panel>
    </div>
  )
}

function Explained({ of }: { of: Kept }) {
  const { t, i18n } = useTranslation()
  const tenant = useTenant()
  const may = useMay()
  const word = useWord()
  const format = useFormat()
  const language = spoken(i18n.language)
  const asked = askedBy(of)
  // The record has codes; their words are those of the policy in force.
  const words = useQuery({ ...whatIf(tenant, asked), placeholderData: undefined })
  const now = useQuery({ ...standing(tenant, of.session), retry: false })
  const nameOf = (code: string) => words.data?.words[language][code] ?? code
  const entity = entityOf(of.session)
  const reasons = of.reason_admin[language]
  const { previous, decision: told } = of
  return (
    <div className="trust-body">
      <Score decision={told} />
      {told.permit !== of.permit && <p className="note">{t('trust.unfulfilled')}</p>}
      <p className="trust-codes">
        {told.decisions.map((code) => (
          <Badge key={code} tone={of.permit ? 'info' : 'high'}>
            {nameOf(code)}
          </Badge>
        ))}
        {told.obligations.map((code) => (
          <Badge key={code}>{nameOf(code)}</Badge>
        ))}
      </p>
      {reasons && (
        <p className="trust-reasons">
          <strong>{t('trust.reasons')}</strong> <Raw text={reasons} lines />
        </p>
      )}
      <p className="trust-links">
        <Link
          className="button button-primary"
          to="/trust"
          search={{
            view: 'what-if',
            profile: told.profile,
            signals: writeSignals(asked.signals, asked.silent ?? []),
            ...demandsOf(of),
          }}
        >
          {t('trust.try')}
        </Link>
        <Link className="button button-plain" to="/trust" search={{ session: of.session }}>
          {t('trust.same-session')}
        </Link>
      </p>
      <dl className="facts">
        <dt>{t('trust.session')}</dt>
        <dd>{entity ? <EntityLink entity={entity} /> : <Raw text={of.session} />}</dd>
        <dt>{t('trust.asked')}</dt>
        <dd>
          <Raw text={of.action} /> <Raw text={of.resource} />
        </dd>
        {of.address && (
          <>
            <dt>{t('trust.address')}</dt>
            <dd>
              <EntityLink entity={`address:${of.address}`} />
            </dd>
          </>
        )}
        <dt>{t('trust.when')}</dt>
        <dd>
          <Time at={of.time} form="whole" />
        </dd>
        <dt>{t('trust.cause')}</dt>
        <dd>
          {word('trust.cause', of.cause)}
          {of.causes?.map((cause) => (
            <div key={cause}>
              {may('audit.read') ? (
                <Link to="/audit" search={{ subject: cause }}>
                  <code>{cause}</code>
                </Link>
              ) : (
                <code>{cause}</code>
              )}
            </div>
          ))}
        </dd>
        {of.repeats ? (
          <>
            <dt>{t('trust.repeats')}</dt>
            <dd>{format.number(of.repeats)}</dd>
          </>
        ) : null}
        <dt>{t('trust.previous')}</dt>
        <dd>
          {previous ? (
            <Link to="/trust" from="/trust" search={(before) => ({ ...before, id: previous.id })}>
              {format.number(previous.score)} · {previous.decisions.map(nameOf).join(', ')} ·{' '}
              <Time at={previous.time} />
            </Link>
          ) : (
            t('trust.previous.none')
          )}
        </dd>
        {now.data && (
          <>
            <dt>{t('trust.now')}</dt>
            <dd>
              {format.number(now.data.decision.score)} ·{' '}
              {now.data.decision.decisions.map(nameOf).join(', ')}
            </dd>
          </>
        )}
        <dt>{t('trust.profile')}</dt>
        <dd>
          <Raw text={told.profile} />
        </dd>
        <dt>{t('trust.policy-hash')}</dt>
        <dd>
          <code title={told.policy}>{told.policy.slice(0, 12)}</code>
        </dd>
        <dt>{t('trust.ttl')}</dt>
        <dd>{format.span(told.ttl_secs * 1000)}</dd>
      </dl>
      {words.error && <Failed error={words.error} />}
      <h3>{t('trust.waterfall')}</h3>
      <Waterfall decision={told} nameOf={nameOf} />
      <h3>{t('trust.readings')}</h3>
      <table className="table">
        <caption className="only-read">{t('trust.readings')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('trust.signal')}</th>
            <th scope="col">{t('trust.value')}</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(of.readings).map(([name, reading]) => (
            <tr key={name}>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td>
                <Raw text={String(valueOf(reading))} />{' '}
                {isSilent(reading) && <Badge tone="medium">{t('trust.knowledge.silent')}</Badge>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** What the resource asks for, in the address of a what-if. */
function demandsOf({ demands }: Kept) {
  return { least: demands.profile, required: demands.required?.join(',') || undefined }
}
