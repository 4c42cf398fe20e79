import { useMutation } from '@tanstack/react-query'
import { getRouteApi, useNavigate, useRouter } from '@tanstack/react-router'
import { useState } from 'react'
import { api, session, take } from '~/api/client'
import { useTranslation } from '~/i18n'
import { queryClient } from '~/router'
import { Button } from '~/ui/Button'
import { Field } from '~/ui/Field'
import { Failed } from '~/ui/states'
import { Door } from './door'

const route = getRouteApi('/sign-in')

export function SignIn() {
  const { t } = useTranslation()
  const { back, why } = route.useSearch()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const navigate = useNavigate()
  const router = useRouter()
  const signIn = useMutation({
    mutationFn: () => take(api.POST('/api/v1/login', { body: { name: name.trim(), password } })),
    onSuccess: (answer) => {
      queryClient.clear()
      session.keepCsrf(answer.csrf)
      setPassword('')
      if (answer.must_change_password) void navigate({ to: '/password', search: { back } })
      else router.history.push(back ?? '/')
    },
  })
  return (
    <Door title={t('signin.title')}>
      {why === 'ended' && !signIn.error && <p className="note">{t('signin.ended')}</p>}
      {signIn.error && <Failed error={signIn.error} />}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!signIn.isPending) signIn.mutate()
        }}
      >
        <Field label={t('signin.name')}>
          {(ids) => (
            <input
              {...ids}
              name="username"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              autoFocus
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Field label={t('signin.password')}>
          {(ids) => (
            <input
              {...ids}
              type="password"
              name="password"
              autoComplete="current-password"
              required
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          )}
        </Field>
        <Button type="submit" look="primary" className="button-wide" busy={signIn.isPending}>
          {t('signin.go')}
        </Button>
      </form>
      <p className="quiet door-help">{t('signin.help')}</p>
    </Door>
  )
}
