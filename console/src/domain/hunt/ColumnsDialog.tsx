import { useState } from 'react'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { FIELDS } from './fields'
import type { Shown } from './sql'

export const COLUMNS_MAX = 12
export const COLUMNS_USUAL: readonly Shown[] = [
  'what',
  'outcome',
  'http_code',
  'src_ip',
  'account',
  'source',
]

/** Which columns the rows have. The chosen ones stand first, in their order. */
export function ColumnsDialog(props: {
  columns: readonly Shown[]
  onChange: (columns: readonly Shown[]) => void
  onClose: () => void
}) {
  const { columns, onChange, onClose } = props
  const { t } = useTranslation()
  const [typed, setTyped] = useState('')
  const low = typed.toLowerCase()
  const all: { name: Shown; about: string }[] = [
    { name: 'what', about: t('event.what') },
    ...FIELDS.filter((field) => field.name !== 'time').map(({ name, path }) => ({
      name: name as Shown,
      about: path,
    })),
  ]
  const rank = (name: Shown) => (columns.includes(name) ? columns.indexOf(name) : 99)
  const found = all
    .filter((one) => `${one.name} ${one.about}`.toLowerCase().includes(low))
    .sort((a, b) => rank(a.name) - rank(b.name))
  const isFull = columns.length >= COLUMNS_MAX
  return (
    <Dialog title={t('hunt.columns')} onClose={onClose} place="side">
      <div className="hunt-kept-form">
        <input
          aria-label={t('hunt.columns.find')}
          placeholder={t('hunt.columns.find')}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <Button onClick={() => onChange(COLUMNS_USUAL)}>{t('hunt.columns.usual')}</Button>
      </div>
      <p className="quiet" role="status">
        {t('hunt.columns.n', { n: columns.length, most: COLUMNS_MAX })}
      </p>
      <ul className="hunt-columns">
        {found.map(({ name, about }) => {
          const place = columns.indexOf(name)
          const isChosen = place >= 0
          return (
            <li key={name}>
              <label>
                <input
                  type="checkbox"
                  checked={isChosen}
                  disabled={isFull && !isChosen}
                  onChange={() =>
                    onChange(isChosen ? columns.filter((one) => one !== name) : [...columns, name])
                  }
                />
                <code>{name}</code> <span className="quiet">{about}</span>
              </label>
              {place > 0 && (
                <Button
                  look="quiet"
                  icon="up"
                  aria-label={t('hunt.columns.earlier', { name })}
                  onClick={() => {
                    const next = columns.filter((one) => one !== name)
                    next.splice(place - 1, 0, name)
                    onChange(next)
                  }}
                />
              )}
            </li>
          )
        })}
      </ul>
    </Dialog>
  )
}
