import type { ReactNode } from 'react'
import { useTranslation } from '~/i18n'
import { Refusal } from '~/api/client'
import { Button } from './Button'
import { Time } from './Time'
import { useTold } from './told'

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="state">
      <p className="state-title">{title}</p>
      {children && <div className="state-text">{children}</div>}
    </div>
  )
}

/** Rows that are on their way. */
export function Loading({ rows = 4 }: { rows?: number }) {
  const { t } = useTranslation()
  return (
    <div className="loading" role="status">
      <span className="only-read">{t('ui.loading')}</span>
      {Array.from({ length: rows }, (_, row) => (
        <span className="loading-row" key={row} />
      ))}
    </div>
  )
}

/** What went wrong, and what to do about it. */
export function Failed({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { t } = useTranslation()
  const told = useTold(error)
  return (
    <div className="state state-failed" role="alert">
      <p className="state-title">{told.detail}</p>
      {told.hint && <p className="state-text">{told.hint}</p>}
      {told.lines.length > 0 && (
        <ul className="state-text">
          {told.lines.map((line, index) => (
            <li key={index}>{line}</li>
          ))}
        </ul>
      )}
      <p className="state-code">
        <code>{told.code}</code>
      </p>
      {onRetry && !isFinal(error) && <Button onClick={onRetry}>{t('ui.retry')}</Button>}
    </div>
  )
}

function isFinal(error: unknown): boolean {
  const status = error instanceof Refusal ? error.problem.status : 0
  return status === 403 || status === 404
}

type Query<T> = {
  data: T | undefined
  error: unknown
  isPending: boolean
  dataUpdatedAt: number
  refetch: () => unknown
}

/** What every list goes through: loading, refused, or there. Old data stays while new is asked for. */
export function Loaded<T>(props: {
  query: Query<T>
  rows?: number
  children: (data: T) => ReactNode
}) {
  const { query, rows, children } = props
  if (query.error && (query.data === undefined || isFinal(query.error))) {
    return <Failed error={query.error} onRetry={() => void query.refetch()} />
  }
  if (query.data === undefined) return <Loading rows={rows} />
  return (
    <>
      {query.error != null && <Stale query={query} />}
      {children(query.data)}
    </>
  )
}

/** What is below is old: the server was asked again and did not answer. */
export function Stale({ query }: { query: Omit<Query<unknown>, 'data'> }) {
  const { t } = useTranslation()
  const told = useTold(query.error)
  return (
    <p className="stale" role="status">
      <strong>{told.detail}</strong>
      <span>
        {t('ui.stale')} <Time at={query.dataUpdatedAt} />
      </span>
      <Button onClick={() => void query.refetch()}>{t('ui.retry')}</Button>
    </p>
  )
}
