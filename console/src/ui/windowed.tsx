import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** Rows drawn above and below what is seen. */
const AROUND = 10
const ROW_GUESS = 44

/**
 * Which rows of a long list are drawn: those in sight of `box`, which scrolls. All rows have one height, which
 * the styles give and the first drawn row tells.
 */
export function useWindowed(count: number) {
  const box = useRef<HTMLDivElement>(null)
  const [seen, setSeen] = useState({ first: 0, shown: 30, row: ROW_GUESS })
  useEffect(() => {
    const node = box.current
    if (!node) return
    const look = () => {
      const row = node.querySelector<HTMLElement>('tr[aria-rowindex]')?.offsetHeight || ROW_GUESS
      const first = Math.floor(node.scrollTop / row)
      const shown = Math.ceil(node.clientHeight / row) + 1
      setSeen((now) =>
        now.first === first && now.shown === shown && now.row === row ? now : { first, shown, row },
      )
    }
    node.addEventListener('scroll', look, { passive: true })
    const sized = new ResizeObserver(look)
    sized.observe(node)
    return () => {
      node.removeEventListener('scroll', look)
      sized.disconnect()
    }
  }, [count])
  const from = Math.max(0, Math.min(seen.first, count - seen.shown) - AROUND)
  const to = Math.min(count, from + seen.shown + 2 * AROUND)
  /** Scrolls until the row is in sight; it is drawn after that. */
  const reveal = useCallback(
    (index: number) => {
      const node = box.current
      if (!node) return
      const head = node.querySelector<HTMLElement>('thead')?.offsetHeight ?? 0
      const top = index * seen.row
      if (top < node.scrollTop) node.scrollTop = top
      else if (top + seen.row + head > node.scrollTop + node.clientHeight) {
        node.scrollTop = top + seen.row + head - node.clientHeight
      }
    },
    [seen.row],
  )
  return { box, from, to, before: from * seen.row, after: (count - to) * seen.row, reveal }
}

/** Room for rows that are not drawn. */
export function Space({ height, columns }: { height: number; columns: number }) {
  const cell = useRef<HTMLTableCellElement>(null)
  useLayoutEffect(() => cell.current?.style.setProperty('height', `${height}px`), [height])
  if (height <= 0) return null
  return (
    <tr aria-hidden="true" className="windowed-space">
      <td ref={cell} colSpan={columns} />
    </tr>
  )
}
