import { type CDPSession, type Page } from '@playwright/test'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PASSWORD, expect, house, test } from './house'

/** Figures by environment: events stored, seconds of live tail, runs whose median counts. */
const EVENTS = Number(process.env.EVENTS ?? 1_000_000)
const TAIL_SECS = Number(process.env.TAIL_SECS ?? 300)
const RUNS = Number(process.env.RUNS ?? 7)
const RATE = 1_000
const BATCH = 5_000
const LIGHTHOUSE = 'lighthouse@12'

test.describe.configure({ mode: 'serial' })

const say = (what: string, figures: object) => console.log(JSON.stringify({ what, ...figures }))
const middle = (all: number[]) => [...all].sort((a, b) => a - b)[all.length >> 1] ?? NaN
const figures = (all: number[]) => ({
  median_ms: Math.round(middle(all)),
  least_ms: Math.round(Math.min(...all)),
  most_ms: Math.round(Math.max(...all)),
})

type Send = (lines: string[]) => Promise<void>

/** Signed in as the owner, over the API alone. */
async function sender(): Promise<Send & { headers: Record<string, string> }> {
  const { base } = house()
  const answer = await fetch(`${base}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'owner', password: PASSWORD }),
  })
  const { csrf } = (await answer.json()) as { csrf: string }
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? ''
  const headers = { cookie, 'plura-csrf': csrf, 'plura-tenant': 'default' }
  const send = async (lines: string[]) => {
    const sent = await fetch(`${base}/api/v1/intake/events`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/x-ndjson' },
      body: `${lines.join('\n')}\n`,
    })
    expect(sent.ok, sent.ok ? '' : await sent.text()).toBe(true)
  }
  return Object.assign(send, { headers })
}

/** Ordinary traffic: 5,000 people from as many addresses at 400 paths, some of it refused. */
function visit(n: number, time: number): string {
  const person = (n * 7919) % 5_000
  const code = n % 97 === 0 ? 500 : n % 11 === 0 ? 404 : 200
  return JSON.stringify({
    metadata: { log_source: 'measure', sequence: n + 1 },
    time,
    class_uid: 4002,
    src_endpoint: { ip: `10.${person >> 8}.${person & 255}.${1 + (person % 250)}` },
    actor: { user: { name: `person${person}@customer.example` } },
    http_request: {
      http_method: n % 5 === 0 ? 'POST' : 'GET',
      url: { hostname: 'shop.example', path: `/shop/${(n * 31) % 400}` },
      user_agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36',
    },
    http_response: { code, body_length: 4_000 + (n % 9_000) },
    plura: { site: 'shop', outcome: { result: code === 200 ? 'success' : 'failure' } },
  })
}

test('store', async () => {
  const send = await sender()
  const begun = Date.now()
  // The last day but its last ten minutes, evenly.
  const first = begun - 86_000_000
  const step = 85_400_000 / EVENTS
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    const n = Math.min(BATCH, EVENTS - sent)
    await send(
      Array.from({ length: n }, (_, i) => visit(sent + i, Math.round(first + (sent + i) * step))),
    )
  }
  say('stored', { events: EVENTS, secs: Math.round((Date.now() - begun) / 1000) })
})

const rows = (page: Page) => page.locator('.hunt-table tbody tr')
const counted = (page: Page) => page.locator('.hunt-histogram h2')

test('hunt', async ({ visit: open }) => {
  const asked = [
    '',
    'http_code>=500',
    'account:person77@customer.example',
    'path:/shop/3*',
    'person77',
  ]
  for (const query of asked) {
    const firstRows: number[] = []
    const histogram: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const page = await open({ role: 'owner' })
      // The shell is there, as for somebody who goes to the page; the page's own code is not.
      await page.goto('/audit')
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
      const begun = performance.now()
      await page.goto(`/hunt?q=${encodeURIComponent(query)}`)
      const since = () => performance.now() - begun
      await Promise.all([
        rows(page)
          .first()
          .waitFor()
          .then(() => firstRows.push(since())),
        expect(counted(page))
          .toContainText(/[1-9]/)
          .then(() => page.locator('.hunt-histogram canvas').waitFor())
          .then(() => histogram.push(since())),
      ])
      await page.context().close()
    }
    const told = query || 'everything'
    say('first rows', { query: told, ...figures(firstRows), goal_ms: 1_000 })
    say('histogram', { query: told, ...figures(histogram), goal_ms: 2_000 })
  }
})

/** The same question without a browser: what of the time is the server's. */
test('the server alone', async () => {
  const { headers } = await sender()
  const ask = async (sql: string) => {
    const begun = performance.now()
    const answer = await fetch(`${house().base}/api/v1/query`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ sql }),
    })
    expect(answer.ok, await answer.text()).toBe(true)
    return performance.now() - begun
  }
  const statements = {
    newest: 'SELECT time, src_ip, account, path FROM events ORDER BY time DESC LIMIT 100',
    count:
      "SELECT date_bin(interval '30 minutes', time) AS at, outcome, count(*) FROM events GROUP BY 1, 2",
  }
  for (const [name, sql] of Object.entries(statements)) {
    const took: number[] = []
    for (let run = 0; run < RUNS; run++) took.push(await ask(sql))
    say('server alone', { query: name, ...figures(took) })
  }
})

async function state(cdp: CDPSession) {
  await cdp.send('HeapProfiler.collectGarbage')
  const { metrics } = await cdp.send('Performance.getMetrics')
  const of = (name: string) => metrics.find((one) => one.name === name)?.value ?? NaN
  return {
    heap_mib: Math.round(of('JSHeapUsedSize') / 2 ** 20),
    nodes: of('Nodes'),
    listeners: of('JSEventListeners'),
    cpu_secs: Math.round(of('TaskDuration') * 10) / 10,
  }
}

test('live tail', async ({ visit: open }) => {
  const send = await sender()
  const page = await open({ role: 'owner' })
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable')
  await page.goto('/hunt?tail=true')
  await expect(page.locator('.hunt-tail-state')).toBeVisible()
  const begun = Date.now()
  let sent = 0
  let isOver = false
  const stream = async () => {
    while (!isOver) {
      // What is due by now: a late batch is made up for by the next.
      const due = Math.floor(((Date.now() - begun) * RATE) / 1_000) - sent
      if (due > 0) {
        await send(Array.from({ length: due }, (_, i) => visit(EVENTS + sent + i, Date.now())))
        sent += due
      }
      await new Promise((done) => setTimeout(done, 250))
    }
  }
  const streaming = stream()
  const looks = 10
  for (let look = 1; look <= looks; look++) {
    await page.waitForTimeout((TAIL_SECS * 1_000) / looks)
    const rate = await page.locator('[data-rate]').getAttribute('data-rate')
    say('live tail', {
      secs: Math.round((Date.now() - begun) / 1_000),
      sent_a_second: Math.round((sent * 1_000) / (Date.now() - begun)),
      shown_a_second: Number(rate),
      rows: await rows(page).count(),
      ...(await state(cdp)),
    })
  }
  isOver = true
  await streaming
})

test('lighthouse', async () => {
  const { headers } = await sender()
  const folder = mkdtempSync(join(tmpdir(), 'plura-lighthouse-'))
  const file = join(folder, 'headers.json')
  writeFileSync(file, JSON.stringify({ cookie: headers.cookie }), { mode: 0o600 })
  for (const preset of ['desktop', 'mobile']) {
    for (let run = 0; run < 3; run++) {
      const out = join(folder, 'report.json')
      const flags = [
        ...['--yes', LIGHTHOUSE, `${house().base}/`, '--quiet', '--output=json'],
        `--output-path=${out}`,
        `--extra-headers=${file}`,
        '--only-categories=performance,accessibility,best-practices',
        '--chrome-flags=--headless=new --no-sandbox --ignore-certificate-errors',
        ...(preset === 'desktop' ? ['--preset=desktop'] : []),
      ]
      const env = { ...process.env, CHROME_PATH: process.env.PLURA_CHROMIUM ?? '/usr/bin/chromium' }
      const ran = spawnSync('npx', flags, { env, encoding: 'utf8' })
      expect(ran.status, ran.stderr).toBe(0)
      const report = JSON.parse(readFileSync(out, 'utf8')) as {
        finalDisplayedUrl: string
        categories: Record<string, { score: number }>
        audits: Record<string, { numericValue?: number }>
      }
      const ms = (name: string) => Math.round(report.audits[name]?.numericValue ?? NaN)
      const score = (name: string) => Math.round((report.categories[name]?.score ?? NaN) * 100)
      expect(new URL(report.finalDisplayedUrl).pathname, 'signed in').toBe('/')
      say('lighthouse', {
        preset,
        performance: score('performance'),
        accessibility: score('accessibility'),
        best_practices: score('best-practices'),
        first_contentful_paint_ms: ms('first-contentful-paint'),
        largest_contentful_paint_ms: ms('largest-contentful-paint'),
        blocking_ms: ms('total-blocking-time'),
        shift:
          Math.round((report.audits['cumulative-layout-shift']?.numericValue ?? NaN) * 1_000) /
          1_000,
      })
    }
  }
  rmSync(folder, { recursive: true })
})
