import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { Refusal, TENANT, api, take, type Schema } from '~/api/client'
import type { Diagnostic } from '~/api/queries'
import { isLanguage, type Language } from '~/i18n'

/** What a signal says; the policy knows which kind it is. */
export type Value = boolean | number | string
export type Signals = Record<string, Value>
export type Reading = Value | { value: Value; is_silent?: boolean }

export type Contribution = {
  part: 'indicator' | 'penalty' | 'ceiling' | 'cap'
  code: string
  points: number
  most?: number
  knowledge?: 'known' | 'unknown' | 'silent'
}

/** As `crates/trust/src/decision.rs` says it; `openapi.json` leaves it open. */
export type Decision = {
  score: number
  low: number
  high: number
  coverage: number
  permit: boolean
  decisions: string[]
  obligations: string[]
  contributions: Contribution[]
  reasons: { code: string; parameters?: Record<string, string> }[]
  ttl_secs: number
  profile: string
  policy: string
}

export type Demands = { profile?: string; required?: string[] }

export type Kept = Omit<Schema['Record'], 'decision' | 'readings' | 'demands'> & {
  decision: Decision
  readings: Record<string, Reading>
  demands: Demands
}

export type SignalKind =
  | { kind: 'boolean' }
  | { kind: 'integer'; min: number; max: number }
  | { kind: 'one-of'; values: string[] }
  | { kind: 'text'; named: string[] }

export type Asked = {
  profile?: string | undefined
  signals: Signals
  silent?: string[]
  demands?: Demands
}

export type WhatIfAnswer = {
  decision: Decision
  sentences: Record<Language, string[]>
  words: Record<Language, Record<string, string>>
  signals: Record<string, SignalKind>
  profiles: string[]
}

export type CaseRow = {
  id: string
  title_en: string
  title_ko: string
  profile: string
  passed: boolean
  score: number
  low: number
  high: number
  expected: [number, number]
  in_range: boolean
  decisions: string[]
  expected_decisions: string[]
  decision_equal: boolean
  obligations: string[]
  obligations_missing?: string[]
  obligations_elsewhere?: string[]
  obligations_contradicting?: string[]
  diagnostics?: Diagnostic[]
}

export type Checked = {
  hash: string
  profiles: string[]
  unsound: Diagnostic[]
  exam?: { policy: string; passed: number; total: number; cases: CaseRow[] }
}

export type Change = {
  id: string
  session: string
  old_score: number
  new_score: number
  old_decisions: string[]
  new_decisions: string[]
}

export type Compared = {
  comparison: {
    judged: number
    other_score: number
    other_decision: number
    unreadable: Diagnostic[]
    changes: Change[]
  }
  truncated: boolean
}

const as = (tenant: string) => ({ [TENANT]: tenant })

const check = async (tenant: string, body: Schema['TrustCheck'], signal?: AbortSignal) =>
  (await take(
    api.POST('/api/v1/trust/policy/check', { headers: as(tenant), body, signal: signal ?? null }),
  )) as unknown as Checked

export const SPANS = { '24h': 24, '7d': 168, '30d': 720 } as const
export type Span = keyof typeof SPANS
export const SPAN_NAMES = Object.keys(SPANS) as Span[]

const HOUR_MS = 3_600_000
export const sinceOf = (span: Span | undefined) =>
  span === undefined ? undefined : `${Date.now() - SPANS[span] * HOUR_MS}`

const PAGE = 50

export type DecisionFilter = {
  session?: string | undefined
  permit?: boolean | undefined
  since?: Span | undefined
}

/** Newest first. */
export const decisions = (tenant: string, filter: DecisionFilter) =>
  infiniteQueryOptions({
    queryKey: [tenant, 'trust-decisions', filter],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const query = {
        session: filter.session,
        permit: filter.permit,
        since: sinceOf(filter.since),
        after: pageParam,
        limit: PAGE,
      }
      const page = await take(
        api.GET('/api/v1/trust/decisions', { headers: as(tenant), params: { query }, signal }),
      )
      return { items: page.items as unknown as Kept[], next: page.next }
    },
    getNextPageParam: (page) => page.next ?? undefined,
  })

export const decision = (tenant: string, id: string) =>
  queryOptions({
    queryKey: [tenant, 'trust-decision', id],
    staleTime: Infinity,
    queryFn: async () => {
      const params = { path: { id } }
      const found = await take(
        api.GET('/api/v1/trust/decisions/{id}', { headers: as(tenant), params }),
      )
      return found as unknown as Kept
    },
  })

/** What would be answered now to what was last asked; `null` when that is not remembered. */
export const standing = (tenant: string, session: string) =>
  queryOptions({
    queryKey: [tenant, 'trust-standing', session],
    queryFn: async () => {
      const params = { path: { id: session } }
      const found = await take(
        api.GET('/api/v1/trust/sessions/{id}', { headers: as(tenant), params }),
      )
      return (found.current ?? null) as unknown as Kept | null
    },
  })

/** A question that is superseded is given up. */
export const whatIf = (tenant: string, asked: Asked) =>
  queryOptions({
    queryKey: [tenant, 'trust-what-if', asked],
    staleTime: 30_000,
    gcTime: 60_000,
    queryFn: async ({ signal }) => {
      const body = asked as unknown as Schema['WhatIf']
      const answer = await take(
        api.POST('/api/v1/trust/what-if', { headers: as(tenant), body, signal }),
      )
      return answer as unknown as WhatIfAnswer
    },
    placeholderData: (before) => before,
  })

export const trustPolicy = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'trust-policy'],
    queryFn: () => take(api.GET('/api/v1/trust/policy', { headers: as(tenant) })),
  })

/** The hash of the policy that comes with Plura. */
export const shippedHash = (tenant: string) =>
  queryOptions({
    queryKey: [tenant, 'trust-shipped'],
    staleTime: Infinity,
    queryFn: async () => (await check(tenant, { policy: '' })).hash,
  })

const VERSIONS = 20

export const trustVersions = (tenant: string) =>
  infiniteQueryOptions({
    queryKey: [tenant, 'trust-versions'],
    initialPageParam: undefined as number | undefined,
    queryFn: ({ pageParam }) =>
      take(
        api.GET('/api/v1/trust/policy/versions', {
          headers: as(tenant),
          params: { query: { before: pageParam, limit: VERSIONS } },
        }),
      ),
    getNextPageParam: (page) => (page.length < VERSIONS ? undefined : page.at(-1)?.version),
  })

/** One earlier version; `null` when there is none. */
export const trustVersion = (tenant: string, version: number) =>
  queryOptions({
    queryKey: [tenant, 'trust-version', version],
    staleTime: Infinity,
    queryFn: async () => {
      const query = { before: version + 1, limit: 1 }
      const found = await take(
        api.GET('/api/v1/trust/policy/versions', { headers: as(tenant), params: { query } }),
      )
      return found.find((one) => one.version === version) ?? null
    },
  })

/** Faults of the text are an answer here, not a failure. */
export async function checkTrust(
  tenant: string,
  policy: string,
  profile: string,
  signal: AbortSignal,
): Promise<{ diagnostics: Diagnostic[]; doubts?: Diagnostic[] }> {
  try {
    const checked = await check(tenant, { policy, profile }, signal)
    return { diagnostics: [], doubts: checked.unsound }
  } catch (error) {
    const found = error instanceof Refusal ? error.problem.diagnostics : undefined
    if (!found?.length) throw error
    return { diagnostics: found }
  }
}

/** Each case is judged by its own profile, else by the one that fits it. */
export const sit = (tenant: string, policy: string, cases: string) =>
  check(tenant, { policy, cases })

export async function compare(
  tenant: string,
  policy: string,
  profile?: string,
  since?: Span,
): Promise<Compared> {
  const body = { policy, profile, since: sinceOf(since) }
  const answer = await take(api.POST('/api/v1/trust/policy/compare', { headers: as(tenant), body }))
  return answer as unknown as Compared
}

export const valueOf = (reading: Reading): Value =>
  typeof reading === 'object' ? reading.value : reading
export const isSilent = (reading: Reading) =>
  typeof reading === 'object' && reading.is_silent === true

/** The question that a record answers. */
export function askedBy({ readings, demands, decision }: Kept): Asked {
  const entries = Object.entries(readings)
  return {
    profile: decision.profile,
    signals: Object.fromEntries(entries.map(([name, reading]) => [name, valueOf(reading)])),
    silent: entries.filter(([, reading]) => isSilent(reading)).map(([name]) => name),
    demands,
  }
}

/** `mfa_result=success,geo_abroad=true,~patch_age_days=3`: `~` fell silent, `'` begins a text that looks otherwise. */
export function writeSignals(signals: Signals, silent: string[]): string | undefined {
  const text = Object.entries(signals)
    .map(([name, value]) => {
      const mark = typeof value === 'string' && typeof readValue(value) !== 'string' ? "'" : ''
      const sign = silent.includes(name) ? '~' : ''
      return `${sign}${name}=${mark}${encodeURIComponent(value)}`
    })
    .join(',')
  return text || undefined
}

function readValue(text: string): Value {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  return text.startsWith("'") ? text.slice(1) : text
}

export function readSignals(text: string | undefined): { signals: Signals; silent: string[] } {
  const signals: Signals = {}
  const silent: string[] = []
  for (const part of (text ?? '').split(',')) {
    const found = /^(~?)(\w+)=(.*)$/.exec(part)
    const [, sign, name, value] = found ?? []
    if (name === undefined || value === undefined) continue
    try {
      signals[name] = readValue(decodeURIComponent(value))
      if (sign) silent.push(name)
    } catch {
      // A broken escape says nothing.
    }
  }
  return { signals, silent }
}

export const spoken = (tag: string): Language => (isLanguage(tag) ? tag : 'en')

const ENTITY_KINDS: Record<string, string> = {
  session: 'session',
  user: 'account',
  account: 'account',
  identity: 'account',
  credential: 'credential',
  api_key: 'credential',
  token: 'credential',
  client: 'credential',
  device: 'device',
  address: 'address',
}

/** The entity a record's session stands for, as `entity_kind` of the server has it. */
export function entityOf(session: string): string | undefined {
  const at = session.indexOf(':')
  const kind = ENTITY_KINDS[session.slice(0, Math.max(0, at))]
  return kind && `${kind}${session.slice(at)}`
}

/** What the shipped policy's signals are about; those of another policy stand last. */
const GROUPS = {
  who: 'user_type user_status mfa_used mfa_result mfa_method authorization compromise_suspected identity_uncertain guest_domain_approved failed_attempts_recent invites_7d auth_strength privilege user_id user_role department persona',
  device:
    'device_type device_id device_registered device_owner device_attested stolen_reported patch_state patch_age_days posture_age edr_state mdm_state remote_tool_present approved_software unapproved_software container_isolation vdi_isolation browser_isolation os_tamper_flag os_update disk_encrypt virtual_machine domain_joined os_name os_version',
  network:
    'network_type network_shared network_weak wifi_security vpn_used geo_policy geo_abroad geo_usual geo_country travel_registered proxy_vpn_tor src_ip src_ip_class ip_rep location tz_consistent locale_consistent',
  conduct:
    'work_hours login_hour_local bulk_download exfil_process repeated_access mobility impossible_travel live_finding login_pattern user_agent_consistent per_app_ztna',
  asked: 'sensitivity admin_required read_only name action',
  other: '',
} as const

export type SignalGroup = keyof typeof GROUPS
export const SIGNAL_GROUPS = Object.keys(GROUPS) as SignalGroup[]

const GROUP_OF = new Map(
  SIGNAL_GROUPS.flatMap((group) => GROUPS[group].split(' ').map((name) => [name, group] as const)),
)

export const groupOf = (name: string): SignalGroup => GROUP_OF.get(name) ?? 'other'
