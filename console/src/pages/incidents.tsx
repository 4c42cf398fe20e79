import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { incidents, people, type Incident } from '~/api/queries'
import { useActor } from '~/domain/people'
import { SavedFilters } from '~/domain/SavedFilters'
import { useMay, useMe, useTenant } from '~/domain/session'
import { clockOf } from '~/domain/sla'
import { SlaClock } from '~/domain/SlaClock'
import { OPEN, SEVERITIES, STATUSES, SeverityBadge, StatusBadge } from '~/domain/words'
import { useTranslation, useWord } from '~/i18n'
import { Button } from '~/ui/Button'
import { INCIDENT_SORTS } from '~/router'
import { Select } from '~/ui/Field'
import { useKeys } from '~/ui/keys'
import { Page } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Time, useTick } from '~/ui/Time'
import { say } from '~/ui/Toasts'
import { useTell } from '~/ui/told'

const route = getRouteApi('/in/incidents')
const ANY = 'any'
const NOBODY = 'nobody'
/** Before a severity: nothing graver. */
const ONLY = 'only-'

export function Incidents() {
  const { t } = useTranslation()
  const word = useWord()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const me = useMe()
  const tenant = useTenant()
  const team = useQuery(people(tenant)).data ?? []
  const text = useRef<HTMLInputElement>(null)
  const change = (next: Partial<typeof search>) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true })
  const query = useQuery(
    incidents(tenant, {
      status: search.status === ANY ? undefined : (search.status ?? OPEN.join(',')),
      severity: search.severity,
      assignee: search.assignee === NOBODY ? undefined : search.assignee,
    }),
  )
  const now = useTick(search.due !== undefined || search.sort === 'due')
  const isFiltered = Boolean(
    search.status ?? search.severity ?? search.assignee ?? search.q ?? search.due,
  )
  const clear = () =>
    change({
      status: undefined,
      severity: undefined,
      isExact: undefined,
      assignee: undefined,
      q: undefined,
      due: undefined,
    })
  useKeys({ '/': () => text.current?.focus() })
  return (
    <Page title={t('page.incidents')}>
      <SavedFilters key={tenant} search={search} />
      <div className="filters" role="search">
        <Select
          label={t('incidents.status')}
          value={search.status ?? ''}
          onChange={(status) => change({ status: status || undefined })}
          choices={[
            { value: '', label: t('incidents.status.open') },
            ...STATUSES.map((status) => ({ value: status, label: t(`status.${status}`) })),
            { value: ANY, label: t('ui.all') },
          ]}
        />
        <Select
          label={t('incidents.severity')}
          value={search.severity ? `${search.isExact ? ONLY : ''}${search.severity}` : ''}
          onChange={(chosen) =>
            change({
              severity: chosen.replace(ONLY, '') || undefined,
              isExact: chosen.startsWith(ONLY) || undefined,
            })
          }
          choices={[
            { value: '', label: t('incidents.severity.any') },
            ...SEVERITIES.slice(0, 4).map((severity, at) => ({
              value: severity,
              label:
                at === 0
                  ? t(`severity.${severity}`)
                  : t('incidents.severity.from', { severity: t(`severity.${severity}`) }),
            })),
            ...SEVERITIES.slice(1, 4).map((severity) => ({
              value: `${ONLY}${severity}`,
              label: t('incidents.severity.only', { severity: t(`severity.${severity}`) }),
            })),
          ]}
        />
        <Select
          label={t('incidents.assignee')}
          value={search.assignee ?? ''}
          onChange={(assignee) => change({ assignee: assignee || undefined })}
          choices={[
            { value: '', label: t('incidents.assignee.any') },
            { value: me.user, label: t('incidents.assignee.me') },
            { value: NOBODY, label: t('incidents.assignee.none') },
            ...team
              .filter((person) => person.id !== me.user)
              .map((person) => ({ value: person.id, label: person.display })),
          ]}
        />
        <Select
          label={t('sla.filter')}
          value={search.due ?? ''}
          onChange={(due) => change({ due: due === 'overdue' ? due : undefined })}
          choices={[
            { value: '', label: t('sla.filter.any') },
            { value: 'overdue', label: t('sla.filter.overdue') },
          ]}
        />
        <input
          ref={text}
          type="search"
          className="filter-text"
          aria-label={t('incidents.text')}
          placeholder={t('incidents.text.hint')}
          value={search.q ?? ''}
          onChange={(event) => change({ q: event.target.value || undefined })}
          onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
        />
        <span className="filters-end">
          {isFiltered && (
            <Button look="quiet" onClick={clear}>
              {t('incidents.clear')}
            </Button>
          )}
          <Select
            label={t('incidents.sort')}
            value={search.sort ?? 'updated'}
            onChange={(sort) => change({ sort: INCIDENT_SORTS.find((one) => one === sort) })}
            choices={INCIDENT_SORTS.map((sort) => ({
              value: sort,
              label: t(`incidents.sort.${sort}`),
            }))}
          />
        </span>
      </div>
      <div className="panel">
        <Loaded query={query} rows={8}>
          {({ items, next }) => (
            <Queue
              items={arrange(items, search, now, (code) => word('rule', code))}
              isFiltered={isFiltered}
              newest={next ? items.length : undefined}
              onClear={clear}
            />
          )}
        </Loaded>
      </div>
    </Page>
  )
}

/** What the API does not filter or sort by is done here, over what it gave. */
function arrange(
  items: Incident[],
  {
    severity,
    isExact,
    assignee,
    q,
    due,
    sort,
  }: {
    severity?: string
    isExact?: true
    assignee?: string
    q?: string
    due?: 'overdue'
    sort?: (typeof INCIDENT_SORTS)[number]
  },
  now: number,
  title: (code: string) => string,
): Incident[] {
  const words = (q ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  const found = items.filter((one) => {
    if (isExact && severity && one.severity !== severity) return false
    if (assignee === NOBODY && one.assignee) return false
    if (due && clockOf(one, now)?.state !== due) return false
    const named = [title(one.title), one.title, ...(one.sites ?? []), ...one.entities]
    const all = named.join(' ').toLowerCase()
    return words.every((word) => all.includes(word))
  })
  const weight = (one: Incident) => SEVERITIES.indexOf(one.severity)
  // What is done is not due.
  const left = (one: Incident) => {
    const clock = clockOf(one, now)
    return !clock || clock.state === 'stopped' || clock.state === 'late' ? Infinity : clock.left
  }
  return found.sort((a, b) => {
    if (sort === 'due') return left(a) === left(b) ? b.updated - a.updated : left(a) - left(b)
    if (sort === 'severity') return weight(a) - weight(b) || b.updated - a.updated
    return sort === 'opened' ? b.opened - a.opened : b.updated - a.updated
  })
}

function Queue(props: {
  items: Incident[]
  isFiltered: boolean
  newest: number | undefined
  onClear: () => void
}) {
  const { items, isFiltered, newest, onClear } = props
  const { t } = useTranslation()
  const word = useWord()
  const actor = useActor()
  const isWriter = useMay()('incidents.write')
  const now = useTick(true)
  const [at, setAt] = useState(-1)
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const rows = useRef<HTMLTableSectionElement>(null)
  const move = (step: number) => setAt(Math.max(0, Math.min(items.length - 1, at + step)))
  const toggle = (id: string) => {
    const next = new Set(chosen)
    if (!next.delete(id)) next.add(id)
    setChosen(next)
  }
  const current = items[at]
  useEffect(() => {
    if (at < 0) return
    const link = rows.current?.rows[at]?.querySelector<HTMLElement>('a')
    link?.focus()
    link?.scrollIntoView({ block: 'nearest' })
  }, [at])
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    x: () => isWriter && current && toggle(current.id),
  })
  const picked = items.filter((one) => chosen.has(one.id))
  if (items.length === 0) {
    return isFiltered ? (
      <Empty title={t('incidents.none.filtered')}>
        <Button onClick={onClear}>{t('incidents.clear')}</Button>
      </Empty>
    ) : (
      <Empty title={t('incidents.none')}>{t('incidents.none.text')}</Empty>
    )
  }
  return (
    <>
      {picked.length > 0 && <Bulk picked={picked} onDone={(left) => setChosen(new Set(left))} />}
      <div className="scroll-x">
        <table className="table queue">
          <thead>
            <tr>
              {isWriter && (
                <th scope="col" className="queue-box">
                  <input
                    type="checkbox"
                    aria-label={t('incidents.select.all')}
                    checked={picked.length === items.length}
                    onChange={() =>
                      setChosen(
                        new Set(picked.length === items.length ? [] : items.map((one) => one.id)),
                      )
                    }
                  />
                </th>
              )}
              <th scope="col">{t('incidents.severity')}</th>
              <th scope="col">{t('incidents.what')}</th>
              <th scope="col">{t('incidents.status')}</th>
              <th scope="col">{t('sla.title')}</th>
              <th scope="col">{t('incidents.assignee')}</th>
              <th scope="col">{t('incidents.opened')}</th>
              <th scope="col">{t('incidents.updated')}</th>
            </tr>
          </thead>
          <tbody ref={rows}>
            {items.map((one, row) => (
              <tr key={one.id} aria-selected={chosen.has(one.id)} onFocus={() => setAt(row)}>
                {isWriter && (
                  <td className="queue-box">
                    <input
                      type="checkbox"
                      aria-label={t('incidents.select', { what: word('rule', one.title) })}
                      checked={chosen.has(one.id)}
                      onChange={() => toggle(one.id)}
                    />
                  </td>
                )}
                <td className="queue-severity">
                  <SeverityBadge severity={one.severity} />
                </td>
                <td className="queue-what">
                  <Link to="/incidents/$id" params={{ id: one.id }}>
                    {word('rule', one.title)}
                  </Link>
                  <span className="quiet queue-whom">
                    {one.entities.slice(0, 2).map((entity) => (
                      <Raw key={entity} text={entity} />
                    ))}
                    {one.entities.length > 2 && (
                      <span>{t('incidents.more', { n: one.entities.length - 2 })}</span>
                    )}
                    {one.sites?.map((site) => (
                      <Raw key={`site ${site}`} text={site} />
                    ))}
                  </span>
                </td>
                <td className="queue-status">
                  <StatusBadge status={one.status} />
                </td>
                <td className="queue-sla">
                  <SlaClock incident={one} now={now} />
                </td>
                <td className="queue-assignee">
                  {one.assignee ? (
                    <Raw text={actor(one.assignee)} />
                  ) : (
                    <span className="quiet">{t('incidents.assignee.none')}</span>
                  )}
                </td>
                <td className="queue-opened">
                  <Time at={one.opened} />
                </td>
                <td className="queue-updated">
                  <Time at={one.updated} form="ago" />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {newest !== undefined && <p className="panel-note">{t('incidents.newest', { n: newest })}</p>}
    </>
  )
}

type Change = Schema['IncidentChange']

/**
 * The same change to several: each is asked for by itself, so each has its own line in the ledger.
 * `onDone` is told what is left to do.
 */
function Bulk({ picked, onDone }: { picked: Incident[]; onDone: (left: string[]) => void }) {
  const { t } = useTranslation()
  const tell = useTell()
  const team = useQuery(people(useTenant())).data ?? []
  const queries = useQueryClient()
  const [change, setChange] = useState<Change>({})
  const bulk = useMutation({
    mutationFn: async ({ ids, body }: { ids: string[]; body: Change }) => {
      const refused: { id: string; error: unknown }[] = []
      for (const id of ids) {
        const params = { path: { id } }
        await take(api.PATCH('/api/v1/incidents/{id}', { params, body })).catch((error: unknown) =>
          refused.push({ id, error }),
        )
      }
      return refused
    },
    onSuccess: (refused, { ids }) => {
      const done = ids.length - refused.length
      if (done > 0) say(t('incidents.set.done', { n: done }))
      if (refused[0]) {
        const why = tell(refused[0].error).detail
        say(t('incidents.set.failed', { n: refused.length, why }), 'bad')
      }
      onDone(refused.map(({ id }) => id))
    },
    onSettled: () => queries.invalidateQueries(),
  })
  const isEmpty = change.status === undefined && change.assignee === undefined
  return (
    <form
      className="bulk"
      onSubmit={(event) => {
        event.preventDefault()
        if (isEmpty || bulk.isPending) return
        bulk.mutate({ ids: picked.map(({ id }) => id), body: change })
      }}
    >
      <strong role="status">{t('incidents.selected', { n: picked.length })}</strong>
      <Select
        label={t('incidents.set.status')}
        value={change.status ?? ''}
        onChange={(status) =>
          setChange({ ...change, status: STATUSES.find((one) => one === status) })
        }
        choices={[
          { value: '', label: t('incidents.set.status') },
          ...STATUSES.map((status) => ({ value: status, label: t(`status.${status}`) })),
        ]}
      />
      <Select
        label={t('incidents.set.assignee')}
        value={change.assignee === null ? NOBODY : (change.assignee ?? '')}
        onChange={(id) =>
          setChange({ ...change, assignee: id === NOBODY ? null : id || undefined })
        }
        choices={[
          { value: '', label: t('incidents.set.assignee') },
          { value: NOBODY, label: t('incidents.assignee.none') },
          ...team
            .filter((person) => !person.disabled)
            .map((person) => ({ value: person.id, label: person.display })),
        ]}
      />
      <Button
        type="submit"
        look="primary"
        busy={bulk.isPending}
        why={isEmpty && t('incidents.set.empty')}
      >
        {t('incidents.set.apply', { n: picked.length })}
      </Button>
      <Button look="quiet" onClick={() => onDone([])}>
        {t('incidents.unselect')}
      </Button>
    </form>
  )
}
