import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, take } from '~/api/client'
import type { Action } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Field, Select } from '~/ui/Field'
import { Failed } from '~/ui/states'
import { say } from '~/ui/Toasts'
import { ActionFacts } from './ActionCard'

export type Decision = 'approve' | 'reject' | 'undo' | 'extend' | 'reapply'

const HOUR_MS = 3_600_000
const EXTENSIONS = [1, 4, 24, 168]

/** Decides about an action, with the reason that goes into its history and the ledger. */
export function DecideDialog(props: { action: Action; what: Decision; onClose: () => void }) {
  const { action, what, onClose } = props
  const { t } = useTranslation()
  const [reason, setReason] = useState('')
  const [hours, setHours] = useState(`${EXTENSIONS[0]}`)
  const [isTried, setTried] = useState(false)
  const queries = useQueryClient()
  const decide = useMutation({
    mutationFn: () => {
      const params = { path: { id: action.id } }
      if (what === 'extend') {
        const until = Math.max(action.expires, Date.now()) + Number(hours) * HOUR_MS
        return take(api.POST('/api/v1/actions/{id}/extend', { params, body: { reason, until } }))
      }
      return take(api.POST(`/api/v1/actions/{id}/${what}`, { params, body: { reason } }))
    },
    onSuccess: ({ state }) => {
      const isWaiting = what === 'reapply' && state === 'awaiting-approval'
      say(t(isWaiting ? 'decide.reapply.waits' : `decide.${what}.done`))
      onClose()
    },
    // Whatever came of it, what is shown is asked for again.
    onSettled: () => queries.invalidateQueries(),
  })
  const isEmpty = reason.trim() === ''
  return (
    <Dialog title={t(`decide.${what}.title`)} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          setTried(true)
          if (!isEmpty && !decide.isPending) decide.mutate()
        }}
      >
        <p>{t(`decide.${what}.text`)}</p>
        <div className="decide-what">
          <ActionFacts action={action} />
        </div>
        {what === 'extend' && (
          <p>
            <Select
              label={t('decide.extend.by')}
              isLabelShown
              value={hours}
              onChange={setHours}
              choices={EXTENSIONS.map((n) => ({ value: `${n}`, label: t('decide.hours', { n }) }))}
            />
          </p>
        )}
        <Field label={t('decide.reason')} hint={t('decide.reason.hint')}>
          {(ids) => (
            <textarea
              {...ids}
              rows={3}
              maxLength={4000}
              value={reason}
              aria-invalid={isTried && isEmpty}
              onChange={(event) => setReason(event.target.value)}
              autoFocus
            />
          )}
        </Field>
        {isTried && isEmpty && <p className="field-error">{t('problem.reason-missing')}</p>}
        {decide.error && <Failed error={decide.error} />}
        <footer className="dialog-foot">
          <Button onClick={onClose}>{t('ui.cancel')}</Button>
          <Button
            type="submit"
            look={what === 'reject' || what === 'undo' ? 'danger' : 'primary'}
            busy={decide.isPending}
          >
            {t(`decide.${what}`)}
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
