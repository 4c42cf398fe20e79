import { useSyncExternalStore } from 'react'

type Undo = { label: string; onUndo: () => void }
type Toast = { id: number; text: string; tone: 'good' | 'bad'; undo?: Undo }

const SHOWN_MS = 6_000
/** What can be taken back stands long enough to be read and reached. */
const UNDO_MS = 12_000
let toasts: Toast[] = []
let last = 0
const listeners = new Set<() => void>()

function set(next: Toast[]) {
  toasts = next
  listeners.forEach((tell) => tell())
}

/** Says briefly that something was done, or was not. */
export function say(text: string, tone: Toast['tone'] = 'good', undo?: Undo) {
  const id = ++last
  set([...toasts.slice(-2), { id, text, tone, undo }])
  setTimeout(() => leave(id), undo ? UNDO_MS : SHOWN_MS)
}

const leave = (id: number) => set(toasts.filter((toast) => toast.id !== id))

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
          {toast.text}{' '}
          {toast.undo && (
            <button
              type="button"
              className="link-button toast-undo"
              onClick={() => {
                leave(toast.id)
                toast.undo?.onUndo()
              }}
            >
              {toast.undo.label}
            </button>
          )}
        </p>
      ))}
    </div>
  )
}
