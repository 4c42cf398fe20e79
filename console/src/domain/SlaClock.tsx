import type { Incident } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Badge, type Tone } from '~/ui/Badge'
import { useFormat } from '~/ui/format'
import { TARGET_MS, clockOf, type Clock } from './sla'

const TONES: Record<Clock['state'], Tone> = {
  running: 'none',
  soon: 'medium',
  overdue: 'critical',
  stopped: 'good',
  late: 'high',
}

/** What is left until an incident should be resolved, or by how much it is over. */
export function SlaClock({ incident, now }: { incident: Incident; now: number }) {
  const { t } = useTranslation()
  const format = useFormat()
  const clock = clockOf(incident, now)
  const target = TARGET_MS[incident.severity]
  if (!clock || target === undefined) return <span className="quiet">–</span>
  const span = format.span(
    clock.state === 'stopped' || clock.state === 'late' ? clock.open : Math.abs(clock.left),
  )
  const whole = t('sla.whole', { open: format.span(clock.open), target: format.span(target) })
  return (
    <span className="sla" title={whole}>
      <Badge tone={TONES[clock.state]}>{t(`sla.${clock.state}`, { span })}</Badge>
    </span>
  )
}
