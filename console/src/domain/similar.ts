import type { Finding, Incident } from '~/api/queries'

/** Weights: one shared credential says more than one shared technique. */
const SAME_ENTITY = 3
const SAME_RULE = 2
const SAME_TECHNIQUE = 1

export type Similar = {
  incident: Incident
  entities: string[]
  rules: string[]
  techniques: string[]
  weight: number
}

/** Rules and techniques of an incident, as its story tells them. */
function told(incident: Incident) {
  const steps = incident.story.filter((step) => step.kind === 'finding')
  return {
    rules: new Set([incident.title, ...steps.map((step) => step.code)]),
    techniques: new Set(steps.flatMap((step) => step.attack?.technique ?? [])),
  }
}

/** Others that share entities, rules or techniques with this one, the most alike first. */
export function similarTo(own: Incident, findings: Finding[], others: Incident[]): Similar[] {
  const mine = told(own)
  for (const finding of findings) {
    mine.rules.add(finding.rule)
    for (const { technique } of finding.attack) mine.techniques.add(technique)
  }
  const entities = new Set(own.entities)
  return others
    .filter((other) => other.id !== own.id)
    .map((incident) => {
      const its = told(incident)
      const shared = {
        entities: incident.entities.filter((entity) => entities.has(entity)),
        rules: [...its.rules].filter((rule) => mine.rules.has(rule)),
        techniques: [...its.techniques].filter((technique) => mine.techniques.has(technique)),
      }
      const weight =
        SAME_ENTITY * shared.entities.length +
        SAME_RULE * shared.rules.length +
        SAME_TECHNIQUE * shared.techniques.length
      return { incident, ...shared, weight }
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight || b.incident.updated - a.incident.updated)
}
