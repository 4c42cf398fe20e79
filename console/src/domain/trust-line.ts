import type { TrustRecord } from '~/api/queries'
import { number } from './event'

export type Point = {
  id: string
  time: number
  score: number
  permit: boolean
  cause: string
  reason: { en: string; ko: string; ja: string }
  /** Against the one before. */
  change: number | undefined
}

/** The scores in time, and what each changed; records without a score are left out. */
export function pointsOf(records: TrustRecord[]): Point[] {
  const points: Point[] = []
  for (const record of [...records].sort((a, b) => a.time - b.time)) {
    const score = number(record.decision, 'score')
    if (score === undefined) continue
    const before = points.at(-1)?.score ?? number(record.previous, 'score')
    points.push({
      id: record.id,
      time: record.time,
      score,
      permit: record.permit,
      cause: record.cause,
      reason: record.reason_admin,
      change: before === undefined ? undefined : score - before,
    })
  }
  return points
}

/** Names that decisions may be kept under: enforcement points call an account `user` or `identity`, too. */
export function trustNames(entity: string): string[] {
  const at = entity.indexOf(':')
  const [kind, value] = [entity.slice(0, at), entity.slice(at + 1)]
  if (kind === 'account') return [entity, `user:${value}`, `identity:${value}`]
  return kind === 'session' ? [entity] : []
}
