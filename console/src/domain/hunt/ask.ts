import { queryOptions } from '@tanstack/react-query'
import { TENANT, api, take, type Schema } from '~/api/client'

export type Answer = Schema['QueryAnswer']

/** The server runs four queries at once for everybody: this page takes half of them at most. */
const AT_ONCE = 2

let running = 0
const waiting: { go: () => void }[] = []

/** Waits for a place; who goes away meanwhile leaves the queue. */
function place(signal: AbortSignal): Promise<void> {
  if (running < AT_ONCE) {
    running++
    return Promise.resolve()
  }
  return new Promise((resolve, reject) => {
    const me = { go: resolve }
    waiting.push(me)
    signal.addEventListener('abort', () => {
      const at = waiting.indexOf(me)
      if (at < 0) return
      waiting.splice(at, 1)
      reject(signal.reason as Error)
    })
  })
}

function leave() {
  const next = waiting.shift()
  if (next) next.go()
  else running--
}

/** Asks in SQL; hanging up ends the query at the server too. */
export async function ask(
  tenant: string,
  sql: string,
  rows: number,
  signal: AbortSignal,
): Promise<Answer> {
  await place(signal)
  try {
    return await take(
      api.POST('/api/v1/query', { headers: { [TENANT]: tenant }, body: { sql, rows }, signal }),
    )
  } finally {
    leave()
  }
}

/** The same question has the same answer for as long as the page shows it: its times are fixed. */
export const asked = (tenant: string, sql: string, rows: number) =>
  queryOptions({
    queryKey: [tenant, 'hunt', sql, rows],
    queryFn: ({ signal }) => ask(tenant, sql, rows, signal),
    staleTime: Infinity,
    gcTime: 30_000,
    // The server's own time limit is 30 s: a query that met it meets it again.
    retry: false,
  })

export const FORMS = {
  csv: 'text/csv',
  ndjson: 'application/x-ndjson',
  parquet: 'application/vnd.apache.parquet',
} as const
export type Form = keyof typeof FORMS
export const EXPORT_ROWS_MAX = 100_000

/** The result as a file; `isCut` where there was more. */
export async function download(
  tenant: string,
  sql: string,
  form: Form,
): Promise<{ file: Blob; isCut: boolean } | 'unsupported'> {
  let response: Response | undefined
  const file = await take(
    api
      .POST('/api/v1/query', {
        headers: { [TENANT]: tenant, accept: FORMS[form] },
        body: { sql, rows: EXPORT_ROWS_MAX },
        parseAs: 'blob',
      })
      .then((answer) => {
        response = answer.response
        return answer
      }),
  )
  const type = response?.headers.get('content-type') ?? ''
  if (!type.startsWith(FORMS[form])) return 'unsupported'
  return { file, isCut: response?.headers.has('plura-truncated') ?? false }
}
