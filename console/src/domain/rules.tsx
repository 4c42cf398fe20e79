import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useId, useState, type ReactNode } from 'react'
import { api, take } from '~/api/client'
import { tenants, type Diagnostic, type Rule, type Stage } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Field } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Raw } from '~/ui/Raw'
import { Failed } from '~/ui/states'
import { say } from '~/ui/Toasts'
import { useTenant } from './session'
import { LEVELS, RULE_STATUSES, SITE, STAGES, techniquesOf } from './sigma'
import { SeverityBadge, StageBadge } from './words'

export function LevelBadge({ level }: { level: string | null | undefined }) {
  const { t } = useTranslation()
  const known = LEVELS.find((one) => one === level)
  return known ? (
    <SeverityBadge severity={known} />
  ) : (
    <span className="quiet">{t('rules.level.none')}</span>
  )
}

export function RipenessBadge({ status }: { status: string | null | undefined }) {
  const { t } = useTranslation()
  const known = RULE_STATUSES.find((one) => one === status)
  if (!known) return <span className="quiet">{t('rules.status.none')}</span>
  const tone = known === 'stable' ? 'good' : known === 'test' ? 'info' : 'none'
  return <Badge tone={tone}>{t(`rules.status.${known}`)}</Badge>
}

export function OnBadge({ rule }: { rule: Rule }) {
  const { t } = useTranslation()
  if (rule.problems.length > 0) return <Badge tone="critical">{t('rules.state.broken')}</Badge>
  return rule.enabled ? <Badge tone="good">{t('rules.on')}</Badge> : <Badge>{t('rules.off')}</Badge>
}

export function Origin({ origin }: { origin: string }) {
  const { t } = useTranslation()
  return origin === SITE ? <>{t('rules.origin.site')}</> : <Raw text={origin} />
}

/** Techniques of a rule; each leads to the rules that have it. */
export function Techniques({ tags, most = 3 }: { tags: string[]; most?: number }) {
  const all = techniquesOf(tags)
  return (
    <span className="techniques">
      {all.slice(0, most).map((one) => (
        <Link key={one} to="/rules" search={{ tag: `attack.${one.toLowerCase()}` }}>
          <code>{one}</code>
        </Link>
      ))}
      {all.length > most && <span className="quiet">+{all.length - most}</span>}
    </span>
  )
}

/** A day the server counted by, which is one in UTC. */
export function Day({ day }: { day: string }) {
  const format = useFormat()
  return (
    <time dateTime={day} title={`${day} UTC`}>
      {format.utcDay(day)}
    </time>
  )
}

/** What was wrong with a rule's text, and where. */
export function Diagnostics(props: { list: Diagnostic[]; place?: (at: Diagnostic) => ReactNode }) {
  const { list, place } = props
  return (
    <ul className="diagnostics">
      {list.map((one, at) => (
        <li key={at}>
          <span className="diagnostic-place">{place?.(one) ?? <Raw text={one.place} />}</span>
          <span>
            <Raw text={one.message} />
            {one.hint && (
              <span className="quiet">
                {' '}
                <Raw text={one.hint} />
              </span>
            )}
          </span>
        </li>
      ))}
    </ul>
  )
}

/** Asks why before something is done about rules; the reason goes into the ledger. */
export function ReasonDialog(props: {
  title: string
  go: string
  look?: 'primary' | 'danger'
  /** Why there is nothing to send. */
  why?: string | false
  children?: ReactNode
  act: (reason: string) => Promise<unknown>
  done: string
  onDone?: () => void
  onClose: () => void
}) {
  const { title, go, look = 'primary', why, children, act, done, onDone, onClose } = props
  const { t } = useTranslation()
  const [reason, setReason] = useState('')
  const [isTried, setTried] = useState(false)
  const queries = useQueryClient()
  const run = useMutation({
    mutationFn: () => act(reason),
    onSuccess: () => {
      say(done)
      onClose()
      onDone?.()
    },
    onSettled: () => queries.invalidateQueries(),
  })
  const isEmpty = reason.trim() === ''
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          setTried(true)
          if (!isEmpty && !why && !run.isPending) run.mutate()
        }}
      >
        {children}
        <ReasonField value={reason} onChange={setReason} isMissing={isTried && isEmpty} />
        {run.error && <Failed error={run.error} />}
        <footer className="dialog-foot">
          <Button onClick={onClose}>{t('ui.cancel')}</Button>
          <Button type="submit" look={look} busy={run.isPending} why={why}>
            {go}
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}

export function ReasonField(props: {
  value: string
  onChange: (value: string) => void
  isMissing: boolean
}) {
  const { value, onChange, isMissing } = props
  const { t } = useTranslation()
  return (
    <>
      <Field label={t('decide.reason')} hint={t('decide.reason.hint')}>
        {(ids) => (
          <textarea
            {...ids}
            rows={2}
            maxLength={1000}
            value={value}
            aria-invalid={isMissing}
            onChange={(event) => onChange(event.target.value)}
          />
        )}
      </Field>
      {isMissing && <p className="field-error">{t('problem.reason-missing')}</p>}
    </>
  )
}

/** One of the three, each with what it means. */
export function StageField(props: { value: Stage; onChange: (stage: Stage) => void }) {
  const { value, onChange } = props
  const { t } = useTranslation()
  const name = useId()
  return (
    <fieldset className="choices">
      <legend>{t('rules.stage')}</legend>
      {STAGES.map((one) => (
        <label key={one}>
          <input type="radio" name={name} checked={value === one} onChange={() => onChange(one)} />
          <span>
            <strong>{t(`stage.${one}`)}</strong>{' '}
            <span className="quiet">{t(`stage.${one}.text`)}</span>
          </span>
        </label>
      ))}
    </fieldset>
  )
}

/** What follows from findings, where the rule's stage leaves it to the tenant's mode. */
function ModeNote() {
  const { t } = useTranslation()
  const tenant = useTenant()
  const mode = useQuery(tenants(tenant)).data?.find((one) => one.id === tenant)?.mode
  return (
    mode && (
      <p className="quiet">
        {t('rules.switch.mode')} {t(`mode.${mode as 'observe'}.text`)}
      </p>
    )
  )
}

/** Moves a rule on to the next stage, or to any other; one of a pack too. */
export function StageDialog({ rule, onClose }: { rule: Rule; onClose: () => void }) {
  const { t } = useTranslation()
  const now = STAGES.indexOf(rule.stage)
  const [stage, setStage] = useState(STAGES[now + 1] ?? rule.stage)
  const step = STAGES.indexOf(stage) - now
  return (
    <ReasonDialog
      title={t('rules.stage.title')}
      go={t('rules.stage.go', { stage: t(`stage.${stage}`) })}
      why={step === 0 && t('rules.stage.same')}
      done={t('rules.stage.done', { stage: t(`stage.${stage}`) })}
      act={(reason) =>
        take(
          api.PUT('/api/v1/sigma/rules/{id}', {
            params: { path: { id: rule.id } },
            body: { stage, reason },
          }),
        )
      }
      onClose={onClose}
    >
      <p>
        <strong>
          <Raw text={rule.title || rule.id} />
        </strong>{' '}
        <StageBadge stage={rule.stage} />
      </p>
      <StageField value={stage} onChange={setStage} />
      <p>{t('rules.stage.text')}</p>
      {step > 1 && <p className="warn">{t('rules.stage.leap')}</p>}
      {stage === 'enforce' && <ModeNote />}
    </ReasonDialog>
  )
}

/** Switches a rule, one of a pack too. */
export function SwitchDialog(props: { rule: Rule; warning?: ReactNode; onClose: () => void }) {
  const { rule, warning, onClose } = props
  const { t } = useTranslation()
  const what = rule.enabled ? 'off' : 'on'
  return (
    <ReasonDialog
      title={t(`rules.switch.${what}.title`)}
      go={t(`rules.switch.${what}`)}
      look={what === 'off' ? 'danger' : 'primary'}
      done={t(`rules.switch.${what}.done`)}
      act={(reason) =>
        take(
          api.PUT('/api/v1/sigma/rules/{id}', {
            params: { path: { id: rule.id } },
            body: { enabled: !rule.enabled, reason },
          }),
        )
      }
      onClose={onClose}
    >
      <p>
        <strong>
          <Raw text={rule.title || rule.id} />
        </strong>
      </p>
      <p>{t(`rules.switch.${what}.text`)}</p>
      {what === 'on' &&
        (rule.stage === 'enforce' ? (
          <ModeNote />
        ) : (
          <p className="quiet">
            <StageBadge stage={rule.stage} /> {t(`stage.${rule.stage}.text`)}
          </p>
        ))}
      {warning}
    </ReasonDialog>
  )
}
