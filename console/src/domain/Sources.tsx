import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { RATE_HOURS, sources } from '~/api/queries'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Bars } from '~/ui/Bars'
import { useFormat } from '~/ui/format'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Time, useTick } from '~/ui/Time'

/** A source that reported within the day and not within the last hour has fallen silent. */
const SILENT_MS = 3_600_000

/** Evidence by source: how much in each hour of the day, and who fell silent. */
export function Sources() {
  const { t } = useTranslation()
  const format = useFormat()
  const now = useTick(true)
  const query = useQuery(sources(useTenant()))
  const isSilent = useMemo(() => (last: number) => now - last > SILENT_MS, [now])
  return (
    <Loaded query={query} rows={3}>
      {({ rates, isCut }) =>
        rates.length === 0 ? (
          <Empty title={t('evidence.none')}>{t('evidence.none.text')}</Empty>
        ) : (
          <div className="scroll-x" tabIndex={0} role="region" aria-label={t('evidence.sources')}>
            <table className="table">
              <caption className="only-read">{t('evidence.sources')}</caption>
              <thead>
                <tr>
                  <th scope="col">{t('evidence.source')}</th>
                  <th scope="col">{t('evidence.day')}</th>
                  <th scope="col" className="number">
                    {t('evidence.events')}
                  </th>
                  <th scope="col">{t('evidence.last')}</th>
                </tr>
              </thead>
              <tbody>
                {rates.map((rate) => (
                  <tr key={rate.source}>
                    <td>
                      {rate.source === '' ? t('evidence.nameless') : <Raw text={rate.source} />}{' '}
                      {isSilent(rate.last) && <Badge tone="medium">{t('evidence.silent')}</Badge>}
                    </td>
                    <td>
                      <Bars
                        values={rate.hours}
                        label={t('evidence.hours', {
                          n: RATE_HOURS,
                          most: Math.max(...rate.hours),
                        })}
                      />
                    </td>
                    <td className="number">{format.number(rate.events)}</td>
                    <td>
                      <Time at={rate.last} form="ago" />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            {isCut && <p className="panel-note">{t('evidence.cut')}</p>}
          </div>
        )
      }
    </Loaded>
  )
}
