import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { api, take } from '~/api/client'
import {
  LIVE_MS,
  SLOW_MS,
  health,
  hosts,
  secondFactor,
  sources,
  tenants,
  users,
} from '~/api/queries'
import { showFirstSteps } from '~/domain/first'
import { hasFactor } from '~/domain/SecondFactor'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Copy } from '~/ui/Copy'
import { Icon } from '~/ui/Icon'
import { Panel } from '~/ui/Page'
import { Failed } from '~/ui/states'

/** The gateway that `plura demo` starts. */
const DEMO_GATEWAY = 'demo-gateway'

type Step = { id: string; title: string; why: string; isDone: boolean | undefined; how: ReactNode }

/** What to do first, ticked by what the server knows and by nothing else. */
export function FirstSteps() {
  const { t } = useTranslation()
  const tenant = useTenant()
  const state = useQuery(health(tenant)).data
  const seen = useQuery({
    ...sources(tenant),
    // Until something comes, somebody may be waiting for it.
    refetchInterval: ({ state: { data } }) => (data?.rates.length ? SLOW_MS : LIVE_MS),
  }).data
  const told = useQuery(hosts(tenant)).data
  const people = useQuery(users(tenant)).data
  const factor = useQuery(secondFactor).data
  const mode = useQuery(tenants(tenant)).data?.find((one) => one.id === tenant)?.mode
  const gateways = state?.gateways.map(({ id }) => id)
  // A gateway's events come by the gateway's name.
  const logs = seen && gateways && seen.rates.filter(({ source }) => !gateways.includes(source))
  const steps: Step[] = [
    {
      id: 'site',
      title: t('first.site'),
      why: t('first.site.why'),
      isDone: gateways && gateways.length > 0,
      how: <ProtectSite tenant={tenant} />,
    },
    {
      id: 'log',
      title: t('first.log'),
      why: t('first.log.why'),
      isDone: logs && logs.length > 0,
      how: <ShipLog />,
    },
    {
      id: 'host',
      title: t('first.host'),
      why: t('first.host.why'),
      isDone: told === undefined ? undefined : told > 0,
      how: <EnrolHost />,
    },
    {
      id: 'factor',
      title: t('first.factor'),
      why: t('first.factor.why'),
      isDone: factor && hasFactor(factor),
      how: (
        <p>
          <Link to="/settings/you" hash="second-factor">
            {t('factor.title')}
          </Link>
        </p>
      ),
    },
    {
      id: 'colleague',
      title: t('first.colleague'),
      why: t('first.colleague.why'),
      isDone: people && people.filter((user) => !user.disabled).length > 1,
      how: (
        <p>
          <Link to="/settings/people">{t('settings.people')}</Link>
        </p>
      ),
    },
    {
      id: 'mode',
      title: t('first.mode'),
      why: t('first.mode.why'),
      isDone: mode === undefined ? undefined : mode !== 'observe',
      how: (
        <p>
          {mode && t('first.mode.now', { mode: t(`mode.${mode as 'observe'}`) })}{' '}
          <Link to="/settings/tenant">{t('tenant.mode')}</Link>
        </p>
      ),
    },
    {
      id: 'demo',
      title: t('first.demo'),
      why: t('first.demo.why'),
      isDone: gateways?.includes(DEMO_GATEWAY),
      how: <Copy text="plura demo --listen 127.0.0.1:9443" label={t('first.command')} />,
    },
  ]
  const done = steps.filter((step) => step.isDone).length
  return (
    <Panel
      title={t('first.title')}
      aside={
        <span className="first-aside">
          <span className="quiet">{t('first.done', { n: done, of: steps.length })}</span>
          <Button look="quiet" onClick={() => showFirstSteps(false)} title={t('first.hide.text')}>
            {t('first.hide')}
          </Button>
        </span>
      }
    >
      <ol className="first">
        {steps.map((step) => (
          <li key={step.id} data-step={step.id} data-done={step.isDone ?? false}>
            <details>
              <summary>
                <span className={step.isDone ? 'tick tick-done' : 'tick'}>
                  {step.isDone && <Icon name="check" size={14} />}
                  <span className="only-read">{t(step.isDone ? 'first.yes' : 'first.no')}: </span>
                </span>
                {step.title}
                <span className="first-more">
                  <Icon name="down" />
                </span>
              </summary>
              <div className="first-how">
                <p>{step.why}</p>
                {step.how}
              </div>
            </details>
          </li>
        ))}
      </ol>
    </Panel>
  )
}

/** What stands in a command until there is a token. */
const NO_TOKEN = 'plura_…'

/** A token for the commands below; it is on screen until one leaves the page. */
function useToken(name: string, scope: 'gateway' | 'intake') {
  const queries = useQueryClient()
  const make = useMutation({
    networkMode: 'always',
    mutationFn: () => take(api.POST('/api/v1/tokens', { body: { name, scopes: [scope] } })),
    onSuccess: () => queries.invalidateQueries(),
  })
  return { token: make.data?.token, make }
}

function TokenButton({ of }: { of: ReturnType<typeof useToken> }) {
  const { t } = useTranslation()
  if (of.token) return <p className="warning">{t('first.token.made')}</p>
  return (
    <>
      <p className="row">
        <Button busy={of.make.isPending} onClick={() => of.make.mutate()}>
          {t('first.token')}
        </Button>
        <span className="quiet">{t('first.token.text')}</span>
      </p>
      {of.make.error && <Failed error={of.make.error} />}
    </>
  )
}

function ProtectSite({ tenant }: { tenant: string }) {
  const { t } = useTranslation()
  const token = useToken('gateway edge-1', 'gateway')
  return (
    <>
      <TokenButton of={token} />
      <p className="quiet">{t('first.site.how', { tenant })}</p>
      <Copy label="gateway.yaml" text={gatewayYaml(window.location.origin)} />
      <Copy
        label={t('first.command')}
        text={[
          'umask 077',
          `printf %s '${token.token ?? NO_TOKEN}' > token`,
          'openssl rand -hex 32 > tenant.key',
          'plura gateway --config gateway.yaml',
        ].join('\n')}
      />
    </>
  )
}

/** docs/gateway.md; `tests/first.spec.ts` lets `plura gateway --check` read it. */
const gatewayYaml = (origin: string) => `gateway: edge-1
listeners:
  - {address: 0.0.0.0:8080}
admin: 127.0.0.1:9180
server: {url: '${origin}', token_file: token, ca_file: server.pem}
state_dir: state
key_file: tenant.key
sites:
  - name: shop
    hosts: ['*']
    upstreams: [{url: 'http://127.0.0.1:3000'}]
    fail: open`

const intake = (token: string | undefined, query: string, body: string) =>
  [
    `curl --fail-with-body --cacert server.pem -H 'authorization: Bearer ${token ?? NO_TOKEN}' \\`,
    `  --data-binary ${body} \\`,
    `  "${window.location.origin}/api/v1/intake/logs?${query}"`,
  ].join('\n')

function ShipLog() {
  const { t } = useTranslation()
  const token = useToken('first log', 'intake')
  const line = '"<14>1 $(date -u +%FT%TZ) $(hostname) plura-test - - - first line of this host"'
  return (
    <>
      <TokenButton of={token} />
      <p className="quiet">{t('first.log.how')}</p>
      <Copy
        label={t('first.command')}
        text={intake(token.token, 'source=$(hostname)-syslog&format=syslog', line)}
      />
    </>
  )
}

function EnrolHost() {
  const { t } = useTranslation()
  const token = useToken('first host', 'intake')
  return (
    <>
      <TokenButton of={token} />
      <p className="quiet">{t('first.host.how')}</p>
      <Copy
        label={t('first.command')}
        text={[
          'auditctl -a always,exit -F arch=b64 -S execve,execveat -k exec',
          intake(
            token.token,
            'source=$(hostname)-audit&format=linux-audit&device=$(hostname)',
            '@/var/log/audit/audit.log',
          ),
        ].join('\n')}
      />
    </>
  )
}
