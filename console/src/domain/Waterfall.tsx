import { useTranslation } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { useFormat } from '~/ui/format'
import type { Contribution, Decision } from './trust'

/** A score with the lowest and highest that what is unknown leaves open. */
export function Score({ decision }: { decision: Decision }) {
  const { t } = useTranslation()
  const { number, share } = useFormat()
  const { score, low, high, coverage, permit } = decision
  const range = { low: number(low), high: number(high) }
  return (
    <div className="trust-score">
      <p className="trust-score-number">
        <strong>{number(score)}</strong>
        <span className="quiet">{t('trust.of-100')}</span>
        <Badge tone={permit ? 'good' : 'critical'}>
          {permit ? t('trust.permitted') : t('trust.refused')}
        </Badge>
      </p>
      <svg
        viewBox="0 0 100 8"
        preserveAspectRatio="none"
        role="img"
        aria-label={t('trust.interval', range)}
      >
        <rect className="trust-ground" x="0" y="2" width="100" height="4" />
        <rect className="trust-range" x={low} y="2" width={Math.max(0.5, high - low)} height="4" />
        <rect className="trust-mark" x={Math.min(99, score)} y="0" width="1" height="8" />
      </svg>
      <p className="quiet">
        {t('trust.interval', range)} · {t('trust.coverage', { share: share(coverage / 100) })}
      </p>
    </div>
  )
}

/** What makes the score, addend by addend: each bar begins where the one before it ended. */
export function Waterfall(props: { decision: Decision; nameOf: (code: string) => string }) {
  const { t } = useTranslation()
  const { number } = useFormat()
  const { decision, nameOf } = props
  const steps = stepsOf(decision.contributions)
  const most = Math.max(100, ...steps.map(({ from, part }) => from + (part.most ?? part.points)))
  const signed = (points: number) => (points > 0 ? '+' : '') + number(points)
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('trust.waterfall')}>
      <table className="table waterfall">
        <caption className="only-read">{t('trust.waterfall')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('trust.part')}</th>
            <th scope="col">{t('trust.knowledge')}</th>
            <th scope="col" className="number">
              {t('trust.points')}
            </th>
            <th scope="col" className="number">
              {t('trust.most')}
            </th>
            <th scope="col" className="waterfall-bar">
              {t('trust.adds')}
            </th>
          </tr>
        </thead>
        <tbody>
          {steps.map(({ part, from, until }, at) => {
            const left = Math.max(0, Math.min(from, until))
            const width = Math.max(0.4, Math.abs(part.points))
            return (
              <tr key={at}>
                <th scope="row" title={part.code}>
                  {nameOf(part.code)}
                </th>
                <td>
                  <span className={`knowledge knowledge-${part.knowledge ?? part.part}`}>
                    {part.knowledge
                      ? t(`trust.knowledge.${part.knowledge}`)
                      : t(`trust.part.${part.part}`)}
                  </span>
                </td>
                <td className="number">{signed(part.points)}</td>
                <td className="number quiet">{part.most === undefined ? '' : number(part.most)}</td>
                <td className="waterfall-bar">
                  <svg viewBox={`0 0 ${most} 10`} preserveAspectRatio="none" aria-hidden="true">
                    {part.most !== undefined && (
                      <rect className="trust-open" x={from} y="1" width={part.most} height="8" />
                    )}
                    <rect
                      className={`trust-${part.knowledge ?? 'minus'}`}
                      x={left}
                      y="1"
                      width={width}
                      height="8"
                    />
                  </svg>
                </td>
              </tr>
            )
          })}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row" colSpan={2}>
              {t('trust.sum')}
            </th>
            <td className="number">{number(sumOf(decision.contributions))}</td>
            <td />
            <td className="waterfall-bar">
              <svg viewBox={`0 0 ${most} 10`} preserveAspectRatio="none" aria-hidden="true">
                <rect className="trust-mark" x="0" y="1" width={decision.score} height="8" />
              </svg>
            </td>
          </tr>
        </tfoot>
      </table>
    </div>
  )
}

/** Points are hundredths: added as such, they add up exactly. */
const sumOf = (parts: Contribution[]) =>
  parts.reduce((sum, { points }) => sum + Math.round(points * 100), 0) / 100

function stepsOf(parts: Contribution[]) {
  return parts.map((part, at) => ({
    part,
    from: sumOf(parts.slice(0, at)),
    until: sumOf(parts.slice(0, at + 1)),
  }))
}
