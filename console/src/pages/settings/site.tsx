import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { register as registerOf, trustSite } from '~/api/queries'
import { useActor } from '~/domain/people'
import { useMay, useTenant } from '~/domain/session'
import { TextDesk, useDraft } from '~/domain/TextDesk'
import { useTranslation, useWord } from '~/i18n'
import { REGISTERS } from '~/router'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Field } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Tabs } from '~/ui/Tabs'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'

const route = getRouteApi('/in/settings/site')

type Register = (typeof REGISTERS)[number]
type Entry = Schema['RegisterEntry']

/** What the tenant knows of itself, which trust is judged by: its networks and hours, its devices, trips and guests. */
export function Site() {
  const { t } = useTranslation()
  const { register } = route.useSearch()
  return (
    <Page title={t('settings.site')}>
      <p className="page-text">{t('site.text')}</p>
      <Tabs label={t('settings.site')}>
        {([undefined, ...REGISTERS] as const).map((one) => (
          <Link
            key={one ?? 'text'}
            className={register === one ? 'tab active' : 'tab'}
            to="/settings/site"
            search={{ register: one }}
            activeProps={{ 'aria-current': undefined }}
            aria-current={register === one ? 'page' : undefined}
          >
            {t(`site.${one ?? 'file'}`)}
          </Link>
        ))}
      </Tabs>
      {register ? <OneRegister key={register} name={register} /> : <SiteText />}
    </Page>
  )
}

function SiteText() {
  const { t } = useTranslation()
  const tenant = useTenant()
  const may = useMay()
  const actor = useActor()
  const query = useQuery(trustSite(tenant))
  const [draft, setDraft] = useDraft('site')
  return (
    <Panel
      title={t('site.file')}
      aside={
        query.data && query.data.version > 0 ? (
          <Badge tone="info">{t('policy.version', { n: query.data.version })}</Badge>
        ) : undefined
      }
    >
      <Loaded query={query} rows={10}>
        {(site) => (
          <>
            {site.version === 0 ? (
              <p className="panel-note">{t('site.none')}</p>
            ) : (
              <p className="panel-note made">
                <Raw text={actor(site.author)} /> · <Time at={site.created} form="whole" /> ·{' '}
                <Raw text={site.reason} />
              </p>
            )}
            {(site.version > 0 || may('trust.write')) && (
              <TextDesk
                label={t('site.editor')}
                inForce={site.text}
                draft={draft}
                onDraft={setDraft}
                mayWrite={may('trust.write')}
                save={(text, reason) =>
                  take(api.PUT('/api/v1/trust/site', { body: { text, reason } }))
                }
                saveTitle={t('site.save')}
                saveText={t('site.save.text')}
                saved={t('site.saved')}
              />
            )}
            {may('trust.write') && (
              <details className="panel-note">
                <summary>{t('site.example')}</summary>
                <pre className="block" tabIndex={0} role="region" aria-label={t('site.example')}>
                  <Raw text={EXAMPLE} lines />
                </pre>
              </details>
            )}
          </>
        )}
      </Loaded>
    </Panel>
  )
}

/** Read by the server in `tests/settings.spec.ts`. */
const EXAMPLE = `networks:
  - {cidr: 10.0.0.0/8, network_type: corporate, src_ip_class: enterprise_isp}
countries: {home: [KR], allowed: [JP, US], denied: [KP]}
hours: {timezone: "+09:00", from: "09:00", to: "18:00", days: [mon, tue, wed, thu, fri]}
resources:
  - name: administration
    type: route
    id: "shop/* /admin/*"
    sensitivity: high
    admin_required: true
people:
  - {accounts: ["*@partner.example"], user_type: guest, domain_approved: true}
`

function OneRegister({ name }: { name: Register }) {
  const { t } = useTranslation()
  const may = useMay()
  const query = useInfiniteQuery(registerOf(useTenant(), name))
  const [isAdding, setAdding] = useState(false)
  const [gone, setGone] = useState<Entry>()
  return (
    <Panel
      title={t(`site.${name}`)}
      aside={
        may('trust.register') && (
          <Button onClick={() => setAdding(true)}>{t(`site.${name}.add`)}</Button>
        )
      }
    >
      <p className="panel-note">{t(`site.${name}.text`)}</p>
      <Loaded query={query}>
        {({ pages }) => {
          const entries = pages.flatMap((page) => page.items)
          if (entries.length === 0) return <Empty title={t('site.empty')} />
          return (
            <>
              <Entries name={name} entries={entries} onRemove={setGone} />
              {query.hasNextPage && (
                <p className="panel-more">
                  <Button
                    busy={query.isFetchingNextPage}
                    onClick={() => void query.fetchNextPage()}
                  >
                    {t('site.more')}
                  </Button>
                </p>
              )}
            </>
          )
        }}
      </Loaded>
      {isAdding && <Add name={name} onClose={() => setAdding(false)} />}
      {gone && (
        <Ask
          title={t('site.remove.title', { id: gone.id })}
          go={t('site.remove')}
          look="danger"
          run={() =>
            take(
              api.DELETE('/api/v1/trust/registers/{register}/{entry}', {
                params: { path: { register: name, entry: gone.id } },
              }),
            )
          }
          onDone={() => {
            say(t('site.removed'))
            setGone(undefined)
          }}
          onClose={() => setGone(undefined)}
        >
          <p>{t(`site.${name}.remove`)}</p>
        </Ask>
      )}
    </Panel>
  )
}

function Entries(props: { name: Register; entries: Entry[]; onRemove: (entry: Entry) => void }) {
  const { name, entries, onRemove } = props
  const { t } = useTranslation()
  const may = useMay()
  const actor = useActor()
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t(`site.${name}`)}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{t('site.id')}</th>
            <th scope="col">{t('site.what')}</th>
            <th scope="col">{t('site.by')}</th>
            <th scope="col">
              <span className="only-read">{t('people.steps')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.id}>
              <td>
                <Raw text={entry.id} />
              </td>
              <td>
                <EntryFacts entry={entry} />
              </td>
              <td>
                <Raw text={actor(entry.author)} />{' '}
                <span className="quiet">
                  <Time at={entry.changed} form="ago" />
                </span>
              </td>
              <td className="steps">
                {may('trust.register') && (
                  <Button
                    onClick={() => onRemove(entry)}
                    aria-label={`${t('site.remove')}: ${entry.id}`}
                  >
                    {t('site.remove')}
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const TIMES = ['from', 'until', 'at', 'reported_at']

function EntryFacts({ entry }: { entry: Entry }) {
  const { t } = useTranslation()
  const word = useWord()
  const format = useFormat()
  const facts = Object.entries(entry.entry as Record<string, unknown>).filter(
    ([key, value]) => value != null && key !== 'id',
  )
  return (
    <span className="entry-facts">
      {facts.map(([key, value]) => (
        <span key={key}>
          <span className="quiet">{word('field', key)}</span>{' '}
          {typeof value === 'boolean' ? (
            t(value ? 'finding.yes' : 'finding.no')
          ) : typeof value === 'number' && TIMES.includes(key) ? (
            format.whole(value)
          ) : (
            <Raw text={word('value', String(value))} />
          )}
        </span>
      ))}
    </span>
  )
}

type Kind = 'text' | 'time' | 'flag' | readonly string[]

/** What may be said of each; a device has more that agents report, which is kept and shown. */
const FIELDS: Record<Register, Record<string, Kind>> = {
  devices: {
    account: 'text',
    owner: ['company', 'personal', 'external'],
    device_type: ['laptop', 'desktop', 'tablet', 'smartphone', 'server', 'other'],
    registered: 'flag',
    stolen_reported: 'flag',
    patch_state: ['latest', 'd31_90', 'd91_180', 'not_applied', 'long_unpatched', 'unverifiable'],
    edr_state: ['healthy', 'absent', 'alert'],
    mdm_state: ['healthy', 'absent', 'noncompliant'],
    disk_encrypt: 'flag',
  },
  trips: { account: 'text', country: 'text', from: 'time', until: 'time' },
  invitations: { inviter: 'text', guest: 'text' },
}

const NEEDED: Record<Register, string[]> = {
  devices: [],
  trips: ['account', 'country', 'from', 'until'],
  invitations: ['inviter', 'guest'],
}

function Add({ name, onClose }: { name: Register; onClose: () => void }) {
  const { t } = useTranslation()
  const word = useWord()
  const [id, setId] = useState('')
  const [said, setSaid] = useState<Record<string, string>>({})
  const fields = Object.entries(FIELDS[name])
  const isMissing = id.trim() === '' || NEEDED[name].some((key) => !said[key]?.trim())
  const entry = Object.fromEntries(
    fields
      .filter(([key]) => said[key]?.trim())
      .map(([key, kind]) => [key, read(kind, said[key]?.trim() ?? '')]),
  )
  return (
    <Ask
      title={t(`site.${name}.add`)}
      go={t('site.enter')}
      fault={isMissing && t('site.missing')}
      run={() =>
        take(
          api.PUT('/api/v1/trust/registers/{register}/{entry}', {
            params: { path: { register: name, entry: id.trim() } },
            body: entry as Record<string, never>,
          }),
        )
      }
      onDone={() => {
        say(t('site.entered'))
        onClose()
      }}
      onClose={onClose}
    >
      <Field label={t('site.id')} hint={t('site.id.hint')}>
        {(ids) => (
          <input
            {...ids}
            autoComplete="off"
            maxLength={128}
            value={id}
            onChange={(event) => setId(event.target.value)}
          />
        )}
      </Field>
      <div className="fields-2">
        {fields.map(([key, kind]) => (
          <Field key={key} label={word('field', key)}>
            {(ids) => {
              const value = said[key] ?? ''
              const set = (next: string) => setSaid((now) => ({ ...now, [key]: next }))
              if (kind === 'text' || kind === 'time') {
                return (
                  <input
                    {...ids}
                    type={kind === 'time' ? 'datetime-local' : 'text'}
                    autoComplete="off"
                    maxLength={256}
                    value={value}
                    onChange={(event) => set(event.target.value)}
                  />
                )
              }
              const choices =
                kind === 'flag'
                  ? [
                      ['true', t('finding.yes')],
                      ['false', t('finding.no')],
                    ]
                  : kind.map((one) => [one, word('value', one)])
              return (
                <select {...ids} value={value} onChange={(event) => set(event.target.value)}>
                  <option value="">{t('site.unsaid')}</option>
                  {choices.map(([one, label]) => (
                    <option key={one} value={one}>
                      {label}
                    </option>
                  ))}
                </select>
              )
            }}
          </Field>
        ))}
      </div>
    </Ask>
  )
}

function read(kind: Kind, text: string): unknown {
  if (kind === 'flag') return text === 'true'
  // As the browser's own zone has it, as everything else on screen.
  if (kind === 'time') return new Date(text).getTime()
  return text
}
