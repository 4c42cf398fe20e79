/** What may stand where the caret is. */
import { FIELDS, KNOWN_VALUES, REST, fieldOf, type Field } from './fields'

/** What is being typed: characters `from` to `to` are replaced by what is chosen. */
export type Typed =
  | { what: 'field'; typed: string; from: number; to: number }
  | { what: 'value'; field: Field; typed: string; from: number; to: number }

const VALUE =
  /(?:^|[\s(])-?([A-Za-z_]\w*(?:\.[\w-]+)*)(?:!=|[:=])\(?(?:[^\s,()"]*,\s*)*([^\s,()"]*|"[^"]*)$/
const NAME = /(?:^|[\s(])-?((?:[A-Za-z_]\w*(?:\.[\w-]*)*)?)$/

export function typedAt(text: string, caret: number): Typed | undefined {
  const before = text.slice(0, caret)
  const value = VALUE.exec(before)
  const known = value && fieldOf(value[1] ?? '')
  if (value && known && known.inside === undefined) {
    const raw = value[2] ?? ''
    return {
      what: 'value',
      field: known.field,
      typed: raw.replace(/^"/, ''),
      from: caret - raw.length,
      to: caret,
    }
  }
  // Inside quotes nothing is a field.
  if ((before.match(/(?<!\\)"/g)?.length ?? 0) % 2 === 1) return undefined
  const name = NAME.exec(before)
  if (!name) return undefined
  const typed = name[1] ?? ''
  return { what: 'field', typed, from: caret - typed.length, to: caret }
}

/** Fields people look by most stand first where nothing was typed. */
const USUAL = ['src_ip', 'account', 'path', 'http_code', 'method', 'outcome', 'class_uid', 'source']

export function fieldsLike(typed: string, most: number): Field[] {
  const all = [...FIELDS, REST]
  const low = typed.toLowerCase()
  const rank = (field: Field): number => {
    if (low === '') return USUAL.includes(field.name) ? USUAL.indexOf(field.name) : 99
    if (field.name === low) return 0
    if (field.name.startsWith(low)) return 1
    if (field.path.startsWith(low)) return 2
    return field.name.includes(low) ? 3 : field.path.includes(low) ? 4 : 99
  }
  return all
    .map((field, at) => ({ field, at, rank: rank(field) }))
    .filter((one) => one.rank < 99)
    .sort((a, b) => a.rank - b.rank || a.at - b.at)
    .slice(0, most)
    .map((one) => one.field)
}

/** The signs that a field takes. */
export function signsOf(field: Field): string[] {
  const isOrdered = field.kind === 'int' || field.kind === 'time'
  return isOrdered ? [':', '!=', '>=', '<=', '>', '<', ':*'] : [':', '!=', ':*']
}

export function knownValues(field: Field, typed: string): string[] {
  const low = typed.toLowerCase()
  return (KNOWN_VALUES[field.name] ?? []).filter((value) => value.startsWith(low))
}
