import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { HITS_DAYS, noise, rules } from '~/api/queries'
import { Day } from '~/domain/rules'
import { useTenant } from '~/domain/session'
import { LOUD_HITS, byDay, hitsOf } from '~/domain/sigma'
import { useTranslation } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Bars } from '~/ui/Bars'
import { Button } from '~/ui/Button'
import { useFormat } from '~/ui/format'
import { Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { useTick } from '~/ui/Time'

const DAY_MS = 86_400_000
const SHOWN = 50

/** Which rules speak most, and which never did. */
export function NoiseReport() {
  const { t } = useTranslation()
  const format = useFormat()
  const tenant = useTenant()
  const now = useTick(false)
  const query = useQuery(noise(tenant))
  const all = useQuery(rules(tenant)).data?.items
  const [shown, setShown] = useState(SHOWN)
  const [silent, setSilent] = useState(SHOWN)
  const title = (id: string) => all?.find((rule) => rule.id === id)?.title || id
  const isGone = (id: string) => all !== undefined && !all.some((rule) => rule.id === id)
  return (
    <Loaded query={query} rows={8}>
      {({ rules: loud, never_fired: never }) => {
        const total = loud.reduce((sum, one) => sum + one.hits, 0)
        return (
          <div className="stack">
            <Panel
              title={t('noise.loudest')}
              aside={<span className="quiet">{t('noise.days', { n: HITS_DAYS })}</span>}
            >
              {loud.length === 0 ? (
                <Empty title={t('noise.none')}>{t('noise.none.text')}</Empty>
              ) : (
                <div className="scroll-x">
                  <table className="table noise">
                    <thead>
                      <tr>
                        <th scope="col">{t('rules.what')}</th>
                        <th scope="col" className="number">
                          {t('noise.hits')}
                        </th>
                        <th scope="col" className="number">
                          {t('noise.share')}
                        </th>
                        <th scope="col" className="number">
                          {t('noise.suppressed')}
                        </th>
                        <th scope="col">{t('noise.by-day')}</th>
                        <th scope="col">{t('rules.last')}</th>
                      </tr>
                    </thead>
                    <tbody>
                      {loud.slice(0, shown).map((one) => {
                        const { last, most } = hitsOf(one)
                        const from = now - (HITS_DAYS - 1) * DAY_MS
                        const days = byDay(one.by_day, from, now).map(({ hits }) => hits)
                        return (
                          <tr key={one.rule}>
                            <td className="noise-title">
                              {isGone(one.rule) ? (
                                <>
                                  <Raw text={one.title ?? one.rule} />{' '}
                                  <span className="quiet">{t('noise.gone')}</span>
                                </>
                              ) : (
                                <Link to="/rules/$id" params={{ id: one.rule }}>
                                  <Raw text={one.title ?? one.rule} />
                                </Link>
                              )}{' '}
                              {most >= LOUD_HITS && (
                                <Badge tone="high">
                                  {t('noise.loud', { n: format.compact(most) })}
                                </Badge>
                              )}
                            </td>
                            <td className="number">{format.number(one.hits)}</td>
                            <td className="number quiet">
                              {total > 0 && format.share(one.hits / total)}
                            </td>
                            <td className="number">{format.number(one.suppressed)}</td>
                            <td>
                              <Bars
                                values={days}
                                label={t('rules.bars', {
                                  n: days.length,
                                  most: format.number(most),
                                })}
                              />
                            </td>
                            <td className="quiet">{last && <Day day={last} />}</td>
                          </tr>
                        )
                      })}
                    </tbody>
                  </table>
                </div>
              )}
              {loud.length > shown && (
                <p className="panel-more">
                  <Button onClick={() => setShown(shown + SHOWN)}>
                    {t('ui.more', { n: loud.length - shown })}
                  </Button>
                </p>
              )}
            </Panel>
            <Panel
              title={t('noise.never')}
              aside={
                never.length > 0 && (
                  <Link to="/rules" search={{ state: 'never' }}>
                    {t('noise.never.all', { n: format.number(never.length) })}
                  </Link>
                )
              }
            >
              {never.length === 0 ? (
                <Empty title={t('noise.never.none')} />
              ) : (
                <>
                  <p className="panel-note">{t('noise.never.text', { n: HITS_DAYS })}</p>
                  <ul className="silent">
                    {never.slice(0, silent).map((id) => (
                      <li key={id}>
                        <Link to="/rules/$id" params={{ id }}>
                          <Raw text={title(id)} />
                        </Link>
                      </li>
                    ))}
                  </ul>
                  {never.length > silent && (
                    <p className="panel-more">
                      <Button onClick={() => setSilent(silent + SHOWN)}>
                        {t('ui.more', { n: never.length - silent })}
                      </Button>
                    </p>
                  )}
                </>
              )}
            </Panel>
          </div>
        )
      }}
    </Loaded>
  )
}
