import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, take } from '~/api/client'
import { connectors, type Connector } from '~/api/queries'
import { CHECK_EXAMPLE, CONNECTORS_EXAMPLE, serverExample } from '~/domain/connectors-example'
import { Outcome, type Answer } from '~/domain/Outcome'
import { useMay, useTenant } from '~/domain/session'
import { hasWord, useTranslation, useWord } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Copy } from '~/ui/Copy'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'

/** A try of a connector; without an answer while it goes on. */
type Try = { at: number; answer: Answer | null }

/** Whom Plura tells and has act, tried by hand; and what of it is masked where. */
export function Connectors() {
  const { t } = useTranslation()
  const query = useQuery(connectors(useTenant()))
  return (
    <Page title={t('settings.connectors')}>
      <p className="page-text">{t('connectors.text')}</p>
      <div className="stack">
        <Panel title={t('connectors.list')}>
          <Loaded query={query}>
            {(list) =>
              list.length === 0 ? (
                <>
                  <Empty title={t('connectors.none')}>{t('connectors.none.text')}</Empty>
                  <SetUp />
                </>
              ) : (
                <>
                  <List connectors={list} />
                  <details className="panel-note">
                    <summary>{t('connectors.setup')}</summary>
                    <SetUp />
                  </details>
                </>
              )
            }
          </Loaded>
        </Panel>
        <Masking />
      </div>
    </Page>
  )
}

function List({ connectors }: { connectors: Connector[] }) {
  const { t } = useTranslation()
  const word = useWord()
  const may = useMay()
  const [trying, setTrying] = useState<Connector>()
  const [tries, setTries] = useState<Record<string, Try>>({})
  return (
    <>
      <ul className="connectors">
        {connectors.map((one) => {
          const tried = tries[one.name]
          return (
            <li key={one.name}>
              <h3>
                <Raw text={one.name} /> <Badge>{word('connectorkind', one.kind)}</Badge>
              </h3>
              <div className="connector-what">
                <p>{does(one, word)}</p>
                <p className="quiet">
                  {t(
                    !one.takes_notices
                      ? 'connectors.full'
                      : one.masked
                        ? 'connectors.masked'
                        : 'connectors.plain',
                  )}
                </p>
                <div aria-live="polite">
                  {tried && (
                    <div className="connector-try">
                      <span className="quiet">
                        {t('connectors.tried')} <Time at={tried.answer?.time ?? tried.at} />
                      </span>
                      <Outcome
                        answer={tried.answer}
                        since={tried.at}
                        underWay={t('connectors.tried.later')}
                      />
                    </div>
                  )}
                </div>
              </div>
              {may('policies.write') && one.takes_notices && (
                <Button
                  onClick={() => setTrying(one)}
                  aria-label={t('connectors.try.title', { name: one.name })}
                >
                  {t('connectors.try')}
                </Button>
              )}
            </li>
          )
        })}
      </ul>
      {trying && (
        <Ask
          title={t('connectors.try.title', { name: trying.name })}
          go={t('connectors.try.go')}
          withReason
          waiting={t('tell.waiting')}
          run={async (reason) => {
            const params = { path: { name: trying.name } }
            const sent = api.POST('/api/v1/connectors/{name}/test', { params, body: { reason } })
            return { at: Date.now(), answer: (await take(sent)) ?? null }
          }}
          onDone={(tried) => {
            setTries((now) => ({ ...now, [trying.name]: tried }))
            setTrying(undefined)
          }}
          onClose={() => setTrying(undefined)}
        >
          <p>{t('connectors.try.text')}</p>
          {hasWord(`connectors.try.kind.${trying.kind}`) && (
            <p className={trying.kind === 'ticket' ? 'warning' : undefined}>
              {word('connectors.try.kind', trying.kind)}
            </p>
          )}
        </Ask>
      )}
    </>
  )
}

const does = ({ kind, takes_notices }: Connector, word: ReturnType<typeof useWord>) =>
  hasWord(`connectors.does.${kind}`)
    ? word('connectors.does', kind)
    : word('connectors.does', takes_notices ? 'notices' : 'actions')

function SetUp() {
  const { t } = useTranslation()
  const tenant = useTenant()
  return (
    <ol className="set-up">
      <li>
        <p>{t('connectors.setup.file')}</p>
        <Copy text={CONNECTORS_EXAMPLE} label={t('connectors.setup.file.label')} />
      </li>
      <li>
        <p>{t('connectors.setup.server')}</p>
        <Copy text={serverExample(tenant)} label={t('connectors.setup.server.label')} />
      </li>
      <li>
        <p>{t('connectors.setup.check')}</p>
        <Copy text={CHECK_EXAMPLE} label={t('connectors.setup.check.label')} />
        <p className="quiet">{t('connectors.setup.more')}</p>
      </li>
    </ol>
  )
}

const MASKED = ['gateway', 'logs', 'notices', 'identity'] as const

/** What the docs promise, for who wonders what leaves: nothing of it is set here. */
function Masking() {
  const { t } = useTranslation()
  return (
    <Panel title={t('masking.title')}>
      <p className="panel-note">{t('masking.text')}</p>
      <div className="scroll-x" tabIndex={0} role="region" aria-label={t('masking.title')}>
        <table className="table masking">
          <thead>
            <tr>
              <th scope="col">{t('masking.where')}</th>
              <th scope="col">{t('masking.what')}</th>
              <th scope="col">{t('masking.set')}</th>
            </tr>
          </thead>
          <tbody>
            {MASKED.map((where) => (
              <tr key={where}>
                <th scope="row">{t(`masking.${where}`)}</th>
                <td>{t(`masking.${where}.what`)}</td>
                <td className="quiet">{t(`masking.${where}.set`)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="panel-note masking-limits">{t('masking.limits')}</p>
    </Panel>
  )
}
