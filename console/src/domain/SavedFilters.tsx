import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useTranslation } from '~/i18n'
import { INCIDENT_SORTS } from '~/router'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Field } from '~/ui/Field'
import { Icon } from '~/ui/Icon'
import { say } from '~/ui/Toasts'
import {
  NAME_CHARS_MAX,
  SAVED_MAX,
  filtersOf,
  isSame,
  keepSaved,
  readSaved,
  type Filters,
  type Saved,
} from './saved'
import { useMe, useTenant } from './session'

/** Ways of looking at the queue: three that everybody has, and those this browser keeps. */
export function SavedFilters({ search }: { search: Filters }) {
  const { t } = useTranslation()
  const tenant = useTenant()
  const me = useMe()
  const [saved, setSaved] = useState(() => readSaved(tenant))
  const [isNaming, setNaming] = useState(false)
  const now = filtersOf(search)
  const builtIn: Saved[] = [
    { name: t('saved.mine'), filters: { assignee: me.user } },
    { name: t('saved.unassigned'), filters: { assignee: 'nobody', severity: 'high' } },
    { name: t('saved.overdue'), filters: { due: 'overdue', sort: 'due' } },
  ]
  const keep = (next: Saved[]) => {
    if (keepSaved(tenant, next)) setSaved(next)
    else say(t('saved.failed'), 'bad')
  }
  const isKnown = [...builtIn, ...saved].some((one) => isSame(one.filters, now))
  const isEmpty = isSame(now, {})
  return (
    <nav className="saved" aria-label={t('saved.title')}>
      {builtIn.map((one) => (
        <One key={one.name} one={one} isNow={isSame(one.filters, now)} />
      ))}
      {saved.map((one) => (
        <span className="saved-own" key={`own ${one.name}`}>
          <One one={one} isNow={isSame(one.filters, now)} />
          <button
            type="button"
            className="icon-button"
            aria-label={t('saved.remove', { name: one.name })}
            onClick={() => keep(saved.filter((other) => other !== one))}
          >
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      {!isKnown && !isEmpty && (
        <Button
          look="quiet"
          why={saved.length >= SAVED_MAX && t('saved.full', { n: SAVED_MAX })}
          onClick={() => setNaming(true)}
        >
          {t('saved.keep')}
        </Button>
      )}
      {isNaming && (
        <Naming
          onClose={() => setNaming(false)}
          onName={(name) => {
            // The same name again is the same filter, changed.
            keep([...saved.filter((one) => one.name !== name), { name, filters: now }])
            setNaming(false)
          }}
        />
      )}
    </nav>
  )
}

function One({ one, isNow }: { one: Saved; isNow: boolean }) {
  const { filters } = one
  return (
    <Link
      to="/incidents"
      className={isNow ? 'saved-one saved-now' : 'saved-one'}
      aria-current={isNow ? 'true' : undefined}
      activeOptions={{ exact: true }}
      activeProps={{ 'aria-current': isNow ? 'true' : undefined }}
      search={(before) => ({
        tenant: before.tenant,
        ...filters,
        sort: INCIDENT_SORTS.find((sort) => sort === filters.sort),
      })}
    >
      {one.name}
    </Link>
  )
}

function Naming(props: { onClose: () => void; onName: (name: string) => void }) {
  const { onClose, onName } = props
  const { t } = useTranslation()
  const [name, setName] = useState('')
  return (
    <Dialog title={t('saved.keep')} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (name.trim()) onName(name.trim())
        }}
      >
        <Field label={t('saved.name')} hint={t('saved.text')}>
          {(ids) => (
            <input
              {...ids}
              required
              maxLength={NAME_CHARS_MAX}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <div className="dialog-foot">
          <Button onClick={onClose}>{t('saved.cancel')}</Button>
          <Button type="submit" look="primary">
            {t('saved.go')}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
