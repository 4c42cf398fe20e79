import { Link } from '@tanstack/react-router'
import type { Incident } from '~/api/queries'
import { useWord } from '~/i18n'
import { Raw } from '~/ui/Raw'
import { Time } from '~/ui/Time'
import { SeverityBadge, StatusBadge } from './words'

/** An incident in one line. */
export function IncidentLine({ incident }: { incident: Incident }) {
  const word = useWord()
  const first = incident.entities[0]
  return (
    <Link className="incident-line" to="/incidents/$id" params={{ id: incident.id }}>
      <SeverityBadge severity={incident.severity} />
      <span className="incident-line-what">
        {word('rule', incident.title)}
        {first && (
          <span className="quiet">
            {' '}
            <Raw text={first} />
          </span>
        )}
      </span>
      <StatusBadge status={incident.status} />
      <Time at={incident.updated} form="ago" />
    </Link>
  )
}
