import type { Incident, Restriction, Severity } from '~/api/queries'

/** How much an open incident adds to each entity in it, by severity. */
export const INCIDENT_POINTS: Record<Severity, number> = {
  critical: 8,
  high: 4,
  medium: 2,
  low: 1,
  informational: 0,
}
/** And each restriction in force. */
export const RESTRICTION_POINTS = 2
/** An incident with very many entities says little of each. */
const ENTITIES_PER_INCIDENT = 50

export type AtRisk = {
  entity: string
  incidents: number
  findings: number
  restrictions: number
  points: number
}

/** Entities by what speaks against them now: open incidents, their findings, restrictions in force. */
export function atRisk(open: Incident[], held: Restriction[]): AtRisk[] {
  const all = new Map<string, AtRisk>()
  const of = (entity: string) => {
    const known = all.get(entity) ?? {
      entity,
      incidents: 0,
      findings: 0,
      restrictions: 0,
      points: 0,
    }
    all.set(entity, known)
    return known
  }
  for (const incident of open) {
    const steps = incident.story.filter((step) => step.kind === 'finding')
    for (const entity of incident.entities.slice(0, ENTITIES_PER_INCIDENT)) {
      const one = of(entity)
      const findings = steps.filter((step) => step.entities.includes(entity)).length
      one.incidents += 1
      one.findings += findings
      one.points += INCIDENT_POINTS[incident.severity] + findings
    }
  }
  for (const { target } of held) {
    const one = of(target)
    one.restrictions += 1
    one.points += RESTRICTION_POINTS
  }
  return [...all.values()].sort((a, b) => b.points - a.points || (a.entity < b.entity ? -1 : 1))
}

const DAY_MS = 24 * 3_600_000
export const TREND_DAYS = 7

export type Trend = { days: number[]; now: number; before: number }

/** Incidents opened in each of the last fourteen days of 24 hours, the oldest first. */
export function trendOf(incidents: Pick<Incident, 'opened'>[], now: number): Trend {
  const days = Array<number>(2 * TREND_DAYS).fill(0)
  for (const { opened } of incidents) {
    const at = 2 * TREND_DAYS - 1 - Math.floor((now - opened) / DAY_MS)
    // A clock that is ahead opens incidents in the future: they are of today.
    const place = Math.min(at, days.length - 1)
    if (place >= 0) days[place] = (days[place] ?? 0) + 1
  }
  const sum = (part: number[]) => part.reduce((all, one) => all + one, 0)
  return { days, now: sum(days.slice(TREND_DAYS)), before: sum(days.slice(0, TREND_DAYS)) }
}
