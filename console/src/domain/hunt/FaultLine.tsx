import { useTranslation, useWord } from '~/i18n'
import { Raw } from '~/ui/Raw'
import type { Fault } from './language'

/** What is wrong with a query, where, and what to write instead. */
export function FaultLine({ fault, text }: { fault: Fault; text: string }) {
  const { t, i18n } = useTranslation()
  const word = useWord()
  const { code, params, from, to } = fault
  const said =
    code === 'not-in-a-rule'
      ? word('hunt.rule.why', `${params.why}`)
      : t(`hunt.fault.${code}`, params)
  const near = params.near
  const fix = i18n.exists(`hunt.fix.${code}`) ? word('hunt.fix', code) : ''
  const part = text.slice(from, to).trim()
  return (
    <>
      <strong>{said}</strong> {near ? t('hunt.fix.near', { near }) : fix}{' '}
      <span className="quiet">
        {t('hunt.fault.place', { n: from + 1 })}
        {part && (
          <>
            {': '}
            <Raw text={part} />
          </>
        )}
      </span>
    </>
  )
}
