import { useQuery } from '@tanstack/react-query'
import type { Schema } from '~/api/client'
import { incidents } from '~/api/queries'
import { useTranslation, useWord } from '~/i18n'
import { Panel } from '~/ui/Page'
import { plain } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { IncidentLine } from './IncidentLine'
import { useTenant } from './session'
import { similarTo, type Similar } from './similar'

const SHOWN = 5
const NAMED = 2

/** Others like this one, and in what they are alike. */
export function SimilarIncidents({ view }: { view: Schema['IncidentView'] }) {
  const { t } = useTranslation()
  const query = useQuery(incidents(useTenant(), {}))
  return (
    <Panel title={t('similar.title')}>
      <Loaded query={query} rows={2}>
        {({ items, next }) => {
          const found = similarTo(view.incident, view.findings, items)
          return (
            <>
              {found.length === 0 ? (
                <Empty title={t('similar.none')} />
              ) : (
                <ul className="lines lines-narrow">
                  {found.slice(0, SHOWN).map((one) => (
                    <li key={one.incident.id}>
                      <IncidentLine incident={one.incident} />
                      <Why one={one} />
                    </li>
                  ))}
                </ul>
              )}
              <p className="panel-note">
                {found.length > SHOWN && `${t('similar.more', { n: found.length - SHOWN })} `}
                {t(next ? 'similar.newest' : 'similar.all', { n: items.length })}
              </p>
            </>
          )
        }}
      </Loaded>
    </Panel>
  )
}

function Why({ one }: { one: Similar }) {
  const { t } = useTranslation()
  const word = useWord()
  const some = (all: string[]) =>
    all.slice(0, NAMED).map(plain).join(', ') +
    (all.length > NAMED ? ` ${t('incidents.more', { n: all.length - NAMED })}` : '')
  return (
    <ul className="similar-why quiet">
      {one.entities.length > 0 && <li>{t('similar.entities', { what: some(one.entities) })}</li>}
      {one.rules.length > 0 && (
        <li>{t('similar.rules', { what: some(one.rules.map((rule) => word('rule', rule))) })}</li>
      )}
      {one.techniques.length > 0 && (
        <li>{t('similar.techniques', { what: some(one.techniques) })}</li>
      )}
    </ul>
  )
}
