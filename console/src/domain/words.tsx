import type { ActionState, Rung, Severity, Stage, Status } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Badge, type Tone } from '~/ui/Badge'

export const SEVERITIES: Severity[] = ['critical', 'high', 'medium', 'low', 'informational']
export const STATUSES: Status[] = ['new', 'in-progress', 'on-hold', 'resolved', 'closed']
export const OPEN: Status[] = ['new', 'in-progress', 'on-hold']

const TONES: Record<Severity, Tone> = {
  critical: 'critical',
  high: 'high',
  medium: 'medium',
  low: 'low',
  informational: 'none',
}

export function SeverityBadge({ severity }: { severity: Severity }) {
  const { t } = useTranslation()
  return (
    <span className={`severity severity-${TONES[severity]}`}>
      <i aria-hidden="true" />
      {t(`severity.${severity}`)}
    </span>
  )
}

export function StatusBadge({ status }: { status: Status }) {
  const { t } = useTranslation()
  const tone = status === 'new' ? 'info' : status === 'in-progress' ? 'medium' : 'none'
  return <Badge tone={tone}>{t(`status.${status}`)}</Badge>
}

/** Of a rule or of what it found; nothing where nothing is held back. */
export function StageBadge({ stage = 'enforce' }: { stage?: Stage | undefined }) {
  const { t } = useTranslation()
  if (stage === 'enforce') return null
  return <Badge tone={stage === 'canary' ? 'info' : 'none'}>{t(`stage.${stage}`)}</Badge>
}

export function RungBadge({ rung }: { rung: Rung }) {
  const { t } = useTranslation()
  const tone: Tone =
    rung === 'observe' || rung === 'limit' ? 'low' : rung === 'step-up' ? 'medium' : 'high'
  return <Badge tone={tone}>{t(`rung.${rung}`)}</Badge>
}

export function StateBadge({ state }: { state: ActionState }) {
  const { t } = useTranslation()
  const tone: Tone =
    state === 'active'
      ? 'good'
      : state === 'awaiting-approval' || state === 'pending'
        ? 'info'
        : state === 'failed'
          ? 'critical'
          : 'none'
  return <Badge tone={tone}>{t(`state.${state}`)}</Badge>
}
