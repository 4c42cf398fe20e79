import type { Choice, Loud, Rule, Stage } from '~/api/queries'
import type { Schema } from '~/api/client'

export const LEVELS = ['critical', 'high', 'medium', 'low', 'informational'] as const
export const RULE_STATUSES = [
  'stable',
  'test',
  'experimental',
  'deprecated',
  'unsupported',
] as const
/** How far what a rule finds may go, from nowhere on. */
export const STAGES: Stage[] = ['shadow', 'canary', 'enforce']
export type Level = (typeof LEVELS)[number]

/** The origin of rules that were written here. */
export const SITE = 'site'

/** Hits of one rule on one day that are more than people look at one by one. */
export const LOUD_HITS = 50
/** Entities of one replay, for the same reason. */
export const LOUD_ENTITIES = 25

/** Tactics in the order of an attack, as tags spell them; ATT&CK 19 gave `defense-evasion` a second name. */
const TACTICS: [word: string, id: string][] = [
  ['reconnaissance', 'TA0043'],
  ['resource-development', 'TA0042'],
  ['initial-access', 'TA0001'],
  ['execution', 'TA0002'],
  ['persistence', 'TA0003'],
  ['privilege-escalation', 'TA0004'],
  ['defense-evasion', 'TA0005'],
  ['stealth', 'TA0005'],
  ['defense-impairment', 'TA0112'],
  ['credential-access', 'TA0006'],
  ['discovery', 'TA0007'],
  ['lateral-movement', 'TA0008'],
  ['collection', 'TA0009'],
  ['command-and-control', 'TA0011'],
  ['exfiltration', 'TA0010'],
  ['impact', 'TA0040'],
]

export const TACTIC_IDS = [...new Set(TACTICS.map(([, id]) => id))]

const attackWord = (tag: string) => /^attack\.(.+)$/i.exec(tag)?.[1]?.toLowerCase()

/** `attack.t1059.004` is `T1059.004`. */
export function technique(tag: string): string | undefined {
  const word = attackWord(tag)
  return word && /^t\d{4}(\.\d+)?$/.test(word) ? word.toUpperCase() : undefined
}

export function tactic(tag: string): string | undefined {
  const word = attackWord(tag)?.replaceAll('_', '-')
  return TACTICS.find(([known]) => known === word)?.[1]
}

const known = <T>(values: (T | undefined)[]): T[] => [
  ...new Set(values.filter((value) => value !== undefined)),
]
export const techniquesOf = (tags: string[]) => known(tags.map(technique))
export const tacticsOf = (tags: string[]) => known(tags.map(tactic))

/** Whether a rule has the tag; a technique's sub-techniques are part of it. */
export function hasTag(rule: Rule, tag: string): boolean {
  const wanted = tag.toLowerCase()
  return rule.tags.some((one) => {
    const own = one.toLowerCase()
    return own === wanted || (technique(wanted) !== undefined && own.startsWith(`${wanted}.`))
  })
}

/** Levels from the gravest; a rule without one is told as medium, and sorted so. */
export const weight = (level: string | null | undefined) =>
  LEVELS.findIndex((one) => one === (level ?? 'medium'))

/** What the server's selection takes of a pack; the same rule as its own (`Choice::takes`). */
export function takes(choice: Choice, rule: Rule): boolean {
  const status = choice.status ?? []
  const tags = choice.tags ?? []
  const without = choice.without_tags ?? []
  const isRipe =
    status.length === 0
      ? rule.status !== 'deprecated' && rule.status !== 'unsupported'
      : rule.status != null && status.includes(rule.status)
  const isGrave =
    choice.level == null || (rule.level != null && weight(rule.level) <= weight(choice.level))
  const has = (wanted: string[]) => rule.tags.some((tag) => wanted.includes(tag))
  return isRipe && isGrave && (tags.length === 0 || has(tags)) && !has(without)
}

/** Whether the rule would be at work under a choice: what was switched by hand stays as it is. */
export function worksUnder(choice: Choice, rule: Rule): boolean {
  if (rule.origin === SITE || rule.changed != null) return rule.enabled
  return rule.problems.length === 0 && takes(choice, rule)
}

export type Hits = { hits: number; suppressed: number; last: string | undefined; most: number }

export function hitsOf(loud: Loud | undefined): Hits {
  const days = Object.entries(loud?.by_day ?? {}).filter(([, hits]) => hits > 0)
  return {
    hits: loud?.hits ?? 0,
    suppressed: loud?.suppressed ?? 0,
    last: days
      .map(([day]) => day)
      .sort()
      .at(-1),
    most: Math.max(0, ...days.map(([, hits]) => hits)),
  }
}

const DAY_MS = 86_400_000
/** A day in UTC, as the server counts hits. */
export const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10)

/** Hits of each day from the first to the last, days without any included. */
export function byDay(counts: Record<string, number>, from: number, to: number) {
  const days: { day: string; hits: number }[] = []
  for (let at = Math.floor(from / DAY_MS) * DAY_MS; at <= to; at += DAY_MS) {
    const day = dayOf(at)
    days.push({ day, hits: counts[day] ?? 0 })
  }
  return days
}

export type Cell = { technique: string; rules: string[]; enabled: number; hits: number }
export type Column = { tactic: string | undefined; cells: Cell[] }

/**
 * Techniques under their tactics. Which tactic a technique belongs to, the rules say: those that name one of
 * either leave no doubt, and only where there is none of them do the others speak.
 */
export function matrix(techniques: Schema['Technique'][], rules: Rule[]): Column[] {
  const sure = new Map<string, Set<string>>()
  const perhaps = new Map<string, Set<string>>()
  for (const rule of rules) {
    const [of, named] = [techniquesOf(rule.tags), tacticsOf(rule.tags)]
    const places = of.length === 1 || named.length === 1 ? sure : perhaps
    for (const one of of) {
      const known = places.get(one) ?? new Set()
      named.forEach((tactic) => known.add(tactic))
      places.set(one, known)
    }
  }
  const placesOf = (one: string) => {
    const found = [sure.get(one), perhaps.get(one)].find((set) => set?.size)
    return found ?? new Set<string>()
  }
  const columns: Column[] = [...TACTIC_IDS, undefined].map((tactic) => ({
    tactic,
    cells: techniques.filter(({ technique }) => {
      const places = placesOf(technique)
      return tactic === undefined ? places.size === 0 : places.has(tactic)
    }),
  }))
  return columns.filter(({ tactic, cells }) => tactic !== undefined || cells.length > 0)
}

export type Told = { description?: string; references: string[]; falsePositives: string[] }

/**
 * What a rule's author says beside what the server tells of it: description, references, false positives. Only as
 * much of YAML is understood as they are written in; the whole text stands on its own tab.
 */
export function told(text: string, rule: Pick<Rule, 'id' | 'title'>): Told {
  const documents = text.split(/^---(?:\s.*)?$/m).map(topLevel)
  const names = (one: Map<string, Value>) =>
    ['id', 'name', 'title'].map((key) => one.get(key)).map((value) => value && scalar(value))
  const own =
    documents.find((one) => names(one).includes(rule.id)) ??
    documents.find((one) => names(one).includes(rule.title)) ??
    (documents.length === 1 ? documents[0] : undefined)
  const said = own?.get('description')
  return {
    description: said && (scalar(said) || undefined),
    references: list(own?.get('references')),
    falsePositives: list(own?.get('falsepositives')),
  }
}

type Value = { head: string; lines: string[] }

function topLevel(document: string): Map<string, Value> {
  const found = new Map<string, Value>()
  let last: Value | undefined
  for (const line of document.split(/\r?\n/)) {
    const key = /^([A-Za-z_][\w-]*):(?:\s+(.*))?$/.exec(line)
    if (key?.[1]) {
      last = { head: key[2]?.trim() ?? '', lines: [] }
      found.set(key[1], last)
    } else if (!line.startsWith('#')) last?.lines.push(line)
  }
  return found
}

function scalar({ head, lines }: Value): string {
  const block = /^([|>])[+-]?\d?[+-]?\s*(?:#.*)?$/.exec(head)
  if (block) {
    const indents = lines.filter((line) => line.trim()).map((line) => line.search(/\S/))
    const least = Math.min(...indents, 99)
    const cut = lines.map((line) => line.slice(least).trimEnd())
    if (block[1] === '|') return cut.join('\n').trim()
    return cut
      .map((line) => line || '\n')
      .join(' ')
      .replace(/ *\n */g, '\n')
      .trim()
  }
  const whole = [head, ...lines.map((line) => line.trim())].join(' ').trim()
  const quoted = /^'((?:[^']|'')*)'/.exec(whole)
  if (quoted) return (quoted[1] ?? '').replaceAll("''", "'")
  const double = /^"(?:[^"\\]|\\.)*"/.exec(whole)?.[0]
  if (double) {
    try {
      return String(JSON.parse(double))
    } catch {
      return double.slice(1, -1)
    }
  }
  return whole.replace(/(^|\s)#.*$/, '').trim()
}

function list(value: Value | undefined): string[] {
  if (!value) return []
  if (value.head.startsWith('[')) {
    const inside = [value.head, ...value.lines].join(' ').replace(/^\[|\]\s*$/g, '')
    const parts = inside.match(/'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^,\s][^,]*/g) ?? []
    return parts.map((head) => scalar({ head: head.trim(), lines: [] })).filter(Boolean)
  }
  if (value.head) return [scalar(value)].filter(Boolean)
  const items: Value[] = []
  for (const line of value.lines) {
    const item = /^\s*-\s+(.*)$/.exec(line)
    if (item) items.push({ head: item[1]?.trim() ?? '', lines: [] })
    else if (line.trim()) items.at(-1)?.lines.push(line)
  }
  return items.map(scalar).filter(Boolean)
}

/** A value as it stands: `*` and `?` would mean anything, and a backslash guards what follows. */
export const literal = (value: string) => value.replace(/[\\*?]/g, '\\$&')

/** A selection in lines: `field|modifier: value`. */
export function selectionLines(selection: unknown): string[] {
  const of = (value: unknown) =>
    Array.isArray(value)
      ? value.map((one) => String(one)).join(' | ')
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value)
  if (Array.isArray(selection)) return selection.flatMap(selectionLines)
  if (typeof selection === 'object' && selection !== null) {
    return Object.entries(selection).map(([field, value]) => `${field}: ${of(value)}`)
  }
  return selection == null ? [] : [String(selection)]
}

/** The line a diagnostic is about: `rule.yml:3:1`. */
export function lineOf(place: string): number | undefined {
  const found = /:(\d+)(?::\d+)?$/.exec(place)?.[1] ?? /^line (\d+)/.exec(place)?.[1]
  return found ? Number(found) : undefined
}
