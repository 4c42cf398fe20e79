import createClient, { type Middleware } from 'openapi-fetch'
import type { components, paths } from './schema'

export type Schema = components['schemas']
export type Problem = Schema['Problem']

/** What the server (or the way to it) answered instead of what was asked for. */
export class Refusal extends Error {
  readonly problem: Pick<Problem, 'code' | 'detail' | 'status'> & Partial<Problem>
  constructor(problem: Refusal['problem']) {
    super(problem.detail)
    this.problem = problem
  }
}

/** The header that says whose data is asked for; empty leaves it to the server. */
export const TENANT = 'plura-tenant'

/** Held in memory only: a reload asks `me` for it again. */
let csrf: string | undefined
let tenant: string | undefined
let onSignedOut: () => void = () => {}

export const session = {
  keepCsrf: (value: string | null | undefined) => void (csrf = value ?? undefined),
  keepTenant: (value: string | undefined) => void (tenant = value),
  whenSignedOut: (call: () => void) => void (onSignedOut = call),
}

const credentials: Middleware = {
  onRequest({ request }) {
    if (csrf && request.method !== 'GET') request.headers.set('plura-csrf', csrf)
    const named = request.headers.get(TENANT) ?? tenant
    if (named) request.headers.set(TENANT, named)
    else request.headers.delete(TENANT)
    return request
  },
  onResponse({ response }) {
    const { pathname } = new URL(response.url)
    if (response.status === 401 && !pathname.startsWith('/api/v1/login')) onSignedOut()
  },
  onError() {
    return new Refusal({ status: 0, code: 'unreachable', detail: 'the server does not answer' })
  },
}

export const api = createClient<paths>({ baseUrl: '', credentials: 'same-origin' })
api.use(credentials)

/** The data, or the refusal thrown: `await take(api.GET('/api/v1/me'))`. */
export async function take<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answer
  if (error === undefined) return data as T
  throw new Refusal(isProblem(error) ? error : unknown(response))
}

function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && 'code' in value && 'detail' in value
}

function unknown(response: Response): Refusal['problem'] {
  return { status: response.status, code: 'unreadable', detail: `HTTP ${response.status}` }
}
