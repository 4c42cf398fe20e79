import { Link, type ErrorComponentProps } from '@tanstack/react-router'
import { useTranslation } from '~/i18n'
import { Empty, Failed } from '~/ui/states'

export function RouteFailed({ error, reset }: ErrorComponentProps) {
  return (
    <main className="page">
      <Failed error={error} onRetry={reset} />
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
