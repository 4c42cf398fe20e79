/** A query as a Sigma rule over OCSF fields (docs/sigma.md): the same tests, one selection each. */
import { CLASSES, TEXT_FIELDS, fieldOf } from './fields'
import {
  Fault,
  isEverything,
  literal,
  networkText,
  numberOf,
  type Node,
  type Test,
  type Value,
} from './language'

/** Classes that `crates/sigma/mappings/ocsf.yml` has a category for. */
const CATEGORIES = Object.keys(CLASSES)
  .map(Number)
  .filter((uid) => uid !== 2005)

export const LEVELS = ['informational', 'low', 'medium', 'high', 'critical'] as const
export type Level = (typeof LEVELS)[number]

export type Draft = {
  id: string
  title: string
  level: Level
  description: string
  /** `2026-11-22`. */
  date: string
}

/** YAML's own quotes; what has controls in it, JSON's. */
function yaml(text: string): string {
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/.test(text)) return JSON.stringify(text)
  return `'${text.replaceAll("'", "''")}'`
}

const escaped = (text: string) => text.replace(/[\\*?]/g, '\\$&')
const written = (value: Value) => value.parts.map(escaped).join('*')

/** The rule's text. Throws a `Fault` at what no rule can say. */
export function toSigma(node: Node, draft: Draft): string {
  const { category, rest } = categoryOf(node)
  const selections: string[][] = []
  const add = (lines: string[]) => {
    const name = `s${selections.length + 1}`
    selections.push([`  ${name}:`, ...lines.map((line) => `    ${line}`)])
    return name
  }
  const said = rest ? condition(rest, add) : undefined
  if (said === undefined && category === undefined) {
    throw new Fault('not-in-a-rule', node, { why: 'everything' })
  }
  // A rule that looks at a whole class still has to select something.
  const whole = said ?? add([`class_uid: ${category}`])
  return [
    `title: ${yaml(draft.title)}`,
    `id: ${draft.id}`,
    'status: experimental',
    `description: ${yaml(draft.description)}`,
    `date: ${draft.date}`,
    'logsource:',
    '  product: ocsf',
    ...(category === undefined ? [] : [`  category: ${CLASSES[category]}`]),
    'detection:',
    ...selections.flat(),
    `  condition: ${whole}`,
    `level: ${draft.level}`,
    '',
  ].join('\n')
}

/** One class that everything has to be of becomes the log source, so that the rule is held against nothing else. */
function categoryOf(node: Node): { category?: number; rest?: Node } {
  const classOf = (one: Node): number | undefined => {
    if (one.kind !== 'test' || one.field.name !== 'class_uid' || one.operator !== 'is') return
    const [value] = one.values
    if (!value || one.values.length > 1 || isEverything(value)) return
    const uid = Number(numberOf(one, value))
    return CATEGORIES.includes(uid) ? uid : undefined
  }
  if (node.kind === 'and') {
    const at = node.of.findIndex((one) => classOf(one) !== undefined)
    const found = node.of[at]
    if (found) {
      const of = node.of.filter((_, place) => place !== at)
      return { category: classOf(found), rest: of.length === 1 ? of[0] : { ...node, of } }
    }
  }
  const category = classOf(node)
  return category === undefined ? { rest: node } : { category }
}

type Add = (lines: string[]) => string

function condition(node: Node, add: Add): string {
  switch (node.kind) {
    case 'all':
      throw new Fault('not-in-a-rule', node, { why: 'everything' })
    case 'and':
    case 'or':
      return `(${node.of.map((one) => condition(one, add)).join(` ${node.kind} `)})`
    case 'not':
      return `not ${condition(node.of, add)}`
    case 'text': {
      const text = yaml(written(node.value))
      const paths = TEXT_FIELDS.flatMap((name) => fieldOf(name)?.field.path || [])
      return add(paths.map((path) => `- ${path}|contains: ${text}`))
    }
    case 'test': {
      const name = add(test(node))
      return node.operator === 'is-not' ? `not ${name}` : name
    }
  }
}

const MODIFIERS = { '>': 'gt', '>=': 'gte', '<': 'lt', '<=': 'lte' } as const

function test(node: Test): string[] {
  const { field, inside, operator, values } = node
  if (field.kind === 'time') throw new Fault('not-in-a-rule', node, { why: 'time' })
  if (field.name !== 'rest' && inside !== undefined) {
    throw new Fault('not-in-a-rule', node, { why: 'inside' })
  }
  const path = field.name === 'rest' ? (inside ?? '') : field.path
  if (path === '') throw new Fault('not-in-a-rule', node, { why: 'inside' })
  const [first] = values
  if (first && operator !== 'is' && operator !== 'is-not') {
    return [`${path}|${MODIFIERS[operator]}: ${numberOf(node, first)}`]
  }
  if (values.some(isEverything)) return [`${path}|exists: true`]
  const networks = values.filter((value) => networkText(value, node))
  const others = values.filter((value) => !networkText(value, node))
  const isNumber = inside === undefined && (field.kind === 'int' || field.kind === 'bool')
  const lines: string[] = []
  if (others.length > 0) {
    const texts = others.map((value) => {
      if (field.kind === 'bool') return literal(value).toLowerCase()
      return isNumber ? numberOf(node, value) : yaml(written(value))
    })
    // Sigma ignores case unless told; the bar does not.
    lines.push(list(isNumber ? path : `${path}|cased`, texts))
  }
  if (networks.length > 0) lines.push(list(`${path}|cidr`, networks.map(literal).map(yaml)))
  // Maps in a list are alternatives.
  return lines.length > 1 ? lines.map((line) => `- ${line}`) : lines
}

const list = (key: string, texts: string[]) =>
  `${key}: ${texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`}`
