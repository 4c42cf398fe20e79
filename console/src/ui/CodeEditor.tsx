import { useImperativeHandle, useRef, type Ref } from 'react'

export type Mark = { line: number; text: string }
export type CodeEditorHandle = { goTo: (line: number) => void }

const ROWS_MIN = 12
const ROWS_MAX = 30

/** Lines of text with their numbers; lines with a fault stand out. The Tab key leaves it, as everywhere. */
export function CodeEditor(props: {
  label: string
  value: string
  marks?: Mark[]
  isReadOnly?: boolean
  describedBy?: string
  onChange?: (value: string) => void
  ref?: Ref<CodeEditorHandle>
}) {
  const { label, value, marks = [], isReadOnly = false, describedBy, onChange, ref } = props
  const area = useRef<HTMLTextAreaElement>(null)
  const gutter = useRef<HTMLPreElement>(null)
  const lines = value.split('\n')
  const bad = new Map(marks.map((mark) => [mark.line, mark.text]))
  useImperativeHandle(ref, () => ({
    goTo(line) {
      const box = area.current
      if (!box) return
      const from = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0)
      box.focus()
      box.setSelectionRange(from, from + (lines[line - 1]?.length ?? 0))
      // The browser scrolls to what is typed, not to what is selected.
      box.scrollTop = Math.max(0, (line - 4) * (box.scrollHeight / lines.length))
    },
  }))
  return (
    <div className="code">
      <pre className="code-gutter" ref={gutter} aria-hidden="true">
        {lines.map((_, at) => (
          <span
            key={at}
            className={bad.has(at + 1) ? 'code-bad' : undefined}
            title={bad.get(at + 1)}
          >
            {at + 1}
          </span>
        ))}
      </pre>
      <textarea
        ref={area}
        className="code-area"
        aria-label={label}
        aria-describedby={describedBy}
        aria-invalid={marks.length > 0}
        rows={Math.min(ROWS_MAX, Math.max(ROWS_MIN, lines.length + 1))}
        wrap="off"
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        readOnly={isReadOnly}
        value={value}
        onChange={(event) => onChange?.(event.target.value)}
        onScroll={(event) => {
          if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop
        }}
      />
    </div>
  )
}
