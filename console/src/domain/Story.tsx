import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Schema } from '~/api/client'
import { useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Icon } from '~/ui/Icon'
import { Raw } from '~/ui/Raw'
import { Empty } from '~/ui/states'
import { Time } from '~/ui/Time'
import { EntityLink } from './EntityLink'
import { FindingNumbers } from './FindingCard'
import { useActor } from './people'
import { SeverityBadge, StateBadge } from './words'

type View = Schema['IncidentView']
type Step = Schema['StoryStep']

const ENTITIES_SHOWN = 4

/** What happened, in order: one line a step, many like steps in one. */
export function Story({ view }: { view: View }) {
  const { t } = useTranslation()
  const groups = grouped(view.incident.story)
  if (groups.length === 0) return <Empty title={t('story.none')} />
  return (
    <ol className="story">
      {groups.map((steps, at) => {
        const [first] = steps
        if (!first) return null
        return (
          <li key={at} className={`step step-${first.kind}`}>
            <span className="step-time">
              <Time at={first.time} />
            </span>
            <span className="step-mark" aria-hidden="true">
              <Icon
                name={
                  first.kind === 'finding'
                    ? 'search'
                    : first.kind === 'action'
                      ? 'response'
                      : 'user'
                }
                size={14}
              />
            </span>
            <div className="step-text">
              {first.kind === 'finding' && <Told step={first} view={view} />}
              {first.kind === 'action' && <Done steps={steps} view={view} />}
              {first.kind === 'note' && <Said step={first} view={view} />}
            </div>
          </li>
        )
      })}
    </ol>
  )
}

/** Steps of the same kind and code that follow each other are told together. */
function grouped(story: Step[]): Step[][] {
  const groups: Step[][] = []
  for (const step of story) {
    const last = groups.at(-1)
    const isLike =
      step.kind === 'action' && last?.[0]?.kind === 'action' && last[0].code === step.code
    if (isLike) last?.push(step)
    else groups.push([step])
  }
  return groups
}

export function Tactic({ attack }: { attack: Schema['AttackRef'] | null | undefined }) {
  const word = useWord()
  if (!attack) return null
  return (
    <span className="tactic">
      <Badge tone="info">{word('tactic', attack.tactic)}</Badge>{' '}
      <code className="quiet">{attack.technique}</code>
    </span>
  )
}

function Entities({ entities }: { entities: string[] }) {
  const { t } = useTranslation()
  return (
    <span className="step-entities">
      {entities.slice(0, ENTITIES_SHOWN).map((entity) => (
        <EntityLink key={entity} entity={entity} />
      ))}
      {entities.length > ENTITIES_SHOWN && (
        <span className="quiet">
          {t('incidents.more', { n: entities.length - ENTITIES_SHOWN })}
        </span>
      )}
    </span>
  )
}

function Told({ step, view }: { step: Step; view: View }) {
  const { t } = useTranslation()
  const word = useWord()
  const finding = view.findings.find((one) => one.id === step.subject)
  const why = word('why', step.code)
  return (
    <>
      <p className="step-head">
        <strong>
          {finding?.analytic ? <Raw text={finding.analytic.title} /> : word('rule', step.code)}
        </strong>
        {finding && <SeverityBadge severity={finding.severity} />}
        <Tactic attack={step.attack} />
      </p>
      {why !== step.code && <p>{why}</p>}
      <Entities entities={step.entities} />
      {finding && (
        <p className="quiet">
          {t('finding.outcome')}: {t(`outcome.${finding.outcome}`)}
          {finding.outcome_reason && ` (${word('reason', finding.outcome_reason)})`} ·{' '}
          {t('finding.confidence')} {finding.confidence} ·{' '}
          <Link to="." search={(now) => ({ ...now, tab: 'findings' as const })} hash={finding.id}>
            {t('finding.evidence', { n: finding.evidence_total })}
          </Link>
        </p>
      )}
      {finding && (
        <details>
          <summary>{t('finding.why')}</summary>
          <FindingNumbers finding={finding} />
        </details>
      )}
    </>
  )
}

/** `action-block` is what was done; `action-block-awaiting-approval` what became of it. */
function useTold() {
  const word = useWord()
  return (code: string) => {
    const found = /^action-(observe|limit|step-up|isolate|block|revoke|rotate)-(.+)$/.exec(code)
    if (!found) return word('act', code)
    return `${word('rung', found[1] ?? '')}: ${word('state', found[2] ?? '')}`
  }
}

function Done({ steps, view }: { steps: Step[]; view: View }): ReactNode {
  const { t } = useTranslation()
  const told = useTold()
  const [first] = steps
  if (!first) return null
  const stateOf = (step: Step) => view.actions.find((action) => action.id === step.subject)?.state
  if (steps.length === 1) {
    const state = stateOf(first)
    return (
      <p className="step-head">
        <strong>{told(first.code)}</strong>
        <Entities entities={first.entities} />
        {state && <StateBadge state={state} />}
      </p>
    )
  }
  return (
    <details>
      <summary className="step-sum">
        <strong>{t('story.group', { what: told(first.code), n: steps.length })}</strong>
      </summary>
      <ul className="step-list">
        {steps.map((step) => {
          const state = stateOf(step)
          return (
            <li key={step.subject}>
              <Time at={step.time} /> <Entities entities={step.entities} />
              {state && <StateBadge state={state} />}
            </li>
          )
        })}
      </ul>
    </details>
  )
}

function Said({ step, view }: { step: Step; view: View }) {
  const word = useWord()
  const actor = useActor()
  const comment = view.incident.comments?.find((one) => one.time === step.time)
  return (
    <p className="step-head">
      <strong>{word('act', step.code)}</strong>
      {comment && (
        <>
          <span className="quiet">
            <Raw text={actor(comment.author)} />
          </span>
          <Raw text={comment.text} />
        </>
      )}
    </p>
  )
}
