/** What the queue's address says, without the tenant. */
export type Filters = {
  status?: string
  severity?: string
  isExact?: true
  assignee?: string
  q?: string
  due?: 'overdue'
  sort?: string
}

export type Saved = { name: string; filters: Filters }

export const SAVED_MAX = 20
export const NAME_CHARS_MAX = 60
const VALUE_CHARS_MAX = 200
const NAMES = ['status', 'severity', 'assignee', 'q', 'sort'] as const

const keyOf = (tenant: string) => `plura.filters.${tenant}`

/** Only what the queue knows: storage is written by whoever has the browser. */
export function filtersOf(from: unknown): Filters {
  if (typeof from !== 'object' || from === null) return {}
  const given = from as Record<string, unknown>
  const filters: Filters = {}
  for (const name of NAMES) {
    const value = given[name]
    if (typeof value === 'string' && value !== '') filters[name] = value.slice(0, VALUE_CHARS_MAX)
  }
  if (given.isExact === true) filters.isExact = true
  if (given.due === 'overdue') filters.due = 'overdue'
  return filters
}

export const isSame = (one: Filters, two: Filters) =>
  [...NAMES, 'isExact' as const, 'due' as const].every((name) => one[name] === two[name])

export function readSaved(tenant: string): Saved[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(keyOf(tenant)) ?? '[]')
    if (!Array.isArray(kept)) return []
    return kept.slice(0, SAVED_MAX).flatMap((one: unknown) => {
      const { name, filters } = (one ?? {}) as { name?: unknown; filters?: unknown }
      if (typeof name !== 'string' || name === '') return []
      return [{ name: name.slice(0, NAME_CHARS_MAX), filters: filtersOf(filters) }]
    })
  } catch {
    return []
  }
}

/** Says whether the browser kept them. */
export function keepSaved(tenant: string, saved: Saved[]): boolean {
  try {
    localStorage.setItem(keyOf(tenant), JSON.stringify(saved))
    return true
  } catch {
    return false
  }
}
