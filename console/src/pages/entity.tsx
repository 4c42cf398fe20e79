import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { actions, entity, timeline } from '~/api/queries'
import { ActionCard } from '~/domain/ActionCard'
import { splitEntity } from '~/domain/EntityLink'
import { EventPanel } from '~/domain/EventPanel'
import { EventTable } from '~/domain/EventTable'
import { FindingLine } from '~/domain/FindingLine'
import { IncidentLine } from '~/domain/IncidentLine'
import { useMay, useTenant } from '~/domain/session'
import { trustNames } from '~/domain/trust-line'
import { TrustOver } from '~/domain/TrustOver'
import { RungBadge } from '~/domain/words'
import { useTranslation, useWord } from '~/i18n'
import { Button } from '~/ui/Button'
import { Icon } from '~/ui/Icon'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Failed, Loaded, Loading } from '~/ui/states'
import { Left } from '~/ui/Time'

const route = getRouteApi('/in/entities/$entity')

/** What an entity did, what is known of it, and what holds it. */
export function OneEntity() {
  const { t } = useTranslation()
  const word = useWord()
  const may = useMay()
  const { entity: name } = route.useParams()
  const { event } = route.useSearch()
  const navigate = route.useNavigate()
  const query = useQuery(entity(useTenant(), name))
  const { kind, value, icon } = splitEntity(name)
  const openEvent = (id: string | undefined) =>
    void navigate({ search: (now) => ({ ...now, event: id }) })
  return (
    <Page
      title={`${word('kind', kind)} ${value}`}
      head={
        <div>
          <p className="quiet entity-kind">
            <Icon name={icon} size={14} /> {word('kind', kind)}
          </p>
          <h1>
            <Raw text={value} />
          </h1>
        </div>
      }
    >
      <Loaded query={query} rows={6}>
        {({ restrictions, incidents, findings }) => (
          <div className="overview">
            <div className="overview-main">
              {may('events.read') && <Timeline name={name} onEvent={openEvent} />}
              <Panel title={t('entity.findings')}>
                {findings.length === 0 ? (
                  <Empty title={t('entity.findings.none')} />
                ) : (
                  <ul className="lines">
                    {findings.map((finding) => (
                      <li key={finding.id}>
                        <FindingLine finding={finding} incidents={incidents} />
                      </li>
                    ))}
                  </ul>
                )}
              </Panel>
            </div>
            <div className="overview-side">
              {may('trust.read') && trustNames(name).length > 0 && <TrustOver entity={name} />}
              <Panel title={t('entity.restrictions')}>
                {restrictions.length === 0 ? (
                  <Empty title={t('entity.restrictions.none')} />
                ) : (
                  <ul className="lines">
                    {restrictions.map((one) => (
                      <li key={one.action} className="gateway">
                        <RungBadge rung={one.rung} />
                        <span>{word('rule', one.reason)}</span>
                        <span className="quiet">
                          {t('action.left')} <Left at={one.expires} />
                        </span>
                      </li>
                    ))}
                  </ul>
                )}
              </Panel>
              <Panel title={t('entity.incidents')}>
                {incidents.length === 0 ? (
                  <Empty title={t('entity.incidents.none')} />
                ) : (
                  <ul className="lines lines-narrow">
                    {incidents.map((one) => (
                      <li key={one.id}>
                        <IncidentLine incident={one} />
                      </li>
                    ))}
                  </ul>
                )}
              </Panel>
              <Taken name={name} />
            </div>
          </div>
        )}
      </Loaded>
      {event && <EventPanel key={event} id={event} onClose={() => openEvent(undefined)} />}
    </Page>
  )
}

function Taken({ name }: { name: string }) {
  const { t } = useTranslation()
  // The list of targets takes commas apart, which an endpoint may hold: asked for whole, told apart here.
  const query = useQuery(actions(useTenant(), { target: name.includes(',') ? undefined : name }))
  return (
    <Panel title={t('entity.actions')}>
      <Loaded query={query} rows={2}>
        {({ items }) => {
          const about = items.filter((action) => action.target === name)
          if (about.length === 0) return <Empty title={t('entity.actions.none')} />
          return about.map((action) => <ActionCard key={action.id} action={action} />)
        }}
      </Loaded>
    </Panel>
  )
}

function Timeline({ name, onEvent }: { name: string; onEvent: (id: string) => void }) {
  const { t } = useTranslation()
  const query = useInfiniteQuery(timeline(useTenant(), name))
  const events = query.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Panel title={t('entity.timeline')}>
      {query.isPending && <Loading />}
      {query.error && <Failed error={query.error} onRetry={() => void query.refetch()} />}
      {query.data && events.length === 0 && <Empty title={t('entity.timeline.none')} />}
      {events.length > 0 && <EventTable events={events} onOpen={onEvent} />}
      {query.hasNextPage && (
        <p className="panel-more">
          <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {t('entity.older')}
          </Button>
        </p>
      )}
    </Panel>
  )
}
