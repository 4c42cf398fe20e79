import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { api, take } from '~/api/client'
import { checkPolicy, policy, policyVersion, policyVersions, type Policy } from '~/api/queries'
import { isSaid, useActor } from '~/domain/people'
import { useMay, useTenant } from '~/domain/session'
import { TextDesk, useDraft } from '~/domain/TextDesk'
import { Versions } from '~/domain/Versions'
import { useTranslation } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Diff } from '~/ui/Diff'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'

const route = getRouteApi('/in/settings/policy')

/** What is done about findings, as a text people write; every version of it stays. */
export function ResponsePolicy() {
  const { t } = useTranslation()
  const tenant = useTenant()
  const may = useMay()
  const { version } = route.useSearch()
  const navigate = route.useNavigate()
  const query = useQuery(policy(tenant))
  const versions = useInfiniteQuery(policyVersions(tenant))
  const [draft, setDraft] = useDraft('policy')
  return (
    <Page title={t('settings.policy')}>
      <p className="page-text">{t('policy.text')}</p>
      <div className="stack">
        <Panel
          title={t('policy.force')}
          aside={
            query.data && (
              <Badge tone="info">{t('policy.version', { n: query.data.version })}</Badge>
            )
          }
        >
          <Loaded query={query} rows={10}>
            {(own) => (
              <>
                {own ? (
                  <Made of={own} />
                ) : (
                  <p className="panel-note">
                    {t('policy.shipped')} {may('policies.write') && t('policy.shipped.text')}
                  </p>
                )}
                {(own || may('policies.write')) && (
                  <TextDesk
                    label={t('policy.editor')}
                    inForce={own?.text ?? ''}
                    draft={draft}
                    onDraft={setDraft}
                    mayWrite={may('policies.write')}
                    check={(text, signal) => checkPolicy(tenant, text, signal)}
                    save={(text, reason) =>
                      take(api.PUT('/api/v1/policy', { body: { text, reason } }))
                    }
                    saveTitle={t('policy.save')}
                    saveText={own ? t('policy.save.text') : t('policy.save.first')}
                    saved={t('policy.saved')}
                  />
                )}
              </>
            )}
          </Loaded>
        </Panel>
        <Versions
          query={versions}
          inForce={query.data?.version}
          link={(version, name) => (
            <Link to="/settings/policy" search={{ version }}>
              {name}
            </Link>
          )}
        />
      </div>
      {version !== undefined && (
        <Version
          version={version}
          inForce={query.data ?? null}
          onRestore={
            may('policies.write')
              ? (text) => {
                  setDraft(text)
                  void navigate({ search: {} })
                }
              : undefined
          }
          onClose={() => void navigate({ search: {} })}
        />
      )}
    </Page>
  )
}

function Made({ of }: { of: Policy }) {
  const actor = useActor()
  return (
    <p className="panel-note made">
      <Raw text={actor(of.author)} /> · <Time at={of.created} form="whole" /> ·{' '}
      {isSaid(of.author) ? <Raw text={of.reason} /> : of.reason}
    </p>
  )
}

/** An earlier text beside the one in force; going back to it is a new version with a reason of its own. */
function Version(props: {
  version: number
  inForce: Policy | null
  onRestore: ((text: string) => void) | undefined
  onClose: () => void
}) {
  const { version, inForce, onRestore, onClose } = props
  const { t } = useTranslation()
  const query = useQuery(policyVersion(useTenant(), version))
  return (
    <Dialog title={t('policy.version', { n: version })} onClose={onClose} place="side">
      <Loaded query={query} rows={10}>
        {(one) => (
          <div className="stack">
            <Made of={one} />
            {inForce && inForce.version !== version && (
              <>
                <h3>{t('policy.back')}</h3>
                <Diff before={inForce.text} after={one.text} label={t('policy.back')} />
              </>
            )}
            <h3>{t('policy.whole')}</h3>
            <pre className="block" tabIndex={0} role="region" aria-label={t('policy.whole')}>
              <Raw text={one.text} lines />
            </pre>
            {onRestore && (
              <p>
                <Button
                  look="primary"
                  why={inForce?.text === one.text && t('policy.same')}
                  onClick={() => onRestore(one.text)}
                >
                  {t('policy.restore')}
                </Button>{' '}
                <span className="quiet">{t('policy.restore.text')}</span>
              </p>
            )}
          </div>
        )}
      </Loaded>
    </Dialog>
  )
}
