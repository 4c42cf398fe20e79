/** The columns of the table `events`, as `crates/schema/src/event.rs` has them; a spec holds the two together. */

export type Kind = 'text' | 'int' | 'bool' | 'json' | 'time'

/** Name in SQL and in the query bar → path in OCSF, kind. */
const COLUMNS = {
  id: ['metadata.uid', 'text'],
  time: ['time', 'time'],
  received: ['metadata.logged_time', 'time'],
  class_uid: ['class_uid', 'int'],
  activity_id: ['activity_id', 'int'],
  severity_id: ['severity_id', 'int'],
  status_id: ['status_id', 'int'],
  status_code: ['status_code', 'text'],
  status_detail: ['status_detail', 'text'],
  message: ['message', 'text'],
  source: ['metadata.log_source', 'text'],
  sequence: ['metadata.sequence', 'int'],
  log_format: ['metadata.log_format', 'text'],
  product: ['metadata.product.name', 'text'],
  src_ip: ['src_endpoint.ip', 'text'],
  src_port: ['src_endpoint.port', 'int'],
  dst_ip: ['dst_endpoint.ip', 'text'],
  dst_port: ['dst_endpoint.port', 'int'],
  method: ['http_request.http_method', 'text'],
  scheme: ['http_request.url.scheme', 'text'],
  host: ['http_request.url.hostname', 'text'],
  path: ['http_request.url.path', 'text'],
  query: ['http_request.url.query_string', 'text'],
  http_version: ['http_request.version', 'text'],
  user_agent: ['http_request.user_agent', 'text'],
  referrer: ['http_request.referrer', 'text'],
  request_headers: ['http_request.http_headers', 'json'],
  request_length: ['http_request.body_length', 'int'],
  http_code: ['http_response.code', 'int'],
  response_headers: ['http_response.http_headers', 'json'],
  response_length: ['http_response.body_length', 'int'],
  latency_ms: ['http_response.latency', 'int'],
  response_content_type: ['http_response.content_type', 'text'],
  request_content_type: ['plura.request.content_type', 'text'],
  request_body: ['plura.request.body', 'text'],
  request_body_encoding: ['plura.request.body_encoding', 'text'],
  request_sha256: ['plura.request.sha256', 'text'],
  request_truncated: ['plura.request.truncated', 'bool'],
  response_body: ['plura.response.body', 'text'],
  response_body_encoding: ['plura.response.body_encoding', 'text'],
  response_sha256: ['plura.response.sha256', 'text'],
  response_truncated: ['plura.response.truncated', 'bool'],
  request_personal_data: ['plura.request.personal_data', 'json'],
  response_personal_data: ['plura.response.personal_data', 'json'],
  response_personal_count: ['plura.response.personal_count', 'int'],
  sealed: ['plura.sealed', 'json'],
  site: ['plura.site', 'text'],
  endpoint: ['plura.endpoint', 'text'],
  credential: ['plura.credential', 'text'],
  session: ['actor.session.uid', 'text'],
  account: ['actor.user.name', 'text'],
  target_account: ['user.name', 'text'],
  outcome: ['plura.outcome.result', 'text'],
  outcome_action: ['plura.outcome.action', 'text'],
  outcome_reason: ['plura.outcome.reason', 'text'],
  outcome_object: ['plura.outcome.object', 'text'],
  tokens_in: ['plura.outcome.tokens_in', 'int'],
  tokens_out: ['plura.outcome.tokens_out', 'int'],
  enforced_rung: ['plura.enforcement.rung', 'text'],
  enforced_action: ['plura.enforcement.action_uid', 'text'],
  device: ['device.hostname', 'text'],
  device_uid: ['device.uid', 'text'],
  process_pid: ['process.pid', 'int'],
  process_name: ['process.name', 'text'],
  process_path: ['process.file.path', 'text'],
  process_cmd_line: ['process.cmd_line', 'text'],
  process_user: ['process.user.name', 'text'],
  parent_pid: ['process.parent_process.pid', 'int'],
  parent_name: ['process.parent_process.name', 'text'],
  parent_path: ['process.parent_process.file.path', 'text'],
  parent_cmd_line: ['process.parent_process.cmd_line', 'text'],
  actor_pid: ['actor.process.pid', 'int'],
  actor_name: ['actor.process.name', 'text'],
  actor_path: ['actor.process.file.path', 'text'],
  file_path: ['file.path', 'text'],
  file_name: ['file.name', 'text'],
  api_operation: ['api.operation', 'text'],
  auth_protocol: ['auth_protocol', 'text'],
  logon_type_id: ['logon_type_id', 'int'],
  diagnostic: ['plura.diagnostic.code', 'text'],
  diagnostic_detail: ['plura.diagnostic.detail', 'text'],
  raw: ['raw_data', 'text'],
  raw_sha256: ['raw_data_hash.value', 'text'],
} as const satisfies Record<string, readonly [path: string, kind: Kind]>

export type Column = keyof typeof COLUMNS
export type Field = { name: Column | 'rest'; path: string; kind: Kind }

export const FIELDS: readonly Field[] = Object.entries(COLUMNS).map(([name, [path, kind]]) => ({
  name: name as Column,
  path,
  kind,
}))

/** What no column holds, as one JSON text. It has no path: only places inside it have. */
export const REST: Field = { name: 'rest', path: '', kind: 'json' }

const byName = new Map<string, Field>([...FIELDS, REST].map((field) => [field.name, field]))
const byPath = new Map(FIELDS.map((field) => [field.path, field]))

/** Short names people type; each is one column. */
const ALIASES: Record<string, Column> = {
  class: 'class_uid',
  severity: 'severity_id',
  status: 'http_code',
  url_path: 'path',
  url_query: 'query',
  ip: 'src_ip',
  user: 'account',
}

export const isColumn = (name: string): name is Column => Object.hasOwn(COLUMNS, name)

/** The field that a name, a short name or an OCSF path stands for; a place inside a JSON column has a path of its own. */
export function fieldOf(name: string): { field: Field; inside?: string } | undefined {
  const short = Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined
  const field = byName.get(short ?? name) ?? byPath.get(name)
  if (field) return { field }
  const dot = name.indexOf('.')
  const outer = dot > 0 ? byName.get(name.slice(0, dot)) : undefined
  const inside = name.slice(dot + 1)
  return outer?.kind === 'json' && inside ? { field: outer, inside } : undefined
}

/** OCSF classes that events here have; the word is OCSF's own name. */
export const CLASSES: Record<number, string> = {
  0: 'base_event',
  1001: 'file_activity',
  1007: 'process_activity',
  2004: 'detection_finding',
  2005: 'incident_finding',
  3001: 'account_change',
  3002: 'authentication',
  4001: 'network_activity',
  4002: 'http_activity',
  4003: 'dns_activity',
  6003: 'api_activity',
}

const SEVERITIES: Record<number, string> = {
  0: 'unknown',
  1: 'informational',
  2: 'low',
  3: 'medium',
  4: 'high',
  5: 'critical',
  6: 'fatal',
}

/** Numbers that have words: the words may be written instead. */
export const WORDS: Partial<Record<string, Record<number, string>>> = {
  class_uid: CLASSES,
  severity_id: SEVERITIES,
}

/** Values worth offering before anything was asked. */
export const KNOWN_VALUES: Partial<Record<string, string[]>> = {
  class_uid: Object.values(CLASSES),
  severity_id: Object.values(SEVERITIES),
  outcome: ['success', 'failure', 'unknown'],
  enforced_rung: ['observe', 'limit', 'step-up', 'isolate', 'block', 'revoke', 'rotate'],
  request_truncated: ['true', 'false'],
  response_truncated: ['true', 'false'],
}

export const ENTITY_KINDS: Partial<Record<string, string>> = {
  credential: 'credential',
  account: 'account',
  target_account: 'account',
  session: 'session',
  endpoint: 'endpoint',
  device: 'device',
  src_ip: 'address',
  dst_ip: 'address',
}

/** What free text is looked for in: the same columns as the API's `text`. */
export const TEXT_FIELDS: readonly (Column | 'rest')[] = [
  'message',
  'path',
  'query',
  'user_agent',
  'referrer',
  'request_headers',
  'response_headers',
  'request_body',
  'response_body',
  'process_cmd_line',
  'parent_cmd_line',
  'file_path',
  'raw',
  'rest',
]

/** The known name with the fewest edits, where they are few enough for a slip. */
export function nearest(name: string): string | undefined {
  const most = Math.floor(name.length / 3) + 1
  const near = [...byName.keys(), ...Object.keys(ALIASES)]
    .map((known) => ({ known, edits: edits(name.toLowerCase(), known) }))
    .filter((one) => one.edits <= most)
  return near.sort((a, b) => a.edits - b.edits)[0]?.known
}

/** Levenshtein distance. */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (const [at, a] of [...from].entries()) {
    const next = [at + 1]
    for (const [to_at, b] of [...to].entries()) {
      const replaced = (row[to_at] ?? 0) + (a === b ? 0 : 1)
      next.push(Math.min(replaced, (row[to_at + 1] ?? 0) + 1, (next[to_at] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
