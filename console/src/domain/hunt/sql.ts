/** The tree as SQL. Nothing that was typed gets into it but known columns, checked numbers and quoted texts. */
import { TEXT_FIELDS, type Column } from './fields'
import {
  Fault,
  isEverything,
  literal,
  networkOf,
  networkText,
  numberOf,
  timeOf,
  type Node,
  type Test,
  type Value,
} from './language'

/** A text in SQL: a quote inside is doubled, and nothing else has a meaning there. */
export const quote = (text: string) => `'${text.replaceAll("'", "''")}'`

export const moment = (ms: number) => `timestamp ${quote(new Date(ms).toISOString())}`

/** `%`, `_` and the escape itself stand for themselves; a wildcard is `%`. */
function pattern(parts: readonly string[], isLoose = false): string {
  const escaped = parts.map((part) => part.replace(/[\\%_]/g, '\\$&')).join('%')
  return quote(isLoose ? `%${escaped}%` : escaped)
}

/** What the server allows in one query, less what stands around the condition. */
const OPERATORS_MAX = 300 - 60

/** The condition of a query, or `undefined` where it asks for all. Throws a `Fault`. */
export function condition(node: Node): string | undefined {
  if (node.kind === 'all') return undefined
  const sql = of(node)
  const operators = countOperators(sql)
  if (operators > OPERATORS_MAX) {
    throw new Fault('too-long', node, { most: OPERATORS_MAX, n: operators })
  }
  return sql
}

function of(node: Node): string {
  switch (node.kind) {
    case 'all':
      return 'true'
    case 'and':
    case 'or':
      return `(${node.of.map(of).join(` ${node.kind} `)})`
    case 'not':
      return not(of(node.of))
    case 'text': {
      const like = pattern(node.value.parts, true)
      return `(${TEXT_FIELDS.map((name) => `${name} ilike ${like}`).join(' or ')})`
    }
    case 'test':
      return node.operator === 'is-not' ? not(test(node)) : test(node)
  }
}

/** An event without the field is not one that has the value: `NOT method:GET` finds it. */
const not = (sql: string) => `not coalesce(${sql}, false)`

function test(node: Test): string {
  const { field, inside, operator, values } = node
  const column = inside === undefined ? field.name : `json_text(${field.name}, ${quote(inside)})`
  const [first] = values
  if (first && operator !== 'is' && operator !== 'is-not') {
    const than = field.kind === 'time' ? moment(timeOf(first, field.name)) : numberOf(node, first)
    return `${inside === undefined ? column : `try_cast(${column} as double)`} ${operator} ${than}`
  }
  if (values.some(isEverything)) return `${column} is not null`
  const exact: string[] = []
  const others: string[] = []
  for (const value of values) {
    if (networkText(value, node)) others.push(network(column, value))
    else if (inside === undefined && field.kind === 'int') exact.push(numberOf(node, value))
    else if (field.kind === 'time') exact.push(moment(timeOf(value, field.name)))
    else if (field.kind === 'bool') exact.push(literal(value).toLowerCase())
    else if (value.parts.length > 1) others.push(`${column} like ${pattern(value.parts)}`)
    else exact.push(quote(literal(value)))
  }
  if (exact.length === 1) others.unshift(`${column} = ${exact[0]}`)
  if (exact.length > 1) others.unshift(`${column} in (${exact.join(', ')})`)
  return others.length === 1 ? (others[0] ?? 'true') : `(${others.join(' or ')})`
}

/** Addresses are text: whole octets by prefix, the one that is cut by number. An IPv6 address is in no IPv4 network. */
function network(column: string, value: Value): string {
  const { octets, bits } = networkOf(value)
  const whole = Math.floor(bits / 8)
  if (whole === 4) return `${column} = ${quote(octets.join('.'))}`
  const prefix = octets.slice(0, whole).join('.')
  const like = whole === 0 ? `${column} like '%.%.%.%'` : `${column} like ${quote(`${prefix}.%`)}`
  const low = octets[whole] ?? 0
  const rest = bits - whole * 8
  if (rest === 0) return like
  const high = low + (1 << (8 - rest)) - 1
  const octet = `try_cast(split_part(${column}, '.', ${whole + 1}) as bigint)`
  return `(${like} and ${octet} >= ${low} and ${octet} <= ${high})`
}

/** As the server counts them: signs and words that make an expression deeper. */
export function countOperators(sql: string): number {
  const bare = sql.replace(/'(?:[^']|'')*'/g, ' ')
  const words = /\b(and|or|not|is|like|ilike|between|case|when|select|at|collate)\b/gi
  const signs = /[<>!]=|[^\w\s,.);]/g
  return (bare.match(words)?.length ?? 0) + (bare.match(signs)?.length ?? 0)
}

export type Span = { from: number; until: number }

/** What every question of the page is asked about: the range, and what the bar says. */
export function where(span: Span, asked: string | undefined): string {
  const within = `time >= ${moment(span.from)} and time < ${moment(span.until)}`
  return asked === undefined ? within : `${within} and ${asked}`
}

/** The last row of a page: the next begins behind it. */
export type Cursor = { time: number; id: string }
export type Sort = 'newest' | 'oldest'

/** A column as it is shown; `what` says in one line what happened. */
export type Shown = Column | 'what'

const WHAT =
  "coalesce(method || ' ' || path, process_cmd_line, file_path, message, outcome_action) as what"

/** Rows of one page; `time` and `id` stand first. */
export function rowsSql(
  columns: readonly Shown[],
  span: Span,
  asked: string | undefined,
  sort: Sort,
  after: Cursor | undefined,
): string {
  const [sign, way] = sort === 'newest' ? ['<', 'desc'] : ['>', 'asc']
  const beyond =
    after &&
    `time ${sign}= ${moment(after.time)} and (time ${sign} ${moment(after.time)} or id ${sign} ${quote(after.id)})`
  const all = [where(span, asked), beyond].filter(Boolean).join(' and ')
  return `select ${selected(columns)} from events where ${all} order by time ${way}, id ${way}`
}

export const selected = (columns: readonly Shown[]) =>
  [...new Set<Shown>(['time', 'id', ...columns])]
    .map((name) => (name === 'what' ? WHAT : name))
    .join(', ')

export type Stack = 'outcome' | 'class_uid'

export function histogramSql(
  span: Span,
  asked: string | undefined,
  stack: Stack,
  bucket: { ms: number; origin: number },
): string {
  const bin = `date_bin(interval '${bucket.ms / 1000} seconds', time, ${moment(bucket.origin)})`
  return (
    `select ${bin} as bucket, ${stack} as part, count(*) as events from events ` +
    `where ${where(span, asked)} group by 1, 2 order by 1`
  )
}

export function topSql(
  column: Column,
  span: Span,
  asked: string | undefined,
  prefix?: string,
): string {
  const like = prefix ? ` and cast(${column} as varchar) like ${pattern([prefix, ''])}` : ''
  return (
    `select ${column} as value, count(*) as events from events ` +
    `where ${where(span, asked)} and ${column} is not null${like} group by 1 order by 2 desc, 1`
  )
}

/** What came in between two moments of receipt; the window's size beside each row. */
export function tailSql(
  columns: readonly Shown[],
  since: string,
  asked: string | undefined,
  lagMs: number,
): string {
  const until = `now() - interval '${lagMs} milliseconds'`
  return (
    `select ${selected(columns)}, received as tail_received, count(*) over () as tail_total from events ` +
    `where received > timestamp ${quote(since)} and received <= ${until}` +
    `${asked === undefined ? '' : ` and ${asked}`} order by received desc, id desc`
  )
}
