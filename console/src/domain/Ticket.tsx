import { useEffect, useRef, useState } from 'react'
import { useMay } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Raw } from '~/ui/Raw'
import { secureUrl } from './secure-url'

const TICKET_CHARS_MAX = 500

/** The ticket elsewhere: its number, or a way to it where it is an address one may follow. */
export function Ticket(props: {
  ticket: string | undefined
  busy: boolean
  /** Told to the server; `done` once it has it. */
  onChange: (ticket: string | null, done: () => void) => void
}) {
  const { ticket, busy, onChange } = props
  const { t } = useTranslation()
  const isWriter = useMay()('incidents.write')
  const [isOpen, setOpen] = useState(false)
  const opener = useRef<HTMLButtonElement>(null)
  const wasOpen = useRef(false)
  useEffect(() => {
    if (wasOpen.current && !isOpen) opener.current?.focus()
    wasOpen.current = isOpen
  }, [isOpen])
  if (isOpen) {
    return (
      <TicketForm
        ticket={ticket}
        busy={busy}
        onClose={() => setOpen(false)}
        onSave={(next) => onChange(next, () => setOpen(false))}
      />
    )
  }
  return (
    <div className="ticket">
      {ticket === undefined ? (
        <span className="quiet">{t('ticket.none')}</span>
      ) : (
        <TicketName ticket={ticket} />
      )}{' '}
      {isWriter && (
        <span className="ticket-steps">
          <button
            type="button"
            className="link-button"
            ref={opener}
            aria-label={t(ticket === undefined ? 'ticket.add.what' : 'ticket.change.what')}
            onClick={() => setOpen(true)}
          >
            {t(ticket === undefined ? 'ticket.add' : 'ticket.change')}
          </button>
          {ticket !== undefined && (
            <button
              type="button"
              className="link-button"
              aria-label={t('ticket.remove.what')}
              onClick={() => !busy && onChange(null, () => {})}
            >
              {t('ticket.remove')}
            </button>
          )}
        </span>
      )}
    </div>
  )
}

function TicketName({ ticket }: { ticket: string }) {
  const { t } = useTranslation()
  const url = secureUrl(ticket)
  if (!url) return <Raw text={ticket} />
  return (
    <a
      href={url.href}
      target="_blank"
      rel="noopener noreferrer"
      title={t('ticket.opens', { host: url.host })}
    >
      <Raw text={ticket} />
    </a>
  )
}

function TicketForm(props: {
  ticket: string | undefined
  busy: boolean
  onSave: (ticket: string) => void
  onClose: () => void
}) {
  const { ticket, busy, onSave, onClose } = props
  const { t } = useTranslation()
  const [text, setText] = useState(ticket ?? '')
  const [isTried, setTried] = useState(false)
  const next = text.trim()
  const fault =
    next === '' ? t('ticket.empty') : /\p{Cc}/u.test(next) ? t('problem.ticket-invalid') : undefined
  return (
    <form
      className="ticket-form"
      onSubmit={(event) => {
        event.preventDefault()
        setTried(true)
        if (fault || busy) return
        if (next === ticket) onClose()
        else onSave(next)
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose()
      }}
    >
      <input
        aria-label={t('ticket.label')}
        placeholder="SEC-17, https://…"
        autoComplete="off"
        autoFocus
        maxLength={TICKET_CHARS_MAX}
        value={text}
        aria-invalid={isTried && !!fault}
        onChange={(event) => setText(event.target.value)}
      />
      {isTried && fault && (
        <p className="field-error" role="alert">
          {fault}
        </p>
      )}
      <span className="ticket-steps">
        <Button type="submit" busy={busy}>
          {t('ticket.save')}
        </Button>
        <Button look="quiet" onClick={onClose}>
          {t('ui.cancel')}
        </Button>
      </span>
    </form>
  )
}
