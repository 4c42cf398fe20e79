import { Link, type ErrorComponentProps } from '@tanstack/react-router'
import { useSignOut } from '~/domain/sign-out'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Empty, Failed } from '~/ui/states'

export function RouteFailed({ error, reset }: ErrorComponentProps) {
  const { t } = useTranslation()
  const signOut = useSignOut()
  return (
    <main className="page">
      <Failed error={error} onRetry={reset} />
      <p className="state-ways">
        <Link to="/" search={{ tenant: undefined }} reloadDocument>
          {t('missing.home')}
        </Link>{' '}
        <Button busy={signOut.isPending} onClick={() => signOut.mutate()}>
          {t('person.out')}
        </Button>
      </p>
      {signOut.error && <Failed error={signOut.error} />}
    </main>
  )
}

export function RouteMissing() {
  const { t } = useTranslation()
  return (
    <main className="page">
      <Empty title={t('missing.title')}>
        <Link to="/">{t('missing.home')}</Link>
      </Empty>
    </main>
  )
}
