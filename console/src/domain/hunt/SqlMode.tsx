import { useQuery } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { Refusal } from '~/api/client'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { useFormat } from '~/ui/format'
import { Raw } from '~/ui/Raw'
import { Empty, Failed, Loading } from '~/ui/states'
import { asked, type Answer } from './ask'

export const SQL_ROWS_MAX = 500
const CELL_CHARS = 300

/** One SELECT over `events`, written by hand; whatever its columns, the result is a table. */
export function SqlMode(props: {
  /** What was run, from the address. */
  sql: string | undefined
  /** What stands there at first: the query of the bar. */
  start: string
  onRun: (sql: string) => void
  onOpen: (id: string) => void
}) {
  const { sql, start, onRun, onOpen } = props
  const { t } = useTranslation()
  const tenant = useTenant()
  const [text, setText] = useState(sql ?? start)
  const [before, setBefore] = useState(sql)
  // Back, forward and the history change what is run.
  if (sql !== before) {
    setBefore(sql)
    if (sql !== undefined) setText(sql)
  }
  const field = useRef<HTMLTextAreaElement>(null)
  const query = useQuery({
    ...asked(tenant, sql ?? '', SQL_ROWS_MAX),
    enabled: sql !== undefined,
  })
  const run = () => {
    onRun(text)
    if (text === sql) void query.refetch()
  }
  const place = placeOf(query.error)
  const goTo = () => {
    if (!place || !field.current) return
    const from = offsetOf(text, place)
    const word = /^[\w."]+/.exec(text.slice(from))?.[0] ?? ' '
    field.current.focus()
    field.current.setSelectionRange(from, from + word.length)
  }
  return (
    <>
      <div className="panel hunt-sql">
        <textarea
          ref={field}
          rows={Math.min(14, Math.max(6, text.split('\n').length + 1))}
          spellCheck={false}
          autoCapitalize="none"
          aria-label={t('hunt.sql')}
          aria-describedby="hunt-sql-about"
          aria-invalid={query.error && text === sql ? true : undefined}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
              event.preventDefault()
              run()
            } else if (event.key === 'Escape') event.currentTarget.blur()
          }}
        />
        <p className="hunt-sql-foot">
          <Button
            look="primary"
            icon="play"
            busy={query.isFetching}
            why={text.trim() === '' && t('hunt.sql.empty')}
            onClick={run}
          >
            {t('hunt.run')}
          </Button>
          <span className="quiet" id="hunt-sql-about">
            {t('hunt.sql.about')}
          </span>
          <Button look="quiet" onClick={() => setText(start)}>
            {t('hunt.sql.start')}
          </Button>
        </p>
      </div>
      {query.error && (
        <div className="panel hunt-sql-error">
          <Failed error={query.error} onRetry={() => void query.refetch()} />
          {place && <Button onClick={goTo}>{t('hunt.sql.place', place)}</Button>}
        </div>
      )}
      {sql !== undefined && query.isPending && (
        <div className="panel">
          <Loading rows={6} />
        </div>
      )}
      {!query.error && query.data && <Result answer={query.data} onOpen={onOpen} />}
      {sql === undefined && (
        <div className="panel">
          <Empty title={t('hunt.sql.none')}>{t('hunt.sql.none.text')}</Empty>
        </div>
      )}
    </>
  )
}

type Place = { line: number; column: number }

function placeOf(error: unknown): Place | undefined {
  if (!(error instanceof Refusal)) return undefined
  const found = /^line (\d+), column (\d+)$/.exec(error.problem.diagnostics?.[0]?.place ?? '')
  return found ? { line: Number(found[1]), column: Number(found[2]) } : undefined
}

function offsetOf(text: string, { line, column }: Place): number {
  const before = text.split('\n').slice(0, line - 1)
  return before.reduce((sum, one) => sum + one.length + 1, 0) + column - 1
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function Result({ answer, onOpen }: { answer: Answer; onOpen: (id: string) => void }) {
  const { t } = useTranslation()
  const format = useFormat()
  const { columns, rows, truncated } = answer
  return (
    <div className="panel">
      <header className="panel-head">
        <h2>
          <span role="status">{t('hunt.sql.rows', { n: format.number(rows.length) })}</span>
        </h2>
        <span className="quiet">{t('hunt.took', { ms: format.number(answer.elapsed_ms) })}</span>
      </header>
      {rows.length === 0 ? (
        <Empty title={t('hunt.none')}>{t('hunt.sql.zero')}</Empty>
      ) : (
        <div className="scroll-x">
          <table className="table hunt-table hunt-result">
            <thead>
              <tr>
                {columns.map((column, at) => (
                  <th scope="col" key={at} title={column.kind}>
                    <code>{column.name}</code>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, index) => (
                <tr key={index}>
                  {row.map((value, at) => (
                    <td key={at} className={typeof value === 'number' ? 'number' : undefined}>
                      <Cell
                        value={value}
                        onOpen={columns[at]?.name === 'id' ? onOpen : undefined}
                      />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {truncated && (
        <p className="panel-note">{t('hunt.sql.cut', { n: format.number(rows.length) })}</p>
      )}
    </div>
  )
}

function Cell({ value, onOpen }: { value: unknown; onOpen?: ((id: string) => void) | undefined }) {
  const { t } = useTranslation()
  if (value === null || value === undefined) return <span className="quiet">–</span>
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const shown = text.length > CELL_CHARS ? `${text.slice(0, CELL_CHARS)}…` : text
  if (onOpen && UUID.test(text)) {
    return (
      <button
        type="button"
        className="link-button"
        aria-label={`${t('event.title')}: ${text}`}
        onClick={() => onOpen(text)}
      >
        <Raw text={text} />
      </button>
    )
  }
  return <Raw text={shown} />
}
