import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { api, take } from '~/api/client'
import { useTranslation } from '~/i18n'
import { Field } from '~/ui/Field'
import { Raw } from '~/ui/Raw'
import { Failed } from '~/ui/states'
import { Diagnostics } from './rules'
import { lineOf } from './sigma'

/** How long nothing is typed before the text is checked. */
const PAUSE_MS = 500
export const RULE_BYTES_MAX = 1 << 20

/** What the server says of a text without using it, once typing has paused. */
export function useCheck(text: string) {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [text])
  const check = useQuery({
    queryKey: ['rule-check', settled],
    enabled: settled.trim() !== '',
    queryFn: ({ signal }) =>
      take(api.POST('/api/v1/sigma/rules/check', { body: { text: settled }, signal })),
    gcTime: 0,
    staleTime: Infinity,
    placeholderData: (before) => before,
  })
  const isCurrent = settled === text && !check.isPlaceholderData && check.isSuccess
  return { check, isCurrent, isValid: isCurrent && check.data.valid }
}

/** Sigma text with what is wrong with it beside. */
export function RuleEditor(props: {
  text: string
  onChange: (text: string) => void
  checked: ReturnType<typeof useCheck>
  hint?: ReactNode
}) {
  const { text, onChange, checked, hint } = props
  const { t } = useTranslation()
  const area = useRef<HTMLTextAreaElement>(null)
  const { check, isCurrent } = checked
  const found = check.data
  const go = (line: number) => {
    const before = text.split('\n').slice(0, line - 1)
    const start = before.join('\n').length + (line > 1 ? 1 : 0)
    area.current?.focus()
    area.current?.setSelectionRange(start, start + (text.split('\n')[line - 1]?.length ?? 0))
  }
  const place = ({ place }: { place: string }) => {
    const line = lineOf(place)
    return line === undefined ? undefined : (
      <button type="button" className="link-button" onClick={() => go(line)}>
        {t('rule.line', { n: line })}
      </button>
    )
  }
  return (
    <div className="rule-editor">
      <Field label={t('rule.text')} hint={hint}>
        {(ids) => (
          <textarea
            {...ids}
            ref={area}
            className="raw rule-area"
            rows={24}
            spellCheck={false}
            wrap="off"
            maxLength={RULE_BYTES_MAX}
            value={text}
            aria-invalid={isCurrent && found?.valid === false}
            onChange={(event) => onChange(event.target.value)}
          />
        )}
      </Field>
      <section className="rule-check" aria-live="polite" aria-label={t('rule.check')}>
        <h3>{t('rule.check')}</h3>
        {text.trim() === '' ? (
          <p className="quiet">{t('rule.check.none')}</p>
        ) : check.error ? (
          <Failed error={check.error} onRetry={() => void check.refetch()} />
        ) : found === undefined || !isCurrent ? (
          <p className="quiet">{t('rule.check.running')}</p>
        ) : found.valid ? (
          <p className="verdict verdict-good">{t('rule.check.good')}</p>
        ) : (
          <p className="verdict verdict-bad">
            {t('rule.check.bad', { n: found.diagnostics.length })}
          </p>
        )}
        {found && isCurrent && (
          <>
            <Diagnostics list={found.diagnostics} place={place} />
            {found.notices.length > 0 && (
              <>
                <h3>{t('rule.check.notices')}</h3>
                <Diagnostics list={found.notices} place={place} />
              </>
            )}
            {found.rules.length > 0 && (
              <ul className="rule-checked">
                {found.rules.map((one) => (
                  <li key={one.id}>
                    <strong>
                      <Raw text={one.title} />
                    </strong>{' '}
                    <code>
                      <Raw text={one.logsource} />
                    </code>
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </section>
    </div>
  )
}
