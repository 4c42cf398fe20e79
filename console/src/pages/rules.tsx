import { useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { Suspense, lazy, useEffect, useId, useMemo, useRef, useState } from 'react'
import { HITS_DAYS, noise, rules, type Loud, type Rule, type Stage } from '~/api/queries'
import {
  Day,
  LevelBadge,
  OnBadge,
  Origin,
  RipenessBadge,
  SwitchDialog,
  Techniques,
} from '~/domain/rules'
import { useMay, useTenant } from '~/domain/session'
import {
  LEVELS,
  LOUD_HITS,
  RULE_STATUSES,
  SITE,
  STAGES,
  hasTag,
  hitsOf,
  weight,
  type Hits,
} from '~/domain/sigma'
import { StageBadge } from '~/domain/words'
import { useTranslation } from '~/i18n'
import { RULE_SORTS } from '~/router'
import { Button } from '~/ui/Button'
import { Select } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { useKeys } from '~/ui/keys'
import { Page } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded, Loading } from '~/ui/states'
import { Tabs } from '~/ui/Tabs'
import { Space, useWindowed } from '~/ui/windowed'

const route = getRouteApi('/in/rules')
const Coverage = lazy(() => import('./rules-coverage').then((it) => ({ default: it.Coverage })))
const Noise = lazy(() => import('./rules-noise').then((it) => ({ default: it.NoiseReport })))
const Kept = lazy(() => import('./rules-exceptions').then((it) => ({ default: it.AllExceptions })))
const Packs = lazy(() => import('./rules-packs').then((it) => ({ default: it.PacksAndSelection })))
const NewRule = lazy(() => import('./rule-new').then((it) => ({ default: it.NewRule })))

const VIEWS = [undefined, 'coverage', 'noise', 'exceptions', 'packs'] as const
const STATES = ['on', 'off', 'broken', 'never', 'noisy'] as const

/** Which rules there are and what becomes of them. */
export function Rules() {
  const { t } = useTranslation()
  const { view } = route.useSearch()
  const isWriter = useMay()('rules.write')
  if (view === 'new') {
    return (
      <Suspense fallback={<Loading rows={8} />}>
        <NewRule />
      </Suspense>
    )
  }
  return (
    <Page
      title={t('page.rules')}
      aside={
        isWriter && (
          <Link className="button button-primary" to="/rules" search={{ view: 'new' }}>
            {t('rules.new')}
          </Link>
        )
      }
    >
      <Tabs label={t('rules.views')}>
        {VIEWS.map((one) => (
          <Link
            key={one ?? 'list'}
            className={view === one ? 'tab active' : 'tab'}
            to="/rules"
            search={{ view: one }}
            activeProps={{ 'aria-current': undefined }}
            aria-current={view === one ? 'page' : undefined}
          >
            {t(`rules.view.${one ?? 'list'}`)}
          </Link>
        ))}
      </Tabs>
      <Suspense fallback={<Loading rows={8} />}>
        {view === undefined && <List />}
        {view === 'coverage' && <Coverage />}
        {view === 'noise' && <Noise />}
        {view === 'exceptions' && <Kept />}
        {view === 'packs' && <Packs />}
      </Suspense>
    </Page>
  )
}

/** A rule with what else is shown of it, and all that text is looked for in. */
type Row = { rule: Rule; hits: Hits; isNever: boolean; words: string }

function List() {
  const { t } = useTranslation()
  const tenant = useTenant()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const text = useRef<HTMLInputElement>(null)
  const tags = useId()
  const all = useQuery(rules(tenant))
  const loud = useQuery(noise(tenant))
  const rows = useMemo(() => rowsOf(all.data?.items ?? [], loud.data), [all.data, loud.data])
  const origins = useMemo(() => known(rows.map(({ rule }) => rule.origin)), [rows])
  const allTags = useMemo(
    () =>
      known(rows.flatMap(({ rule }) => rule.tags)).map((one) => <option key={one} value={one} />),
    [rows],
  )
  const { q, level, status, origin, tag, state, stage, sort } = search
  const shown = useMemo(
    () => arrange(rows, { q, level, status, origin, tag, state, stage, sort }),
    [rows, q, level, status, origin, tag, state, stage, sort],
  )
  const change = (next: Partial<typeof search>) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true })
  const isFiltered = Boolean(q ?? level ?? status ?? origin ?? tag ?? state ?? stage)
  const clear = () =>
    change({
      q: undefined,
      level: undefined,
      status: undefined,
      origin: undefined,
      tag: undefined,
      state: undefined,
      stage: undefined,
    })
  useKeys({ '/': () => text.current?.focus() })
  return (
    <>
      <div className="filters rules-filters" role="search">
        <input
          ref={text}
          type="search"
          className="filter-text"
          aria-label={t('incidents.text')}
          placeholder={t('rules.text.hint')}
          value={q ?? ''}
          onChange={(event) => change({ q: event.target.value || undefined })}
          onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
        />
        <Select
          label={t('rules.state')}
          value={state ?? ''}
          onChange={(next) => change({ state: STATES.find((one) => one === next) })}
          choices={[
            { value: '', label: t('rules.state.any') },
            ...STATES.map((one) => ({
              value: one,
              label: t(`rules.state.${one}`, { n: one === 'never' ? HITS_DAYS : LOUD_HITS }),
            })),
          ]}
        />
        <Select
          label={t('rules.stage')}
          value={stage ?? ''}
          onChange={(next) => change({ stage: STAGES.find((one) => one === next) })}
          choices={[
            { value: '', label: t('rules.stage.any') },
            ...STAGES.map((one) => ({ value: one, label: t(`stage.${one}`) })),
          ]}
        />
        <Select
          label={t('rules.level')}
          value={level ?? ''}
          onChange={(next) => change({ level: next || undefined })}
          choices={[
            { value: '', label: t('rules.level.any') },
            ...LEVELS.map((one) => ({ value: one, label: t(`severity.${one}`) })),
          ]}
        />
        <Select
          label={t('rules.status')}
          value={status ?? ''}
          onChange={(next) => change({ status: next || undefined })}
          choices={[
            { value: '', label: t('rules.status.any') },
            ...RULE_STATUSES.map((one) => ({ value: one, label: t(`rules.status.${one}`) })),
          ]}
        />
        <Select
          label={t('rules.origin')}
          value={origin ?? ''}
          onChange={(next) => change({ origin: next || undefined })}
          choices={[
            { value: '', label: t('rules.origin.any') },
            ...origins.map((one) => ({
              value: one,
              label: one === SITE ? t('rules.origin.site') : one,
            })),
          ]}
        />
        <input
          type="search"
          className="filter-tag raw"
          aria-label={t('rules.tag')}
          placeholder={t('rules.tag.hint')}
          list={tags}
          spellCheck={false}
          value={tag ?? ''}
          onChange={(event) => change({ tag: event.target.value.trim() || undefined })}
        />
        <datalist id={tags}>{allTags}</datalist>
        <span className="filters-end">
          {isFiltered && (
            <Button look="quiet" onClick={clear}>
              {t('incidents.clear')}
            </Button>
          )}
          <Select
            label={t('incidents.sort')}
            value={sort ?? 'hits'}
            onChange={(next) => change({ sort: RULE_SORTS.find((one) => one === next) })}
            choices={RULE_SORTS.map((one) => ({ value: one, label: t(`rules.sort.${one}`) }))}
          />
        </span>
      </div>
      <div className="panel">
        <Loaded query={all} rows={10}>
          {({ items, faults }) =>
            items.length === 0 ? (
              <Empty title={t('rules.none')}>{t('rules.none.text')}</Empty>
            ) : shown.length === 0 ? (
              <Empty title={t('rules.none.filtered')}>
                <Button onClick={clear}>{t('incidents.clear')}</Button>
              </Empty>
            ) : (
              <>
                <Table
                  key={[q, level, status, origin, tag, state, stage, sort].join(' ')}
                  rows={shown}
                  isCounted={loud.data !== undefined}
                />
                <p className="panel-note rules-foot" role="status">
                  {t('rules.count', {
                    shown: shown.length,
                    n: items.length,
                    on: items.filter(({ enabled }) => enabled).length,
                  })}
                  {faults.length > 0 && (
                    <Link to="/rules" search={{ view: 'packs' }}>
                      {t('rules.faults', { n: faults.length })}
                    </Link>
                  )}
                </p>
              </>
            )
          }
        </Loaded>
      </div>
    </>
  )
}

const known = (values: string[]) => [...new Set(values)].sort()

function rowsOf(items: Rule[], noise: { rules: Loud[]; never_fired: string[] } | undefined): Row[] {
  const loud = new Map(noise?.rules.map((one) => [one.rule, one]))
  const never = new Set(noise?.never_fired)
  return items.map((rule) => ({
    rule,
    hits: hitsOf(loud.get(rule.id)),
    isNever: never.has(rule.id),
    words: [rule.title, rule.id, rule.author, rule.logsource, ...rule.tags].join(' ').toLowerCase(),
  }))
}

type Wanted = {
  q?: string
  level?: string
  status?: string
  origin?: string
  tag?: string
  state?: (typeof STATES)[number]
  stage?: Stage
  sort?: (typeof RULE_SORTS)[number]
}

function arrange(rows: Row[], wanted: Wanted): Row[] {
  const { q, level, status, origin, tag, state, stage, sort = 'hits' } = wanted
  const words = (q ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  const found = rows.filter(({ rule, hits, isNever, words: text }) => {
    if (level && rule.level !== level) return false
    if (status && rule.status !== status) return false
    if (origin && rule.origin !== origin) return false
    if (tag && !hasTag(rule, tag)) return false
    if (stage && rule.stage !== stage) return false
    if (state === 'on' && !rule.enabled) return false
    if (state === 'off' && (rule.enabled || rule.problems.length > 0)) return false
    if (state === 'broken' && rule.problems.length === 0) return false
    if (state === 'never' && !isNever) return false
    if (state === 'noisy' && hits.most < LOUD_HITS) return false
    return words.every((word) => text.includes(word))
  })
  const { compare } = new Intl.Collator()
  const title = (a: Row, b: Row) => compare(a.rule.title, b.rule.title)
  const level_ = (a: Row, b: Row) => weight(a.rule.level) - weight(b.rule.level)
  const orders: Record<(typeof RULE_SORTS)[number], (a: Row, b: Row) => number> = {
    hits: (a, b) => b.hits.hits - a.hits.hits || level_(a, b),
    last: (a, b) => (b.hits.last ?? '').localeCompare(a.hits.last ?? ''),
    level: level_,
    title,
    changed: (a, b) => (b.rule.changed ?? 0) - (a.rule.changed ?? 0),
  }
  return found.sort((a, b) => orders[sort](a, b) || title(a, b))
}

const COLUMNS = 8

function Table({ rows, isCounted }: { rows: Row[]; isCounted: boolean }) {
  const { t } = useTranslation()
  const format = useFormat()
  const isWriter = useMay()('rules.write')
  const [at, setAt] = useState(-1)
  const [switching, setSwitching] = useState<Rule>()
  const { box, from, to, before, after, reveal } = useWindowed(rows.length)
  const move = (step: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, at + step))
    reveal(next)
    setAt(next)
  }
  useKeys({ j: () => move(1), k: () => move(-1) })
  // The row is drawn after the list has scrolled to it.
  useEffect(() => {
    if (at < 0) return
    box.current?.querySelector<HTMLElement>(`tr[aria-rowindex="${at + 2}"] a`)?.focus()
  }, [at, from, box])
  return (
    <>
      <div className="windowed" ref={box}>
        <table className="table rules" aria-rowcount={rows.length + 1}>
          <thead>
            <tr>
              <th scope="col">{t('rules.level')}</th>
              <th scope="col" className="rules-title">
                {t('rules.what')}
              </th>
              <th scope="col">{t('rules.status')}</th>
              <th scope="col">{t('rules.origin')}</th>
              <th scope="col">ATT&amp;CK</th>
              <th scope="col" className="number">
                {t('rules.hits', { n: HITS_DAYS })}
              </th>
              <th scope="col">{t('rules.last')}</th>
              <th scope="col">{t('rules.state')}</th>
            </tr>
          </thead>
          <tbody>
            <Space height={before} columns={COLUMNS} />
            {rows.slice(from, to).map(({ rule, hits }, place) => (
              <tr
                key={`${rule.origin} ${rule.id}`}
                aria-rowindex={from + place + 2}
                onFocus={() => setAt(from + place)}
              >
                <td className="rules-level">
                  <LevelBadge level={rule.level} />
                </td>
                <td className="rules-title">
                  <Link to="/rules/$id" params={{ id: rule.id }} title={rule.title}>
                    <Raw text={rule.title || rule.id} />
                  </Link>
                </td>
                <td className="rules-status">
                  <RipenessBadge status={rule.status} />
                </td>
                <td className="rules-origin quiet">
                  <Origin origin={rule.origin} />
                </td>
                <td className="rules-attack">
                  <Techniques tags={rule.tags} most={2} />
                </td>
                <td className="number rules-hits">
                  {isCounted && <HitCount hits={hits} format={format.number} />}
                </td>
                <td className="rules-last quiet">{hits.last && <Day day={hits.last} />}</td>
                <td className="rules-state">
                  {isWriter && rule.problems.length === 0 ? (
                    <button
                      type="button"
                      role="switch"
                      className="switch"
                      aria-checked={rule.enabled}
                      aria-label={t('rules.switch', { what: rule.title || rule.id })}
                      onClick={() => setSwitching(rule)}
                    >
                      <i aria-hidden="true" />
                      {rule.enabled ? t('rules.on') : t('rules.off')}
                    </button>
                  ) : (
                    <OnBadge rule={rule} />
                  )}{' '}
                  <StageBadge stage={rule.stage} />
                </td>
              </tr>
            ))}
            <Space height={after} columns={COLUMNS} />
          </tbody>
        </table>
      </div>
      {switching && <SwitchDialog rule={switching} onClose={() => setSwitching(undefined)} />}
    </>
  )
}

function HitCount({ hits, format }: { hits: Hits; format: (n: number) => string }) {
  const { t } = useTranslation()
  const isQuieted = hits.suppressed > 0
  const suppressed = t('rules.suppressed', { n: format(hits.suppressed) })
  return (
    <span title={isQuieted ? suppressed : undefined}>
      <span className="hits-label quiet">{t('noise.hits')} </span>
      <span className={hits.most >= LOUD_HITS ? 'loud' : hits.hits === 0 ? 'quiet' : undefined}>
        {format(hits.hits)}
      </span>
      {isQuieted && <span className="only-read"> ({suppressed})</span>}
    </span>
  )
}
