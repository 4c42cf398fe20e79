import { useSyncExternalStore } from 'react'
import { useMay } from './session'

const REMEMBERED = 'plura.first'
const listeners = new Set<() => void>()

const isHidden = () => localStorage.getItem(REMEMBERED) === 'hidden'

export function showFirstSteps(isShown: boolean) {
  if (isShown) localStorage.removeItem(REMEMBERED)
  else localStorage.setItem(REMEMBERED, 'hidden')
  listeners.forEach((tell) => tell())
}

/** The first steps are for whoever may take them; this browser remembers that somebody hid them. */
export function useFirstSteps(): { isOffered: boolean; isShown: boolean } {
  const may = useMay()
  const hidden = useSyncExternalStore((tell) => {
    listeners.add(tell)
    return () => listeners.delete(tell)
  }, isHidden)
  const isOffered = may('tenant.write') && may('tokens.write') && may('events.query')
  return { isOffered, isShown: isOffered && !hidden }
}
