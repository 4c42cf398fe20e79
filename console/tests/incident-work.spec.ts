import type { Action, Finding, Incident, TrustRecord } from '../src/api/queries'
import { NODES_MAX, buildGraph, evidenceOf } from '../src/domain/graph'
import { place } from '../src/domain/graph-layout'
import { atRisk, trendOf } from '../src/domain/risk'
import { filtersOf } from '../src/domain/saved'
import { similarTo } from '../src/domain/similar'
import { clockOf } from '../src/domain/sla'
import { pointsOf, trustNames } from '../src/domain/trust-line'
import { cutMiddle } from '../src/ui/cut'
import { LANGUAGES, expect, house, test, words } from './house'

const DAY = 24 * 3_600_000
const START = 1_700_000_000_000

const finding = (n: number, entities: string[], evidence: string[] = []): Finding => ({
  id: `finding-${n}`,
  rule: 'credential-stuffing',
  rule_version: 1,
  time: START + n * 1_000,
  first_seen: START + n * 1_000,
  last_seen: START + n * 1_000,
  severity: 'high',
  confidence: 80,
  entities,
  outcome: 'failure',
  attack: [{ tactic: 'TA0006', technique: 'T1110.004' }],
  evidence,
  evidence_total: evidence.length,
  numbers: {},
})

const action = (n: number, target: string): Action => ({
  id: `action-${n}`,
  incident: 'incident',
  findings: ['finding-1'],
  reason: 'credential-stuffing',
  policy: 'default',
  policy_version: 1,
  rung: 'block',
  target,
  state: 'active',
  created: START + 60_000,
  expires: START + 3_600_000,
  history: [],
})

const login = (n: number, account: string): [string, Record<string, unknown>] => [
  `event-${n}`,
  {
    metadata: { uid: `event-${n}` },
    time: START + n,
    src_endpoint: { ip: '203.0.113.66' },
    actor: { user: { name: account } },
    http_request: { http_method: 'POST', url: { hostname: 'shop.example', path: '/login' } },
  },
]

test('a graph leads from who came to what was done, in time', () => {
  const events = new Map([login(1, 'ann'), login(2, 'bob')])
  const graph = buildGraph({
    findings: [
      finding(1, ['address:203.0.113.66', 'account:ann', 'account:bob'], [...events.keys()]),
    ],
    actions: [action(1, 'address:203.0.113.66')],
    events,
  })
  const page = 'target:path:POST shop.example/login'
  expect(graph.edges.map(({ from, to, steps }) => [from, to, steps])).toEqual([
    ['address:203.0.113.66', page, [1]],
    [page, 'account:ann', [1]],
    [page, 'account:bob', [1]],
    ['address:203.0.113.66', 'effect:block:active', [2]],
  ])
  expect(graph.steps.map(({ n, kind }) => [n, kind])).toEqual([
    [1, 'finding'],
    [2, 'action'],
  ])
  expect(graph.edges[0]).toMatchObject({ time: START + 1, tactic: 'TA0006' })
  const { nodes } = place(graph)
  const x = (id: string) => nodes.find((node) => node.id === id)?.x ?? NaN
  expect(x('address:203.0.113.66')).toBeLessThan(x(page))
  expect(x(page)).toBeLessThan(x('account:ann'))
})

test('nodes alike are one and come apart; a graph has an end', () => {
  const accounts = Array.from({ length: 26 }, (_, n) => `account:user${n}`)
  const given = {
    findings: [finding(1, ['address:1', ...accounts])],
    actions: [],
    events: new Map(),
  }
  const folded = buildGraph(given)
  expect(folded.nodes.map(({ members }) => members.length)).toEqual([0, 26])
  const [id] = folded.nodes.filter((node) => node.isFolded).map((node) => node.id)
  expect(buildGraph({ ...given, open: new Set([id ?? '']) }).nodes).toHaveLength(27)

  // Each is reached by another way, so that none is like another.
  const many = Array.from({ length: 200 }, (_, n) =>
    finding(n, [`address:${n}`, `session:${n}`, `account:${n}`]),
  )
  const bounded = buildGraph({
    findings: many,
    actions: [action(1, 'address:3')],
    events: new Map(),
  })
  expect(bounded.nodes.length).toBeLessThanOrEqual(NODES_MAX)
  expect(bounded.grouped).toBeGreaterThan(500)
  expect(bounded.steps).toHaveLength(201)
  const ids = new Set(bounded.nodes.map((node) => node.id))
  expect(bounded.edges.every(({ from, to }) => ids.has(from) && ids.has(to))).toBe(true)
  const evidence = many.map((one, n) => ({ ...one, evidence: [`a${n}`, `b${n}`, `c${n}`] }))
  expect(evidenceOf(evidence).length).toBeLessThanOrEqual(48)
})

test('a long value is cut in the middle', () => {
  expect(cutMiddle('short', 10)).toBe('short')
  expect(cutMiddle('/a/very/long/path/to/file.php', 11)).toBe('/a/ve…e.php')
  expect(cutMiddle('가나다라마바사', 9)).toBe('가나…바사')
})

test('the graph by keyboard, and the same in words', async ({ visit }) => {
  const page = await visit({ role: 'responder' })
  await page.goto('/incidents')
  const queue = page.locator('table.queue tbody')
  await queue
    .getByRole('link', { name: /Leaked passwords|taken over/ })
    .first()
    .click()
  await page.getByRole('link', { name: 'Graph', exact: true }).click()
  await expect(page).toHaveURL(/tab=graph/)
  const graph = page.locator('svg.graph')
  const first = graph.getByRole('link', { name: 'Address: 203.0.113.66' })
  await expect(first).toBeVisible()
  await expect(graph.getByRole('link', { name: 'Endpoint: POST /login' })).toBeVisible()
  await expect(graph.locator('.graph-effect').first()).toBeVisible()
  await expect(page.locator('.graph-steps > li').first()).toContainText('203.0.113.66')
  const box = page.getByRole('region', { name: /^Graph from first contact/ })
  await box.focus()
  const width = async () => Number(await graph.getAttribute('width'))
  const before = await width()
  await page.keyboard.press('+')
  await expect.poll(width).toBeGreaterThan(before)
  await page.keyboard.press('0')
  await expect.poll(width).toBe(before)
  await first.focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('203.0.113.66')
  expect(await page.evaluate(() => '__hit' in window)).toBe(false)

  for (const language of LANGUAGES) {
    const other = await visit({ role: 'viewer', language })
    await other.goto('/incidents')
    await other.locator('table.queue tbody a').first().click()
    await other
      .getByRole('link', { name: words(language, 'incident.tab.graph'), exact: true })
      .click()
    await expect(other.getByText(words(language, 'graph.steps'), { exact: true })).toBeVisible()
  }
})

test('targets run by severity, and stop', () => {
  const hour = 3_600_000
  const at = (severity: 'critical' | 'informational', status: 'new' | 'resolved', updated = 0) => ({
    opened: START,
    updated: START + updated,
    severity,
    status,
  })
  expect(clockOf(at('critical', 'new'), START + hour / 2)?.state).toBe('running')
  expect(clockOf(at('critical', 'new'), START + hour - 1)?.state).toBe('soon')
  expect(clockOf(at('critical', 'new'), START + 2 * hour)).toMatchObject({
    state: 'overdue',
    left: -hour,
  })
  expect(clockOf(at('critical', 'resolved', 60_000), START + 9 * hour)?.state).toBe('stopped')
  expect(clockOf(at('critical', 'resolved', 2 * hour), START + 9 * hour)?.state).toBe('late')
  expect(clockOf(at('informational', 'new'), START)).toBeUndefined()
})

test('what is alike comes first, with its reasons', () => {
  const incident = (id: string, title: string, entities: string[]): Incident => ({
    id,
    title,
    opened: START,
    updated: START,
    severity: 'high',
    status: 'new',
    findings: [],
    entities,
    story: [],
  })
  const own = incident('own', 'web-shell', ['address:1', 'account:a'])
  const found = similarTo(
    own,
    [finding(1, [])],
    [
      own,
      incident('rule', 'web-shell', ['address:9']),
      incident('entity', 'other', ['account:a']),
      incident('nothing', 'other', ['account:b']),
      incident('both', 'credential-stuffing', ['address:1']),
    ],
  )
  expect(found.map((one) => one.incident.id)).toEqual(['both', 'entity', 'rule'])
  expect(found[0]).toMatchObject({ entities: ['address:1'], rules: ['credential-stuffing'] })
})

test('what is kept in a browser is read with care', () => {
  expect(filtersOf({ status: 'new', due: 'x', assignee: 3, other: 1, isExact: 'yes' })).toEqual({
    status: 'new',
  })
  expect(filtersOf(null)).toEqual({})
})

test('around an event: what else the same did', async ({ visit }) => {
  const page = await visit({ role: 'responder' })
  await page.goto('/entities/address%3A203.0.113.66')
  await page.locator('table.events button').first().click()
  const panel = page.getByRole('dialog')
  await panel.getByRole('button', { name: 'Address 203.0.113.66' }).click()
  await expect(panel.getByText(/\d+ before, \d+ after/)).toBeVisible()
  await panel.locator('.around table.events tbody button').first().click()
  await expect(panel.getByRole('button', { name: 'Back to the event before' })).toBeVisible()
  await panel.getByRole('button', { name: 'Back to the event before' }).click()
  await expect(panel.getByRole('button', { name: 'Back to the event before' })).toHaveCount(0)
})

test('a change can be taken back; the clock stops with the work', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/incidents')
  await expect(page.locator('.queue-sla').first()).toContainText('left')
  await page.locator('table.queue tbody a').last().click()
  await expect(page).toHaveURL(/incidents\/[0-9a-f-]{36}/)
  await expect(page.getByRole('heading', { name: 'Details' })).toBeVisible()
  const status = page.getByLabel('Status', { exact: true })
  const before = await status.inputValue()
  await status.selectOption('resolved')
  await expect(page.getByText('Status: Resolved')).toBeVisible()
  await expect(page.locator('.sla').first()).toContainText(/Done in|Late/)
  await page.getByRole('button', { name: 'Undo', exact: true }).last().click()
  await expect(status).toHaveValue(before)
  await expect(page.locator('.sla').first()).toContainText('left')
  await expect(page.getByRole('heading', { name: 'Similar incidents' })).toBeVisible()

  const viewer = await visit({ role: 'viewer' })
  await viewer.goto(new URL(page.url()).pathname)
  await expect(viewer.getByRole('heading', { name: 'Details' })).toBeVisible()
  await expect(viewer.getByLabel('Status', { exact: true })).toHaveCount(0)
})

test('filters are kept, used and removed', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/incidents?status=on-hold&q=nothing')
  await page.getByRole('button', { name: 'Save these filters' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('Kept in this browser')
  await dialog.getByLabel('Name').fill('Held <b>back</b>')
  await dialog.getByRole('button', { name: 'Save', exact: true }).click()
  const saved = page.getByRole('navigation', { name: 'Saved filters' })
  await saved.getByRole('link', { name: 'Overdue' }).click()
  await expect(page).toHaveURL(/due=overdue/)
  await expect(page).not.toHaveURL(/q=/)
  await page.reload()
  await saved.getByRole('link', { name: 'Held <b>back</b>' }).click()
  await expect(page).toHaveURL(/status=on-hold/)
  await expect(page.getByLabel('Filter by text')).toHaveValue('nothing')
  await saved.getByRole('button', { name: 'Remove Held <b>back</b>' }).click()
  await expect(saved.getByRole('link')).toHaveCount(3)
  for (const language of LANGUAGES) {
    const other = await visit({ role: 'auditor', language })
    await other.goto('/incidents')
    await expect(other.getByRole('link', { name: words(language, 'saved.mine') })).toBeVisible()
    await expect(
      other.getByRole('columnheader', { name: words(language, 'sla.title'), exact: true }),
    ).toBeVisible()
  }
})

test('whom most speaks against, and this week against the last', () => {
  const incident = (severity: 'high' | 'low', entities: string[]): Incident => ({
    id: severity,
    title: 'web-shell',
    opened: START,
    updated: START,
    severity,
    status: 'new',
    findings: [],
    entities,
    story: [
      { time: START, kind: 'finding', subject: 'f', code: 'web-shell', entities: ['device:a'] },
    ],
  })
  const held = {
    action: 'a',
    target: 'address:1',
    rung: 'block',
    expires: START,
    reason: 'r',
  } as const
  expect(
    atRisk([incident('high', ['device:a', 'address:1']), incident('low', ['device:a'])], [held]),
  ).toEqual([
    { entity: 'device:a', incidents: 2, findings: 2, restrictions: 0, points: 7 },
    { entity: 'address:1', incidents: 1, findings: 0, restrictions: 1, points: 6 },
  ])
  const opened = [0, 0, 6, 7, 13, 14, -1].map((days) => ({ opened: START - days * DAY }))
  const trend = trendOf(opened, START)
  expect([trend.now, trend.before]).toEqual([4, 2])
})

test('trust has steps, and accounts their other names', () => {
  const record = (time: number, score: number | undefined, permit: boolean) =>
    ({
      id: `record-${time}`,
      time,
      session: 'session:s',
      decision: score === undefined ? {} : { score },
      permit,
      cause: 'changed',
      reason_admin: { en: 'why', ko: '이유', ja: '理由' },
    }) as unknown as TrustRecord
  const points = pointsOf([record(3, 20, false), record(2, undefined, true), record(1, 80, true)])
  expect(points.map(({ time, score, change }) => [time, score, change])).toEqual([
    [1, 80, undefined],
    [3, 20, -60],
  ])
  expect(trustNames('account:ann')).toContain('user:ann')
  expect(trustNames('address:1')).toEqual([])
})

test('trust over time as decisions are made; not for who may not read it', async ({ visit }) => {
  const owner = await visit({ role: 'owner' })
  await owner.goto('/')
  const headers = {
    'plura-csrf': ((await (await owner.request.get('/api/v1/me')).json()) as { csrf: string }).csrf,
    'plura-tenant': 'default',
  }
  const data = { name: 'enforcement point', scopes: ['decide'] }
  const made = await owner.request.post('/api/v1/tokens', { headers, data })
  expect(made.ok(), await made.text()).toBe(true)
  const { token } = (await made.json()) as { token: string }
  const asked = await fetch(`${house().base}/access/v1/evaluation`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      subject: { type: 'session', id: 'trust-1' },
      action: { name: 'read' },
      resource: { type: 'record', id: 'record-1' },
    }),
  })
  expect(asked.ok, await asked.text()).toBe(true)
  for (const language of LANGUAGES) {
    const page = await visit({ role: 'analyst', language })
    await page.goto('/entities/session%3Atrust-1')
    await expect(page.locator('.trust-line')).toBeVisible()
    await expect(page.locator('.trust-point')).toContainText(
      words(language, 'trustover.cause.opened'),
    )
    await page.goto('/entities/session%3Anobody')
    await expect(page.getByText(words(language, 'trustover.none'), { exact: true })).toBeVisible()
    await page.goto('/')
    await expect(page.getByRole('heading', { name: words(language, 'risk.title') })).toBeVisible()
    await expect(page.locator('.risk').first()).toBeVisible()
    await expect(page.getByRole('heading', { name: words(language, 'trend.title') })).toBeVisible()
  }
  const viewer = await visit({ role: 'viewer' })
  await viewer.goto('/entities/session%3Atrust-1')
  await expect(viewer.getByRole('heading', { name: 'Restrictions in force' })).toBeVisible()
  await expect(viewer.getByText('Trust over time')).toHaveCount(0)
})
