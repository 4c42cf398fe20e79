import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once as first } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createDesk } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { PASSWORD, ROLES, type House } from './house'
import { KEY, PACK, RULES, connectors, everything } from './story'

type Server = ChildProcessByStdio<null, Readable, Readable>

/** Starts `plura server` on a free port with a folder of its own, makes people, and tells it a story. */
export default async function setup() {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  process.removeAllListeners('warning')
  const folder = mkdtempSync(join(tmpdir(), 'plura-console-'))
  const data = join(folder, 'data')
  const port = await freePort()
  const config = join(folder, 'server.yaml')
  const desk = await openDesk()
  const told = { default: join(folder, 'connectors.yaml') }
  const secret = join(folder, 'soc.key')
  writeFileSync(secret, `whsec_${Buffer.alloc(32, 7).toString('base64')}`)
  writeFileSync(told.default, JSON.stringify(connectors(desk.url, secret)))
  writeFileSync(config, JSON.stringify({ sigma: { rules: packs(folder) }, connectors: told }))
  const flags = ['--config', config, '--data', data, '--listen', `127.0.0.1:${port}`]
  const server = spawn(binary(), ['server', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // This folder's console, whichever clone the server was built in.
    env: { ...process.env, PLURA_CONSOLE: join(import.meta.dirname, '../dist/www') },
  })
  const end = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      const ended = first(server, 'exit')
      server.kill('SIGTERM')
      await ended
    }
    desk.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    const house = await furnish(server, port, data)
    process.env.PLURA_HOUSE = JSON.stringify({ ...house, desk: desk.url })
  } catch (error) {
    await end()
    throw error
  }
  return end
}

/** People, two tenants and a story in them. */
async function furnish(server: Server, port: number, data: string): Promise<Omit<House, 'desk'>> {
  let said = ''
  server.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  server.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const once = await until(() => {
    if (server.exitCode !== null) throw new Error(`the server ended:\n${said}`)
    return /one-time password[^`]*`([^`]+)`/.exec(said.replace(/user `owner`,?/, ''))?.[1]
  })
  const base = `https://127.0.0.1:${port}`
  const owner = await signIn(base, 'owner', once)
  await owner('POST', '/api/v1/password', { current: once, new: PASSWORD })
  await owner('PATCH', '/api/v1/tenant', { mode: 'enforce', reason: 'console tests' })
  await owner('POST', '/api/v1/tenants', { id: 'second', name: 'Second house' })
  const house: Omit<House, 'desk'> = {
    base,
    binary: binary(),
    ca: join(data, 'tls/server.pem'),
    fresh: {},
  }
  for (const role of ROLES) {
    if (role === 'owner') continue
    const made = await owner('POST', '/api/v1/users', { name: `the-${role}`, role })
    const password = made.one_time_password as string
    const session = await signIn(base, `the-${role}`, password)
    await session('POST', '/api/v1/password', { current: password, new: PASSWORD })
  }
  for (const name of ['fresh-en', 'fresh-ko', 'fresh-ja', 'locked']) {
    const made = await owner('POST', '/api/v1/users', { name, role: 'analyst' })
    house.fresh[name] = made.one_time_password as string
  }
  mkdirSync(join(data, 'keys'), { recursive: true })
  writeFileSync(join(data, 'keys/tenant-default.key'), KEY.toString('hex'), { mode: 0o600 })
  for (const rule of RULES) await owner('POST', '/api/v1/sigma/rules', rule)
  const lines = everything(Date.now()).map((event) => JSON.stringify(event))
  const taken = await owner('POST', '/api/v1/intake/events', undefined, `${lines.join('\n')}\n`)
  if (taken.rejected !== 0) throw new Error(`events were refused: ${JSON.stringify(taken)}`)
  await until(async () => {
    const incidents = await owner('GET', '/api/v1/incidents')
    const waiting = await owner('GET', '/api/v1/actions?state=awaiting-approval')
    const isTold = (incidents.items as unknown[]).length >= 2
    return isTold && (waiting.items as unknown[]).length >= 1 ? true : undefined
  })
  return house
}

/** Longer than the server waits before it says that the tries go on. */
const SLOW_MS = 22_000

/** A ticket system: takes what it is sent, and shows it to who asks. */
async function openDesk() {
  const got: unknown[] = []
  const desk = createDesk((request, answer) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      if (request.method === 'GET') {
        answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(got))
        return
      }
      got.push(JSON.parse(text))
      const wait = request.url === '/slow' ? SLOW_MS : 0
      setTimeout(() => answer.writeHead(201).end(), wait)
    })
  })
  await new Promise<void>((done) => desk.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(desk.address() as AddressInfo).port}`,
    close: () => {
      desk.close()
      desk.closeAllConnections()
    },
  }
}

/** Folders of rules: one of this repository's, and one with a file nobody can read. */
function packs(folder: string): string[] {
  const own = join(folder, 'house-pack')
  mkdirSync(own)
  for (const [name, text] of Object.entries(PACK)) writeFileSync(join(own, name), text)
  return [join(import.meta.dirname, '../../packs/ransomware-early'), own]
}

/** The debug build, unless `PLURA_BIN` names another. */
function binary(): string {
  const target = process.env.CARGO_TARGET_DIR ?? join(import.meta.dirname, '../../target')
  const found = process.env.PLURA_BIN ?? join(target, 'debug/plura')
  if (!existsSync(found)) {
    throw new Error(`no server at \`${found}\`: run \`cargo build --workspace\`, or set PLURA_BIN`)
  }
  return found
}

type Call = (
  method: string,
  path: string,
  body?: unknown,
  raw?: string,
) => Promise<Record<string, unknown>>

/** Who signed in, asking the API. */
async function signIn(base: string, name: string, password: string): Promise<Call> {
  const answer = await fetch(`${base}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, password }),
  })
  if (!answer.ok) throw new Error(`sign-in as ${name}: ${await answer.text()}`)
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? ''
  const { csrf } = (await answer.json()) as { csrf: string }
  return async (method, path, body, raw) => {
    const media = raw === undefined ? 'application/json' : 'application/x-ndjson'
    const answer = await fetch(`${base}${path}`, {
      method,
      headers: { cookie, 'plura-csrf': csrf, 'plura-tenant': 'default', 'content-type': media },
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${text}`)
    return text ? (JSON.parse(text) as Record<string, unknown>) : {}
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done))
  const address = probe.address()
  await new Promise((done) => probe.close(done))
  return typeof address === 'object' && address ? address.port : 0
}

async function until<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = await look()
    if (found !== undefined) return found
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error('it did not come about within a minute')
}
