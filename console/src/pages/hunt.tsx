import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, useRef, useState } from 'react'
import { EventPanel } from '~/domain/EventPanel'
import { COLUMNS_MAX, COLUMNS_USUAL, ColumnsDialog } from '~/domain/hunt/ColumnsDialog'
import { ExportQuery } from '~/domain/hunt/ExportQuery'
import { Facets } from '~/domain/hunt/Facets'
import { Histogram, useCounts } from '~/domain/hunt/Histogram'
import { HuntTable, rowsOf } from '~/domain/hunt/HuntTable'
import { KeptDialog } from '~/domain/hunt/KeptDialog'
import { QueryBar } from '~/domain/hunt/QueryBar'
import { RangePicker } from '~/domain/hunt/RangePicker'
import { SaveRule } from '~/domain/hunt/SaveRule'
import { SqlMode } from '~/domain/hunt/SqlMode'
import { Tail } from '~/domain/hunt/Tail'
import { asked } from '~/domain/hunt/ask'
import { withTerm } from '~/domain/hunt/edit'
import { FIELDS, isColumn, type Column } from '~/domain/hunt/fields'
import { useKept } from '~/domain/hunt/history'
import { Fault, parse, type Node } from '~/domain/hunt/language'
import { RANGE_USUAL, spanOf } from '~/domain/hunt/range'
import { condition, rowsSql, type Cursor, type Shown, type Span } from '~/domain/hunt/sql'
import { useMay, useMe, useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { useFormat } from '~/ui/format'
import { useKeys } from '~/ui/keys'
import { Page } from '~/ui/Page'
import { Empty, Loaded } from '~/ui/states'

const route = getRouteApi('/in/hunt')
const PAGE_ROWS = 100

/** Everything that was stored, by a question: what happened, how often, from where, and what comes in now. */
export function Hunt() {
  const { t } = useTranslation()
  if (!useMay()('events.query')) {
    return (
      <Page title={t('page.hunt')}>
        <div className="panel">
          <Empty title={t('hunt.forbidden')}>{t('hint.forbidden')}</Empty>
        </div>
      </Page>
    )
  }
  return <Hunting />
}

/** The condition of a query, or what is wrong with it. */
function read(q: string): { node?: Node; sql?: string; fault?: Fault } {
  const found = parse(q)
  if ('fault' in found) return found
  try {
    return { node: found.node, sql: condition(found.node) }
  } catch (fault) {
    if (fault instanceof Fault) return { fault }
    throw fault
  }
}

function columnsOf(text: string | undefined): readonly Shown[] {
  const named = (text ?? '').split(',')
  const found = named.filter((name): name is Shown => name === 'what' || isColumn(name))
  const once = [...new Set(found)].filter((name) => name !== 'time')
  return once.length > 0 ? once.slice(0, COLUMNS_MAX) : COLUMNS_USUAL
}

function Hunting() {
  const { t } = useTranslation()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const may = useMay()
  const me = useMe()
  const tenant = useTenant()
  const kept = useKept(tenant, me.user)
  const q = search.q ?? ''
  const [draft, setDraft] = useState(q)
  const [before, setBefore] = useState(q)
  // Back, forward and the history change what is asked.
  if (q !== before) {
    setBefore(q)
    setDraft(q)
  }
  const [now, setNow] = useState(Date.now)
  const [open, setOpen] = useState<'kept' | 'columns' | 'export' | 'rule'>()
  const bar = useRef<HTMLTextAreaElement | null>(null)
  const isSql = search.mode === 'sql'
  const isTail = !isSql && search.tail === true
  const sort = search.sort ?? 'newest'
  const stack = search.stack ?? 'outcome'
  const isFixed = search.from !== undefined && search.until !== undefined
  const name = isFixed ? undefined : (search.range ?? RANGE_USUAL)
  const span = useMemo(
    () => spanOf({ name, from: search.from, until: search.until }, now),
    [name, search.from, search.until, now],
  )
  const columns = useMemo(() => columnsOf(search.cols), [search.cols])
  const { node, sql, fault } = useMemo(() => read(q), [q])
  const change = (next: Partial<typeof search>) =>
    void navigate({ search: (old) => ({ ...old, ...next }) })
  const run = (text: string) => {
    setNow(Date.now())
    setDraft(text)
    kept.remember(text.trim(), 'bar')
    change({ q: text.trim() || undefined })
  }
  const runSql = (text: string) => {
    kept.remember(text, 'sql')
    change({ sql: text })
  }
  const choose = (text: string, mode: 'bar' | 'sql') => {
    setOpen(undefined)
    setNow(Date.now())
    if (mode === 'sql') change({ mode: 'sql', sql: text })
    else change({ mode: undefined, q: text || undefined })
  }
  const onTerm = (field: string, value: string, isExcluded: boolean) =>
    run(withTerm(q, field, value, isExcluded))
  const narrow = (to: Span) => change({ from: to.from, until: to.until, range: undefined })
  const onOpen = (id: string) => change({ event: id })
  const ask = rowsSql(columns, span, sql, sort, undefined)
  const every = FIELDS.map((field) => field.name as Column)
  const whole = `${rowsSql(every, span, sql, sort, undefined).replace(' from events', ', rest from events')}`
  const start = `${lines(ask)}\nlimit 100`
  useKeys({ '/': () => bar.current?.focus() })
  return (
    <Page
      title={t('page.hunt')}
      aside={
        <>
          <span className="segments" role="group" aria-label={t('hunt.mode')}>
            <button type="button" aria-pressed={!isSql} onClick={() => change({ mode: undefined })}>
              {t('hunt.mode.bar')}
            </button>
            <button
              type="button"
              aria-pressed={isSql}
              onClick={() => change({ mode: 'sql', tail: undefined })}
            >
              SQL
            </button>
          </span>
          {!isSql && (
            <Button
              icon={isTail ? 'pause' : 'play'}
              aria-pressed={isTail}
              why={fault && t('hunt.wrong')}
              onClick={() => change({ tail: isTail ? undefined : true })}
            >
              {t('hunt.tail')}
            </Button>
          )}
        </>
      }
    >
      {!isSql && (
        <div className="hunt-ask">
          <QueryBar
            text={draft}
            onChange={setDraft}
            onRun={run}
            fault={draft.trim() === q ? fault : undefined}
            span={span}
            onReady={(field) => (bar.current = field)}
          />
          {!isTail && (
            <RangePicker
              name={name}
              span={span}
              onName={(chosen) => {
                setNow(Date.now())
                change({
                  range: chosen === RANGE_USUAL ? undefined : chosen,
                  from: undefined,
                  until: undefined,
                })
              }}
              onSpan={narrow}
            />
          )}
          <Button look="primary" onClick={() => run(draft)}>
            {t('hunt.run')}
          </Button>
        </div>
      )}
      <div className="hunt-tools" role="group" aria-label={t('hunt.tools')}>
        <Button look="quiet" icon="clock" onClick={() => setOpen('kept')}>
          {t('hunt.kept')}
        </Button>
        {!isSql && (
          <Button look="quiet" icon="columns" onClick={() => setOpen('columns')}>
            {t('hunt.columns')}
          </Button>
        )}
        <Button
          look="quiet"
          icon="export"
          why={isSql ? !search.sql && t('hunt.sql.none') : fault && t('hunt.wrong')}
          onClick={() => setOpen('export')}
        >
          {t('hunt.export')}
        </Button>
        {!isSql && may('rules.write') && (
          <Button
            look="quiet"
            icon="response"
            why={fault ? t('hunt.wrong') : !q && t('hunt.rule.empty')}
            onClick={() => setOpen('rule')}
          >
            {t('hunt.rule')}
          </Button>
        )}
        {!isSql && (
          <details className="hunt-help">
            <summary>{t('hunt.help')}</summary>
            <Help />
          </details>
        )}
      </div>
      {isSql && <SqlMode sql={search.sql} start={start} onRun={runSql} onOpen={onOpen} />}
      {!isSql && fault && (
        <div className="panel">
          <Empty title={t('hunt.wrong')}>{t('hunt.wrong.text')}</Empty>
        </div>
      )}
      {isTail && !fault && (
        <Tail columns={columns} condition={sql} onOpen={onOpen} onTerm={onTerm} />
      )}
      {!isSql && !isTail && !fault && (
        <Found
          key={tenant}
          {...{ columns, span, condition: sql, sort, stack, onTerm, onOpen }}
          onSort={() => change({ sort: sort === 'newest' ? 'oldest' : undefined })}
          onStack={(chosen) => change({ stack: chosen === 'outcome' ? undefined : chosen })}
          onNarrow={narrow}
          onWider={() => {
            setNow(Date.now())
            change({ range: '30d', from: undefined, until: undefined })
          }}
          isFiltered={q !== ''}
        />
      )}
      {search.event && (
        <EventPanel id={search.event} onClose={() => change({ event: undefined })} />
      )}
      {open === 'kept' && (
        <KeptDialog
          kept={kept}
          current={isSql ? { q: search.sql ?? '', mode: 'sql' } : { q, mode: 'bar' }}
          onChoose={choose}
          onClose={() => setOpen(undefined)}
        />
      )}
      {open === 'columns' && (
        <ColumnsDialog
          columns={columns}
          onChange={(next) =>
            change({ cols: next === COLUMNS_USUAL ? undefined : next.join(',') || undefined })
          }
          onClose={() => setOpen(undefined)}
        />
      )}
      {open === 'export' && (
        <ExportQuery
          shown={isSql ? (search.sql ?? '') : ask}
          whole={isSql ? undefined : whole}
          onClose={() => setOpen(undefined)}
        />
      )}
      {open === 'rule' && node && <SaveRule q={q} node={node} onClose={() => setOpen(undefined)} />}
    </Page>
  )
}

/** The SQL of the bar as one would write it. */
const lines = (sql: string) => sql.replace(/ (from events|where|order by) /g, '\n$1 ')

type FoundProps = {
  columns: readonly Shown[]
  span: Span
  condition: string | undefined
  sort: 'newest' | 'oldest'
  stack: 'outcome' | 'class_uid'
  isFiltered: boolean
  onTerm: (field: string, value: string, isExcluded: boolean) => void
  onOpen: (id: string) => void
  onSort: () => void
  onStack: (stack: 'outcome' | 'class_uid') => void
  onNarrow: (span: Span) => void
  onWider: () => void
}

/** Rows first; how they lie in time and what they have in common after them. */
function Found(props: FoundProps) {
  const { columns, span, condition, sort, stack, isFiltered, onTerm, onOpen, onSort } = props
  const { onStack, onNarrow, onWider } = props
  const { t } = useTranslation()
  const format = useFormat()
  const tenant = useTenant()
  const first = rowsSql(columns, span, condition, sort, undefined)
  const [paged, setPaged] = useState<{ of: string; stack: Cursor[] }>({ of: first, stack: [] })
  const cursors = paged.of === first ? paged.stack : []
  const sql = cursors.length === 0 ? first : rowsSql(columns, span, condition, sort, cursors.at(-1))
  const query = useQuery({
    ...asked(tenant, sql, PAGE_ROWS),
    placeholderData: (before) => before,
  })
  const isReady = (query.isSuccess && !query.isPlaceholderData) || query.isError
  const counts = useCounts(span, condition, stack, isReady || cursors.length > 0)
  // Old rows may have other columns than those that were just chosen.
  const width = query.data ? query.data.columns.length - 2 : 0
  const isOther = query.isPlaceholderData && width !== columns.length
  const rows = useMemo(() => rowsOf(query.data?.rows ?? []), [query.data])
  const begin = cursors.length * PAGE_ROWS
  const toPage = (next: Cursor[]) => setPaged({ of: first, stack: next })
  return (
    <>
      <Histogram of={counts} {...{ span, stack, onStack, onNarrow }} />
      <div className="hunt-found">
        <Facets {...{ span, condition, onTerm }} isReady={!counts.query.isPending} />
        <div className="panel hunt-rows" aria-busy={query.isFetching}>
          <Loaded query={isOther ? { ...query, data: undefined } : query} rows={12}>
            {({ truncated, truncated_by: by, elapsed_ms: ms }) =>
              rows.length === 0 ? (
                <Empty title={t(isFiltered ? 'hunt.none' : 'hunt.none.all')}>
                  <p>{t(isFiltered ? 'hunt.none.text' : 'hunt.none.all.text')}</p>
                  <Button onClick={onWider}>{t('hunt.none.wider')}</Button>
                </Empty>
              ) : (
                <>
                  <HuntTable {...{ columns, rows, sort, onSort, onOpen, onTerm }} />
                  <footer className="hunt-pager">
                    <span className="quiet" role="status">
                      {query.isPlaceholderData
                        ? t('ui.loading')
                        : [
                            t('hunt.page', {
                              from: format.number(begin + 1),
                              until: format.number(begin + rows.length),
                            }),
                            t('hunt.took', { ms: format.number(ms) }),
                            ...(by === 'time' ? [t('hunt.cut.time')] : []),
                          ].join(' · ')}
                    </span>
                    <span className="pager">
                      <Button
                        why={cursors.length === 0 && t('hunt.page.first')}
                        onClick={() => toPage(cursors.slice(0, -1))}
                      >
                        {t(sort === 'newest' ? 'ui.newer' : 'ui.older')}
                      </Button>
                      <Button
                        why={!truncated && t('hunt.page.last')}
                        busy={query.isPlaceholderData}
                        onClick={() => {
                          const last = rows.at(-1)
                          if (last) toPage([...cursors, { time: last.time, id: last.id }])
                        }}
                      >
                        {t(sort === 'newest' ? 'ui.older' : 'ui.newer')}
                      </Button>
                    </span>
                  </footer>
                </>
              )
            }
          </Loaded>
        </div>
      </div>
    </>
  )
}

const EXAMPLES = [
  ['src_ip:203.0.113.66', 'value'],
  ['method:POST,PUT', 'list'],
  ['path:/admin*', 'wildcard'],
  ['http_code>=500', 'compare'],
  ['account:*', 'exists'],
  ['src_ip:10.0.0.0/8', 'network'],
  ['NOT method:GET', 'not'],
  ['(path:/a* OR path:/b*) outcome:success', 'group'],
  ['"union select"', 'text'],
  ['rest.unmapped.name:value', 'inside'],
] as const

function Help() {
  const { t } = useTranslation()
  return (
    <div className="hunt-help-box">
      <dl>
        {EXAMPLES.map(([example, about]) => (
          <div key={example}>
            <dt>
              <code>{example}</code>
            </dt>
            <dd>{t(`hunt.help.${about}`)}</dd>
          </div>
        ))}
      </dl>
      <p className="quiet">{t('hunt.help.more')}</p>
    </div>
  )
}
