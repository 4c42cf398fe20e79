import { Refusal } from '~/api/client'
import { hasWord, useTranslation } from '~/i18n'
import { useFormat } from './format'

export type Told = { code: string; detail: string; hint: string | undefined; lines: string[] }

/** A refusal in the reader's language where its code has words, else in the server's own. */
export function useTold(error: unknown): Told {
  const tell = useTell()
  return tell(error)
}

export function useTell(): (error: unknown) => Told {
  const { t, i18n } = useTranslation()
  const format = useFormat()
  return (error) => {
    if (!(error instanceof Refusal)) {
      return { code: 'console', detail: t('problem.console'), hint: String(error), lines: [] }
    }
    const { code, detail, hint, diagnostics, retry_after_secs: secs } = error.problem
    const wait = secs == null ? '' : format.span(secs * 1000)
    const told = (key: string, own: string | undefined) =>
      hasWord(key) ? String(i18n.t(key, { wait })) : own
    return {
      code,
      detail: told(`problem.${code}`, detail) ?? detail,
      hint: told(`hint.${code}`, hint ?? undefined),
      lines: (diagnostics ?? []).map(
        (one) => `${one.place}: ${one.message}${one.hint ? ` (${one.hint})` : ''}`,
      ),
    }
  }
}
