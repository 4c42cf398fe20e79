import { useNavigate } from '@tanstack/react-router'
import { memo, useCallback, useRef, useState } from 'react'
import { useTranslation, useWord } from '~/i18n'
import { Icon } from '~/ui/Icon'
import { useKeys } from '~/ui/keys'
import { MenuAt, type MenuItem } from '~/ui/Menu'
import { Raw } from '~/ui/Raw'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'
import { CLASSES, ENTITY_KINDS, fieldOf, type Column } from './fields'
import type { Shown, Sort } from './sql'

/** One event as the table asks for it: `values` in the order of the columns. */
export type Row = { time: number; id: string; values: unknown[] }

const CELL_CHARS = 200

type Pressed = { anchor: HTMLElement; column: Column; value: string }

/** Events in the columns that were chosen. A value has a menu, a row opens its event. */
export function HuntTable(props: {
  columns: readonly Shown[]
  rows: readonly Row[]
  sort?: Sort
  onSort?: () => void
  onOpen: (id: string) => void
  onTerm: (field: string, value: string, isExcluded: boolean) => void
}) {
  const { columns, rows, sort, onSort, onOpen, onTerm } = props
  const { t } = useTranslation()
  const navigate = useNavigate()
  const [pressed, setPressed] = useState<Pressed>()
  const body = useRef<HTMLTableSectionElement>(null)
  // Of a hundred rows one has its values in the order of Tab: the one that has the focus.
  const [current, setCurrent] = useState<string>()
  const move = (step: number) => {
    const at = rows.findIndex((row) => row.id === current)
    const next = body.current?.rows[Math.max(0, Math.min(rows.length - 1, at + step))]
    next?.querySelector<HTMLElement>('.event-open')?.focus({ preventScroll: true })
    next?.scrollIntoView({ block: 'nearest' })
  }
  useKeys({ j: () => move(1), k: () => move(-1) })
  const press = useCallback((one: Pressed) => setPressed(one), [])
  return (
    <div className="scroll-x">
      <table className="table hunt-table">
        <thead>
          <tr>
            <th scope="col" aria-sort={sort && (sort === 'newest' ? 'descending' : 'ascending')}>
              {onSort ? (
                <button
                  type="button"
                  className="hunt-sort"
                  title={t(sort === 'newest' ? 'hunt.sort.newest' : 'hunt.sort.oldest')}
                  onClick={onSort}
                >
                  {t('event.when')} <Icon name={sort === 'newest' ? 'down' : 'up'} size={14} />
                </button>
              ) : (
                t('event.when')
              )}
            </th>
            {columns.map((column) => (
              <th scope="col" key={column} title={fieldOf(column)?.field.path}>
                {column === 'what' ? t('event.what') : <code>{column}</code>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {rows.map((row) => (
            <OneRow
              key={row.id}
              row={row}
              columns={columns}
              isCurrent={row.id === current}
              onCurrent={setCurrent}
              onOpen={onOpen}
              onPress={press}
            />
          ))}
        </tbody>
      </table>
      {pressed && (
        <MenuAt
          anchor={pressed.anchor}
          label={t('hunt.value.menu', { field: pressed.column, value: pressed.value })}
          onClose={() => setPressed(undefined)}
          items={itemsOf(pressed)}
        />
      )}
    </div>
  )

  function itemsOf({ column, value }: Pressed): MenuItem[] {
    const kind = ENTITY_KINDS[column]
    const isAskable = fieldOf(column)?.field.kind !== 'json'
    const items: MenuItem[] = []
    if (isAskable) {
      items.push(
        { label: t('hunt.include'), onSelect: () => onTerm(column, value, false) },
        { label: t('hunt.exclude'), onSelect: () => onTerm(column, value, true) },
      )
    }
    if (kind) {
      const entity = `${kind}:${value}`
      items.push({
        label: t('hunt.entity'),
        onSelect: () => void navigate({ to: '/entities/$entity', params: { entity } }),
      })
    }
    items.push({
      label: t('ui.copy'),
      onSelect: () =>
        void navigator.clipboard.writeText(value).then(
          () => say(t('ui.copied')),
          () => say(t('hunt.copy.failed'), 'bad'),
        ),
    })
    return items
  }
}

/** Rows stay as they are while others come: at a thousand a second only the new ones are drawn. */
const OneRow = memo(function OneRow(props: {
  row: Row
  columns: readonly Shown[]
  isCurrent: boolean
  onCurrent: (id: string) => void
  onOpen: (id: string) => void
  onPress: (pressed: Pressed) => void
}) {
  const { row, columns, isCurrent, onCurrent, onOpen, onPress } = props
  const { t } = useTranslation()
  const word = useWord()
  return (
    <tr onFocus={() => onCurrent(row.id)}>
      <td className="events-when">
        <button
          type="button"
          className="link-button event-open"
          aria-label={`${t('event.title')}: ${row.id}`}
          onClick={() => onOpen(row.id)}
        >
          <Time at={row.time} />
        </button>
      </td>
      {columns.map((column, at) => {
        const value = row.values[at]
        if (value === null || value === undefined || value === '') {
          return (
            <td key={column} className="quiet">
              –
            </td>
          )
        }
        const text = typeof value === 'object' ? JSON.stringify(value) : String(value as string)
        const shown =
          column === 'class_uid'
            ? word('hunt.class', CLASSES[Number(text)] ?? text)
            : column === 'outcome'
              ? word('outcome', text)
              : text
        const cut = shown.length > CELL_CHARS ? `${shown.slice(0, CELL_CHARS)}…` : shown
        if (column === 'what') {
          return (
            <td key={column} className="hunt-what">
              <Raw text={cut} />
            </td>
          )
        }
        return (
          <td key={column} className={typeof value === 'number' ? 'number' : undefined}>
            <button
              type="button"
              className="hunt-cell"
              aria-haspopup="menu"
              tabIndex={isCurrent ? 0 : -1}
              onClick={(event) => onPress({ anchor: event.currentTarget, column, value: text })}
            >
              <Raw text={cut} />
            </button>
          </td>
        )
      })}
    </tr>
  )
})

/** Rows of an answer whose first columns are `time` and `id`. */
export function rowsOf(rows: unknown[][]): Row[] {
  return rows.map(([time, id, ...values]) => ({
    time: Date.parse(String(time)),
    id: String(id),
    values,
  }))
}
