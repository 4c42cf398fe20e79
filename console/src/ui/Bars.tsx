/** Small bars, one a number; the words beside them say what matters. */
export function Bars({ values, label }: { values: number[]; label: string }) {
  const most = Math.max(1, ...values)
  return (
    <svg
      className="bars"
      viewBox={`0 0 ${values.length * 4} 20`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {values.map((value, at) => {
        const height = value === 0 ? 0.8 : Math.max(1.5, (value / most) * 20)
        return (
          <rect
            key={at}
            className={value === 0 ? 'bar bar-none' : 'bar'}
            x={at * 4}
            width="3"
            y={20 - height}
            height={height}
          />
        )
      })}
    </svg>
  )
}
