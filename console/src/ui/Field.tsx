import { useId, type ReactNode } from 'react'

type Props = {
  label: ReactNode
  hint?: ReactNode
  children: (ids: { id: string; 'aria-describedby'?: string }) => ReactNode
}

export function Field({ label, hint, children }: Props) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-describedby': hint ? `${id}-hint` : undefined })}
      {hint && (
        <p className="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  )
}

type Choice = { value: string; label: string }

/** One of a few; the browser's own list, so that it works by key, touch and reader. */
export function Select(props: {
  label: string
  value: string
  choices: Choice[]
  onChange: (value: string) => void
  isLabelShown?: boolean
  why?: string | false
}) {
  const { label, value, choices, onChange, isLabelShown = false, why } = props
  const id = useId()
  return (
    <span className="select">
      <label htmlFor={id} className={isLabelShown ? 'select-label' : 'only-read'}>
        {label}
      </label>
      <select
        id={id}
        value={value}
        disabled={Boolean(why)}
        title={why || undefined}
        onChange={(event) => onChange(event.target.value)}
      >
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </span>
  )
}
