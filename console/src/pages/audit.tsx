import { useMutation, useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { api, take, type Schema } from '~/api/client'
import { AUDIT_PAGE, audit, checkpoint, type Leaf } from '~/api/queries'
import { isIncluded } from '~/domain/merkle'
import { isSaid, useActor } from '~/domain/people'
import { useTenant } from '~/domain/session'
import { useTranslation, useWord } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { useFormat } from '~/ui/format'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Failed, Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'

const route = getRouteApi('/in/audit')

type Entry = Schema['Entry']

/** Who did what, when and why: the ledger, and the proof that nothing in it was changed. */
export function Audit() {
  const { t } = useTranslation()
  const { from, subject, entry } = route.useSearch()
  const navigate = route.useNavigate()
  const query = useQuery(audit(useTenant(), { from, subject }))
  const open = query.data?.find((one) => one.index === entry)
  const first = query.data?.[0]?.index ?? 0
  const last = query.data?.at(-1)?.index ?? 0
  const isEnd = from === undefined || (query.data?.length ?? 0) < AUDIT_PAGE
  const show = (index: number | undefined) =>
    void navigate({ search: (now) => ({ ...now, entry: index }) })
  return (
    <Page title={t('page.audit')}>
      <div className="overview">
        <div className="overview-main">
          <Panel
            title={subject ? t('audit.subject') : t('audit.latest')}
            aside={
              subject ? (
                <Link to="/audit" search={{}}>
                  {t('audit.subject.clear')}
                </Link>
              ) : (
                <span className="pager">
                  <Button
                    why={first === 0 && t('audit.none')}
                    onClick={() =>
                      void navigate({ search: { from: Math.max(0, first - AUDIT_PAGE) } })
                    }
                  >
                    {t('ui.older')}
                  </Button>
                  <Button
                    why={isEnd && t('audit.none')}
                    onClick={() => void navigate({ search: { from: last + 1 } })}
                  >
                    {t('ui.newer')}
                  </Button>
                  {from !== undefined && (
                    <Link to="/audit" search={{}}>
                      {t('audit.latest')}
                    </Link>
                  )}
                </span>
              )
            }
          >
            <Loaded query={query} rows={10}>
              {(entries) =>
                entries.length === 0 ? (
                  <Empty title={t('audit.none')}>{t('audit.none.text')}</Empty>
                ) : (
                  <Entries entries={entries} onOpen={show} />
                )
              }
            </Loaded>
          </Panel>
        </div>
        <div className="overview-side">
          <Checkpoint />
        </div>
      </div>
      {open && <One entry={open} onClose={() => show(undefined)} />}
    </Page>
  )
}

/** Kinds whose reason is what somebody wrote; the ledger holds codes of all others. */
const SAID = ['evidence-view', 'export']

function useReason() {
  const word = useWord()
  return (leaf: Leaf) => {
    if (isSaid(leaf.actor) && SAID.includes(leaf.kind)) return leaf.reason
    // A decision's and an action's reason is `rung state rule`; a rule's or a code's has words of its own.
    const parts = leaf.reason.split(' ')
    const of = (part: string) =>
      ['rung', 'state', 'rule', 'reason', 'approval', 'severity', 'status']
        .map((group) => [part, word(group, part)])
        .find(([code, found]) => code !== found)?.[1] ?? part
    const isCodes = leaf.kind === 'action' || leaf.kind === 'decision' || parts.length === 1
    return isCodes ? parts.map(of).join(' · ') : leaf.reason
  }
}

/** The newest stands first, as everywhere; the ledger counts from the oldest. */
function Entries({ entries, onOpen }: { entries: Entry[]; onOpen: (index: number) => void }) {
  const { t } = useTranslation()
  const word = useWord()
  const actor = useActor()
  const reason = useReason()
  return (
    <div className="scroll-x">
      <table className="table audit">
        <thead>
          <tr>
            <th scope="col" className="number">
              {t('audit.index')}
            </th>
            <th scope="col">{t('audit.when')}</th>
            <th scope="col">{t('audit.kind')}</th>
            <th scope="col">{t('audit.who')}</th>
            <th scope="col">{t('audit.why')}</th>
          </tr>
        </thead>
        <tbody>
          {[...entries].reverse().map(({ index, leaf }) => (
            <tr key={index}>
              <td className="number">
                <button
                  type="button"
                  className="link-button"
                  aria-label={t('audit.open', { index })}
                  onClick={() => onOpen(index)}
                >
                  {index}
                </button>
              </td>
              <td>
                <Time at={leaf.time} />
              </td>
              <td>{word('leaf', leaf.kind)}</td>
              <td className="audit-who">
                <Raw text={actor(leaf.actor)} />
              </td>
              <td className="audit-why">
                <Raw text={reason(leaf)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Checkpoint() {
  const { t } = useTranslation()
  const format = useFormat()
  const query = useQuery(checkpoint(useTenant()))
  const copy = (text: string) =>
    void navigator.clipboard.writeText(text).then(() => say(t('ui.copied')))
  return (
    <Panel title={t('audit.checkpoint')}>
      <Loaded query={query} rows={4}>
        {(signed) => (
          <div className="checkpoint">
            <p className="quiet">{t('audit.checkpoint.text')}</p>
            <dl className="facts">
              <dt>{t('audit.size')}</dt>
              <dd>{format.number(signed.size)}</dd>
              <dt>{t('audit.verifier')}</dt>
              <dd>
                <Raw text={signed.verifier} />
              </dd>
            </dl>
            <pre className="block">
              <Raw text={signed.checkpoint} lines />
            </pre>
            <Button onClick={() => copy(signed.checkpoint)}>{t('ui.copy')}</Button>
          </div>
        )}
      </Loaded>
    </Panel>
  )
}

function One({ entry: { index, leaf }, onClose }: { entry: Entry; onClose: () => void }) {
  const { t } = useTranslation()
  const word = useWord()
  const actor = useActor()
  const reason = useReason()
  const check = useMutation({
    mutationFn: async () => {
      const params = { path: { index } }
      const proof = await take(api.GET('/api/v1/audit/{index}/proof', { params }))
      // What is proven has to be what is shown.
      const isSame = JSON.stringify(proof.leaf) === JSON.stringify(leaf)
      return { proof, isGood: isSame && proof.index === index && (await isIncluded(proof)) }
    },
  })
  return (
    <Dialog title={t('audit.entry', { index })} onClose={onClose} place="side">
      <dl className="facts">
        <dt>{t('audit.kind')}</dt>
        <dd>{word('leaf', leaf.kind)}</dd>
        <dt>{t('audit.when')}</dt>
        <dd>
          <Time at={leaf.time} form="whole" />
        </dd>
        <dt>{t('audit.who')}</dt>
        <dd>
          <Raw text={actor(leaf.actor)} />
        </dd>
        <dt>{t('audit.why')}</dt>
        <dd>
          <Raw text={reason(leaf)} />
        </dd>
        <dt>{t('audit.record')}</dt>
        <dd>
          {leaf.kind === 'incident' ? (
            <Link to="/incidents/$id" params={{ id: leaf.subject }}>
              <code>{leaf.subject}</code>
            </Link>
          ) : (
            <code>{leaf.subject}</code>
          )}{' '}
          <Link to="/audit" search={{ subject: leaf.subject }}>
            {t('audit.more')}
          </Link>
        </dd>
        <dt>{t('audit.digest')}</dt>
        <dd>
          <Raw text={leaf.digest} />
        </dd>
        {leaf.causes && leaf.causes.length > 0 && (
          <>
            <dt>{t('audit.causes')}</dt>
            <dd>
              {leaf.causes.map((cause) => (
                <div key={cause}>
                  <Link to="/audit" search={{ subject: cause }}>
                    <code>{cause}</code>
                  </Link>
                </div>
              ))}
            </dd>
          </>
        )}
      </dl>
      <p className="proof">
        <Button icon="check" busy={check.isPending} onClick={() => check.mutate()}>
          {t('audit.proof')}
        </Button>
      </p>
      <div aria-live="polite">
        {check.error && <Failed error={check.error} />}
        {check.data && (
          <p className={check.data.isGood ? 'verdict verdict-good' : 'verdict verdict-bad'}>
            {check.data.isGood
              ? t('audit.proof.good', {
                  n: check.data.proof.path.length,
                  size: check.data.proof.size,
                })
              : t('audit.proof.bad')}{' '}
            {check.data.isGood && t('audit.proof.text')}
          </p>
        )}
      </div>
    </Dialog>
  )
}
