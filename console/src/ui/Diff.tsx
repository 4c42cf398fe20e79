import { useMemo } from 'react'
import { useTranslation } from '~/i18n'
import { diff, type Line } from './diff'
import { Raw } from './Raw'

const AROUND = 3
const SIGNS = { same: ' ', added: '+', removed: '−' }

/** What changes from one text to the other, with a few lines around it. */
export function Diff({ before, after, label }: { before: string; after: string; label: string }) {
  const { t } = useTranslation()
  const lines = useMemo(() => diff(before, after), [before, after])
  const parts = useMemo(() => fold(lines), [lines])
  const count = (kind: Line['kind']) => lines.filter((line) => line.kind === kind).length
  const [added, removed] = [count('added'), count('removed')]
  if (added + removed === 0) return <p className="quiet">{t('diff.same')}</p>
  return (
    <figure className="diff">
      <figcaption className="quiet">{t('diff.count', { added, removed })}</figcaption>
      <div className="diff-lines" tabIndex={0} role="region" aria-label={label}>
        {parts.map((part, at) =>
          typeof part === 'number' ? (
            <div className="diff-fold" key={at}>
              {t('diff.fold', { n: part })}
            </div>
          ) : (
            <div className={`diff-${part.kind}`} key={at}>
              <span aria-hidden="true">{SIGNS[part.kind]}</span>
              {part.kind !== 'same' && (
                <span className="only-read">{t(`diff.${part.kind}`)}: </span>
              )}
              <Raw text={part.text} />
            </div>
          ),
        )}
      </div>
    </figure>
  )
}

/** Long runs of what stays become a number. */
function fold(lines: Line[]): (Line | number)[] {
  const near = lines.map(() => false)
  lines.forEach(({ kind }, at) => {
    if (kind === 'same') return
    for (let by = -AROUND; by <= AROUND; by++) if (at + by in near) near[at + by] = true
  })
  const parts: (Line | number)[] = []
  lines.forEach((line, at) => {
    const last = parts.at(-1)
    if (near[at]) parts.push(line)
    else if (typeof last === 'number') parts[parts.length - 1] = last + 1
    else parts.push(1)
  })
  return parts
}
