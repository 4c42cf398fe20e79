import { useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { actions, type Action, type Rung } from '~/api/queries'
import { ActionCard } from '~/domain/ActionCard'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Select } from '~/ui/Field'
import { Page } from '~/ui/Page'
import { Empty, Loaded } from '~/ui/states'
import { Tabs } from '~/ui/Tabs'
import { WAITING } from './shell'

const route = getRouteApi('/in/response')

const RUNGS: Rung[] = ['observe', 'limit', 'step-up', 'isolate', 'block', 'revoke', 'rotate']
const STATES = {
  waiting: WAITING.state,
  force: 'active,pending',
  history: 'undone,expired,rejected,failed,simulated',
}
const SHOWN = 50

/** What waits, what is in force, what was. */
export function Response() {
  const { t } = useTranslation()
  const { view, rung } = route.useSearch()
  const navigate = route.useNavigate()
  const chosen = view ?? 'waiting'
  const query = useQuery(actions(useTenant(), { state: STATES[chosen] }))
  return (
    <Page title={t('page.response')}>
      <div className="tabs-row">
        <Tabs label={t('response.views')}>
          {([undefined, 'force', 'history'] as const).map((one) => (
            <Link
              key={one ?? 'waiting'}
              className={view === one ? 'tab active' : 'tab'}
              to="/response"
              search={{ view: one }}
              activeProps={{ 'aria-current': undefined }}
              aria-current={view === one ? 'page' : undefined}
            >
              {t(`response.${one ?? 'waiting'}`)}
              <Count view={one ?? 'waiting'} />
            </Link>
          ))}
        </Tabs>
        <Select
          label={t('response.rung')}
          value={rung ?? ''}
          onChange={(next) =>
            void navigate({ search: (now) => ({ ...now, rung: next || undefined }), replace: true })
          }
          choices={[
            { value: '', label: t('response.rung.any') },
            ...RUNGS.map((one) => ({ value: one, label: t(`rung.${one}`) })),
          ]}
        />
      </div>
      <div className="panel">
        <Loaded query={query} rows={8}>
          {({ items, next }) => {
            const shown = rung ? items.filter((action) => action.rung === rung) : items
            if (shown.length === 0) {
              if (rung && items.length > 0) return <Empty title={t('response.none.rung')} />
              return (
                <Empty title={t(`response.${chosen}.none`)}>
                  {chosen === 'waiting' && t('response.waiting.none.text')}
                </Empty>
              )
            }
            return (
              <>
                <Cards key={`${chosen} ${rung}`} items={arrange(shown, chosen)} />
                {next && <p className="panel-note">{t('response.newest', { n: items.length })}</p>}
              </>
            )
          }}
        </Loaded>
      </div>
    </Page>
  )
}

/** What ends first stands first; of what has ended, what ended last. */
function arrange(items: Action[], view: keyof typeof STATES): Action[] {
  const ended = (action: Action) => action.history.at(-1)?.time ?? action.created
  const due = (action: Action) =>
    view === 'waiting' ? (action.approval?.deadline ?? action.expires) : action.expires
  return [...items].sort((a, b) => (view === 'history' ? ended(b) - ended(a) : due(a) - due(b)))
}

function Cards({ items }: { items: Action[] }) {
  const { t } = useTranslation()
  const [shown, setShown] = useState(SHOWN)
  return (
    <>
      {items.slice(0, shown).map((action) => (
        <ActionCard key={action.id} action={action} />
      ))}
      {items.length > shown && (
        <p className="panel-more">
          <Button onClick={() => setShown(shown + SHOWN)}>
            {t('ui.more', { n: items.length - shown })}
          </Button>
        </p>
      )}
    </>
  )
}

function Count({ view }: { view: keyof typeof STATES }) {
  const list = useQuery(actions(useTenant(), { state: STATES[view] })).data
  if (!list) return null
  return (
    <span className="tab-count">
      {list.items.length}
      {list.next ? '+' : ''}
    </span>
  )
}
