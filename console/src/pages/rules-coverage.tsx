import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { HITS_DAYS, coverage, rules } from '~/api/queries'
import { useTenant } from '~/domain/session'
import { matrix, type Cell } from '~/domain/sigma'
import { useTranslation, useWord } from '~/i18n'
import { useFormat } from '~/ui/format'
import { Empty, Loaded } from '~/ui/states'

/** Techniques that rules name, under their tactics in the order of an attack. */
export function Coverage() {
  const { t } = useTranslation()
  const word = useWord()
  const format = useFormat()
  const tenant = useTenant()
  const query = useQuery(coverage(tenant))
  const all = useQuery(rules(tenant))
  return (
    <>
      <p className="lead quiet">{t('coverage.text', { n: HITS_DAYS })}</p>
      <Loaded query={query} rows={8}>
        {({ techniques, untagged }) => (
          <Loaded query={all} rows={8}>
            {({ items }) => {
              const on = techniques.filter(({ enabled }) => enabled > 0).length
              if (techniques.length === 0) {
                return (
                  <div className="panel">
                    <Empty title={t('coverage.none')}>{t('coverage.none.text')}</Empty>
                  </div>
                )
              }
              return (
                <>
                  <ul className="legend">
                    <li>
                      <i className="cell-hit" aria-hidden="true" /> {t('coverage.legend.hit')}
                    </li>
                    <li>
                      <i className="cell-on" aria-hidden="true" /> {t('coverage.legend.on')}
                    </li>
                    <li>
                      <i className="cell-off" aria-hidden="true" /> {t('coverage.legend.off')}
                    </li>
                    <li className="quiet">
                      {t('coverage.sum', {
                        on: format.number(on),
                        n: format.number(techniques.length),
                        untagged: format.number(untagged),
                      })}
                    </li>
                  </ul>
                  <div
                    className="matrix"
                    role="group"
                    aria-label={t('rules.view.coverage')}
                    tabIndex={-1}
                  >
                    {matrix(techniques, items).map(({ tactic, cells }) => (
                      <section key={tactic ?? 'none'} className="matrix-column">
                        <h2>
                          {tactic ? word('tactic', tactic) : t('coverage.elsewhere')}{' '}
                          <span className="quiet">{cells.length}</span>
                        </h2>
                        {cells.length === 0 && (
                          <p className="cell-none quiet">{t('coverage.empty')}</p>
                        )}
                        <ul>
                          {cells.map((cell) => (
                            <li key={cell.technique}>
                              <Technique cell={cell} />
                            </li>
                          ))}
                        </ul>
                      </section>
                    ))}
                  </div>
                </>
              )
            }}
          </Loaded>
        )}
      </Loaded>
    </>
  )
}

function Technique({ cell }: { cell: Cell }) {
  const { t } = useTranslation()
  const format = useFormat()
  const look = cell.hits > 0 ? 'hit' : cell.enabled > 0 ? 'on' : 'off'
  return (
    <Link
      className={`cell cell-${look}`}
      to="/rules"
      search={{ tag: `attack.${cell.technique.toLowerCase()}` }}
    >
      <code>{cell.technique}</code>
      <span>{t('coverage.cell', { on: cell.enabled, n: cell.rules.length })}</span>
      {cell.hits > 0 && <strong>{t('coverage.hits', { n: format.compact(cell.hits) })}</strong>}
    </Link>
  )
}
