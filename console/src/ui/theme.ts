import { useSyncExternalStore } from 'react'

export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const REMEMBERED = 'plura.theme'
const listeners = new Set<() => void>()

function current(): Theme {
  const chosen = localStorage.getItem(REMEMBERED)
  return THEMES.find((theme) => theme === chosen) ?? 'system'
}

export function applyTheme() {
  const theme = current()
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function setTheme(theme: Theme) {
  localStorage.setItem(REMEMBERED, theme)
  applyTheme()
  listeners.forEach((tell) => tell())
}

export function useTheme(): Theme {
  return useSyncExternalStore((tell) => {
    listeners.add(tell)
    return () => listeners.delete(tell)
  }, current)
}
