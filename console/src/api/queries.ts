import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import type { paths } from './schema'
import { Refusal, TENANT, api, session, take, type Schema } from './client'

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
export const SLOW_MS = 60_000

export const LIST_MAX = 500

type Asked<P extends keyof paths> = paths[P] extends {
  get: { parameters: { query?: infer Q } }
}
  ? NonNullable<Q>
  : never

/** Each question names its tenant, in its key and in the request: no answer is shown under another's name. */
const as = (tenant: string | undefined) => ({ [TENANT]: tenant ?? '' })

export const me = (tenant?: string) =>
  queryOptions({
    queryKey: ['me', tenant],
    staleTime: SLOW_MS,
    queryFn: async () => {
      const answer = await take(api.GET('/api/v1/me', { headers: as(tenant) }))
      session.keepCsrf(answer.csrf)
      return answer
    },
  })

/** What one has beside the password: one's own, in every tenant. */
export const secondFactor = queryOptions({
  queryKey: ['second-factor'],
  queryFn: () => take(api.GET('/api/v1/second-factor', { headers: as(undefined) })),
})

export const tenants = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'tenants'],
    queryFn: () => take(api.GET('/api/v1/tenants', { headers: as(tenant) })),
    staleTime: SLOW_MS,
  })

export const people = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'people'],
    queryFn: () => take(api.GET('/api/v1/people', { headers: as(tenant) })),
    staleTime: SLOW_MS,
  })

export const health = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'health'],
    queryFn: () => take(api.GET('/api/v1/health', { headers: as(tenant) })),
    refetchInterval: LIVE_MS,
  })

export const incidents = (tenant: string, query: Asked<'/api/v1/incidents'>) =>
  queryOptions({
    queryKey: [tenant, 'incidents', query],
    queryFn: () =>
      take(
        api.GET('/api/v1/incidents', {
          headers: as(tenant),
          params: { query: { limit: LIST_MAX, ...query } },
        }),
      ),
    refetchInterval: LIVE_MS,
    placeholderData: (before) => before,
  })

export const incident = (tenant: string, id: string) =>
  queryOptions({
    queryKey: [tenant, 'incident', id],
    queryFn: () =>
      take(api.GET('/api/v1/incidents/{id}', { headers: as(tenant), params: { path: { id } } })),
    refetchInterval: LIVE_MS,
  })

export const actions = (tenant: string, query: Asked<'/api/v1/actions'>) =>
  queryOptions({
    queryKey: [tenant, 'actions', query],
    queryFn: () =>
      take(
        api.GET('/api/v1/actions', {
          headers: as(tenant),
          params: { query: { limit: LIST_MAX, ...query } },
        }),
      ),
    refetchInterval: LIVE_MS,
    placeholderData: (before) => before,
  })

export const restrictions = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'restrictions'],
    queryFn: () => take(api.GET('/api/v1/restrictions', { headers: as(tenant) })),
    refetchInterval: LIVE_MS,
  })

export const entity = (tenant: string, name: string) =>
  queryOptions({
    queryKey: [tenant, 'entity', name],
    queryFn: () =>
      take(
        api.GET('/api/v1/entities/{entity}', {
          headers: as(tenant),
          params: { path: { entity: name } },
        }),
      ),
    refetchInterval: LIVE_MS,
  })

export const timeline = (tenant: string, name: string, until?: number) =>
  infiniteQueryOptions({
    queryKey: [tenant, 'timeline', name, until],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      take(
        api.GET('/api/v1/entities/{entity}/timeline', {
          headers: as(tenant),
          params: {
            path: { entity: name },
            query: { after: pageParam, until: until?.toString(), limit: 50 },
          },
        }),
      ),
    getNextPageParam: (page) => page.next ?? undefined,
  })

export const event = (tenant: string, id: string) =>
  queryOptions({
    queryKey: [tenant, 'event', id],
    queryFn: () =>
      take(api.GET('/api/v1/events/{id}', { headers: as(tenant), params: { path: { id } } })),
    staleTime: Infinity,
  })

/** How far before and after an event one looks for what else happened. */
export const AROUND_MS = 60_000
const AROUND_MAX = 100

export const around = (tenant: string, entity: string, time: number) =>
  queryOptions({
    queryKey: [tenant, 'around', entity, time],
    queryFn: () =>
      take(
        api.GET('/api/v1/events', {
          headers: as(tenant),
          params: {
            query: {
              entity,
              since: `${time - AROUND_MS}`,
              // Up to, and with, the last millisecond.
              until: `${time + AROUND_MS + 1}`,
              order: 'oldest',
              limit: AROUND_MAX,
            },
          },
        }),
      ),
  })

export type TrustRecord = Schema['Record']

/** The decisions kept about one, the newest first. */
export const trustOver = (tenant: string, session: string) =>
  queryOptions({
    queryKey: [tenant, 'trust-over', session],
    queryFn: () =>
      take(
        api.GET('/api/v1/trust/decisions', {
          headers: as(tenant),
          params: { query: { session, limit: 200 } },
        }),
      ),
    refetchInterval: LIVE_MS,
  })

export type Rule = Schema['RuleView']
export type Stage = Schema['Stage']
export type Replay = Schema['Replay']
export type RuleException = Schema['ExceptionView']
export type Choice = Schema['Choice']
export type Diagnostic = Schema['Diagnostic']

/** How far back rules' hits are counted on screen. */
export const HITS_DAYS = 30

/** Rules of packs and of the site, all of them: the server has no filter for most of what one looks for. */
export const rules = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'rules'],
    staleTime: SLOW_MS,
    queryFn: async ({ signal }) => {
      const items: Rule[] = []
      let after: string | undefined
      for (;;) {
        const query = { after, limit: LIST_MAX }
        const page = await take(
          api.GET('/api/v1/sigma/rules', { headers: as(tenant), params: { query }, signal }),
        )
        items.push(...page.items)
        after = page.next ?? undefined
        if (after === undefined) return { items, faults: page.faults }
      }
    },
  })

export const rule = (tenant: string, id: string) =>
  queryOptions({
    queryKey: [tenant, 'rule', id],
    queryFn: () =>
      take(api.GET('/api/v1/sigma/rules/{id}', { headers: as(tenant), params: { path: { id } } })),
  })

export type Loud = Omit<Schema['Loud'], 'by_day'> & { by_day: Record<string, number> }

export const noise = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'noise'],
    refetchInterval: SLOW_MS,
    queryFn: async () => {
      const params = { query: { days: HITS_DAYS } }
      const told = await take(api.GET('/api/v1/sigma/noise', { headers: as(tenant), params }))
      return { ...told, rules: told.rules as unknown as Loud[] }
    },
  })

export const coverage = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'coverage'],
    queryFn: () =>
      take(
        api.GET('/api/v1/sigma/coverage', {
          headers: as(tenant),
          params: { query: { days: HITS_DAYS } },
        }),
      ),
  })

export const packs = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'packs'],
    queryFn: () => take(api.GET('/api/v1/sigma/packs', { headers: as(tenant) })),
  })

export const selection = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'selection'],
    queryFn: () => take(api.GET('/api/v1/sigma/selection', { headers: as(tenant) })),
  })

export const exceptions = (tenant: string, ended: boolean) =>
  queryOptions({
    queryKey: [tenant, 'exceptions', ended],
    refetchInterval: SLOW_MS,
    queryFn: () =>
      take(
        api.GET('/api/v1/sigma/exceptions', {
          headers: as(tenant),
          params: { query: { ended, limit: LIST_MAX } },
        }),
      ),
    placeholderData: (before) => before,
  })

export const findings = (tenant: string, query: Asked<'/api/v1/findings'>) =>
  queryOptions({
    queryKey: [tenant, 'findings', query],
    queryFn: () =>
      take(
        api.GET('/api/v1/findings', {
          headers: as(tenant),
          params: { query: { limit: 50, ...query } },
        }),
      ),
    refetchInterval: LIVE_MS,
  })

export type User = Schema['UserView']
export type Token = Schema['TokenView']
export type Tenant = Schema['TenantView']
export type Policy = Schema['PolicyView']

export const users = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'users'],
    queryFn: () => take(api.GET('/api/v1/users', { headers: as(tenant) })),
    refetchInterval: SLOW_MS,
  })

export const tokens = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'tokens'],
    queryFn: () => take(api.GET('/api/v1/tokens', { headers: as(tenant) })),
    refetchInterval: SLOW_MS,
  })

/** The tenant's own response policy; `null` while the shipped ones are in force. */
export const policy = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'policy'],
    queryFn: () =>
      take(api.GET('/api/v1/policy', { headers: as(tenant) })).catch((error: unknown) => {
        if (error instanceof Refusal && error.problem.code === 'policy-missing') return null
        throw error
      }),
  })

export type Connector = Schema['ConnectorView']

/** In the order of their file; set up by hand, they change with a restart of the server. */
export const connectors = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'connectors'],
    queryFn: () => take(api.GET('/api/v1/connectors', { headers: as(tenant) })),
    staleTime: SLOW_MS,
  })

export const POLICY_VERSIONS = 50

/** Newest first, without an end. */
export const policyVersions = (tenant: string) =>
  infiniteQueryOptions({
    queryKey: [tenant, 'policy-versions'],
    initialPageParam: undefined as number | undefined,
    queryFn: ({ pageParam }) =>
      take(
        api.GET('/api/v1/policy/versions', {
          headers: as(tenant),
          params: { query: { before: pageParam, limit: POLICY_VERSIONS } },
        }),
      ),
    getNextPageParam: (page) => (page.length < POLICY_VERSIONS ? undefined : page.at(-1)?.version),
  })

export const policyVersion = (tenant: string, version: number) =>
  queryOptions({
    queryKey: [tenant, 'policy-version', version],
    queryFn: () =>
      take(
        api.GET('/api/v1/policy/versions/{version}', {
          headers: as(tenant),
          params: { path: { version } },
        }),
      ),
    staleTime: Infinity,
  })

export const checkPolicy = (tenant: string, text: string, signal: AbortSignal) =>
  take(api.POST('/api/v1/policy/check', { headers: as(tenant), body: { text }, signal }))

export const trustSite = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'trust-site'],
    queryFn: () => take(api.GET('/api/v1/trust/site', { headers: as(tenant) })),
  })

export const register = (tenant: string, name: string) =>
  infiniteQueryOptions({
    queryKey: [tenant, 'register', name],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      take(
        api.GET('/api/v1/trust/registers/{register}', {
          headers: as(tenant),
          params: { path: { register: name }, query: { after: pageParam, limit: LIST_MAX } },
        }),
      ),
    getNextPageParam: (page) => page.next ?? undefined,
  })

/** Hosts that told of processes, files, connections or kernel modules (OCSF 1xxx) within the day. */
export const hosts = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'hosts'],
    // Until there is one, somebody may be waiting for it.
    refetchInterval: ({ state }) => (state.data ? SLOW_MS : LIVE_MS),
    queryFn: async () => {
      const sql =
        'select count(distinct coalesce(device, source)) as hosts from events where class_uid between 1001 and 1999 ' +
        `and time > now() - interval '${RATE_HOURS} hours'`
      const answer = await take(api.POST('/api/v1/query', { headers: as(tenant), body: { sql } }))
      return Number((answer.rows as [number][])[0]?.[0] ?? 0)
    },
  })

export const AUDIT_PAGE = 100

export const audit = (tenant: string, query: { from?: number; subject?: string }) =>
  queryOptions({
    queryKey: [tenant, 'audit', query],
    queryFn: () =>
      take(
        api.GET('/api/v1/audit', {
          headers: as(tenant),
          params: { query: { ...query, limit: AUDIT_PAGE } },
        }),
      ),
    refetchInterval: query.from === undefined ? LIVE_MS : false,
    placeholderData: (before) => before,
  })

export const checkpoint = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'checkpoint'],
    queryFn: () => take(api.GET('/api/v1/audit/checkpoint', { headers: as(tenant) })),
  })

export type SourceRate = { source: string; events: number; last: number; hours: number[] }

const HOUR_MS = 3_600_000
export const RATE_HOURS = 24

/** Events of the last day by source and hour: what reports, and what fell silent. */
export const sources = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'sources'],
    refetchInterval: SLOW_MS,
    staleTime: SLOW_MS / 2,
    queryFn: async (): Promise<{ rates: SourceRate[]; isCut: boolean }> => {
      const sql =
        "select source, date_trunc('hour', time) as hour, count(*) as events, max(time) as last " +
        `from events where time > now() - interval '${RATE_HOURS} hours' group by source, hour`
      const answer = await take(api.POST('/api/v1/query', { headers: as(tenant), body: { sql } }))
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
      const rates = [...found.values()].sort((a, b) => b.events - a.events)
      return { rates, isCut: answer.truncated }
    },
  })

/** Asking again does not help where the answer is a decision. */
export function shouldRetry(count: number, error: Error): boolean {
  const status = error instanceof Refusal ? error.problem.status : 0
  return count < 2 && (status === 0 || status >= 500 || status === 429)
}
