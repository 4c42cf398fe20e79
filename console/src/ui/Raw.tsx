import { Fragment, type ReactNode } from 'react'

/**
 * Characters that hide or reorder what one reads: controls, bidi marks, zero-width and tag characters.
 * Line feed and tab stay where several lines are shown.
 */
const HIDDEN =
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u00AD\u061C\u115F\u1160\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB]|[\u{E0000}-\u{E007F}]|[\uD800-\uDFFF]/gu

/** What the gateway put in place of a secret or of personal data. */
const MASK = /\[[a-z][a-z-]*:[^\]\s]{1,120}\]/g

export function visible(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (code === 0x7f) return '␡'
  if (code < 0x20) return String.fromCodePoint(0x2400 + code)
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

/** The same for text that cannot hold elements: a title, a label in a drawing. */
export function plain(text: string): string {
  return text.replace(/[\t\n]/g, (char) => visible(char)).replace(HIDDEN, (char) => visible(char))
}

function cut(text: string, by: RegExp, mark: (found: string, at: number) => ReactNode) {
  const parts: ReactNode[] = []
  let from = 0
  for (const found of text.matchAll(by)) {
    if (found.index > from) parts.push(text.slice(from, found.index))
    parts.push(mark(found[0], found.index))
    from = found.index + found[0].length
  }
  if (from < text.length) parts.push(text.slice(from))
  return parts
}

/** A value from outside, as text: what would hide or reorder it is made visible, masks stand out. */
export function Raw({ text, lines = false }: { text: string; lines?: boolean }) {
  const shown = lines ? text : text.replace(/[\t\n]/g, (char) => visible(char))
  const parts = cut(shown, HIDDEN, (char, at) => (
    <span className="hidden-char" key={at}>
      {visible(char)}
    </span>
  ))
  return (
    <bdi className={lines ? 'raw raw-lines' : 'raw'} dir="ltr">
      {parts.map((part, index) =>
        typeof part === 'string' ? (
          <Fragment key={index}>
            {cut(part, MASK, (mask, at) => (
              <span className="mask" key={at}>
                {mask}
              </span>
            ))}
          </Fragment>
        ) : (
          part
        ),
      )}
    </bdi>
  )
}
