import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { Action } from '~/api/queries'
import { useTranslation, useWord } from '~/i18n'
import { Button } from '~/ui/Button'
import { useFormat } from '~/ui/format'
import { Raw } from '~/ui/Raw'
import { Left, Time } from '~/ui/Time'
import { DecideDialog, type Decision } from './decide'
import { EntityLink } from './EntityLink'
import { isSaid, useActor } from './people'
import { useMay, useMe } from './session'
import { RungBadge, StateBadge } from './words'

export const IN_FORCE = ['pending', 'active']
const ENDED = ['undone', 'expired', 'rejected', 'failed']

/** Whom it would have hit last week, by replay. */
export function Blast({ action }: { action: Action }) {
  const { t } = useTranslation()
  const format = useFormat()
  const { blast } = action
  if (!blast) return <>{t('blast.unknown')}</>
  if (blast.requests === 0) return <>{t('blast.none')}</>
  return (
    <>
      {t('blast.some', {
        requests: format.number(blast.requests),
        accounts: format.number(blast.accounts),
        sessions: format.number(blast.sessions),
        addresses: format.number(blast.addresses),
      })}
    </>
  )
}

/** What is done to whom, how, why, and whom it would have hit. */
export function ActionFacts({ action }: { action: Action }) {
  const { t } = useTranslation()
  const word = useWord()
  return (
    <dl className="facts">
      <dt>{t('action.what')}</dt>
      <dd>
        <RungBadge rung={action.rung} /> <EntityLink entity={action.target} />
        {action.rate_per_minute != null && (
          <span className="quiet"> {t('action.rate', { n: action.rate_per_minute })}</span>
        )}
      </dd>
      <dt>{t('action.where')}</dt>
      <dd>
        {action.sites?.length ? <Raw text={action.sites.join(', ')} /> : t('action.everywhere')}
      </dd>
      <dt>{t('action.why')}</dt>
      <dd>{word('rule', action.reason)}</dd>
      <dt>{t('action.blast')}</dt>
      <dd>
        <Blast action={action} />
      </dd>
    </dl>
  )
}

function ApprovalLine({ action }: { action: Action }) {
  const { t } = useTranslation()
  const word = useWord()
  const actor = useActor()
  const { approval } = action
  if (action.state !== 'awaiting-approval' || !approval) return null
  const given = approval.given ?? []
  return (
    <p className="action-approval">
      {word('approval', approval.code)}{' '}
      {given.length > 0 && t('action.given', { names: given.map(actor).join(', ') })}{' '}
      {(approval.needed ?? 1) > 1 &&
        t('action.needed', { n: approval.needed, given: given.length })}{' '}
      <span className="quiet">
        {t('action.deadline')} <Left at={approval.deadline} />
      </span>
    </p>
  )
}

/** Buttons for who may decide; nothing for the others. */
export function ActionButtons({ action }: { action: Action }) {
  const { t } = useTranslation()
  const [what, setWhat] = useState<Decision>()
  const me = useMe()
  const isOffered = useMay()('actions.decide')
  const hasSaidYes = action.approval?.given?.includes(`user:${me.user}`) ?? false
  if (!isOffered) return null
  return (
    <span className="action-buttons">
      {action.state === 'awaiting-approval' && (
        <>
          <Button
            look="primary"
            onClick={() => setWhat('approve')}
            why={hasSaidYes && t('problem.already-approved')}
          >
            {t('decide.approve')}
          </Button>
          <Button onClick={() => setWhat('reject')}>{t('decide.reject')}</Button>
        </>
      )}
      {IN_FORCE.includes(action.state) && (
        <>
          <Button onClick={() => setWhat('extend')}>{t('decide.extend')}</Button>
          <Button onClick={() => setWhat('undo')}>{t('decide.undo')}</Button>
        </>
      )}
      {ENDED.includes(action.state) && action.rung !== 'observe' && (
        <Button onClick={() => setWhat('reapply')}>{t('decide.reapply')}</Button>
      )}
      {what && <DecideDialog action={action} what={what} onClose={() => setWhat(undefined)} />}
    </span>
  )
}

/** One action: what, whom, until when, and what can be done about it. */
export function ActionCard(props: { action: Action; isIncidentShown?: boolean }) {
  const { action, isIncidentShown = true } = props
  const { t } = useTranslation()
  const word = useWord()
  const actor = useActor()
  const isInForce = IN_FORCE.includes(action.state)
  return (
    <article className="action" id={`action-${action.id}`}>
      <header className="action-head">
        <RungBadge rung={action.rung} />
        <EntityLink entity={action.target} />
        <StateBadge state={action.state} />
        {isInForce && (
          <span className="quiet">
            {t('action.left')} <Left at={action.expires} />
          </span>
        )}
        <ActionButtons action={action} />
      </header>
      <p className="action-why">
        {word('rule', action.reason)}
        {isIncidentShown && (
          <>
            {' · '}
            <Link to="/incidents/$id" params={{ id: action.incident }}>
              {t('action.incident')}
            </Link>
          </>
        )}
        <span className="quiet">
          {' · '}
          {t('action.blast')}: <Blast action={action} />
        </span>
      </p>
      <ApprovalLine action={action} />
      <details className="action-more">
        <summary>{t('action.history')}</summary>
        <ActionFacts action={action} />
        <ol className="history">
          {action.history.map((change, at) => (
            <li key={at}>
              <Time at={change.time} /> <StateBadge state={change.state} />{' '}
              <span className="quiet">
                <Raw text={actor(change.actor)} />
              </span>{' '}
              <Raw text={isSaid(change.actor) ? change.reason : reasonText(word, change.reason)} />
            </li>
          ))}
        </ol>
      </details>
    </article>
  )
}

/** A code has words; what a person wrote is shown as it is. */
function reasonText(word: (group: string, code: string) => string, reason: string): string {
  for (const group of ['rule', 'approval', 'reason']) {
    const found = word(group, reason)
    if (found !== reason) return found
  }
  return reason
}
