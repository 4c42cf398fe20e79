import { useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { exceptions, rules } from '~/api/queries'
import { Exceptions } from '~/domain/Exceptions'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Empty, Loaded } from '~/ui/states'

const route = getRouteApi('/in/rules')

/** What is kept quiet now, or was. */
export function AllExceptions() {
  const { t } = useTranslation()
  const { ended } = route.useSearch()
  const tenant = useTenant()
  const query = useQuery(exceptions(tenant, ended ?? false))
  const all = useQuery(rules(tenant)).data?.items
  const title = (id: string) => all?.find((rule) => rule.id === id)?.title || id
  return (
    <div className="panel">
      <header className="panel-head">
        <h2>{t(ended ? 'except.list.ended' : 'except.list.force')}</h2>
        <Link to="/rules" search={{ view: 'exceptions', ended: ended ? undefined : true }}>
          {t(ended ? 'except.list.force' : 'except.list.ended')}
        </Link>
      </header>
      <Loaded query={query} rows={4}>
        {({ items, next }) => {
          const shown = ended ? items.filter((one) => one.ended != null) : items
          if (shown.length === 0) {
            return (
              <Empty title={t(ended ? 'except.none.ended' : 'except.none')}>
                {!ended && t('except.none.text')}
              </Empty>
            )
          }
          return (
            <>
              <Exceptions items={shown} title={title} />
              {next && <p className="panel-note">{t('response.newest', { n: items.length })}</p>}
            </>
          )
        }}
      </Loaded>
    </div>
  )
}
