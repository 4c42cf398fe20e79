import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import type { paths } from './schema'
import { Refusal, api, session, take, type Schema } from './client'

export type Me = Schema['Me']
export type Incident = Schema['Incident']
export type Finding = Schema['Finding']
export type Action = Schema['Action']
export type Restriction = Schema['Restriction']
export type Severity = Schema['Severity']
export type Status = Schema['IncidentStatus']
export type Rung = Schema['Rung']
export type ActionState = Schema['ActionState']
export type Leaf = Schema['Leaf']

/** How often what is on screen is asked for again. */
export const LIVE_MS = 10_000
const SLOW_MS = 60_000

export const LIST_MAX = 500

type Asked<P extends keyof paths> = paths[P] extends {
  get: { parameters: { query?: infer Q } }
}
  ? NonNullable<Q>
  : never

export const me = (tenant?: string) =>
  queryOptions({
    queryKey: ['me', tenant],
    staleTime: SLOW_MS,
    queryFn: async () => {
      const answer = await take(api.GET('/api/v1/me'))
      session.keepCsrf(answer.csrf)
      return answer
    },
  })

export const tenants = queryOptions({
  queryKey: ['tenants'],
  queryFn: () => take(api.GET('/api/v1/tenants')),
  staleTime: SLOW_MS,
})

export const people = queryOptions({
  queryKey: ['people'],
  queryFn: () => take(api.GET('/api/v1/people')),
  staleTime: SLOW_MS,
})

export const health = queryOptions({
  queryKey: ['health'],
  queryFn: () => take(api.GET('/api/v1/health')),
  refetchInterval: LIVE_MS,
})

export const incidents = (query: Asked<'/api/v1/incidents'>) =>
  queryOptions({
    queryKey: ['incidents', query],
    queryFn: () =>
      take(api.GET('/api/v1/incidents', { params: { query: { limit: LIST_MAX, ...query } } })),
    refetchInterval: LIVE_MS,
    placeholderData: (before) => before,
  })

export const incident = (id: string) =>
  queryOptions({
    queryKey: ['incident', id],
    queryFn: () => take(api.GET('/api/v1/incidents/{id}', { params: { path: { id } } })),
    refetchInterval: LIVE_MS,
  })

export const actions = (query: Asked<'/api/v1/actions'>) =>
  queryOptions({
    queryKey: ['actions', query],
    queryFn: () =>
      take(api.GET('/api/v1/actions', { params: { query: { limit: LIST_MAX, ...query } } })),
    refetchInterval: LIVE_MS,
    placeholderData: (before) => before,
  })

export const action = (id: string) =>
  queryOptions({
    queryKey: ['action', id],
    queryFn: () => take(api.GET('/api/v1/actions/{id}', { params: { path: { id } } })),
  })

export const restrictions = queryOptions({
  queryKey: ['restrictions'],
  queryFn: () => take(api.GET('/api/v1/restrictions')),
  refetchInterval: LIVE_MS,
})

export const entity = (name: string) =>
  queryOptions({
    queryKey: ['entity', name],
    queryFn: () =>
      take(api.GET('/api/v1/entities/{entity}', { params: { path: { entity: name } } })),
    refetchInterval: LIVE_MS,
  })

export const timeline = (name: string, until?: number) =>
  infiniteQueryOptions({
    queryKey: ['timeline', name, until],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      take(
        api.GET('/api/v1/entities/{entity}/timeline', {
          params: {
            path: { entity: name },
            query: { after: pageParam, until: until?.toString(), limit: 50 },
          },
        }),
      ),
    getNextPageParam: (page) => page.next ?? undefined,
  })

export const event = (id: string) =>
  queryOptions({
    queryKey: ['event', id],
    queryFn: () => take(api.GET('/api/v1/events/{id}', { params: { path: { id } } })),
    staleTime: Infinity,
  })

export const AUDIT_PAGE = 100

export const audit = (query: { from?: number; subject?: string }) =>
  queryOptions({
    queryKey: ['audit', query],
    queryFn: () =>
      take(api.GET('/api/v1/audit', { params: { query: { ...query, limit: AUDIT_PAGE } } })),
    refetchInterval: query.from === undefined ? LIVE_MS : false,
    placeholderData: (before) => before,
  })

export const checkpoint = queryOptions({
  queryKey: ['checkpoint'],
  queryFn: () => take(api.GET('/api/v1/audit/checkpoint')),
})

export const proof = (index: number) =>
  queryOptions({
    queryKey: ['proof', index],
    queryFn: () => take(api.GET('/api/v1/audit/{index}/proof', { params: { path: { index } } })),
  })

export type SourceRate = { source: string; events: number; last: number; hours: number[] }

const HOUR_MS = 3_600_000
export const RATE_HOURS = 24

/** Events of the last day by source and hour: what reports, and what fell silent. */
export const sources = queryOptions({
  queryKey: ['sources'],
  refetchInterval: SLOW_MS,
  staleTime: SLOW_MS / 2,
  queryFn: async (): Promise<SourceRate[]> => {
    const sql =
      "select source, date_trunc('hour', time) as hour, count(*) as events, max(time) as last " +
      `from events where time > now() - interval '${RATE_HOURS} hours' group by source, hour`
    const answer = await take(api.POST('/api/v1/query', { body: { sql } }))
    const newest = Math.floor(Date.now() / HOUR_MS)
    const found = new Map<string, SourceRate>()
    for (const [name, hour, events, last] of answer.rows as [string, string, number, string][]) {
      const source = name ?? ''
      const known = found.get(source) ?? {
        source,
        events: 0,
        last: 0,
        hours: Array<number>(RATE_HOURS).fill(0),
      }
      const place = RATE_HOURS - 1 - (newest - Math.floor(Date.parse(hour) / HOUR_MS))
      if (place >= 0 && place < RATE_HOURS) known.hours[place] = events
      known.events += events
      known.last = Math.max(known.last, Date.parse(last))
      found.set(source, known)
    }
    return [...found.values()].sort((a, b) => b.events - a.events)
  },
})

/** Asking again does not help where the answer is a decision. */
export function shouldRetry(count: number, error: Error): boolean {
  const status = error instanceof Refusal ? error.problem.status : 0
  return count < 2 && (status === 0 || status >= 500 || status === 429)
}
