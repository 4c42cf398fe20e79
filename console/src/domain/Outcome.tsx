import type { Schema } from '~/api/client'
import { hasWord, useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { useFormat } from '~/ui/format'
import { Raw } from '~/ui/Raw'
import { Time, useTick } from '~/ui/Time'

export type Answer = Schema['NotificationAnswer']

/** Ten tries of two minutes with their pauses are over by then: nobody is at it any more. */
const UNDER_WAY_MS = 30 * 60_000

/** What came of asking a connector: under way, done, or failed with words and what to do. */
export function Outcome(props: {
  answer: Answer | null | undefined
  since: number
  /** What is said of one without an answer yet. */
  underWay: string
}) {
  const { answer, since, underWay } = props
  const { t } = useTranslation()
  const now = useTick(!answer)
  if (!answer) {
    const isLost = now - since > UNDER_WAY_MS
    return (
      <div className="outcome">
        <Badge tone={isLost ? 'medium' : 'info'}>
          {t(isLost ? 'delivery.lost' : 'delivery.underway')}
        </Badge>
        <p className="quiet">{isLost ? t('delivery.lost.text') : underWay}</p>
      </div>
    )
  }
  return answer.failure ? <FailedOutcome answer={answer} /> : <DoneOutcome answer={answer} />
}

function DoneOutcome({ answer }: { answer: Answer }) {
  const { t } = useTranslation()
  const format = useFormat()
  return (
    <div className="outcome">
      <Badge tone="good">{t('delivery.done')}</Badge>{' '}
      <span className="quiet">
        {answer.status != null && t('delivery.status', { status: answer.status })}
        {answer.tries > 1 && ` · ${t('delivery.tries', { n: format.number(answer.tries) })}`}
      </span>
    </div>
  )
}

function FailedOutcome({ answer }: { answer: Answer }) {
  const { t } = useTranslation()
  const format = useFormat()
  const failed = useFailureWords()
  const { said, todo } = failed(answer)
  return (
    <div className="outcome">
      <Badge tone="critical">{t('delivery.failed')}</Badge>{' '}
      {said === undefined ? <Raw text={answer.message ?? answer.failure ?? ''} /> : said}
      {todo && <p className="quiet">{todo}</p>}
      <details>
        <summary>{t('delivery.details')}</summary>
        {answer.message && (
          <p>
            <Raw text={answer.message} />
          </p>
        )}
        <p className="quiet">
          <code>{answer.failure}</code> · {t('delivery.tries', { n: format.number(answer.tries) })}{' '}
          · <Time at={answer.time} />
        </p>
      </details>
    </div>
  )
}

/** The code in the reader's words, and what to do about it; the server's own message where a code has none. */
export function useFailureWords(): (answer: Answer) => {
  said: string | undefined
  todo: string | undefined
} {
  const word = useWord()
  return ({ failure }) => {
    const found = (code: string) =>
      hasWord(`delivery.${code}`) ? word('delivery', code) : undefined
    return { said: found(`code.${failure}`), todo: found(`todo.${failure}`) }
  }
}
