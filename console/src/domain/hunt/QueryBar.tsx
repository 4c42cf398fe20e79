import { useQuery } from '@tanstack/react-query'
import { useEffect, useId, useRef, useState } from 'react'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { useFormat } from '~/ui/format'
import { Icon } from '~/ui/Icon'
import { Raw } from '~/ui/Raw'
import { asked } from './ask'
import { fieldsLike, knownValues, signsOf, typedAt, type Typed } from './complete'
import { term } from './edit'
import { WORDS, isColumn, type Field } from './fields'
import type { Fault } from './language'
import { topSql, type Span } from './sql'
import { FaultLine } from './FaultLine'

type Offer = {
  text: string
  about: string
  insert: string
  from: number
  to: number
  again: boolean
}

const OFFERS_MAX = 12
const TYPING_MS = 200
/** Asking these for their most frequent values would read whole bodies. */
const LONG = ['raw', 'message', 'request_body', 'response_body', 'sequence', 'id', 'raw_sha256']

type Props = {
  text: string
  onChange: (text: string) => void
  onRun: (text: string) => void
  /** What is wrong with this very text, if it was asked. */
  fault: Fault | undefined
  span: Span
  /** Called with the field, so that `/` can put the caret there. */
  onReady: (field: HTMLTextAreaElement | null) => void
}

/** Where a query is typed: what may come next is offered, what is wrong is underlined. */
export function QueryBar({ text, onChange, onRun, fault, span, onReady }: Props) {
  const { t } = useTranslation()
  const field = useRef<HTMLTextAreaElement>(null)
  const [caret, setCaret] = useState(0)
  const [isOpen, setOpen] = useState(false)
  const [at, setAt] = useState(-1)
  const list = useId()
  const typed = isOpen ? typedAt(text, caret) : undefined
  const offers = useOffers(typed, text, span)
  const chosen = offers[at]
  const show = (next: boolean) => {
    setOpen(next)
    setAt(-1)
  }
  const take = (offer: Offer) => {
    const next = text.slice(0, offer.from) + offer.insert + text.slice(offer.to)
    const place = offer.from + offer.insert.length
    onChange(next)
    setCaret(place)
    setAt(-1)
    setOpen(offer.again)
    requestAnimationFrame(() => {
      field.current?.focus()
      field.current?.setSelectionRange(place, place)
    })
  }
  useEffect(() => {
    document.getElementById(`${list}-${at}`)?.scrollIntoView({ block: 'nearest' })
  }, [at, list])
  const isListed = isOpen && offers.length > 0
  return (
    <div className="hunt-bar">
      <div className={`hunt-input ${fault ? 'is-wrong' : ''}`}>
        <Icon name="search" />
        <div className="hunt-text">
          <Mirror text={text} fault={fault} />
          <textarea
            ref={(node) => {
              field.current = node
              onReady(node)
            }}
            rows={1}
            spellCheck={false}
            autoCapitalize="none"
            autoComplete="off"
            aria-label={t('hunt.bar')}
            aria-autocomplete="list"
            aria-controls={isListed ? list : undefined}
            aria-activedescendant={isListed && chosen ? `${list}-${at}` : undefined}
            aria-invalid={fault ? true : undefined}
            aria-describedby={fault ? `${list}-fault` : undefined}
            placeholder={t('hunt.bar.hint')}
            value={text}
            onChange={(event) => {
              onChange(event.target.value.replaceAll('\n', ' '))
              setCaret(event.target.selectionStart)
              show(true)
            }}
            onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
            onBlur={() => show(false)}
            onKeyDown={(event) => {
              if (event.nativeEvent.isComposing) return
              const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
              if (event.key === ' ' && event.ctrlKey) {
                event.preventDefault()
                setCaret(event.currentTarget.selectionStart)
                show(true)
              } else if (step !== 0 && isListed) {
                event.preventDefault()
                setAt((at + step + offers.length + (at < 0 && step < 0 ? 1 : 0)) % offers.length)
              } else if (event.key === 'Tab' && isListed && !event.shiftKey) {
                const offer = chosen ?? offers[0]
                if (!offer) return
                event.preventDefault()
                take(offer)
              } else if (event.key === 'Enter') {
                event.preventDefault()
                if (isListed && chosen) take(chosen)
                else {
                  show(false)
                  onRun(text)
                }
              } else if (event.key === 'Escape') {
                event.preventDefault()
                if (isListed) show(false)
                else event.currentTarget.blur()
              }
            }}
          />
        </div>
        {text !== '' && (
          <button
            type="button"
            className="icon-button"
            aria-label={t('hunt.bar.clear')}
            onClick={() => {
              onChange('')
              onRun('')
              field.current?.focus()
            }}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
      {isListed && (
        <ul className="hunt-offers" role="listbox" id={list} aria-label={t('hunt.offers')}>
          {offers.map((offer, place) => (
            <li
              key={`${offer.text} ${place}`}
              id={`${list}-${place}`}
              role="option"
              aria-selected={place === at}
              // The field keeps the focus.
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => take(offer)}
            >
              <Raw text={offer.text} />
              <span className="quiet">{offer.about}</span>
            </li>
          ))}
        </ul>
      )}
      <span className="only-read" role="status">
        {isListed ? t('hunt.offers.n', { n: offers.length }) : ''}
      </span>
      {fault && (
        <p className="hunt-fault" id={`${list}-fault`} role="alert">
          <FaultLine fault={fault} text={text} />
        </p>
      )}
    </div>
  )
}

/** The same text behind the field: it makes the field as high as its lines, and carries the underline. */
function Mirror({ text, fault }: { text: string; fault: Fault | undefined }) {
  if (!fault) {
    return (
      <div className="hunt-mirror" aria-hidden="true">
        {text}{' '}
      </div>
    )
  }
  return (
    <div className="hunt-mirror" aria-hidden="true">
      {text.slice(0, fault.from)}
      <u>{text.slice(fault.from, fault.to) || ' '}</u>
      {text.slice(fault.to)}{' '}
    </div>
  )
}

function useOffers(typed: Typed | undefined, text: string, span: Span): Offer[] {
  const { t } = useTranslation()
  const format = useFormat()
  const tenant = useTenant()
  const slow = useLater(typed?.what === 'value' ? `${typed.field.name}:${typed.typed}` : '')
  const isSettled =
    typed?.what === 'value' &&
    slow === `${typed.field.name}:${typed.typed}` &&
    hasValues(typed.field)
  const sql =
    isSettled && isColumn(typed.field.name)
      ? topSql(typed.field.name, span, undefined, typed.typed || undefined)
      : ''
  const found = useQuery({ ...asked(tenant, sql, OFFERS_MAX), enabled: sql !== '' }).data
  if (!typed) return []
  const { from, to } = typed
  if (typed.what === 'field') {
    const fields = fieldsLike(typed.typed, OFFERS_MAX).map((field) => ({
      text: field.name,
      about: field.path,
      insert: field.kind === 'json' ? `${field.name}` : `${field.name}:`,
      from,
      to,
      again: true,
    }))
    const [exact] = fieldsLike(typed.typed, 1)
    if (typed.typed === '' || exact?.name !== typed.typed) return fields
    const signs = signsOf(exact).map((sign) => ({
      text: `${exact.name}${sign}`,
      about: t(`hunt.sign.${SIGNS[sign] ?? 'is'}`),
      insert: `${exact.name}${sign}${sign === ':*' ? ' ' : ''}`,
      from,
      to,
      again: sign !== ':*',
    }))
    return [...signs, ...fields.slice(1)].slice(0, OFFERS_MAX)
  }
  const after = /^\s/.test(text.slice(to)) ? '' : ' '
  const offer = (value: string, about: string): Offer => ({
    text: value,
    about,
    insert: `${term('', value).slice(1)}${after}`,
    from,
    to,
    again: false,
  })
  const words = WORDS[typed.field.name]
  const rows = (found?.rows ?? []) as [unknown, number][]
  const frequent = rows.map(([value, n]) =>
    offer(
      words?.[Number(value)] ?? String(value),
      t('hunt.offers.events', { n: format.number(n) }),
    ),
  )
  const known = knownValues(typed.field, typed.typed)
    .filter((value) => !frequent.some((one) => one.text === value))
    .map((value) => offer(value, typed.field.path))
  return [...frequent, ...known].slice(0, OFFERS_MAX)
}

const SIGNS: Record<string, 'is' | 'not' | 'gte' | 'lte' | 'gt' | 'lt' | 'exists'> = {
  ':': 'is',
  '!=': 'not',
  '>=': 'gte',
  '<=': 'lte',
  '>': 'gt',
  '<': 'lt',
  ':*': 'exists',
}

const hasValues = (field: Field) =>
  (field.kind === 'text' || field.kind === 'int') && !LONG.includes(field.name)

/** The value once it has stood for a moment: not every letter is a question to the server. */
function useLater(value: string): string {
  const [later, setLater] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setLater(value), TYPING_MS)
    return () => clearTimeout(timer)
  }, [value])
  return later
}
