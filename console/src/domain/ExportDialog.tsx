import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api, take } from '~/api/client'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Field } from '~/ui/Field'
import { Failed } from '~/ui/states'
import { say } from '~/ui/Toasts'

/** The evidence package of an incident, as a file. */
export function ExportDialog({ incident, onClose }: { incident: string; onClose: () => void }) {
  const { t } = useTranslation()
  const [reason, setReason] = useState('')
  const file = `incident-${incident}.plura`
  const save = useMutation({
    mutationFn: async () => {
      const params = { path: { id: incident } }
      const answer = await take<unknown>(
        api.POST('/api/v1/incidents/{id}/export', { params, body: { reason }, parseAs: 'blob' }),
      )
      if (answer instanceof Blob) keep(answer, file)
    },
    onSuccess: () => {
      say(t('incident.export.done', { file }))
      onClose()
    },
  })
  return (
    <Dialog title={t('incident.export')} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (reason.trim() && !save.isPending) save.mutate()
        }}
      >
        <p>
          {t('incident.export.text')} <code>plura verify {file}</code>
        </p>
        <Field label={t('decide.reason')} hint={t('decide.reason.hint')}>
          {(ids) => (
            <input
              {...ids}
              required
              autoFocus
              maxLength={200}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
          )}
        </Field>
        {save.error && <Failed error={save.error} />}
        <footer className="dialog-foot">
          <Button onClick={onClose}>{t('ui.cancel')}</Button>
          <Button type="submit" look="primary" busy={save.isPending}>
            {t('incident.export.go')}
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}

function keep(content: Blob, name: string) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href))
}
