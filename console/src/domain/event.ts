/** An OCSF event as the API gives it: any shape, so every value is looked for before it is used. */
export type Event = Record<string, unknown>

/** What stands at `http_request.url.path`, if it does. */
export function at(event: unknown, path: string): unknown {
  let value = event
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value ?? undefined
}

export function text(event: unknown, path: string): string | undefined {
  const value = at(event, path)
  if (typeof value === 'string') return value === '' ? undefined : value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return undefined
}

export function number(event: unknown, path: string): number | undefined {
  const value = at(event, path)
  return typeof value === 'number' ? value : undefined
}

export const idOf = (event: Event) => text(event, 'metadata.uid') ?? ''
export const timeOf = (event: Event) => number(event, 'time') ?? 0

/** One line that says what happened: a request, a process, a file, a connection, or the record's own words. */
export function summary(event: Event): string {
  const method = text(event, 'http_request.http_method')
  if (method) {
    const query = text(event, 'http_request.url.query_string')
    const path = text(event, 'http_request.url.path') ?? '/'
    return `${method} ${path}${query ? `?${query}` : ''}`
  }
  const command = text(event, 'process.cmd_line') ?? text(event, 'process.name')
  if (command) return command
  const file = text(event, 'file.path') ?? text(event, 'file.name')
  if (file) return file
  const peer = text(event, 'dst_endpoint.ip')
  if (text(event, 'class_uid') === '4001' && peer) {
    return `${text(event, 'actor.process.name') ?? ''} → ${peer}:${text(event, 'dst_endpoint.port') ?? ''}`
  }
  return (
    text(event, 'message') ??
    text(event, 'plura.outcome.action') ??
    text(event, 'raw_data') ??
    text(event, 'type_uid') ??
    ''
  )
}

export type Header = { name: string; value: string }

export function headers(event: Event, path: string): Header[] {
  const list = at(event, path)
  if (!Array.isArray(list)) return []
  return list.flatMap((item) => {
    const name = text(item, 'name')
    return name ? [{ name, value: text(item, 'value') ?? '' }] : []
  })
}

/** Who took part, as `kind:value`. */
export function entitiesOf(event: Event): string[] {
  const of = [
    ['credential', 'plura.credential'],
    ['account', 'actor.user.name'],
    ['session', 'actor.session.uid'],
    ['endpoint', 'plura.endpoint'],
    ['device', 'device.hostname'],
    ['address', 'src_endpoint.ip'],
  ] as const
  return of.flatMap(([kind, path]) => {
    const value = text(event, path)
    return value ? [`${kind}:${value}`] : []
  })
}

/** Places of personal data that a gateway sealed beside its mask. */
export function sealedPlaces(event: Event): string[] {
  const sealed = at(event, 'plura.sealed')
  if (Array.isArray(sealed)) {
    return [...new Set(sealed.flatMap((item) => text(item, 'place') ?? []))]
  }
  return typeof sealed === 'object' && sealed !== null ? Object.keys(sealed) : []
}
