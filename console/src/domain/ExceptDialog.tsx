import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, take } from '~/api/client'
import { event as eventQuery, type Finding, type Rule } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Field, Select } from '~/ui/Field'
import { Raw } from '~/ui/Raw'
import { Failed, Loading } from '~/ui/states'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'
import { text, type Event } from './event'
import { ReasonField } from './rules'
import { useMay, useTenant } from './session'
import { literal } from './sigma'

const DAY_MS = 86_400_000
/** Days an exception may hold; 7 is what the server takes without any. */
const DAYS = [1, 3, 7, 14, 30, 90]
const DAYS_USUAL = 7
const HOW = ['is', 'contains', 'startswith', 'endswith', 're'] as const
type How = (typeof HOW)[number]
/** One line of the scope: a field of the event, and what it is. All that are used have to fit. */
type Line = { field: string; how: How; value: string; isUsed: boolean }

type Of = { rule: string; title: string }
export const ofRule = (rule: Rule): Of => ({ rule: rule.id, title: rule.title || rule.id })
const EMPTY: Line = { field: '', how: 'is', value: '', isUsed: true }

/** An exception from a rule; from a finding, its scope is that of what was found. */
export function ExceptDialog(props: { of: Of; finding?: Finding; onClose: () => void }) {
  const { of, finding, onClose } = props
  const { t } = useTranslation()
  const first = useMay()('events.read') ? finding?.evidence[0] : undefined
  const evidence = useQuery({
    ...eventQuery(useTenant(), first ?? ''),
    enabled: first !== undefined,
    retry: false,
  })
  return (
    <Dialog title={t('except.title')} onClose={onClose}>
      {first !== undefined && evidence.isPending ? (
        <Loading rows={5} />
      ) : (
        <Form of={of} finding={finding} start={scope(finding, evidence.data)} onClose={onClose} />
      )}
    </Dialog>
  )
}

/** What the finding's first event offers: host, path and parameters of a request, else host, program and user. */
function scope(finding: Finding | undefined, event: Event | undefined): Line[] {
  const lines = new Map<string, Line>()
  const add = (field: string, value: string | undefined, isUsed: boolean, how: How = 'is') => {
    if (!value || value === HIDDEN || value.length > VALUE_MAX) return
    const key = `${field} ${how} ${value}`
    if (!lines.has(key)) lines.set(key, { field, how, value, isUsed })
  }
  if (text(event, 'http_request.http_method')) {
    add('cs-host', text(event, 'http_request.url.hostname'), true)
    add('cs-uri-stem', text(event, 'http_request.url.path'), true)
    // As the names were sent: they are looked for in the text.
    const query = text(event, 'http_request.url.query_string')?.split('&') ?? []
    for (const name of query.slice(0, PARAMETERS_MAX).map((one) => one.split('=')[0])) {
      add('cs-uri-query', name && `${name}=`, false, 'contains')
    }
  } else {
    add('device.hostname', text(event, 'device.hostname'), true)
    add('process.name', text(event, 'process.name'), true)
    add('process.user.name', text(event, 'process.user.name'), false)
  }
  for (const { field, value } of finding?.analytic?.matched ?? []) add(field, value, false)
  return [...lines.values()]
}

const PARAMETERS_MAX = 8
/** Longer values belong into a rule. */
const VALUE_MAX = 1_000
/** What stands in place of values for who may not read events. */
const HIDDEN = '****'

/** Lines as a selection of a rule: all have to fit, of several values for one field in one way any. */
function selectionOf(lines: Line[]): Record<string, unknown> | undefined {
  const selection: Record<string, string | string[]> = {}
  for (const { field, how, value } of lines) {
    const key = how === 'is' ? field.trim() : `${field.trim()}|${how}`
    const wanted = how === 're' ? value : literal(value)
    const known = selection[key]
    selection[key] = known === undefined ? wanted : [known, wanted].flat()
  }
  return lines.length > 0 ? selection : undefined
}

function Form(props: { of: Of; finding: Finding | undefined; start: Line[]; onClose: () => void }) {
  const { of, finding, start, onClose } = props
  const { t } = useTranslation()
  const [entity, setEntity] = useState('')
  const [lines, setLines] = useState(start)
  const [days, setDays] = useState(DAYS_USUAL)
  const [opened] = useState(Date.now)
  const [reason, setReason] = useState('')
  const [isTried, setTried] = useState(false)
  const queries = useQueryClient()
  const used = lines.filter(({ isUsed, field, value }) => isUsed && field.trim() && value)
  const isHalf = lines.some(
    ({ isUsed, field, value }) => isUsed && Boolean(field.trim()) !== Boolean(value),
  )
  const isWide = used.length === 0 && entity.trim() === ''
  const save = useMutation({
    mutationFn: () =>
      take(
        api.POST('/api/v1/sigma/exceptions', {
          body: {
            rule: of.rule,
            entity: entity.trim() || null,
            selection: selectionOf(used),
            reason,
            expires_at: new Date(Date.now() + days * DAY_MS).toISOString(),
          },
        }),
      ),
    onSuccess: () => {
      say(t('except.done'))
      onClose()
    },
    onSettled: () => queries.invalidateQueries(),
  })
  const isEmpty = reason.trim() === ''
  const change = (at: number, next: Partial<Line>) =>
    setLines(lines.map((line, index) => (index === at ? { ...line, ...next } : line)))
  return (
    <form
      className="except"
      onSubmit={(event) => {
        event.preventDefault()
        setTried(true)
        if (!isEmpty && !isHalf && !save.isPending) save.mutate()
      }}
    >
      <p>
        {t('except.rule')}{' '}
        <strong>
          <Raw text={of.title} />
        </strong>
      </p>
      <fieldset className="except-scope">
        <legend>{t('except.scope')}</legend>
        <p className="field-hint">{t('except.scope.text')}</p>
        {lines.map((line, at) => (
          <div className="except-line" key={at}>
            <input
              type="checkbox"
              aria-label={t('except.use', { field: line.field || t('except.field') })}
              checked={line.isUsed}
              onChange={() => change(at, { isUsed: !line.isUsed })}
            />
            <input
              aria-label={t('except.field')}
              placeholder="cs-uri-stem"
              className="raw"
              spellCheck={false}
              value={line.field}
              onChange={(event) => change(at, { field: event.target.value })}
            />
            <Select
              label={t('except.how')}
              value={line.how}
              onChange={(next) => change(at, { how: HOW.find((one) => one === next) ?? 'is' })}
              choices={HOW.map((one) => ({ value: one, label: t(`except.how.${one}`) }))}
            />
            <input
              aria-label={t('except.value')}
              className="raw"
              spellCheck={false}
              value={line.value}
              onChange={(event) => change(at, { value: event.target.value })}
            />
          </div>
        ))}
        <p>
          <button
            type="button"
            className="link-button"
            onClick={() => setLines([...lines, { ...EMPTY }])}
          >
            {t('except.add')}
          </button>
        </p>
        {isTried && isHalf && <p className="field-error">{t('except.half')}</p>}
        <Field label={t('except.entity')} hint={t('except.entity.hint')}>
          {(ids) => (
            <>
              <input
                {...ids}
                list={`${ids.id}-known`}
                className="raw"
                spellCheck={false}
                value={entity}
                onChange={(event) => setEntity(event.target.value)}
              />
              <datalist id={`${ids.id}-known`}>
                {finding?.entities.map((one) => (
                  <option key={one} value={one} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        {isWide && <p className="warn">{t('except.wide')}</p>}
      </fieldset>
      <p>
        <Select
          label={t('except.for')}
          isLabelShown
          value={`${days}`}
          onChange={(next) => setDays(Number(next))}
          choices={DAYS.map((n) => ({ value: `${n}`, label: t('except.days', { n }) }))}
        />{' '}
        <span className="quiet">
          {t('except.until')} <Time at={opened + days * DAY_MS} />
        </span>
      </p>
      <ReasonField value={reason} onChange={setReason} isMissing={isTried && isEmpty} />
      {save.error && <Failed error={save.error} />}
      <footer className="dialog-foot">
        <Button onClick={onClose}>{t('ui.cancel')}</Button>
        <Button type="submit" look="primary" busy={save.isPending}>
          {t('except.go')}
        </Button>
      </footer>
    </form>
  )
}
