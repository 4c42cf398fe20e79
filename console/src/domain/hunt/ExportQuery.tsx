import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { useFormat } from '~/ui/format'
import { Failed } from '~/ui/states'
import { EXPORT_ROWS_MAX, FORMS, download, type Form } from './ask'

const NAMES: Record<Form, string> = { csv: 'CSV', ndjson: 'NDJSON', parquet: 'Parquet' }

/** The current query as a file. */
export function ExportQuery(props: {
  /** The SQL of what is shown, and with all columns where there are more. */
  shown: string
  whole: string | undefined
  onClose: () => void
}) {
  const { shown, whole, onClose } = props
  const { t } = useTranslation()
  const format = useFormat()
  const tenant = useTenant()
  const [form, setForm] = useState<Form>('csv')
  const [isWhole, setWhole] = useState(false)
  const make = useMutation({
    mutationFn: () => download(tenant, isWhole && whole ? whole : shown, form),
    gcTime: 0,
    onSuccess: (made) => {
      if (made === 'unsupported') return
      const address = URL.createObjectURL(made.file)
      const link = document.createElement('a')
      link.href = address
      link.download = `plura-hunt-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.${form}`
      link.click()
      // The browser has begun to read it by then.
      setTimeout(() => URL.revokeObjectURL(address), 10_000)
    },
  })
  return (
    <Dialog title={t('hunt.export')} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!make.isPending) make.mutate()
        }}
      >
        <fieldset className="choices">
          <legend>{t('hunt.export.form')}</legend>
          {(Object.keys(FORMS) as Form[]).map((one) => (
            <label key={one}>
              <input
                type="radio"
                name="form"
                checked={form === one}
                onChange={() => setForm(one)}
              />
              <span>
                <strong>{NAMES[one]}</strong>{' '}
                <span className="quiet">{t(`hunt.export.${one}`)}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {whole && (
          <fieldset className="choices">
            <legend>{t('hunt.columns')}</legend>
            <label>
              <input
                type="radio"
                name="columns"
                checked={!isWhole}
                onChange={() => setWhole(false)}
              />
              {t('hunt.export.shown')}
            </label>
            <label>
              <input
                type="radio"
                name="columns"
                checked={isWhole}
                onChange={() => setWhole(true)}
              />
              {t('hunt.export.whole')}
            </label>
          </fieldset>
        )}
        <p className="quiet">{t('hunt.export.about', { n: format.number(EXPORT_ROWS_MAX) })}</p>
        {make.error && <Failed error={make.error} />}
        {make.data === 'unsupported' && (
          <p className="field-error" role="alert">
            {t('hunt.export.unsupported')}
          </p>
        )}
        {make.data && make.data !== 'unsupported' && (
          <p className="note" role="status">
            {t(make.data.isCut ? 'hunt.export.cut' : 'hunt.export.done', {
              n: format.number(EXPORT_ROWS_MAX),
              kb: format.number(Math.ceil(make.data.file.size / 1024)),
            })}
          </p>
        )}
        <div className="dialog-foot">
          <Button onClick={onClose}>{t('ui.close')}</Button>
          <Button type="submit" look="primary" icon="export" busy={make.isPending}>
            {t('hunt.export.go')}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
