import { useQueries } from '@tanstack/react-query'
import { trustOver } from '~/api/queries'
import { language, useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { useFormat } from '~/ui/format'
import { Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Failed, Loading } from '~/ui/states'
import { Time } from '~/ui/Time'
import { useTenant } from './session'
import { pointsOf, trustNames, type Point } from './trust-line'

const WIDTH = 320
const HEIGHT = 96
const PAD = 6
const LISTED = 12

/** The score of a session or account over time, each change with its reason. */
export function TrustOver({ entity }: { entity: string }) {
  const { t } = useTranslation()
  const word = useWord()
  const format = useFormat()
  const tenant = useTenant()
  const read = useQueries({ queries: trustNames(entity).map((name) => trustOver(tenant, name)) })
  const failed = read.find((query) => query.error && !query.data)
  const points = pointsOf(read.flatMap((query) => query.data?.items ?? []))
  const isCut = read.some((query) => query.data?.next)
  return (
    <Panel title={t('trustover.title')} id="trust">
      {failed ? (
        <Failed error={failed.error} onRetry={() => void failed.refetch()} />
      ) : read.some((query) => query.isPending) ? (
        <Loading rows={3} />
      ) : points.length === 0 ? (
        <Empty title={t('trustover.none')}>{t('trustover.none.text')}</Empty>
      ) : (
        <>
          <Line points={points} />
          <ul className="lines">
            {[...points]
              .reverse()
              .slice(0, LISTED)
              .map((point) => (
                <li key={point.id} className="trust-point">
                  <strong>{format.number(point.score)}</strong>
                  {point.change !== undefined && point.change !== 0 && (
                    <Badge tone={point.change < 0 ? 'high' : 'good'}>
                      {point.change > 0 ? '+' : '−'}
                      {format.number(Math.abs(point.change))}
                    </Badge>
                  )}
                  <Badge tone={point.permit ? 'good' : 'critical'}>
                    {t(point.permit ? 'trustover.permit' : 'trustover.deny')}
                  </Badge>
                  <span className="quiet">
                    <Time at={point.time} /> · {word('trustover.cause', point.cause)}
                  </span>
                  <span className="trust-why">
                    <Raw text={point.reason[language()]} />
                  </span>
                </li>
              ))}
          </ul>
          {(isCut || points.length > LISTED) && (
            <p className="panel-note">
              {t('trustover.cut', { listed: Math.min(LISTED, points.length), n: points.length })}
            </p>
          )}
        </>
      )}
    </Panel>
  )
}

/** A step for each decision: between two, the score is what the earlier one said. */
function Line({ points }: { points: Point[] }) {
  const { t } = useTranslation()
  const format = useFormat()
  const [first, last] = [points[0], points.at(-1)]
  if (!first || !last) return null
  const span = Math.max(1, last.time - first.time)
  const x = (time: number) => PAD + ((time - first.time) / span) * (WIDTH - 2 * PAD)
  const y = (score: number) => PAD + (1 - score / 100) * (HEIGHT - 2 * PAD)
  const path = points
    .map((point, at) =>
      at === 0 ? `M${x(point.time)} ${y(point.score)}` : `H${x(point.time)}V${y(point.score)}`,
    )
    .join('')
  const scores = points.map((point) => point.score)
  return (
    <svg
      className="trust-line"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={t('trustover.label', {
        n: points.length,
        from: format.number(first.score),
        to: format.number(last.score),
        least: format.number(Math.min(...scores)),
      })}
    >
      {[0, 50, 100].map((score) => (
        <path key={score} className="trust-grid" d={`M${PAD} ${y(score)}H${WIDTH - PAD}`} />
      ))}
      <path className="trust-step" d={`${path}H${WIDTH - PAD}`} />
      {points.map((point) => (
        <circle
          key={point.id}
          className={point.permit ? 'trust-dot' : 'trust-dot trust-no'}
          cx={x(point.time)}
          cy={y(point.score)}
          r="3"
        >
          <title>{`${format.number(point.score)} · ${format.whole(point.time)}`}</title>
        </circle>
      ))}
    </svg>
  )
}
