import { useEffect, useId, useRef, type ReactNode } from 'react'
import { useTranslation } from '~/i18n'
import { Icon } from './Icon'

type Props = {
  title: ReactNode
  onClose: () => void
  children: ReactNode
  /** `side` comes in from the edge, for reading; `middle` asks for something. */
  place?: 'middle' | 'side'
}

/** The browser's own dialog: it keeps the focus, closes with Escape, and gives the focus back. */
export function Dialog({ title, onClose, children, place = 'middle' }: Props) {
  const { t } = useTranslation()
  const dialog = useRef<HTMLDialogElement>(null)
  // Who selects text and lets go outside has not asked to close.
  const isDownOutside = useRef(false)
  const name = useId()
  useEffect(() => {
    const opened = dialog.current
    const before = document.activeElement
    opened?.showModal()
    // Where something is asked for, one writes at once; the browser alone would choose the first button.
    opened?.querySelector<HTMLElement>('input:not([type=checkbox]), textarea')?.focus()
    return () => {
      opened?.close()
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={dialog}
      className={`dialog dialog-${place}`}
      aria-labelledby={name}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onPointerDown={(event) => {
        isDownOutside.current = event.target === dialog.current
      }}
      onClick={(event) => {
        if (event.target === dialog.current && isDownOutside.current) onClose()
        isDownOutside.current = false
      }}
    >
      <div className="dialog-body">
        <header className="dialog-head">
          <h2 id={name}>{title}</h2>
          <button
            type="button"
            className="icon-button"
            onClick={onClose}
            aria-label={t('ui.close')}
          >
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  )
}
