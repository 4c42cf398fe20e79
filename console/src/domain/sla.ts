import type { Incident, Severity } from '~/api/queries'

const HOUR_MS = 3_600_000

/** How long an incident may be open, by its severity. The site cannot change them yet. */
export const TARGET_MS: Record<Severity, number | undefined> = {
  critical: HOUR_MS,
  high: 4 * HOUR_MS,
  medium: 24 * HOUR_MS,
  low: 72 * HOUR_MS,
  informational: undefined,
}

/** From this share of the target on, it is soon. */
const SOON = 0.75

export type Clock = {
  state: 'running' | 'soon' | 'overdue' | 'stopped' | 'late'
  /** How long it has been open, or was. */
  open: number
  /** What is left of the target; below nothing, how far it is over. */
  left: number
}

/**
 * How an incident stands against its target. The API does not say when it was resolved: the last change of a
 * resolved one is taken for that, so it may look later than it was, never earlier.
 */
export function clockOf(
  incident: Pick<Incident, 'opened' | 'updated' | 'severity' | 'status'>,
  now: number,
): Clock | undefined {
  const target = TARGET_MS[incident.severity]
  if (target === undefined) return undefined
  const isDone = incident.status === 'resolved' || incident.status === 'closed'
  const open = Math.max(0, (isDone ? incident.updated : now) - incident.opened)
  const left = target - open
  if (isDone) return { state: left < 0 ? 'late' : 'stopped', open, left }
  return { state: left < 0 ? 'overdue' : open >= SOON * target ? 'soon' : 'running', open, left }
}

/** When somebody first answered, as far as it is told: a comment, or a person's decision. */
export function firstAnswer(
  incident: Pick<Incident, 'comments'>,
  actions: { history: { time: number; actor: string }[] }[],
): number | undefined {
  const times = [
    ...(incident.comments ?? []).map((comment) => comment.time),
    ...actions.flatMap(({ history }) =>
      history.filter(({ actor }) => actor.startsWith('user:')).map(({ time }) => time),
    ),
  ]
  return times.length > 0 ? Math.min(...times) : undefined
}
