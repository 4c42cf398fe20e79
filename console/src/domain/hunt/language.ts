/**
 * The query bar's language, read into a tree: `src_ip:203.0.113.66 http_code>=500 path:/admin* NOT method:GET "free text"`.
 * Side by side means AND; OR binds looser; parentheses group; NOT or `-` before a term turns it round.
 */
import { fieldOf, nearest, WORDS, type Field } from './fields'

/** A value as its literal parts, with a wildcard between each two: `/a*b` is `['/a', 'b']`. */
export type Value = { parts: string[]; from: number; to: number }
export type Operator = 'is' | 'is-not' | '>' | '>=' | '<' | '<='
/** Where it stands in the text; a group's parentheses count. */
type Place = { from: number; to: number; isGroup?: true }
export type Test = Place & {
  kind: 'test'
  field: Field
  /** The place inside a JSON column. */
  inside?: string
  operator: Operator
  values: Value[]
}
export type Text = Place & { kind: 'text'; value: Value }
export type Node =
  | (Place & { kind: 'all' })
  | (Place & { kind: 'and' | 'or'; of: Node[] })
  | (Place & { kind: 'not'; of: Node })
  | Test
  | Text

export type FaultCode =
  | 'unknown-field'
  | 'value-missing'
  | 'term-missing'
  | 'quote-open'
  | 'paren-open'
  | 'paren-extra'
  | 'not-a-number'
  | 'not-a-time'
  | 'not-a-bool'
  | 'not-comparable'
  | 'wildcard-here'
  | 'json-whole'
  | 'list-compared'
  | 'network-bits'
  | 'network-wrong'
  | 'network-v6'
  | 'too-deep'
  | 'too-long'
  | 'not-in-a-rule'

/** Why a query cannot be asked, at which characters, and the words that the sentence needs. */
export class Fault extends Error {
  readonly code: FaultCode
  readonly from: number
  readonly to: number
  readonly params: Record<string, string | number>
  constructor(code: FaultCode, place: Place, params: Record<string, string | number> = {}) {
    super(code)
    this.code = code
    this.from = place.from
    this.to = Math.max(place.to, place.from + 1)
    this.params = params
  }
}

export const QUERY_CHARS_MAX = 8_000
/** The server's planner goes down one step for each. */
const DEPTH_MAX = 20

export function isEverything(value: Value): boolean {
  return value.parts.length > 1 && value.parts.every((part) => part === '')
}

export const literal = (value: Value): string => value.parts.join('*')

/** The tree, or what is wrong with the text. */
export function parse(text: string): { node: Node } | { fault: Fault } {
  try {
    if (text.length > QUERY_CHARS_MAX) {
      const place = { from: QUERY_CHARS_MAX, to: text.length }
      throw new Fault('too-long', place, { most: QUERY_CHARS_MAX })
    }
    return { node: new Reader(text).whole() }
  } catch (fault) {
    if (fault instanceof Fault) return { fault }
    throw fault
  }
}

const NAME = /[A-Za-z_]\w*(?:\.[\w-]+)*/y
const OPERATOR = /!=|>=|<=|[:=><]/y
const COMPARED = /\s*(>=|<=|>|<)/y
const WORD = /(?:and|or|not)(?=[\s()]|$)/iy

class Reader {
  private readonly text: string
  private at = 0
  private depth = 0

  constructor(text: string) {
    this.text = text
  }

  whole(): Node {
    this.blanks()
    if (this.at === this.text.length) return { kind: 'all', from: 0, to: 0 }
    const node = this.any()
    if (this.at < this.text.length) {
      throw new Fault('paren-extra', { from: this.at, to: this.at + 1 })
    }
    return node
  }

  private any(): Node {
    if (++this.depth > DEPTH_MAX) {
      throw new Fault('too-deep', { from: this.at, to: this.at + 1 }, { most: DEPTH_MAX })
    }
    const of = [this.every()]
    while (this.word('or')) of.push(this.every())
    this.depth--
    return many('or', of)
  }

  private every(): Node {
    const of = [this.term()]
    for (;;) {
      const isSaid = this.word('and')
      this.blanks()
      const isEnd = this.at === this.text.length || this.text[this.at] === ')' || this.sees('or')
      if (isEnd && isSaid) this.missing()
      if (isEnd) return many('and', of)
      of.push(this.term())
    }
  }

  private term(): Node {
    this.blanks()
    const from = this.at
    if (this.word('not') || this.isMinus()) {
      const of = this.term()
      return { kind: 'not', of, from, to: of.to }
    }
    const next = this.text[this.at]
    if (next === undefined || next === ')' || this.sees('and') || this.sees('or')) this.missing()
    if (next === '(') return this.group()
    if (next === '"') return { kind: 'text', value: this.quoted(), from, to: this.at }
    return this.test() ?? this.free()
  }

  private group(): Node {
    const from = this.at++
    const node = this.any()
    this.blanks()
    if (this.text[this.at] !== ')') throw new Fault('paren-open', { from, to: from + 1 })
    this.at++
    return { ...node, from, to: this.at, isGroup: true }
  }

  /** `field:value`, `field >= 5`; or nothing, where it is free text. */
  private test(): Node | undefined {
    const from = this.at
    const name = this.match(NAME)
    if (!name) return undefined
    const known = fieldOf(name)
    const named = { from, to: this.at }
    if (known && known.field.kind !== 'json') {
      // Only after a field's name may blanks stand around the sign.
      const blanks = this.text.slice(this.at).match(/^\s+(?=!=|>=|<=|[=><])/)
      this.at += blanks?.[0].length ?? 0
    }
    const sign = this.match(OPERATOR)
    // `https://…` is an address, not a field.
    if (!sign || (!known && sign === ':' && this.text.startsWith('//', this.at))) {
      this.at = from
      return undefined
    }
    if (!known) {
      throw new Fault('unknown-field', named, { name, near: nearest(name) ?? '' })
    }
    const { field, inside } = known
    const isOrdered = field.kind === 'int' || field.kind === 'time'
    const compared = sign === ':' && isOrdered ? this.match(COMPARED)?.trim() : undefined
    const said = compared ?? sign
    const operator: Operator =
      said === ':' || said === '=' ? 'is' : said === '!=' ? 'is-not' : (said as Operator)
    if (said !== ':') this.blanks()
    const values = this.values(name, from)
    const test: Test = { kind: 'test', field, operator, values, from, to: this.at }
    if (inside !== undefined) test.inside = inside
    check(test, name)
    return test
  }

  private values(name: string, from: number): Value[] {
    const missing = () => new Fault('value-missing', { from, to: this.at }, { name })
    const list: Value[] = []
    if (this.text[this.at] === '(') {
      const open = this.at++
      for (;;) {
        this.blanks()
        while (this.text[this.at] === ',' || this.word('or')) {
          if (this.text[this.at] === ',') this.at++
          this.blanks()
        }
        if (this.at === this.text.length)
          throw new Fault('paren-open', { from: open, to: open + 1 })
        if (this.text[this.at] === ')') break
        list.push(this.value())
      }
      this.at++
      if (list.length === 0) throw missing()
      return list
    }
    for (;;) {
      const next = this.text[this.at]
      if (next === undefined || /[\s),]/.test(next)) throw missing()
      list.push(this.value())
      if (this.text[this.at] !== ',') return list
      this.at++
      this.blanks()
    }
  }

  private value(): Value {
    return this.text[this.at] === '"' ? this.quoted() : this.bare(/[\s,"]/)
  }

  private free(): Node {
    const from = this.at
    const value = this.bare(/[\s"]/)
    if (isEverything(value)) return { kind: 'all', from, to: this.at }
    return { kind: 'text', value, from, to: this.at }
  }

  /** Inside quotes everything is itself, `\"` and `\\` apart. */
  private quoted(): Value {
    const from = this.at++
    let text = ''
    for (;;) {
      const next = this.text[this.at]
      if (next === undefined) throw new Fault('quote-open', { from, to: this.at })
      this.at++
      if (next === '"') return { parts: [text], from, to: this.at }
      const escaped = next === '\\' ? this.text[this.at] : undefined
      if (escaped === '"' || escaped === '\\') {
        text += escaped
        this.at++
      } else text += next
    }
  }

  /** Up to a blank or what ends it; a parenthesis that was opened inside is closed inside. */
  private bare(end: RegExp): Value {
    const from = this.at
    const parts = ['']
    const add = (text: string) => (parts[parts.length - 1] += text)
    let open = 0
    for (; this.at < this.text.length; this.at++) {
      const next = this.text[this.at] ?? ''
      if (end.test(next) || (next === ')' && open === 0)) break
      if (next === '(') open++
      if (next === ')') open--
      const escaped = next === '\\' ? (this.text[this.at + 1] ?? '') : ''
      if (/^[*\\",() ]$/.test(escaped)) {
        add(escaped)
        this.at++
      } else if (next === '*') parts.push('')
      else add(next)
    }
    return { parts, from, to: this.at }
  }

  private blanks() {
    while (/\s/.test(this.text[this.at] ?? '')) this.at++
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    this.at += found?.length ?? 0
    return found
  }

  private sees(word: string): boolean {
    WORD.lastIndex = this.at
    return WORD.exec(this.text)?.[0].toLowerCase() === word
  }

  private word(word: string): boolean {
    const before = this.at
    this.blanks()
    if (!this.sees(word)) {
      this.at = before
      return false
    }
    this.at += word.length
    this.blanks()
    return true
  }

  /** A minus turns a term round; alone or before a blank it is text. */
  private isMinus(): boolean {
    const isIt = this.text[this.at] === '-' && /[A-Za-z_("]/.test(this.text[this.at + 1] ?? '')
    if (isIt) this.at++
    return isIt
  }

  private missing(): never {
    throw new Fault('term-missing', { from: Math.max(0, this.at - 1), to: this.at })
  }
}

function many(kind: 'and' | 'or', of: Node[]): Node {
  const [first] = of
  if (first && of.length === 1) return first
  return { kind, of, from: first?.from ?? 0, to: of.at(-1)?.to ?? 0 }
}

/** Whether the field can be asked this: said here, with the place, before any server is asked. */
function check(test: Test, name: string) {
  const { field, inside, operator, values } = test
  const isOrder = operator !== 'is' && operator !== 'is-not'
  if (isOrder && values.length > 1) throw new Fault('list-compared', test, { name })
  const canOrder = field.kind === 'int' || field.kind === 'time' || inside !== undefined
  if (isOrder && !canOrder) {
    throw new Fault('not-comparable', test, {
      name,
      near: field.name === 'status_code' ? 'http_code' : '',
    })
  }
  for (const value of values) {
    if (isEverything(value)) {
      if (isOrder) throw new Fault('wildcard-here', value, { name })
      continue
    }
    const text = literal(value)
    const hasWildcard = value.parts.length > 1
    if (field.kind === 'json' && inside === undefined) {
      if (!hasWildcard) throw new Fault('json-whole', value, { name, value: text })
    } else if (field.kind === 'int' || isOrder) {
      if (field.kind === 'time') timeOf(value, name)
      else numberOf(test, value, name)
    } else if (field.kind === 'time') timeOf(value, name)
    else if (field.kind === 'bool' && !/^(true|false)$/i.test(text)) {
      throw new Fault('not-a-bool', value, { name, value: text })
    } else if (isAddress(field) && networkText(value, test)) networkOf(value)
  }
}

/** A whole number, or the word that stands for one: `class:http_activity`. */
export function numberOf(test: Test, value: Value, name: string = test.field.name): string {
  const text = literal(value)
  const words = WORDS[test.field.name] ?? {}
  const word = Object.entries(words).find(([, known]) => known === text.toLowerCase())?.[0]
  if (word !== undefined) return word
  if (value.parts.length > 1) throw new Fault('wildcard-here', value, { name })
  const isInside = test.inside !== undefined
  if ((isInside ? /^-?\d{1,15}(\.\d{1,9})?$/ : /^-?\d{1,18}$/).test(text)) return text
  throw new Fault('not-a-number', value, { name, value: text })
}

const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?$/i

/** RFC 3339; without a zone it is the browser's. */
export function timeOf(value: Value, name: string): number {
  const text = literal(value)
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text)
  const at = TIME.test(text) ? Date.parse(isDay ? `${text}T00:00` : text) : Number.NaN
  if (Number.isNaN(at)) throw new Fault('not-a-time', value, { name, value: text })
  return at
}

const isAddress = (field: Field) => field.name === 'src_ip' || field.name === 'dst_ip'

/** `10.0.0.0/8`, asked of an address. */
export function networkText(value: Value, test: Test): string | undefined {
  const text = literal(value)
  return isAddress(test.field) && value.parts.length === 1 && text.includes('/') ? text : undefined
}

export type Network = { octets: number[]; bits: number }

export function networkOf(value: Value): Network {
  const text = literal(value)
  if (text.includes(':')) throw new Fault('network-v6', value, { value: text })
  const found = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text)
  const octets = found?.slice(1, 5).map(Number) ?? []
  const bits = Number(found?.[5] ?? 99)
  if (octets.some((octet) => octet > 255) || bits > 32) {
    throw new Fault('network-wrong', value, { value: text })
  }
  const right = octets.map((octet, at) => {
    const kept = Math.max(0, Math.min(8, bits - at * 8))
    return octet & (0xff00 >> kept) & 0xff
  })
  if (right.some((octet, at) => octet !== octets[at])) {
    throw new Fault('network-bits', value, { right: `${right.join('.')}/${bits}` })
  }
  return { octets, bits }
}
