import { useSyncExternalStore } from 'react'

type Toast = { id: number; text: string; tone: 'good' | 'bad' }

const SHOWN_MS = 6_000
let toasts: Toast[] = []
let last = 0
const listeners = new Set<() => void>()

function set(next: Toast[]) {
  toasts = next
  listeners.forEach((tell) => tell())
}

/** Says briefly that something was done, or was not. */
export function say(text: string, tone: Toast['tone'] = 'good') {
  const id = ++last
  set([...toasts.slice(-2), { id, text, tone }])
  setTimeout(() => set(toasts.filter((toast) => toast.id !== id)), SHOWN_MS)
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (tell) => {
      listeners.add(tell)
      return () => listeners.delete(tell)
    },
    () => toasts,
  )
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <p className={`toast toast-${toast.tone}`} key={toast.id}>
          {toast.text}
        </p>
      ))}
    </div>
  )
}
