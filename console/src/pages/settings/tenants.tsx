import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take } from '~/api/client'
import { me as whoAmI, tenants } from '~/api/queries'
import { useMay, useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Field } from '~/ui/Field'
import { Page } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'

/** One's tenants; whoever owns the home tenant makes more. */
export function Tenants() {
  const { t } = useTranslation()
  const may = useMay()
  const current = useTenant()
  const query = useQuery(tenants(current))
  const [isMaking, setMaking] = useState(false)
  return (
    <Page
      title={t('settings.tenants')}
      aside={
        may('tenants.create') && (
          <Button look="primary" onClick={() => setMaking(true)}>
            {t('tenants.make')}
          </Button>
        )
      }
    >
      <p className="page-text">{t('tenants.text')}</p>
      <div className="panel">
        <Loaded query={query}>
          {(list) => (
            <div className="scroll-x" tabIndex={0} role="region" aria-label={t('settings.tenants')}>
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">{t('tenant.name')}</th>
                    <th scope="col">{t('tenants.id')}</th>
                    <th scope="col">{t('people.role')}</th>
                    <th scope="col">{t('tenant.mode')}</th>
                    <th scope="col">{t('people.since')}</th>
                  </tr>
                </thead>
                <tbody>
                  {list.map((tenant) => (
                    <tr key={tenant.id}>
                      <td>
                        <Link to="/settings/tenant" search={{ tenant: tenant.id }}>
                          <Raw text={tenant.name} />
                        </Link>{' '}
                        {tenant.id === current && <Badge tone="info">{t('tenants.here')}</Badge>}
                      </td>
                      <td>
                        <code>{tenant.id}</code>
                      </td>
                      <td>{tenant.role && t(`role.${tenant.role as 'owner'}`)}</td>
                      <td>
                        <span className={`mode mode-${tenant.mode}`}>
                          {t(`mode.${tenant.mode as 'observe'}`)}
                        </span>
                      </td>
                      <td>
                        <Time at={tenant.created} form="ago" />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Loaded>
      </div>
      {isMaking && <Make onClose={() => setMaking(false)} />}
    </Page>
  )
}

/** As the server asks (`TenantId`). */
const ID = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/

function Make({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  const [id, setId] = useState('')
  const [name, setName] = useState('')
  const tenant = useTenant()
  const queries = useQueryClient()
  const navigate = useNavigate()
  return (
    <Ask
      title={t('tenants.make')}
      go={t('tenants.make.go')}
      fault={
        !ID.test(id) ? t('tenants.id.invalid') : name.trim() === '' && t('tenant.name.missing')
      }
      run={async () => {
        const made = await take(api.POST('/api/v1/tenants', { body: { id, name: name.trim() } }))
        // One belongs to it now: the switch at the top left and the address have to know.
        for (const one of [tenant, undefined, made.id]) {
          await queries.fetchQuery({ ...whoAmI(one), staleTime: 0 })
        }
        return made
      }}
      onDone={(made) => {
        say(t('tenants.made', { name: made.name }))
        onClose()
        void navigate({ to: '/settings/tenant', search: { tenant: made.id } })
      }}
      onClose={onClose}
    >
      <p>{t('tenants.make.text')}</p>
      <Field label={t('tenants.id')} hint={t('tenants.id.hint')}>
        {(ids) => (
          <input
            {...ids}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            value={id}
            onChange={(event) => setId(event.target.value)}
          />
        )}
      </Field>
      <Field label={t('tenant.name')}>
        {(ids) => (
          <input
            {...ids}
            autoComplete="off"
            maxLength={200}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
    </Ask>
  )
}
