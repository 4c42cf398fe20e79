import { useMutation } from '@tanstack/react-query'
import { getRouteApi, useNavigate, useRouter } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { Refusal, api, session, take, type Schema } from '~/api/client'
import { hasPasskeys, signWithKey } from '~/domain/passkey'
import { useTranslation } from '~/i18n'
import { queryClient } from '~/router'
import { Button } from '~/ui/Button'
import { Field } from '~/ui/Field'
import { Failed } from '~/ui/states'
import { Door } from './door'

const route = getRouteApi('/sign-in')

/** What the account has beside its password: `codes`, or passkeys alone. */
type Asked = 'codes' | 'passkey'

export function SignIn() {
  const { t } = useTranslation()
  const { back, why } = route.useSearch()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const [asked, setAsked] = useState<Asked>()
  const codeField = useRef<HTMLInputElement>(null)
  const navigate = useNavigate()
  const router = useRouter()
  const enter = (answer: Schema['LoggedIn']) => {
    queryClient.clear()
    session.keepCsrf(answer.csrf)
    setPassword('')
    setCode('')
    if (answer.must_change_password) void navigate({ to: '/password', search: { back } })
    else if (answer.must_add_second_factor)
      void navigate({ to: '/second-factor', search: { back } })
    else router.history.push(back ?? '/')
  }
  const signIn = useMutation({
    mutationFn: () => {
      const body = { name: name.trim(), password, ...(asked && { code: code.trim() }) }
      return take(api.POST('/api/v1/login', { body }))
    },
    onSuccess: enter,
    onError: (error) => {
      const answer = problemOf(error)
      if (answer?.code === 'second-factor-needed') setAsked('codes')
      if (answer?.code === 'passkey-needed') setAsked('passkey')
      if (answer?.code === 'code-wrong') codeField.current?.select()
    },
  })
  const byKey = useMutation({
    mutationFn: async () => {
      const question = await take(api.POST('/api/v1/login/passkey/options'))
      const body = await signWithKey(question)
      return take(api.POST('/api/v1/login/passkey', { body }))
    },
    onSuccess: enter,
  })
  useEffect(() => codeField.current?.focus(), [asked])
  // Another name or password is another question.
  const unask = () => {
    setAsked(undefined)
    setCode('')
  }
  const refused = signIn.error && problemOf(signIn.error)?.code
  const isTold = ['second-factor-needed', 'passkey-needed', 'code-wrong'].includes(refused ?? '')
  const error = byKey.error ?? (isTold ? undefined : signIn.error)
  const keyButton = (look: 'primary' | 'plain') =>
    hasPasskeys() && (
      <Button
        look={look}
        className="button-wide"
        busy={byKey.isPending}
        onClick={() => {
          signIn.reset()
          byKey.mutate()
        }}
      >
        {t('signin.passkey')}
      </Button>
    )
  return (
    <Door title={t('signin.title')}>
      {why === 'ended' && !signIn.error && <p className="note">{t('signin.ended')}</p>}
      {error && <Failed error={error} />}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (signIn.isPending) return
          byKey.reset()
          signIn.mutate()
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
              onChange={(event) => {
                setName(event.target.value)
                unask()
              }}
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
              onChange={(event) => {
                setPassword(event.target.value)
                unask()
              }}
            />
          )}
        </Field>
        {asked && (
          <>
            {asked === 'passkey' && (
              <>
                <p className="note" role="status">
                  {t(hasPasskeys() ? 'signin.passkey.first' : 'signin.passkey.elsewhere')}
                </p>
                {keyButton('primary')}
              </>
            )}
            <Field
              label={t(asked === 'passkey' ? 'signin.recovery' : 'signin.code')}
              hint={t(asked === 'passkey' ? 'signin.recovery.hint' : 'signin.code.hint')}
            >
              {(ids) => (
                <input
                  {...ids}
                  ref={codeField}
                  className="code-input"
                  name="code"
                  autoComplete="one-time-code"
                  inputMode="text"
                  autoCapitalize="none"
                  spellCheck={false}
                  maxLength={64}
                  required
                  aria-invalid={refused === 'code-wrong'}
                  value={code}
                  onChange={(event) => setCode(event.target.value)}
                />
              )}
            </Field>
            {refused === 'code-wrong' && (
              <p className="field-error" role="alert">
                {t('problem.code-wrong')} {t('hint.code-wrong')}
              </p>
            )}
          </>
        )}
        <Button
          type="submit"
          look={asked === 'passkey' && hasPasskeys() ? 'plain' : 'primary'}
          className="button-wide"
          busy={signIn.isPending}
        >
          {t('signin.go')}
        </Button>
      </form>
      {asked !== 'passkey' && <div className="door-key">{keyButton('plain')}</div>}
      <p className="quiet door-help">{t(asked ? 'signin.help.code' : 'signin.help')}</p>
    </Door>
  )
}

const problemOf = (error: unknown) => (error instanceof Refusal ? error.problem : undefined)
