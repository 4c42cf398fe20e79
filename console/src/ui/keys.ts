import { useEffect, useEffectEvent } from 'react'

/** `j`, `?`, `mod+k`, `g i` (one after the other). */
export type Keys = Record<string, (event: KeyboardEvent) => void>

const SEQUENCE_MS = 1_200

type Pressed = { key: string; at: number } | undefined

let first: Pressed

/** Whether keys are letters now: somebody types, or a dialog or menu has the keyboard. */
function isBusy(event: KeyboardEvent): boolean {
  const at = event.target
  if (!(at instanceof HTMLElement)) return false
  return at.matches('input, textarea, select, [contenteditable]') || !!at.closest('[role=menu]')
}

/** Shortcuts while the component is there. An open dialog has the keyboard to itself. */
export function useKeys(keys: Keys) {
  const press = useEffectEvent((event: KeyboardEvent) => {
    const isMod = event.ctrlKey || event.metaKey
    if (event.defaultPrevented || event.isComposing || event.altKey) return
    if (!isMod && (isBusy(event) || document.querySelector('dialog[open]'))) return
    const name = isMod ? `mod+${event.key.toLowerCase()}` : event.key
    const now = Date.now()
    const sequence = first && now - first.at < SEQUENCE_MS ? `${first.key} ${name}` : undefined
    const call = (sequence && keys[sequence]) || keys[name]
    if (call) {
      event.preventDefault()
      call(event)
    }
  })
  useEffect(() => {
    const listener = (event: KeyboardEvent) => press(event)
    window.addEventListener('keydown', listener)
    return () => window.removeEventListener('keydown', listener)
  }, [])
}

/** Remembers the first key of a sequence; called once, at the start. Before any other listener looks at the second. */
export function rememberFirstKeys() {
  let last: Pressed
  window.addEventListener(
    'keydown',
    (event) => {
      const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey && event.key.length === 1
      first = last
      last = isPlain && !isBusy(event) ? { key: event.key, at: Date.now() } : undefined
    },
    { capture: true },
  )
}
