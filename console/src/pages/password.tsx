import { useMutation } from '@tanstack/react-query'
import { getRouteApi, useRouter } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take } from '~/api/client'
import { useTranslation } from '~/i18n'
import { queryClient } from '~/router'
import { Button } from '~/ui/Button'
import { Field } from '~/ui/Field'
import { Failed } from '~/ui/states'
import { Door } from './door'

const route = getRouteApi('/password')

/** As the server asks (`PASSWORD_CHARS_MIN`). */
const CHARS_MIN = 15

export function OwnPassword() {
  const { t } = useTranslation()
  const { back } = route.useSearch()
  const router = useRouter()
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const [again, setAgain] = useState('')
  const [isTried, setTried] = useState(false)
  const length = [...next].length
  const fault =
    length < CHARS_MIN
      ? t('password.short', { n: CHARS_MIN - length })
      : next !== again
        ? t('password.differ')
        : undefined
  const change = useMutation({
    mutationFn: () => take(api.POST('/api/v1/password', { body: { current, new: next } })),
    onSuccess: () => {
      queryClient.clear()
      router.history.push(back ?? '/')
    },
  })
  return (
    <Door title={t('password.title')}>
      <p className="note">{t('password.text', { n: CHARS_MIN })}</p>
      {change.error && <Failed error={change.error} />}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          setTried(true)
          if (!fault && !change.isPending) change.mutate()
        }}
      >
        <Field label={t('password.current')}>
          {(ids) => (
            <input
              {...ids}
              type="password"
              autoComplete="current-password"
              required
              autoFocus
              value={current}
              onChange={(event) => setCurrent(event.target.value)}
            />
          )}
        </Field>
        <Field label={t('password.new')} hint={t('password.rule', { n: length, min: CHARS_MIN })}>
          {(ids) => (
            <input
              {...ids}
              type="password"
              autoComplete="new-password"
              required
              aria-invalid={isTried && length < CHARS_MIN}
              value={next}
              onChange={(event) => setNext(event.target.value)}
            />
          )}
        </Field>
        <Field label={t('password.again')}>
          {(ids) => (
            <input
              {...ids}
              type="password"
              autoComplete="new-password"
              required
              aria-invalid={isTried && next !== again}
              value={again}
              onChange={(event) => setAgain(event.target.value)}
            />
          )}
        </Field>
        {isTried && fault && (
          <p className="field-error" role="alert">
            {fault}
          </p>
        )}
        <Button type="submit" look="primary" className="button-wide" busy={change.isPending}>
          {t('password.go')}
        </Button>
      </form>
    </Door>
  )
}
