import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { isSaid, useActor } from '~/domain/people'
import { useMay, useTenant } from '~/domain/session'
import { TextDesk, useDraft } from '~/domain/TextDesk'
import { Versions } from '~/domain/Versions'
import {
  SPAN_NAMES,
  checkTrust,
  compare,
  shippedHash,
  sit,
  spoken,
  trustPolicy,
  trustVersion,
  trustVersions,
  type CaseRow,
  type Checked,
  type Compared,
  type Span,
} from '~/domain/trust'
import { useTranslation } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { CodeEditor } from '~/ui/CodeEditor'
import { Dialog } from '~/ui/Dialog'
import { Diff } from '~/ui/Diff'
import { Select } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Failed, Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'

const route = getRouteApi('/in/trust')

type View = Schema['TrustPolicyView']

/** The trust policy: its text, cases of one's own, what it would have changed, and every version. */
export function TrustPolicy() {
  const query = useQuery(trustPolicy(useTenant()))
  return (
    <Loaded query={query} rows={10}>
      {(inForce) => <Bench inForce={inForce} />}
    </Loaded>
  )
}

function Bench({ inForce }: { inForce: View }) {
  const { t } = useTranslation()
  const tenant = useTenant()
  const versions = useInfiniteQuery(trustVersions(tenant))
  const mayWrite = useMay()('trust.write')
  const { version } = route.useSearch()
  const navigate = route.useNavigate()
  const queries = useQueryClient()
  const [draft, setDraft] = useDraft('trust-policy')
  const [chosen, setChosen] = useDraft('trust-profile')
  const shipped = useQuery(shippedHash(tenant))
  const [isGoingBack, setGoingBack] = useState(false)
  const text = draft ?? inForce.text
  const profile = chosen ?? inForce.profile
  const isShipped = shipped.data === inForce.hash
  // The shipped policy stays the shipped one, with its updates, while only the profile changes.
  const textFor = (text: string) => (isShipped && text === inForce.text ? '' : text)
  const put = async (text: string, profile: string, reason: string) => {
    const body = { text: textFor(text), profile, reason }
    const stored = await take(api.PUT('/api/v1/trust/policy', { body }))
    setChosen(null)
    await queries.invalidateQueries()
    return stored
  }
  const sitting = useMutation({
    mutationFn: async (cases: string) => ({
      text,
      profile,
      checked: await sit(tenant, text, cases),
    }),
  })
  const comparing = useMutation({
    mutationFn: async (since: Span | undefined) => ({
      text,
      profile,
      compared: await compare(tenant, text, chosen ?? undefined, since),
    }),
  })
  // An answer about another text says nothing of this one.
  const isOf = (data: { text: string; profile: string } | undefined) =>
    data?.text === text && data.profile === profile
  const checked = isOf(sitting.data) ? sitting.data?.checked : undefined
  const compared = isOf(comparing.data) ? comparing.data?.compared : undefined
  return (
    <div className="stack">
      <Panel
        title={t('trust.policy')}
        aside={
          <Badge tone="info">
            {isShipped ? t('trust.shipped') : t('policy.version', { n: inForce.version })}
          </Badge>
        }
      >
        <p className="panel-note">{t('trust.policy.text')}</p>
        {inForce.version > 0 && <Made of={inForce} />}
        <div className="trust-choose">
          <Select
            label={t('trust.profile')}
            isLabelShown
            value={profile}
            why={!mayWrite && t('trust.read-only')}
            onChange={(next) => setChosen(next === inForce.profile ? null : next)}
            choices={profilesOf(text, inForce, profile).map((one) => ({ value: one, label: one }))}
          />
          {!mayWrite && <span className="quiet">{t('trust.read-only')}</span>}
          {mayWrite && shipped.data && !isShipped && (
            <Button onClick={() => setGoingBack(true)}>{t('trust.shipped.use')}</Button>
          )}
        </div>
        <TextDesk
          label={t('trust.editor')}
          inForce={inForce.text}
          draft={draft}
          onDraft={setDraft}
          mayWrite={mayWrite}
          check={(text, signal) => checkTrust(tenant, text, profile, signal)}
          checkedWith={profile}
          isElseChanged={profile !== inForce.profile}
          onDiscard={() => setChosen(null)}
          save={(text, reason) => put(text, profile, reason)}
          saveTitle={t('policy.save')}
          saveText={t('trust.save.text')}
          saved={t('policy.saved')}
          beforeSave={
            <ul>
              {profile !== inForce.profile && (
                <li>{t('trust.save.profile', { before: inForce.profile, after: profile })}</li>
              )}
              <li>
                {checked?.exam
                  ? t('trust.cases.result', {
                      passed: checked.exam.passed,
                      total: checked.exam.total,
                    })
                  : t('trust.cases.unsat')}
              </li>
              <li>{compared ? <Told of={compared} /> : t('trust.compare.not-yet')}</li>
            </ul>
          }
        />
      </Panel>
      <Cases
        checked={checked}
        error={sitting.error}
        isPending={sitting.isPending}
        onRun={(cases) => sitting.mutate(cases)}
      />
      <Compare
        compared={compared}
        error={comparing.error}
        isPending={comparing.isPending}
        isSame={text === inForce.text && profile === inForce.profile}
        onRun={(since) => comparing.mutate(since)}
      />
      <Versions
        query={versions}
        inForce={inForce.version}
        link={(version, name) => (
          <Link to="/trust" search={{ view: 'policy', version }}>
            {name}
          </Link>
        )}
      />
      {version !== undefined && (
        <Version
          version={version}
          inForce={inForce}
          onRestore={
            mayWrite
              ? (one) => {
                  setDraft(one.text === inForce.text ? null : one.text)
                  setChosen(one.profile === inForce.profile ? null : one.profile)
                  void navigate({ search: { view: 'policy' } })
                }
              : undefined
          }
          onClose={() => void navigate({ search: { view: 'policy' } })}
        />
      )}
      {isGoingBack && (
        <Ask
          title={t('trust.shipped.use')}
          go={t('desk.save')}
          withReason
          run={async (reason) => {
            const body = { text: '', profile: inForce.profile, reason }
            return take(api.PUT('/api/v1/trust/policy', { body }))
          }}
          onDone={() => {
            say(t('policy.saved'))
            setDraft(null)
            setGoingBack(false)
          }}
          onClose={() => setGoingBack(false)}
        >
          <p>{t('trust.shipped.use.text')}</p>
        </Ask>
      )}
    </div>
  )
}

/** Those in force, and those that the text being written names. */
function profilesOf(text: string, inForce: View, profile: string): string[] {
  const block = /^profiles:\n((?:[ \t-].*\n)+)/m.exec(text)?.[1] ?? ''
  const written = [...block.matchAll(/\bid:\s*([\w-]+)/g)].map((found) => found[1] ?? '')
  return [...new Set([...(written.length > 0 ? written : inForce.profiles), profile])]
}

function Made({ of }: { of: View }) {
  const actor = useActor()
  return (
    <p className="panel-note made">
      <Raw text={actor(of.author)} /> · <Time at={of.created} form="whole" /> · {of.profile} ·{' '}
      {isSaid(of.author) ? <Raw text={of.reason} /> : of.reason}
    </p>
  )
}

/** A case to begin with, in the form of `plura trust exam`. */
const EXAMPLE = `scenarios:
  - id: strong-login
    title_en: Strong login from a known device
    signals:
      identity: {mfa_result: success, authorization: match}
      device: {device_registered: true}
    expected: {trust: [60, 100], decision: [allow, allow_monitor]}
`

function Cases(props: {
  checked: Checked | undefined
  error: unknown
  isPending: boolean
  onRun: (cases: string) => void
}) {
  const { checked, error, isPending, onRun } = props
  const { t } = useTranslation()
  const [draft, setDraft] = useDraft('trust-cases')
  const cases = draft ?? ''
  const exam = checked?.exam
  return (
    <Panel
      title={t('trust.cases')}
      aside={
        exam && (
          <Badge tone={exam.passed === exam.total ? 'good' : 'critical'}>
            {t('trust.cases.result', { passed: exam.passed, total: exam.total })}
          </Badge>
        )
      }
    >
      <p className="panel-note">{t('trust.cases.text')}</p>
      <CodeEditor label={t('trust.cases.editor')} value={cases} onChange={setDraft} />
      <div className="desk-below">
        <p className="desk-foot">
          <span />
          <Button why={cases !== '' && t('trust.cases.there')} onClick={() => setDraft(EXAMPLE)}>
            {t('trust.cases.example')}
          </Button>
          <Button
            icon="play"
            busy={isPending}
            why={cases.trim() === '' && t('trust.cases.none')}
            onClick={() => onRun(cases)}
          >
            {t('trust.cases.run')}
          </Button>
        </p>
        <div aria-live="polite">
          {error != null && <Failed error={error} />}
          {exam && <CaseTable rows={exam.cases} />}
        </div>
      </div>
    </Panel>
  )
}

function CaseTable({ rows }: { rows: CaseRow[] }) {
  const { t, i18n } = useTranslation()
  const { number } = useFormat()
  const title = (row: CaseRow) => (spoken(i18n.language) === 'ko' && row.title_ko) || row.title_en
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('trust.cases.results')}>
      <table className="table">
        <caption className="only-read">{t('trust.cases.results')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('trust.case')}</th>
            <th scope="col">{t('trust.case.ended')}</th>
            <th scope="col">{t('trust.profile')}</th>
            <th scope="col">{t('trust.score')}</th>
            <th scope="col">{t('trust.case.decision')}</th>
            <th scope="col">{t('trust.case.why')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const missing = [
              ...(row.obligations_missing ?? []),
              ...(row.obligations_contradicting ?? []),
            ]
            return (
              <tr key={row.id}>
                <th scope="row">
                  <Raw text={row.id} />
                  {title(row) && (
                    <div className="quiet">
                      <Raw text={title(row)} />
                    </div>
                  )}
                </th>
                <td>
                  <Badge tone={row.passed ? 'good' : 'critical'}>
                    {row.passed ? t('trust.case.passed') : t('trust.case.failed')}
                  </Badge>
                </td>
                <td>{row.profile}</td>
                <td className={row.in_range ? undefined : 'trust-off'}>
                  {number(row.score)}{' '}
                  <span className="quiet">
                    {t('trust.case.expected', {
                      what: `${number(row.expected[0])}–${number(row.expected[1])}`,
                    })}
                  </span>
                </td>
                <td className={row.decision_equal ? undefined : 'trust-off'}>
                  {row.decisions.join(', ')}{' '}
                  <span className="quiet">
                    {t('trust.case.expected', { what: row.expected_decisions.join(', ') })}
                  </span>
                </td>
                <td>
                  {missing.length > 0 && t('trust.case.missing', { what: missing.join(', ') })}
                  {row.diagnostics?.map((one, at) => (
                    <div key={at}>
                      <Raw text={one.message} />
                    </div>
                  ))}
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

function Told({ of: { comparison } }: { of: Compared }) {
  const { t } = useTranslation()
  const { number } = useFormat()
  return t('trust.compare.result', {
    judged: number(comparison.judged),
    decisions: number(comparison.other_decision),
    scores: number(comparison.other_score),
  })
}

function Compare(props: {
  compared: Compared | undefined
  error: unknown
  isPending: boolean
  isSame: boolean
  onRun: (since: Span | undefined) => void
}) {
  const { compared, error, isPending, isSame, onRun } = props
  const { t } = useTranslation()
  const { number } = useFormat()
  const { since } = route.useSearch()
  const navigate = route.useNavigate()
  const comparison = compared?.comparison
  return (
    <Panel title={t('trust.compare')}>
      <p className="panel-note">{t('trust.compare.text')}</p>
      <div className="trust-choose">
        <Select
          label={t('trust.since')}
          value={since ?? ''}
          onChange={(next) =>
            void navigate({
              search: (now) => ({ ...now, since: SPAN_NAMES.find((one) => one === next) }),
              replace: true,
            })
          }
          choices={[
            { value: '', label: t('trust.since.any') },
            ...SPAN_NAMES.map((one) => ({ value: one, label: t(`trust.since.${one}`) })),
          ]}
        />
        <Button
          icon="play"
          busy={isPending}
          why={isSame && t('desk.same')}
          onClick={() => onRun(since)}
        >
          {t('trust.compare.run')}
        </Button>
      </div>
      <div className="desk-below" aria-live="polite">
        {error != null && <Failed error={error} />}
        {compared && comparison && (
          <>
            <p>
              <strong>
                <Told of={compared} />
              </strong>{' '}
              {compared.truncated && t('trust.compare.cut')}{' '}
              {comparison.unreadable.length > 0 &&
                t('trust.compare.unreadable', { n: comparison.unreadable.length })}
            </p>
            {comparison.unreadable.slice(0, 3).map((one, at) => (
              <p className="quiet" key={at}>
                <Raw text={one.message} />
              </p>
            ))}
            {comparison.changes.length > 0 && (
              <div
                className="scroll-x"
                tabIndex={0}
                role="region"
                aria-label={t('trust.compare.changes')}
              >
                <table className="table">
                  <caption className="only-read">{t('trust.compare.changes')}</caption>
                  <thead>
                    <tr>
                      <th scope="col">{t('trust.session')}</th>
                      <th scope="col">{t('trust.score')}</th>
                      <th scope="col">{t('trust.compare.before')}</th>
                      <th scope="col">{t('trust.compare.after')}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {comparison.changes.map((one) => (
                      <tr key={one.id}>
                        <th scope="row">
                          <Link to="/trust" search={{ id: one.id }}>
                            <Raw text={one.session} />
                          </Link>
                        </th>
                        <td>
                          {number(one.old_score)} → {number(one.new_score)}
                        </td>
                        <td>{one.old_decisions.join(', ')}</td>
                        <td>{one.new_decisions.join(', ')}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
          </>
        )}
      </div>
    </Panel>
  )
}

/** An earlier text beside the one in force; the list has them whole. */
function Version(props: {
  version: number
  inForce: View
  onRestore: ((one: View) => void) | undefined
  onClose: () => void
}) {
  const { version, inForce, onRestore, onClose } = props
  const { t } = useTranslation()
  const query = useQuery(trustVersion(useTenant(), version))
  return (
    <Dialog title={t('policy.version', { n: version })} onClose={onClose} place="side">
      <Loaded query={query} rows={10}>
        {(one) =>
          one === null ? (
            <Empty title={t('trust.version.none')} />
          ) : (
            <div className="stack">
              <Made of={one} />
              <h3>{t('policy.back')}</h3>
              <Diff before={inForce.text} after={one.text} label={t('policy.back')} />
              {onRestore && (
                <p>
                  <Button
                    look="primary"
                    why={
                      inForce.text === one.text &&
                      inForce.profile === one.profile &&
                      t('policy.same')
                    }
                    onClick={() => onRestore(one)}
                  >
                    {t('policy.restore')}
                  </Button>{' '}
                  <span className="quiet">{t('policy.restore.text')}</span>
                </p>
              )}
              <h3>{t('policy.whole')}</h3>
              <pre className="block" tabIndex={0} role="region" aria-label={t('policy.whole')}>
                <Raw text={one.text} lines />
              </pre>
            </div>
          )
        }
      </Loaded>
    </Dialog>
  )
}
