export type Line = { kind: 'same' | 'added' | 'removed'; text: string }

/** Above this many pairs the middle is told as replaced: no text is worth a minute of waiting. */
const PAIRS_MAX = 4_000_000

/** The lines of `after` beside those of `before`: the longest common run of lines stays. */
export function diff(before: string, after: string): Line[] {
  const old = split(before)
  const now = split(after)
  let head = 0
  while (head < old.length && head < now.length && old[head] === now[head]) head++
  let tail = 0
  const most = Math.min(old.length, now.length) - head
  while (tail < most && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail++
  const as = (kind: Line['kind']) => (text: string) => ({ kind, text })
  return [
    ...old.slice(0, head).map(as('same')),
    ...middle(old.slice(head, old.length - tail), now.slice(head, now.length - tail)),
    ...old.slice(old.length - tail).map(as('same')),
  ]
}

/** The line break that ends the text ends its last line, and begins none. */
function split(text: string): string[] {
  if (text === '') return []
  return text.replace(/\n$/, '').split('\n')
}

function middle(old: string[], now: string[]): Line[] {
  const removed = (text: string): Line => ({ kind: 'removed', text })
  const added = (text: string): Line => ({ kind: 'added', text })
  if (old.length * now.length > PAIRS_MAX) return [...old.map(removed), ...now.map(added)]
  // common[i][j]: lines that old[i…] and now[j…] have in common at most.
  const width = now.length + 1
  const common = new Uint32Array((old.length + 1) * width)
  const at = (i: number, j: number) => common[i * width + j] ?? 0
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      common[i * width + j] =
        old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: Line[] = []
  let i = 0
  let j = 0
  while (i < old.length || j < now.length) {
    const [left, right] = [old[i], now[j]]
    if (left !== undefined && left === right) {
      lines.push({ kind: 'same', text: left })
      i++
      j++
    } else if (left !== undefined && (right === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(removed(left))
      i++
    } else if (right !== undefined) {
      lines.push(added(right))
      j++
    }
  }
  return lines
}
