/** Queries that were asked and queries with a name: in this browser, apart by tenant and person. */
import { useSyncExternalStore } from 'react'

export type Asked = { q: string; mode: 'bar' | 'sql'; at: number }
export type Named = { name: string; q: string; mode: 'bar' | 'sql' }
type Kept = { asked: Asked[]; named: Named[] }

const ASKED_MAX = 50
const NAMED_MAX = 100
const NOTHING: Kept = { asked: [], named: [] }

const listeners = new Set<() => void>()
const read = new Map<string, { text: string | null; kept: Kept }>()

const keyOf = (tenant: string, user: string) => `plura.hunt.${tenant}.${user}`

function isAsked(one: unknown): one is Asked {
  const { q, mode, at } = (one ?? {}) as Record<string, unknown>
  return typeof q === 'string' && (mode === 'bar' || mode === 'sql') && typeof at === 'number'
}

function isNamed(one: unknown): one is Named {
  const { q, mode, name } = (one ?? {}) as Record<string, unknown>
  return typeof q === 'string' && (mode === 'bar' || mode === 'sql') && typeof name === 'string'
}

/** What is kept; what somebody else wrote there is left out. */
function load(key: string): Kept {
  const text = localStorage.getItem(key)
  const known = read.get(key)
  if (known && known.text === text) return known.kept
  let kept = NOTHING
  try {
    const found = JSON.parse(text ?? '{}') as { asked?: unknown; named?: unknown }
    kept = {
      asked: Array.isArray(found.asked) ? found.asked.filter(isAsked).slice(0, ASKED_MAX) : [],
      named: Array.isArray(found.named) ? found.named.filter(isNamed).slice(0, NAMED_MAX) : [],
    }
  } catch {
    // Not ours: as if nothing were there.
  }
  read.set(key, { text, kept })
  return kept
}

function keep(key: string, kept: Kept) {
  try {
    localStorage.setItem(key, JSON.stringify(kept))
  } catch {
    // A full store keeps what it has.
  }
  listeners.forEach((tell) => tell())
}

export function useKept(tenant: string, user: string) {
  const key = keyOf(tenant, user)
  const kept = useSyncExternalStore(
    (tell) => {
      listeners.add(tell)
      window.addEventListener('storage', tell)
      return () => {
        listeners.delete(tell)
        window.removeEventListener('storage', tell)
      }
    },
    () => load(key),
  )
  const change = (how: (now: Kept) => Kept) => keep(key, how(load(key)))
  return {
    ...kept,
    /** The newest first, each once. */
    remember: (q: string, mode: Asked['mode']) => {
      if (!q.trim()) return
      change((now) => {
        const others = now.asked.filter((one) => one.q !== q || one.mode !== mode)
        return { ...now, asked: [{ q, mode, at: Date.now() }, ...others].slice(0, ASKED_MAX) }
      })
    },
    forget: (one: Asked) =>
      change((now) => ({
        ...now,
        asked: now.asked.filter((other) => other.q !== one.q || other.mode !== one.mode),
      })),
    forgetAll: () => change((now) => ({ ...now, asked: [] })),
    name: (name: string, q: string, mode: Named['mode']) =>
      change((now) => {
        const others = now.named.filter((one) => one.name !== name)
        return { ...now, named: [{ name, q, mode }, ...others].slice(0, NAMED_MAX) }
      }),
    unname: (name: string) =>
      change((now) => ({ ...now, named: now.named.filter((one) => one.name !== name) })),
  }
}
