import type { Action, Finding } from '../src/api/queries'
import { NODES_MAX, buildGraph, cutMiddle, evidenceOf } from '../src/domain/graph'
import { place } from '../src/domain/graph-layout'
import { LANGUAGES, expect, test, words } from './house'

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
