import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTenant } from '~/domain/session'
import { useTranslation, useWord } from '~/i18n'
import { useFormat } from '~/ui/format'
import { Icon } from '~/ui/Icon'
import { Raw } from '~/ui/Raw'
import { Loaded } from '~/ui/states'
import { asked } from './ask'
import { CLASSES, fieldOf, type Column } from './fields'
import { topSql, type Span } from './sql'

const FACETS: readonly Column[] = [
  'class_uid',
  'outcome',
  'src_ip',
  'account',
  'endpoint',
  'method',
  'path',
  'http_code',
  'source',
  'device',
  'process_name',
  'user_agent',
  'outcome_reason',
  'credential',
  'host',
]
const OPEN_AT_FIRST: readonly Column[] = ['class_uid', 'outcome', 'src_ip', 'account']
const VALUES = 8

type Props = {
  span: Span
  condition: string | undefined
  isReady: boolean
  onTerm: (field: string, value: string, isExcluded: boolean) => void
}

/** The most frequent values of some columns; each can be asked for or left out. */
export function Facets(props: Props) {
  const { t } = useTranslation()
  const [open, setOpen] = useState<ReadonlySet<Column>>(new Set(OPEN_AT_FIRST))
  // On a telephone the rows come first.
  const [isShown, setShown] = useState(() => !matchMedia('(max-width: 1000px)').matches)
  const toggle = (column: Column) => {
    const next = new Set(open)
    if (!next.delete(column)) next.add(column)
    setOpen(next)
  }
  return (
    <section className="panel hunt-facets" aria-label={t('hunt.facets')}>
      <header className="panel-head">
        <h2>
          <button
            type="button"
            className="hunt-fold"
            aria-expanded={isShown}
            onClick={() => setShown(!isShown)}
          >
            <Icon name={isShown ? 'down' : 'right'} size={14} />
            {t('hunt.facets')}
          </button>
        </h2>
      </header>
      {isShown &&
        FACETS.map((column) => (
          <section key={column} className="hunt-facet">
            <h3>
              <button
                type="button"
                className="hunt-fold"
                aria-expanded={open.has(column)}
                title={fieldOf(column)?.field.path}
                onClick={() => toggle(column)}
              >
                <Icon name={open.has(column) ? 'down' : 'right'} size={14} />
                <code>{column}</code>
              </button>
            </h3>
            {open.has(column) && <Values {...props} column={column} />}
          </section>
        ))}
    </section>
  )
}

function Values({ column, span, condition, isReady, onTerm }: Props & { column: Column }) {
  const { t } = useTranslation()
  const word = useWord()
  const format = useFormat()
  const query = useQuery({
    ...asked(useTenant(), topSql(column, span, condition), VALUES),
    enabled: isReady,
    placeholderData: (before) => before,
  })
  return (
    <Loaded query={query} rows={2}>
      {({ rows, truncated }) => {
        const values = rows as [string | number, number][]
        const most = Math.max(1, ...values.map(([, n]) => n))
        if (values.length === 0) return <p className="quiet hunt-none">{t('hunt.facet.none')}</p>
        return (
          <ul className="hunt-values">
            {values.map(([value, n]) => {
              const text = `${value}`
              const asWord = column === 'class_uid' ? CLASSES[Number(value)] : undefined
              const shown =
                column === 'outcome'
                  ? word('outcome', text)
                  : asWord
                    ? word('hunt.class', asWord)
                    : text
              return (
                <li key={text}>
                  <span className="hunt-value" title={text}>
                    <Raw text={shown.length > 120 ? `${shown.slice(0, 120)}…` : shown} />
                  </span>
                  <span className="quiet number">{format.compact(n)}</span>
                  <span className="hunt-value-do">
                    <button
                      type="button"
                      className="icon-button"
                      aria-label={t('hunt.include.this', { field: column, value: shown })}
                      onClick={() => onTerm(column, asWord ?? text, false)}
                    >
                      <Icon name="plus" size={14} />
                    </button>
                    <button
                      type="button"
                      className="icon-button"
                      aria-label={t('hunt.exclude.this', { field: column, value: shown })}
                      onClick={() => onTerm(column, asWord ?? text, true)}
                    >
                      <Icon name="minus" size={14} />
                    </button>
                  </span>
                  <svg viewBox="0 0 100 2" preserveAspectRatio="none" aria-hidden="true">
                    <rect width={Math.max(1, (n / most) * 100)} height="2" />
                  </svg>
                </li>
              )
            })}
            {truncated && <li className="quiet hunt-none">{t('hunt.facet.more')}</li>}
          </ul>
        )
      }}
    </Loaded>
  )
}
