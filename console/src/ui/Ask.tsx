import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { useTranslation } from '~/i18n'
import { Button } from './Button'
import { Dialog } from './Dialog'
import { Field } from './Field'
import { Failed } from './states'

type Props<T> = {
  title: string
  /** What the button says. */
  go: string
  look?: 'primary' | 'danger'
  children?: ReactNode
  /** Whether a reason has to be given. */
  withReason?: boolean
  /** What is said beside the reason; else that it is in the ledger. */
  reasonHint?: string
  /** What is said while the answer takes its time. */
  waiting?: string
  /** Why it cannot be sent as it is; told once somebody tries. */
  fault?: string | false | undefined
  run: (reason: string) => Promise<T>
  onDone?: (answer: T) => void
  onRefused?: (error: unknown) => void
  onClose: () => void
}

/** Asks before something is done: what it means, the reason, and what the server says to it. */
export function Ask<T>(props: Props<T>) {
  const { title, go, look = 'primary', children, withReason = false, fault } = props
  const { run, onDone, onRefused, onClose, waiting } = props
  const { t } = useTranslation()
  const { reasonHint = t('decide.reason.hint') } = props
  const [reason, setReason] = useState('')
  const [isTried, setTried] = useState(false)
  const queries = useQueryClient()
  const send = useMutation({
    networkMode: 'always',
    mutationFn: () => run(reason.trim()),
    onSuccess: (answer) => onDone?.(answer),
    onError: (error) => onRefused?.(error),
    // Whatever came of it, what is shown is asked for again.
    onSettled: () => queries.invalidateQueries(),
  })
  const missing = withReason && reason.trim() === '' ? t('problem.reason-missing') : undefined
  const why = fault || missing
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          setTried(true)
          if (!why && !send.isPending) send.mutate()
        }}
      >
        {children}
        {withReason && (
          <Field label={t('decide.reason')} hint={reasonHint}>
            {(ids) => (
              <textarea
                {...ids}
                rows={2}
                maxLength={4000}
                value={reason}
                aria-invalid={isTried && !!missing}
                onChange={(event) => setReason(event.target.value)}
              />
            )}
          </Field>
        )}
        {isTried && why && (
          <p className="field-error" role="alert">
            {why}
          </p>
        )}
        {send.error && <Failed error={send.error} />}
        {waiting && (
          <p className="quiet" role="status">
            {send.isPending && waiting}
          </p>
        )}
        <footer className="dialog-foot">
          <Button onClick={onClose}>{t('ui.cancel')}</Button>
          <Button type="submit" look={look} busy={send.isPending}>
            {go}
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
