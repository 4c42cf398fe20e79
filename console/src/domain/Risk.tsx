import { useQuery } from '@tanstack/react-query'
import { incidents, restrictions } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Bars } from '~/ui/Bars'
import { useFormat } from '~/ui/format'
import { Panel } from '~/ui/Page'
import { Empty, Loaded } from '~/ui/states'
import { useTick } from '~/ui/Time'
import { EntityLink } from './EntityLink'
import { INCIDENT_POINTS, RESTRICTION_POINTS, TREND_DAYS, atRisk, trendOf } from './risk'
import { useTenant } from './session'
import { OPEN } from './words'

const LISTED = 6
const HOUR_MS = 3_600_000

/** Whom most speaks against now, and how that is counted. */
export function TopAtRisk() {
  const { t } = useTranslation()
  const tenant = useTenant()
  const query = useQuery(incidents(tenant, { status: OPEN.join(',') }))
  const held = useQuery(restrictions(tenant))
  return (
    <Panel title={t('risk.title')}>
      <Loaded query={query} rows={4}>
        {({ items, next }) => {
          const found = atRisk(items, held.data?.restrictions ?? [])
          if (found.length === 0) return <Empty title={t('risk.none')} />
          return (
            <>
              <ol className="lines">
                {found.slice(0, LISTED).map((one) => (
                  <li key={one.entity} className="risk">
                    <EntityLink entity={one.entity} />
                    <strong>{one.points}</strong>
                    <span className="quiet risk-why">
                      {[
                        one.incidents > 0 && t('risk.incidents', { n: one.incidents }),
                        one.findings > 0 && t('risk.findings', { n: one.findings }),
                        one.restrictions > 0 && t('risk.restrictions', { n: one.restrictions }),
                      ]
                        .filter(Boolean)
                        .join(' · ')}
                    </span>
                  </li>
                ))}
              </ol>
              <div className="panel-note">
                <details>
                  <summary>{t('risk.how')}</summary>
                  <p>
                    {t('risk.how.text', {
                      critical: INCIDENT_POINTS.critical,
                      high: INCIDENT_POINTS.high,
                      medium: INCIDENT_POINTS.medium,
                      low: INCIDENT_POINTS.low,
                      restriction: RESTRICTION_POINTS,
                    })}
                  </p>
                </details>
                {held.error && <p>{t('risk.held.unknown')}</p>}
                {next && <p>{t('risk.cut', { n: items.length })}</p>}
              </div>
            </>
          )
        }}
      </Loaded>
    </Panel>
  )
}

/** Incidents opened in the last seven days beside the seven before. */
export function Trend() {
  const { t } = useTranslation()
  const format = useFormat()
  const tick = useTick(true)
  // To a full hour, so that the question stays the same for a while.
  const until = Math.ceil(tick / HOUR_MS) * HOUR_MS
  const since = until - 2 * TREND_DAYS * 24 * HOUR_MS
  const query = useQuery(incidents(useTenant(), { since: since.toString() }))
  return (
    <Panel title={t('trend.title')}>
      <Loaded query={query} rows={2}>
        {({ items, next }) => {
          const { days, now, before } = trendOf(items, until)
          const change = now - before
          return (
            <>
              <dl className="figures trend">
                <div>
                  <dt>{t('trend.now')}</dt>
                  <dd>
                    {format.number(now)}
                    {next && now === items.length ? '+' : ''}
                  </dd>
                </div>
                <div>
                  <dt>{t('trend.before')}</dt>
                  <dd>
                    {format.number(before)}
                    {next ? '+' : ''}
                  </dd>
                </div>
                <div>
                  <dt>{t('trend.change')}</dt>
                  <dd>
                    {next
                      ? '–'
                      : `${change > 0 ? '+' : change < 0 ? '−' : '±'}${format.number(Math.abs(change))}`}
                  </dd>
                </div>
              </dl>
              <div className="trend-bars">
                <Bars
                  values={days}
                  label={t('trend.label', { n: days.length, most: Math.max(...days) })}
                />
              </div>
              {next && <p className="panel-note">{t('trend.cut', { n: items.length })}</p>}
            </>
          )
        }}
      </Loaded>
    </Panel>
  )
}
