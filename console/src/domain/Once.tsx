import type { ReactNode } from 'react'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Copy } from '~/ui/Copy'
import { Dialog } from '~/ui/Dialog'

/** A secret the server tells once and never again: it is in this dialog, and nowhere else. */
export function Once(props: {
  title: string
  secret: string
  label: string
  children: ReactNode
  onClose: () => void
}) {
  const { title, secret, label, children, onClose } = props
  const { t } = useTranslation()
  return (
    <Dialog title={title} onClose={onClose}>
      <p className="warning">{t('once.warning')}</p>
      <Copy text={secret} label={label} />
      <div className="once-text">{children}</div>
      <footer className="dialog-foot">
        <Button look="primary" onClick={onClose}>
          {t('once.kept')}
        </Button>
      </footer>
    </Dialog>
  )
}
