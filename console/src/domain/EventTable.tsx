import { useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Raw } from '~/ui/Raw'
import { Time } from '~/ui/Time'
import { idOf, summary, text, timeOf, type Event } from './event'
import { EntityLink } from './EntityLink'

const WHAT_CHARS = 160

/** Events in rows; each opens. */
export function EventTable({ events, onOpen }: { events: Event[]; onOpen: (id: string) => void }) {
  const { t } = useTranslation()
  return (
    <div className="scroll-x">
      <table className="table events">
        <thead>
          <tr>
            <th scope="col">{t('event.when')}</th>
            <th scope="col">{t('event.what')}</th>
            <th scope="col">{t('event.outcome')}</th>
            <th scope="col">{t('kind.address')}</th>
          </tr>
        </thead>
        <tbody>
          {events.map((event) => {
            const what = summary(event)
            const shown = what.length > WHAT_CHARS ? `${what.slice(0, WHAT_CHARS)}…` : what
            const address = text(event, 'src_endpoint.ip')
            return (
              <tr key={idOf(event)}>
                <td className="events-when">
                  <Time at={timeOf(event)} />
                </td>
                <td className="events-what">
                  <button
                    type="button"
                    className="link-button event-open"
                    aria-label={t('event.open', { what: shown })}
                    onClick={() => onOpen(idOf(event))}
                  >
                    <Raw text={shown} />
                  </button>
                </td>
                <td className="events-outcome">
                  <Outcome event={event} />
                </td>
                <td className="events-address">
                  {address && <EntityLink entity={`address:${address}`} />}
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

export function Outcome({ event }: { event: Event }) {
  const { t } = useTranslation()
  const word = useWord()
  const code = text(event, 'http_response.code')
  const result = text(event, 'plura.outcome.result')
  const reason = text(event, 'plura.outcome.reason')
  const rung = text(event, 'plura.enforcement.rung')
  return (
    <span className="outcome">
      {code && <code>{code}</code>}
      {result === 'success' && <Badge tone="good">{t('outcome.success')}</Badge>}
      {result === 'failure' && <Badge>{t('outcome.failure')}</Badge>}
      {reason && (
        <span className="quiet">
          <Raw text={word('reason', reason)} />
        </span>
      )}
      {rung && rung !== 'observe' && <Badge tone="high">{t('event.enforced')}</Badge>}
    </span>
  )
}
