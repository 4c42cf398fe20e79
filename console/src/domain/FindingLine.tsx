import { Link } from '@tanstack/react-router'
import type { Finding, Incident } from '~/api/queries'
import { useTranslation, useWord } from '~/i18n'
import { Raw } from '~/ui/Raw'
import { Time } from '~/ui/Time'
import { SeverityBadge, StageBadge } from './words'

/** A finding in one line, and the way to it in its incident where there is one; else it may open here. */
export function FindingLine(props: {
  finding: Finding
  incidents: Incident[]
  isOpen?: boolean
  onOpen?: () => void
}) {
  const { finding, incidents, isOpen, onOpen } = props
  const { t } = useTranslation()
  const word = useWord()
  const incident = incidents.find((one) => one.findings.includes(finding.id))
  const what = (
    <>
      <SeverityBadge severity={finding.severity} />
      <span className="incident-line-what">
        <StageBadge stage={finding.analytic?.stage} />{' '}
        {finding.analytic ? <Raw text={finding.analytic.title} /> : word('rule', finding.rule)}
      </span>
      <span className="quiet">{t(`outcome.${finding.outcome}`)}</span>
      <Time at={finding.time} form="ago" />
    </>
  )
  if (!incident && onOpen) {
    return (
      <button type="button" className="incident-line" aria-expanded={isOpen} onClick={onOpen}>
        {what}
      </button>
    )
  }
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
