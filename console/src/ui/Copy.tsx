import { useTranslation } from '~/i18n'
import { Button } from './Button'
import { Raw } from './Raw'
import { say } from './Toasts'

/** Text to be taken elsewhere, with a button that copies it. */
export function Copy({ text, label }: { text: string; label: string }) {
  const { t } = useTranslation()
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => say(t('ui.copied')),
      () => say(t('copy.failed'), 'bad'),
    )
  return (
    <div className="copy">
      <pre className="block" tabIndex={0} role="region" aria-label={label}>
        <Raw text={text} lines />
      </pre>
      <Button onClick={() => void copy()} aria-label={`${t('ui.copy')}: ${label}`}>
        {t('ui.copy')}
      </Button>
    </div>
  )
}
