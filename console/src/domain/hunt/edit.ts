/** Changes to the text of a query that a press of a button makes. */
import { parse, type Node } from './language'

/** `field:value`, quoted where the value needs it. */
export function term(field: string, value: string): string {
  const isPlain = /^[^\s",()*\\/]+$/.test(value) || /^\/[^\s",()*\\]*$/.test(value)
  return `${field}:${isPlain ? value : `"${value.replace(/[\\"]/g, '\\$&')}"`}`
}

/** The query with one more term, to have or to leave out; the opposite goes, and nothing stands there twice. */
export function withTerm(query: string, field: string, value: string, isExcluded: boolean): string {
  const positive = term(field, value)
  const wanted = isExcluded ? `NOT ${positive}` : positive
  const read = parse(query)
  if ('fault' in read || read.node.kind === 'all') {
    return 'fault' in read && query.trim() ? `${query.trim()} ${wanted}` : wanted
  }
  const { node } = read
  if (node.kind === 'or' && !node.isGroup) return `(${query.trim()}) ${wanted}`
  const parts: Node[] = node.kind === 'and' && !node.isGroup ? node.of : [node]
  const written = (one: Node) => query.slice(one.from, one.to)
  const turned = (one: Node) => one.kind === 'not' && written(one.of) === positive
  const isSame = (one: Node) => (isExcluded ? turned(one) : written(one) === positive)
  const isOpposite = (one: Node) => (isExcluded ? written(one) === positive : turned(one))
  if (parts.some(isSame)) return query.trim()
  const kept = parts.filter((one) => !isOpposite(one)).map(written)
  if (kept.length === parts.length) return `${query.trim()} ${wanted}`
  return [...kept, wanted].join(' ')
}
