import { Link } from '@tanstack/react-router'
import type { Finding, Incident } from '~/api/queries'
import { useTranslation, useWord } from '~/i18n'
import { Raw } from '~/ui/Raw'
import { Time } from '~/ui/Time'
import { SeverityBadge } from './words'

/** A finding in one line, and the way to it in its incident where there is one. */
export function FindingLine({ finding, incidents }: { finding: Finding; incidents: Incident[] }) {
  const { t } = useTranslation()
  const word = useWord()
  const incident = incidents.find((one) => one.findings.includes(finding.id))
  const what = (
    <>
      <SeverityBadge severity={finding.severity} />
      <span className="incident-line-what">
        {finding.analytic ? <Raw text={finding.analytic.title} /> : word('rule', finding.rule)}
      </span>
      <span className="quiet">{t(`outcome.${finding.outcome}`)}</span>
      <Time at={finding.time} form="ago" />
    </>
  )
  if (!incident) return <p className="incident-line">{what}</p>
  return (
    <Link
      className="incident-line"
      to="/incidents/$id"
      params={{ id: incident.id }}
      search={{ tab: 'findings' }}
      hash={finding.id}
    >
      {what}
    </Link>
  )
}
