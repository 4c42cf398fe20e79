import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { Suspense, lazy, useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { incident, people, restrictions } from '~/api/queries'
import { ActionCard } from '~/domain/ActionCard'
import { EntityLink } from '~/domain/EntityLink'
import { EventPanel } from '~/domain/EventPanel'
import { ExportDialog } from '~/domain/ExportDialog'
import { FindingCard } from '~/domain/FindingCard'
import { useActor } from '~/domain/people'
import { useMay, useMe, useTenant } from '~/domain/session'
import { SimilarIncidents } from '~/domain/SimilarIncidents'
import { firstAnswer } from '~/domain/sla'
import { SlaClock } from '~/domain/SlaClock'
import { Story } from '~/domain/Story'
import { Ticket } from '~/domain/Ticket'
import { Told } from '~/domain/Told'
import { trustNames } from '~/domain/trust-line'
import { RungBadge, STATUSES, SeverityBadge, StatusBadge } from '~/domain/words'
import { useTranslation, useWord } from '~/i18n'
import { Button } from '~/ui/Button'
import { Field, Select } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Page, Panel } from '~/ui/Page'
import { Raw, plain } from '~/ui/Raw'
import { Empty, Failed, Loaded, Loading } from '~/ui/states'
import { Tabs } from '~/ui/Tabs'
import { Left, Time, useTick } from '~/ui/Time'
import { say } from '~/ui/Toasts'
import { useTell } from '~/ui/told'

// The layout of a graph comes with it, and only to who looks at one.
const IncidentGraph = lazy(() =>
  import('~/domain/IncidentGraph').then((it) => ({ default: it.IncidentGraph })),
)

const route = getRouteApi('/in/incidents/$id')

type View = Schema['IncidentView']
type Change = Schema['IncidentChange']

const CLASSES = ['true-positive', 'false-positive', 'benign', 'undetermined'] as const

export function OneIncident() {
  const { id } = route.useParams()
  const query = useQuery(incident(useTenant(), id))
  return (
    <Loaded query={query} rows={10}>
      {(view) => <Whole key={id} view={view} />}
    </Loaded>
  )
}

function Whole({ view }: { view: View }) {
  const { t } = useTranslation()
  const word = useWord()
  const { tab, event } = route.useSearch()
  const navigate = route.useNavigate()
  const may = useMay()
  const [isExporting, setExporting] = useState(false)
  const now = useTick(true)
  const { incident, findings, actions } = view
  const waiting = actions.filter((action) => action.state === 'awaiting-approval')
  const first = Math.min(incident.opened, ...findings.map((one) => one.first_seen))
  const last = Math.max(...findings.map((one) => one.last_seen), incident.opened)
  const comments = incident.comments ?? []
  const title = word('rule', incident.title)
  const openEvent = (id: string | undefined) =>
    void navigate({ search: (now) => ({ ...now, event: id }) })
  return (
    <Page
      title={title}
      head={
        <div className="incident-head">
          <Link to="/incidents" className="quiet">
            {t('incident.back')}
          </Link>
          <h1>{title}</h1>
          <p className="incident-line-2">
            <SeverityBadge severity={incident.severity} />
            <StatusBadge status={incident.status} />
            <SlaClock incident={incident} now={now} />
            {incident.entities[0] && <EntityLink entity={incident.entities[0]} />}
            <span className="quiet">
              {t('incident.first')} <Time at={first} /> · {t('incident.last')} <Time at={last} />
            </span>
          </p>
        </div>
      }
      aside={
        may('evidence.export') && (
          <Button icon="export" onClick={() => setExporting(true)}>
            {t('incident.export')}
          </Button>
        )
      }
    >
      <div className="incident">
        <div className="incident-main">
          {waiting.length > 0 && (
            <Panel title={t('incident.waiting')}>
              {waiting.map((action) => (
                <ActionCard key={action.id} action={action} isIncidentShown={false} />
              ))}
            </Panel>
          )}
          <Tabs label={t('incident.tabs')}>
            {([undefined, 'graph', 'findings', 'actions', 'talk'] as const).map((one) => (
              <Link
                key={one ?? 'story'}
                className="tab"
                to="."
                search={(now) => ({ ...now, tab: one, event: undefined })}
                activeOptions={{ exact: true, includeSearch: false }}
                activeProps={{ className: tab === one ? 'active' : '', 'aria-current': undefined }}
                aria-current={tab === one ? 'page' : undefined}
              >
                {t(`incident.tab.${one ?? 'story'}`)}
                {one === 'findings' && <span className="tab-count">{findings.length}</span>}
                {one === 'actions' && <span className="tab-count">{actions.length}</span>}
                {one === 'talk' && <span className="tab-count">{comments.length}</span>}
              </Link>
            ))}
          </Tabs>
          {tab === undefined && <Story view={view} />}
          {tab === 'graph' && (
            <Suspense fallback={<Loading rows={8} />}>
              <IncidentGraph view={view} onEvent={openEvent} />
            </Suspense>
          )}
          {tab === 'findings' && (
            <div className="stack">
              {findings.map((finding) => (
                <FindingCard key={finding.id} finding={finding} onEvent={openEvent} />
              ))}
            </div>
          )}
          {tab === 'actions' && (
            <div className="panel">
              {actions.length === 0 && <Empty title={t('entity.actions.none')} />}
              {actions.map((action) => (
                <ActionCard key={action.id} action={action} isIncidentShown={false} />
              ))}
            </div>
          )}
          {tab === 'talk' && <Talk view={view} />}
        </div>
        <aside className="incident-side" aria-label={t('incident.details')}>
          <Details view={view} />
          <Told incident={incident} />
          <Affected view={view} />
          <SimilarIncidents view={view} />
        </aside>
      </div>
      {event && <EventPanel key={event} id={event} onClose={() => openEvent(undefined)} />}
      {isExporting && <ExportDialog incident={incident.id} onClose={() => setExporting(false)} />}
    </Page>
  )
}

function Details({ view: { incident, actions } }: { view: View }) {
  const { t } = useTranslation()
  const actor = useActor()
  const me = useMe()
  const isWriter = useMay()('incidents.write')
  const team = useQuery(people(useTenant())).data ?? []
  const tell = useTell()
  const queries = useQueryClient()
  const change = useMutation({
    mutationFn: (body: Change) =>
      take(api.PATCH('/api/v1/incidents/{id}', { params: { path: { id: incident.id } }, body })),
    onSuccess: () => say(t('incident.changed')),
    onError: (error) => say(tell(error).detail, 'bad'),
    onSettled: () => queries.invalidateQueries(),
  })
  // A list is soon passed over: what it set can be taken back.
  const set = useMutation({
    mutationFn: ({ body }: { body: Change; back: Change; said: string }) =>
      take(api.PATCH('/api/v1/incidents/{id}', { params: { path: { id: incident.id } }, body })),
    onSuccess: (_, { back, said }) =>
      say(said, 'good', {
        label: t('incident.undo'),
        onUndo: () => change.mutate(back, { onSuccess: () => say(t('incident.undone')) }),
      }),
    onError: (error) => say(tell(error).detail, 'bad'),
    onSettled: () => queries.invalidateQueries(),
  })
  const give = (assignee: string | null) => {
    const to = assignee === null ? t('incidents.assignee.none') : actor(assignee)
    set.mutate({
      body: { assignee },
      back: { assignee: incident.assignee ?? null },
      said: t('incident.changed.assignee', { to }),
    })
  }
  const kind = incident.classification
  const format = useFormat()
  const now = useTick(true)
  const answered = firstAnswer(incident, actions)
  // It is learned from: nothing is classified by passing over a list.
  const [chosen, setChosen] = useState<(typeof CLASSES)[number]>()
  return (
    <Panel title={t('incident.details')}>
      <dl className="side-facts">
        <dt>{t('incident.status')}</dt>
        <dd>
          {isWriter ? (
            <Select
              label={t('incident.status')}
              value={incident.status}
              onChange={(chosen) => {
                const status = STATUSES.find((one) => one === chosen)
                if (!status) return
                set.mutate({
                  body: { status },
                  back: { status: incident.status },
                  said: t('incident.changed.status', { to: t(`status.${status}`) }),
                })
              }}
              choices={STATUSES.map((status) => ({ value: status, label: t(`status.${status}`) }))}
            />
          ) : (
            <StatusBadge status={incident.status} />
          )}
        </dd>
        <dt>{t('incident.assignee')}</dt>
        <dd>
          {isWriter ? (
            <>
              <Select
                label={t('incident.assignee')}
                value={incident.assignee ?? ''}
                onChange={(assignee) => give(assignee || null)}
                choices={[
                  { value: '', label: t('incidents.assignee.none') },
                  ...team
                    .filter((person) => !person.disabled || person.id === incident.assignee)
                    .map((person) => ({ value: person.id, label: person.display })),
                ]}
              />{' '}
              {incident.assignee !== me.user && (
                <button type="button" className="link-button" onClick={() => give(me.user)}>
                  {t('incident.take')}
                </button>
              )}
            </>
          ) : incident.assignee ? (
            <Raw text={actor(incident.assignee)} />
          ) : (
            t('incidents.assignee.none')
          )}
        </dd>
        <dt>{t('sla.title')}</dt>
        <dd>
          <SlaClock incident={incident} now={now} />
        </dd>
        <dt>{t('sla.answer')}</dt>
        <dd>
          {answered === undefined ? (
            <span className="quiet">{t('sla.answer.none')}</span>
          ) : (
            <>
              <Time at={answered} />{' '}
              <span className="quiet">
                {t('sla.answer.after', { span: format.span(answered - incident.opened) })}
              </span>
            </>
          )}
        </dd>
        <dt>{t('incident.class')}</dt>
        <dd>
          {isWriter ? (
            <form
              className="classify"
              onSubmit={(event) => {
                event.preventDefault()
                if (!chosen || chosen === kind || change.isPending) return
                change.mutate({ classification: chosen }, { onSuccess: () => setChosen(undefined) })
              }}
            >
              <Select
                label={t('incident.class')}
                value={chosen ?? kind ?? ''}
                onChange={(next) => setChosen(CLASSES.find((one) => one === next))}
                choices={[
                  ...(kind ? [] : [{ value: '', label: t('incident.class.none') }]),
                  ...CLASSES.map((one) => ({ value: one, label: t(`class.${one}`) })),
                ]}
              />{' '}
              {chosen && chosen !== kind && (
                <Button type="submit" busy={change.isPending}>
                  {t('incident.class.save')}
                </Button>
              )}
            </form>
          ) : kind ? (
            t(`class.${kind}`)
          ) : (
            t('incident.class.none')
          )}
        </dd>
        <dt>{t('ticket.title')}</dt>
        <dd>
          <Ticket
            ticket={incident.ticket ?? undefined}
            busy={set.isPending}
            onChange={(ticket, done) =>
              set.mutate(
                {
                  body: { ticket },
                  back: { ticket: incident.ticket ?? null },
                  said: t(ticket === null ? 'ticket.removed' : 'ticket.saved'),
                },
                { onSuccess: done },
              )
            }
          />
        </dd>
        {incident.sites && incident.sites.length > 0 && (
          <>
            <dt>{t('incident.sites')}</dt>
            <dd>
              <Raw text={incident.sites.join(', ')} />
            </dd>
          </>
        )}
      </dl>
    </Panel>
  )
}

const ENTITIES_SHOWN = 8

/** Who is in it, and what holds each of them now. */
function Affected({ view: { incident } }: { view: View }) {
  const { t } = useTranslation()
  const holds = useQuery(restrictions(useTenant()))
  const held = holds.data?.restrictions ?? []
  const isTrustReader = useMay()('trust.read')
  const [isAll, setAll] = useState(false)
  const shown = isAll ? incident.entities : incident.entities.slice(0, ENTITIES_SHOWN)
  return (
    <Panel
      title={t('incident.entities')}
      aside={<span className="quiet">{incident.entities.length}</span>}
    >
      {holds.error && (
        <p className="stale" role="status">
          <span>
            {holds.data ? (
              <>
                {t('incident.held.old')} <Time at={holds.dataUpdatedAt} />
              </>
            ) : (
              t('incident.held.unknown')
            )}
          </span>
        </p>
      )}
      <ul className="affected">
        {shown.map((entity) => (
          <li key={entity}>
            <EntityLink entity={entity} />
            {isTrustReader && trustNames(entity).length > 0 && (
              <Link
                className="quiet"
                to="/entities/$entity"
                params={{ entity }}
                hash="trust"
                aria-label={t('trustover.of', { who: plain(entity) })}
              >
                {t('trustover.short')}
              </Link>
            )}
            {held
              .filter((one) => one.target === entity)
              .map((one) => (
                <span className="held" key={one.action}>
                  <RungBadge rung={one.rung} />{' '}
                  <span className="quiet">
                    <Left at={one.expires} />
                  </span>
                </span>
              ))}
          </li>
        ))}
      </ul>
      {!isAll && incident.entities.length > ENTITIES_SHOWN && (
        <p className="panel-more">
          <button type="button" className="link-button" onClick={() => setAll(true)}>
            {t('incident.entities.all', { n: incident.entities.length })}
          </button>
        </p>
      )}
    </Panel>
  )
}

function Talk({ view: { incident } }: { view: View }) {
  const { t } = useTranslation()
  const actor = useActor()
  const isWriter = useMay()('incidents.write')
  const [text, setText] = useState('')
  const [key, setKey] = useState(() => crypto.randomUUID())
  const queries = useQueryClient()
  const comments = incident.comments ?? []
  const add = useMutation({
    mutationFn: () =>
      take(
        api.POST('/api/v1/incidents/{id}/comments', {
          // The same text sent twice is there once; another text is another comment.
          params: { path: { id: incident.id }, header: { 'Idempotency-Key': key } },
          body: { text },
        }),
      ),
    onSuccess: () => {
      setText('')
      setKey(crypto.randomUUID())
      say(t('talk.done'))
      return queries.invalidateQueries()
    },
  })
  return (
    <div className="panel">
      {comments.length === 0 && <Empty title={t('talk.none')} />}
      <ol className="comments">
        {comments.map((comment, at) => (
          <li key={at}>
            <p>
              <strong>
                <Raw text={actor(comment.author)} />
              </strong>{' '}
              <span className="quiet">
                <Time at={comment.time} />
              </span>
            </p>
            <Raw text={comment.text} lines />
          </li>
        ))}
      </ol>
      {isWriter && (
        <form
          className="comment-form"
          onSubmit={(event) => {
            event.preventDefault()
            if (text.trim() && !add.isPending) add.mutate()
          }}
        >
          <Field label={t('talk.label')}>
            {(ids) => (
              <textarea
                {...ids}
                rows={3}
                maxLength={4000}
                value={text}
                onChange={(event) => {
                  setText(event.target.value)
                  setKey(crypto.randomUUID())
                }}
                onKeyDown={(event) => {
                  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
                    event.currentTarget.form?.requestSubmit()
                  }
                }}
              />
            )}
          </Field>
          {add.error && <Failed error={add.error} />}
          <Button type="submit" look="primary" busy={add.isPending}>
            {t('talk.go')}
          </Button>
        </form>
      )}
    </div>
  )
}
