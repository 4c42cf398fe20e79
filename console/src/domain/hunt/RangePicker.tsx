import { useState } from 'react'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Field, Select } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { RANGE_NAMES, toLocal, toRfc3339, type RangeName } from './range'
import type { Span } from './sql'

const CUSTOM = 'custom'

export function RangePicker(props: {
  name: RangeName | undefined
  span: Span
  onName: (name: RangeName) => void
  onSpan: (span: Span) => void
}) {
  const { name, span, onName, onSpan } = props
  const { t } = useTranslation()
  const format = useFormat()
  const [isAsking, setAsking] = useState(false)
  return (
    <>
      <Select
        label={t('hunt.range')}
        value={name ?? CUSTOM}
        onChange={(chosen) => {
          const known = RANGE_NAMES.find((one) => one === chosen)
          if (known) onName(known)
          else setAsking(true)
        }}
        choices={[
          ...RANGE_NAMES.map((one) => ({ value: one, label: t(`hunt.range.${one}`) })),
          {
            value: CUSTOM,
            label: name
              ? t('hunt.range.custom')
              : `${format.short(span.from)} – ${format.short(span.until)}`,
          },
        ]}
      />
      {!name && (
        <Button icon="clock" onClick={() => setAsking(true)}>
          {t('hunt.range.change')}
        </Button>
      )}
      {isAsking && (
        <Custom
          span={span}
          onClose={() => setAsking(false)}
          onSpan={(chosen) => {
            setAsking(false)
            onSpan(chosen)
          }}
        />
      )}
    </>
  )
}

function Custom(props: { span: Span; onClose: () => void; onSpan: (span: Span) => void }) {
  const { span, onClose, onSpan } = props
  const { t } = useTranslation()
  const [from, setFrom] = useState(toLocal(span.from))
  const [until, setUntil] = useState(toLocal(span.until))
  const chosen = { from: Date.parse(from), until: Date.parse(until) }
  const isRight = chosen.from < chosen.until
  const written = (ms: number) => (Number.isNaN(ms) ? '' : toRfc3339(ms))
  return (
    <Dialog title={t('hunt.range.custom')} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (isRight) onSpan(chosen)
        }}
      >
        <Field label={t('hunt.range.from')} hint={written(chosen.from)}>
          {(ids) => (
            <input
              {...ids}
              type="datetime-local"
              step={1}
              value={from}
              onChange={(event) => setFrom(event.target.value)}
            />
          )}
        </Field>
        <Field label={t('hunt.range.until')} hint={written(chosen.until)}>
          {(ids) => (
            <input
              {...ids}
              type="datetime-local"
              step={1}
              value={until}
              onChange={(event) => setUntil(event.target.value)}
            />
          )}
        </Field>
        <div className="dialog-foot">
          <Button type="submit" look="primary" why={!isRight && t('hunt.range.wrong')}>
            {t('hunt.range.apply')}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
