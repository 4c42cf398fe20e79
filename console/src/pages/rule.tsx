import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, getRouteApi, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { HITS_DAYS, exceptions, findings, incidents, noise, rule as ruleQuery } from '~/api/queries'
import { EntityLink } from '~/domain/EntityLink'
import { EventPanel } from '~/domain/EventPanel'
import { ExceptDialog, ofRule } from '~/domain/ExceptDialog'
import { Exceptions } from '~/domain/Exceptions'
import { FindingCard } from '~/domain/FindingCard'
import { FindingLine } from '~/domain/FindingLine'
import { useActor } from '~/domain/people'
import { RuleReplay } from '~/domain/Replay'
import { RuleEditor, useCheck } from '~/domain/RuleEditor'
import {
  Diagnostics,
  LevelBadge,
  OnBadge,
  Origin,
  ReasonField,
  RipenessBadge,
  StageDialog,
  SwitchDialog,
} from '~/domain/rules'
import { useMay, useTenant } from '~/domain/session'
import { SITE, byDay, hitsOf, tactic, technique, told } from '~/domain/sigma'
import { StageBadge } from '~/domain/words'
import { useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Bars } from '~/ui/Bars'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { useFormat } from '~/ui/format'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Failed, Loaded } from '~/ui/states'
import { Tabs } from '~/ui/Tabs'
import { Time, useTick } from '~/ui/Time'
import { say } from '~/ui/Toasts'

const route = getRouteApi('/in/rules/$id')

type Detail = Schema['RuleDetail']

const DAY_MS = 86_400_000
const VIEWS = [undefined, 'replay', 'exceptions', 'text'] as const
const FINDINGS_SHOWN = 50
const ENTITIES_SHOWN = 10

export function OneRule() {
  const { id } = route.useParams()
  const query = useQuery(ruleQuery(useTenant(), id))
  return (
    <Loaded query={query} rows={10}>
      {(detail) => <Whole key={detail.id} rule={detail} />}
    </Loaded>
  )
}

function Whole({ rule }: { rule: Detail }) {
  const { t } = useTranslation()
  const { view, event } = route.useSearch()
  const navigate = route.useNavigate()
  const may = useMay()
  const [open, setOpen] = useState<'switch' | 'stage' | 'except' | 'remove'>()
  const close = () => setOpen(undefined)
  const kept = useQuery(exceptions(useTenant(), false)).data?.items
  const own = kept?.filter((one) => one.rule === rule.id)
  const title = rule.title || rule.id
  const isWriter = may('rules.write')
  const openEvent = (id: string | undefined) =>
    void navigate({ search: (now) => ({ ...now, event: id }) })
  return (
    <Page
      title={title}
      head={
        <div className="incident-head">
          <Link to="/rules" className="quiet">
            {t('rule.back')}
          </Link>
          <h1>
            <Raw text={title} />
          </h1>
          <p className="incident-line-2">
            <LevelBadge level={rule.level} />
            <OnBadge rule={rule} />
            <StageBadge stage={rule.stage} />
            <RipenessBadge status={rule.status} />
            {rule.kind === 'correlation' && <Badge>{t('rule.correlation')}</Badge>}
            <span className="quiet">
              <Origin origin={rule.origin} />
            </span>
          </p>
        </div>
      }
      aside={
        <>
          {may('rules.except') && (
            <Button onClick={() => setOpen('except')}>{t('except.make')}</Button>
          )}
          {isWriter && rule.origin === SITE && rule.stored == null && (
            <Button onClick={() => setOpen('remove')}>{t('rule.remove')}</Button>
          )}
          {isWriter && rule.problems.length === 0 && rule.stored == null && (
            <Button onClick={() => setOpen('stage')}>{t('rules.stage.change')}</Button>
          )}
          {isWriter && rule.problems.length === 0 && rule.stored == null && (
            <Button
              look={rule.enabled || view === 'replay' ? 'plain' : 'primary'}
              onClick={() => setOpen('switch')}
            >
              {t(`rules.switch.${rule.enabled ? 'off' : 'on'}`)}
            </Button>
          )}
        </>
      }
    >
      {rule.problems.length > 0 && (
        <div className="state state-failed" role="alert">
          <p className="state-title">{t('rule.broken')}</p>
          <Diagnostics list={rule.problems} />
        </div>
      )}
      {!rule.served && rule.problems.length === 0 && <p className="warn">{t('rule.unserved')}</p>}
      <div className="incident">
        <div className="incident-main">
          <Tabs label={t('rule.parts')}>
            {VIEWS.map((one) => (
              <Link
                key={one ?? 'about'}
                className="tab"
                to="."
                search={(now) => ({ ...now, view: one, event: undefined })}
                activeOptions={{ exact: true, includeSearch: false }}
                activeProps={{ className: view === one ? 'active' : '', 'aria-current': undefined }}
                aria-current={view === one ? 'page' : undefined}
              >
                {t(`rule.view.${one ?? 'about'}`)}
                {one === 'exceptions' && own && <span className="tab-count">{own.length}</span>}
              </Link>
            ))}
          </Tabs>
          {view === undefined && <About rule={rule} onEvent={openEvent} />}
          {view === 'replay' && <RuleReplay rule={rule} onEvent={openEvent} />}
          {view === 'exceptions' && <Kept rule={rule.id} />}
          {view === 'text' && <Text key={rule.version} rule={rule} />}
        </div>
        <aside className="incident-side" aria-label={t('incident.details')}>
          <Facts rule={rule} />
        </aside>
      </div>
      {event && <EventPanel key={event} id={event} onClose={() => openEvent(undefined)} />}
      {open === 'stage' && <StageDialog rule={rule} onClose={close} />}
      {open === 'switch' && <SwitchDialog rule={rule} onClose={close} />}
      {open === 'except' && <ExceptDialog of={ofRule(rule)} onClose={close} />}
      {open === 'remove' && <RemoveDialog rule={rule} onClose={close} />}
    </Page>
  )
}

function Facts({ rule }: { rule: Detail }) {
  const { t } = useTranslation()
  const word = useWord()
  const actor = useActor()
  return (
    <Panel title={t('incident.details')}>
      <dl className="side-facts">
        <dt>{t('rule.author')}</dt>
        <dd>{rule.author ? <Raw text={rule.author} /> : t('rule.author.none')}</dd>
        {rule.license && (
          <>
            <dt>{t('rule.license')}</dt>
            <dd>
              <Raw text={rule.license} />
            </dd>
          </>
        )}
        {rule.logsource && (
          <>
            <dt>{t('rule.logsource')}</dt>
            <dd>
              <code>
                <Raw text={rule.logsource} />
              </code>
            </dd>
          </>
        )}
        {rule.tags.length > 0 && (
          <>
            <dt>{t('rule.tags')}</dt>
            <dd>
              <ul className="rule-tags">
                {rule.tags.map((tag) => {
                  const known = tactic(tag)
                  return (
                    <li key={tag}>
                      <Link to="/rules" search={{ tag }}>
                        {technique(tag) ?? (known ? word('tactic', known) : <Raw text={tag} />)}
                      </Link>
                    </li>
                  )
                })}
              </ul>
            </dd>
          </>
        )}
        <dt>{t('rule.id')}</dt>
        <dd>
          <code>
            <Raw text={rule.id} />
          </code>
        </dd>
        {rule.stored && (
          <>
            <dt>{t('rule.stored')}</dt>
            <dd>
              <Link to="/rules/$id" params={{ id: rule.stored }}>
                <Raw text={rule.stored} />
              </Link>
            </dd>
          </>
        )}
        <dt>{t('rules.stage')}</dt>
        <dd>
          {t(`stage.${rule.stage}`)}
          <p className="quiet">{t(`stage.${rule.stage}.text`)}</p>
        </dd>
        {rule.changed != null && (
          <>
            <dt>{t('rule.changed')}</dt>
            <dd>
              <Time at={rule.changed} />
              {rule.by && (
                <>
                  {' · '}
                  <Raw text={actor(rule.by)} />
                </>
              )}
              {rule.reason && (
                <p className="quiet">
                  <Raw text={rule.reason} />
                </p>
              )}
            </dd>
          </>
        )}
      </dl>
    </Panel>
  )
}

function About({ rule, onEvent }: { rule: Detail; onEvent: (id: string) => void }) {
  const { t } = useTranslation()
  const said = told(rule.text ?? '', rule)
  const isSilent =
    !said.description && said.references.length === 0 && said.falsePositives.length === 0
  return (
    <div className="stack">
      <Panel title={t('rule.view.about')}>
        {isSilent ? (
          <Empty title={t('rule.about.none')} />
        ) : (
          <div className="rule-about">
            {said.description && (
              <p className="prose">
                <Raw text={said.description} lines />
              </p>
            )}
            {said.falsePositives.length > 0 && (
              <>
                <h3>{t('rule.false-positives')}</h3>
                <ul className="bullets">
                  {said.falsePositives.map((one, at) => (
                    <li key={at}>
                      <Raw text={one} />
                    </li>
                  ))}
                </ul>
              </>
            )}
            {said.references.length > 0 && (
              <>
                <h3>{t('rule.references')}</h3>
                <ul className="bullets">
                  {said.references.map((one, at) => (
                    <li key={at}>
                      <Reference text={one} />
                    </li>
                  ))}
                </ul>
              </>
            )}
          </div>
        )}
      </Panel>
      <HitsPanel rule={rule} />
      <Found rule={rule} onEvent={onEvent} />
    </div>
  )
}

/** Leads elsewhere only where the author wrote a web address, and only when somebody clicks. */
function Reference({ text }: { text: string }) {
  const { t } = useTranslation()
  const address = /^https?:\/\/[^\s\p{Cc}\p{Cf}]+$/u.test(text) ? URL.parse(text) : null
  if (!address) return <Raw text={text} />
  return (
    <a href={address.href} target="_blank" rel="noopener noreferrer external">
      <Raw text={text} />
      <span className="only-read"> {t('rule.elsewhere')}</span>
      <span aria-hidden="true"> ↗</span>
    </a>
  )
}

function HitsPanel({ rule }: { rule: Detail }) {
  const { t } = useTranslation()
  const format = useFormat()
  const now = useTick(false)
  const query = useQuery(noise(useTenant()))
  const from = now - (HITS_DAYS - 1) * DAY_MS
  return (
    <Panel
      title={t('rule.hits')}
      aside={<span className="quiet">{t('noise.days', { n: HITS_DAYS })}</span>}
    >
      <Loaded query={query} rows={2}>
        {({ rules }) => {
          const loud = rules.find((one) => one.rule === rule.id)
          const { hits, suppressed, most } = hitsOf(loud)
          const days = byDay(loud?.by_day ?? {}, from, now)
          return (
            <div className="rule-hits">
              <p>
                <strong>{format.number(hits)}</strong>{' '}
                {suppressed > 0 && (
                  <span className="quiet">
                    {t('rules.suppressed', { n: format.number(suppressed) })}
                  </span>
                )}
                {hits === 0 && (
                  <span className="quiet">
                    {t(rule.enabled ? 'rule.hits.none' : 'rule.hits.off')}
                  </span>
                )}
              </p>
              <Bars
                values={days.map((day) => day.hits)}
                label={t('rules.bars', { n: days.length, most: format.number(most) })}
              />
            </div>
          )
        }}
      </Loaded>
    </Panel>
  )
}

/** What it found, the way to each incident (in shadow there is none: it opens here), and whom it names most. */
function Found({ rule, onEvent }: { rule: Detail; onEvent: (id: string) => void }) {
  const [open, setOpen] = useState<string>()
  const { t } = useTranslation()
  const format = useFormat()
  const tenant = useTenant()
  const query = useQuery(findings(tenant, { rule: rule.id, limit: FINDINGS_SHOWN }))
  const cases = useQuery(incidents(tenant, {})).data?.items ?? []
  return (
    <Panel title={t('entity.findings')}>
      <Loaded query={query} rows={3}>
        {({ items, next }) => {
          if (items.length === 0) {
            return (
              <Empty title={t('rule.findings.none')}>
                {!rule.enabled && t('rule.findings.none.off')}
              </Empty>
            )
          }
          const counts = new Map<string, number>()
          for (const entity of items.flatMap(({ entities }) => entities.slice(0, 1))) {
            counts.set(entity, (counts.get(entity) ?? 0) + 1)
          }
          const whom = [...counts].sort(([, a], [, b]) => b - a)
          return (
            <>
              <ul className="lines">
                {items.map((finding) => (
                  <li key={finding.id}>
                    <FindingLine
                      finding={finding}
                      incidents={cases}
                      isOpen={open === finding.id}
                      onOpen={() => setOpen((now) => (now === finding.id ? undefined : finding.id))}
                    />
                    {open === finding.id && (
                      <div className="finding-here">
                        <FindingCard finding={finding} onEvent={onEvent} />
                      </div>
                    )}
                  </li>
                ))}
              </ul>
              {next && <p className="panel-note">{t('response.newest', { n: items.length })}</p>}
              <h3 className="panel-sub">{t('rule.entities')}</h3>
              <ul className="replay-days rule-whom">
                {whom.slice(0, ENTITIES_SHOWN).map(([entity, n]) => (
                  <li key={entity}>
                    <EntityLink entity={entity} />
                    <strong>{format.number(n)}</strong>
                  </li>
                ))}
              </ul>
              {whom.length > ENTITIES_SHOWN && (
                <p className="panel-note">
                  {t('incidents.more', { n: whom.length - ENTITIES_SHOWN })}
                </p>
              )}
            </>
          )
        }}
      </Loaded>
    </Panel>
  )
}

function Kept({ rule }: { rule: string }) {
  const { t } = useTranslation()
  const query = useQuery(exceptions(useTenant(), true))
  return (
    <div className="panel">
      <Loaded query={query} rows={3}>
        {({ items }) => {
          const own = items.filter((one) => one.rule === rule)
          if (own.length === 0) {
            return <Empty title={t('except.none.rule')}>{t('except.none.text')}</Empty>
          }
          return <Exceptions items={own} />
        }}
      </Loaded>
    </div>
  )
}

function Text({ rule }: { rule: Detail }) {
  const { t } = useTranslation()
  const isWriter = useMay()('rules.write')
  const [isEditing, setEditing] = useState(false)
  const isOwn = rule.origin === SITE && rule.stored == null
  const copy = (text: string) =>
    void navigator.clipboard.writeText(text).then(() => say(t('ui.copied')))
  if (rule.text == null) {
    return (
      <div className="panel">
        <Empty title={t('rule.text.none')} />
      </div>
    )
  }
  if (isEditing) return <Edit rule={rule} onDone={() => setEditing(false)} />
  const text = rule.text
  return (
    <Panel
      title={t('rule.text')}
      aside={
        <span className="pager">
          <Button onClick={() => copy(text)}>{t('ui.copy')}</Button>
          {isWriter && isOwn && <Button onClick={() => setEditing(true)}>{t('rule.edit')}</Button>}
        </span>
      }
    >
      {isWriter && !isOwn && (
        <p className="panel-note">{t(rule.stored ? 'rule.text.part' : 'rule.text.pack')}</p>
      )}
      <pre className="block rule-text" tabIndex={0}>
        <Raw text={text} lines />
      </pre>
    </Panel>
  )
}

function Edit({ rule, onDone }: { rule: Detail; onDone: () => void }) {
  const { t } = useTranslation()
  const queries = useQueryClient()
  const [text, setText] = useState(rule.text ?? '')
  const [reason, setReason] = useState('')
  const [isTried, setTried] = useState(false)
  const checked = useCheck(text)
  const save = useMutation({
    mutationFn: () =>
      take(
        api.PUT('/api/v1/sigma/rules/{id}', {
          params: { path: { id: rule.id } },
          body: { text, reason },
        }),
      ),
    onSuccess: () => {
      say(t('rule.edit.done'))
      onDone()
    },
    onSettled: () => queries.invalidateQueries(),
  })
  const isEmpty = reason.trim() === ''
  const why = text === rule.text ? t('rule.edit.same') : !checked.isValid && t('rule.save.invalid')
  return (
    <form
      className="panel rule-form"
      onSubmit={(event) => {
        event.preventDefault()
        setTried(true)
        if (!isEmpty && !why && !save.isPending) save.mutate()
      }}
    >
      <RuleEditor
        text={text}
        onChange={setText}
        checked={checked}
        hint={t(rule.enabled ? 'rule.edit.hint' : 'rule.edit.hint.off')}
      />
      <ReasonField value={reason} onChange={setReason} isMissing={isTried && isEmpty} />
      {save.error && <Failed error={save.error} />}
      <footer className="dialog-foot">
        <Button onClick={onDone}>{t('ui.cancel')}</Button>
        <Button type="submit" look="primary" busy={save.isPending} why={why}>
          {t('rule.edit.go')}
        </Button>
      </footer>
    </form>
  )
}

function RemoveDialog({ rule, onClose }: { rule: Detail; onClose: () => void }) {
  const { t } = useTranslation()
  const navigate = useNavigate()
  const queries = useQueryClient()
  const tenant = useTenant()
  const remove = useMutation({
    mutationFn: () =>
      take(api.DELETE('/api/v1/sigma/rules/{id}', { params: { path: { id: rule.id } } })),
    onSuccess: async () => {
      say(t('rule.remove.done'))
      await navigate({ to: '/rules', search: {} })
      queries.removeQueries({ queryKey: [tenant, 'rule', rule.id] })
      await queries.invalidateQueries()
    },
  })
  return (
    <Dialog title={t('rule.remove.title')} onClose={onClose}>
      <p>
        <strong>
          <Raw text={rule.title || rule.id} />
        </strong>
      </p>
      <p>{t('rule.remove.text')}</p>
      {remove.error && <Failed error={remove.error} />}
      <footer className="dialog-foot">
        <Button onClick={onClose}>{t('ui.cancel')}</Button>
        <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
          {t('rule.remove')}
        </Button>
      </footer>
    </Dialog>
  )
}
