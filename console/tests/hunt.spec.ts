import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { LANGUAGES, expect, send, test, words } from './house'
import { HOSTILE, PAYLOADS } from './story'

const bar = (page: Page) => page.getByRole('textbox', { name: 'Query', exact: true })
const rows = (page: Page) => page.locator('.hunt-table tbody tr')
const pager = (page: Page) => page.locator('.hunt-pager [role=status]')

async function ask(page: Page, query: string) {
  await bar(page).fill(query)
  await bar(page).press('Escape')
  await bar(page).focus()
  await bar(page).press('Enter')
}

let sequence = Date.now()
const visitAt = (time: number, more: object = {}) => ({
  metadata: { log_source: 'hunt-spec', sequence: ++sequence },
  time,
  class_uid: 4002,
  src_endpoint: { ip: '198.51.100.77' },
  http_request: { http_method: 'GET', url: { path: '/hunted' } },
  http_response: { code: 404 },
  ...more,
})

test('from everything to one event: query, facet, value, histogram, back', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await expect(page.locator('.incident-line').first()).toBeVisible()
  await page.keyboard.press('g')
  await page.keyboard.press('h')
  await expect(page).toHaveURL(/\/hunt/)
  await expect(rows(page).first()).toBeVisible()
  await expect(page.locator('.hunt-canvas canvas')).toBeVisible()

  await page.keyboard.press('/')
  await expect(bar(page)).toBeFocused()
  await ask(page, 'src_ip:203.0.113.66 outcome:failure')
  await expect(rows(page)).toHaveCount(25)
  await expect(page).toHaveURL(/q=/)

  // A value that is left out, by the facet; then one that is wanted, by its menu.
  const facets = page.getByRole('region', { name: 'Top values' })
  await facets.getByRole('button', { name: 'Without account user11' }).focus()
  await page.keyboard.press('Enter')
  await expect(bar(page)).toHaveValue('src_ip:203.0.113.66 outcome:failure NOT account:user11')
  await expect(rows(page)).toHaveCount(24)
  await rows(page).getByRole('button', { name: 'user5', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Only with this value' }).click()
  await expect(rows(page)).toHaveCount(1)

  // Narrowed by the table of the histogram, which is one bar now.
  await page.getByText('As a table').click()
  const narrow = page.getByRole('button', { name: /^Narrow to/ })
  await expect(narrow).toHaveCount(1)
  await narrow.click()
  await expect(page).toHaveURL(/from=\d+&until=\d+|until=\d+.*from=\d+/)
  await expect(rows(page)).toHaveCount(1)

  // The event by key; its address shows a colleague the same.
  await page.locator('body').click({ position: { x: 600, y: 5 } })
  await page.keyboard.press('j')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('menuitem', { name: 'Copy' })).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.locator('.hunt-cell:focus')).toHaveCount(1)
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('dialog')).toContainText('POST /login')
  await expect(page).toHaveURL(/event=/)
  await page.reload()
  await expect(page.getByRole('dialog')).toContainText('POST /login')
  await page.keyboard.press('Escape')
  await rows(page).getByRole('button', { name: 'user5', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Open entity' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('user5')
})

test('every sign of the language finds what it says', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/hunt')
  const cases: [string, number][] = [
    ['src_ip:203.0.113.66', 26],
    ['src_endpoint.ip:203.0.113.66', 26],
    ['src_ip:203.0.113.0/24', 26],
    ['src_ip:203.0.113.64/29', 26],
    ['src_ip:203.0.113.72/29', 0],
    ['path:/log* http_code>=400', 25],
    ['path:/log* http_code<400', 1],
    ['path:/login NOT outcome:failure', 1],
    ['path:/login -outcome:failure', 1],
    ['account:user1,user2', 2],
    ['account:(user1 or user2)', 2],
    ['account:* src_ip:203.0.113.66', 26],
    ['device:* NOT account:*', 2],
    ['class:process_activity', 2],
    ['(account:user1 or account:user2) outcome:failure', 2],
    ['"/dev/tcp/198.51"', 1],
    ['/DEV/tcp*4444', 1],
    ["account:' OR 1=1 --", 0],
    [`account:"' OR 1=1 --"`, 0],
    [`account:"\\' OR 1=1 --"`, 0],
    [`account:"%"`, 0],
    [`account:user_*`, 0],
    [`"${HOSTILE.slice(0, 20)}"`, 0],
    [`account:"${HOSTILE}"`, 1],
    ['time>2099-01-01', 0],
    ['rest.a.b:x', 0],
  ]
  for (const [query, count] of cases) {
    await ask(page, query)
    if (count === 0) await expect(page.getByText('Nothing found'), query).toBeVisible()
    else await expect(rows(page), query).toHaveCount(count)
    await expect(page.locator('.state-failed')).toHaveCount(0)
  }
  await expect(page.locator('script:not([src]), [onerror]')).toHaveCount(0)
})

test('a fault is underlined, named with its place, and told how to mend', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/hunt')
  await ask(page, 'method:GET statuscode>=500')
  await expect(page.locator('.hunt-mirror u')).toHaveText('statuscode')
  const alert = page.getByRole('alert')
  await expect(alert).toContainText('There is no field `statuscode`.')
  await expect(alert).toContainText('Did you mean `status_code`?')
  await expect(alert).toContainText('character 12')
  await expect(bar(page)).toHaveAttribute('aria-invalid', 'true')
  await ask(page, 'status_code>=500')
  await expect(alert).toContainText('Did you mean `http_code`?')
  await ask(page, 'http_code>=400')
  await expect(alert).toHaveCount(0)
  await expect(rows(page).first()).toBeVisible()
})

test('completion: a field, its sign, its frequent values', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/hunt')
  await expect(rows(page).first()).toBeVisible()
  await bar(page).pressSequentially('src_i')
  const offers = page.getByRole('listbox', { name: 'Suggestions' })
  await expect(offers.getByRole('option').first()).toContainText('src_ip')
  await expect(offers.getByRole('option').first()).toContainText('src_endpoint.ip')
  await page.keyboard.press('Tab')
  await expect(bar(page)).toHaveValue('src_ip:')
  await bar(page).pressSequentially('203')
  await expect(offers.getByRole('option', { name: /203\.0\.113\.66/ })).toContainText('26 events')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await expect(bar(page)).toHaveValue('src_ip:203.0.113.66 ')
  await bar(page).pressSequentially('class:proc')
  await expect(offers.getByRole('option', { name: /process_activity/ })).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(offers).toHaveCount(0)
})

test('SQL: begins with the search, shows any columns, points at a mistake', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/hunt?q=path%3A%2Flogin')
  await expect(rows(page)).toHaveCount(26)
  await page.getByRole('button', { name: 'SQL', exact: true }).click()
  const field = page.getByRole('textbox', { name: 'SQL over the table events' })
  await expect(field).toHaveValue(/path = '\/login'/)
  await page.getByRole('button', { name: 'Run' }).click()
  await expect(page.getByText('26 rows', { exact: true })).toBeVisible()
  await field.fill('select outcome, count(*) as n\nfrom events group by otcome')
  await field.press('Control+Enter')
  await expect(page.getByText('there is no column `otcome`').first()).toBeVisible()
  await page.getByRole('button', { name: 'Go to line 2, column 22' }).click()
  expect(
    await field.evaluate((node: HTMLTextAreaElement) =>
      node.value.slice(node.selectionStart, node.selectionEnd),
    ),
  ).toBe('otcome')
  await field.fill(
    "select outcome, count(*) as n from events where path = '/login' group by 1 order by 2",
  )
  await field.press('Control+Enter')
  await expect(rows(page)).toHaveCount(2)
  await expect(page.locator('.hunt-result tbody')).toContainText('25')
  await page.reload()
  await expect(rows(page)).toHaveCount(2)
  await field.fill('delete from events')
  await field.press('Control+Enter')
  await expect(page.getByText('query-not-read-only')).toBeVisible()
})

test('columns, order and range stand in the address', async ({ visit }) => {
  const page = await visit({ role: 'auditor' })
  await page.goto('/hunt?q=path%3A%2Flogin')
  await page.getByRole('button', { name: 'Columns' }).click()
  await page.getByRole('textbox', { name: 'Find a field' }).fill('user_agent')
  await page.getByRole('checkbox', { name: /user_agent/ }).check()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('columnheader', { name: 'user_agent' })).toBeVisible()
  await expect(page).toHaveURL(/user_agent/)
  await page.getByRole('button', { name: 'Time' }).click()
  await expect(page).toHaveURL(/sort=oldest/)
  await expect(rows(page).first()).toContainText('user0')
  await page.getByLabel('Time range').selectOption('15m')
  await expect(page).toHaveURL(/range=15m/)
  await expect(page.getByText('Nothing found')).toBeVisible()
  await page.getByRole('button', { name: 'Look at 30 days' }).click()
  await expect(rows(page)).toHaveCount(26)
  await page.reload()
  await expect(page.getByRole('columnheader', { name: 'user_agent' })).toBeVisible()
  await expect(rows(page).first()).toContainText('user0')
  // What came in is text.
  await expect(rows(page).first()).toContainText(PAYLOADS[1])
  expect(await page.evaluate(() => '__hit' in window)).toBe(false)
})

test('history and names: kept, chosen, deleted', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/hunt')
  await ask(page, 'method:POST')
  await expect(rows(page)).toHaveCount(26)
  await ask(page, 'class:process_activity')
  await expect(rows(page)).toHaveCount(2)
  await page.getByRole('button', { name: 'Saved and recent' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('textbox').fill('Processes')
  await dialog.getByRole('button', { name: 'Save query' }).click()
  await expect(dialog.getByRole('button', { name: /^Processes/ })).toBeVisible()
  await dialog.getByRole('button', { name: /^method:POST/ }).click()
  await expect(rows(page)).toHaveCount(26)
  await page.reload()
  await page.getByRole('button', { name: 'Saved and recent' }).click()
  await dialog.getByRole('button', { name: /^Processes/ }).click()
  await expect(rows(page)).toHaveCount(2)
  await page.getByRole('button', { name: 'Saved and recent' }).click()
  await dialog.getByRole('button', { name: 'Delete Processes' }).click()
  await dialog.getByRole('button', { name: 'Delete all recent' }).click()
  await expect(dialog.getByText('Nothing asked yet.')).toBeVisible()
  await expect(dialog.getByText('Nothing saved yet.')).toBeVisible()
})

test('pages of a hundred, each event once', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/hunt')
  const source = randomUUID()
  const now = Date.now()
  // Ten of one time each: only the id tells them apart.
  await send(
    page,
    Array.from({ length: 230 }, (_, n) =>
      visitAt(now - Math.floor(n / 10) * 1_000, {
        metadata: { log_source: source, sequence: n + 1 },
      }),
    ),
  )
  await ask(page, `source:${source}`)
  await expect(rows(page)).toHaveCount(100)
  const seen = new Set<string>()
  const look = async () => {
    for (const label of await page
      .locator('.event-open')
      .evaluateAll((list) => list.map((one) => one.getAttribute('aria-label') ?? ''))) {
      expect(seen.has(label)).toBe(false)
      seen.add(label)
    }
  }
  await look()
  await page.getByRole('button', { name: 'Older', exact: true }).click()
  await expect(pager(page)).toContainText('101–200')
  await look()
  await page.getByRole('button', { name: 'Older', exact: true }).click()
  await expect(pager(page)).toContainText('201–230')
  await look()
  expect(seen.size).toBe(230)
  await page.getByRole('button', { name: 'Newer', exact: true }).click()
  await expect(pager(page)).toContainText('101–200')
})

test('live tail: what comes in appears, stands still when asked, and stays bounded', async ({
  visit,
}) => {
  const page = await visit({ role: 'admin' })
  const source = randomUUID()
  await page.goto(`/hunt?tail=true&q=${encodeURIComponent(`source:${source}`)}`)
  await expect(page.getByText('Nothing came in yet')).toBeVisible()
  let next = 0
  const burst = (n: number) =>
    send(
      page,
      Array.from({ length: n }, () =>
        visitAt(Date.now(), { metadata: { log_source: source, sequence: ++next } }),
      ),
    )
  await burst(5)
  await expect(rows(page)).toHaveCount(5)
  await page.getByRole('button', { name: 'Pause' }).click()
  await burst(3)
  await expect(page.getByText('3 waiting')).toBeVisible()
  await expect(rows(page)).toHaveCount(5)
  await page.getByRole('button', { name: 'Go on' }).click()
  await expect(rows(page)).toHaveCount(8)
  // More at once than are fetched: the newest, and how many are not shown.
  for (let n = 0; n < 4; n++) {
    await burst(300)
    await expect(page.getByText(/not shown since it began/)).toBeVisible()
    await page.waitForTimeout(1_500)
  }
  await expect(rows(page)).toHaveCount(500)
  await page.getByRole('button', { name: 'Live tail' }).click()
  await expect(page).not.toHaveURL(/tail/)
  await expect(rows(page)).toHaveCount(100)
})

test('a query becomes a rule that the server takes', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/hunt?q=class%3Ahttp_activity%20path%3A%2Flog*%20NOT%20outcome%3Asuccess')
  await page.getByRole('button', { name: 'Save as detection' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByLabel('Sigma rule')).toHaveValue(/category: http_activity/)
  await dialog.getByLabel('Title').fill("It's a log-in that failed")
  await dialog.getByLabel('Level').selectOption('high')
  await dialog.getByRole('button', { name: 'Check' }).click()
  await expect(dialog.getByText('The rule can run.')).toBeVisible()
  await dialog.getByLabel('Why').fill('a hunt found it')
  await dialog.getByRole('button', { name: 'Save rule' }).click()
  await expect(dialog.getByText('The rule is saved and at work:')).toBeVisible()
  const id = await dialog.locator('code').innerText()
  const stored = await page.evaluate(
    async (rule) => (await fetch(`/api/v1/sigma/rules/${rule}`)).json(),
    id,
  )
  expect(stored).toMatchObject({
    title: "It's a log-in that failed",
    level: 'high',
    stage: 'shadow',
  })
  await dialog.getByRole('button', { name: 'Close' }).first().click()

  await ask(page, 'path:/a time>2026-01-01')
  await page.getByRole('button', { name: 'Save as detection' }).click()
  await expect(dialog.getByRole('alert')).toContainText('has no time of its own')
  await expect(dialog.getByRole('alert')).toContainText('time>2026-01-01')
})

for (const text of [
  'evil',
  'src_ip:10.0.0.0/8,192.0.2.1 or account:*',
  `account:"it's * \\\\ ?\u0007" user_agent:*<img*`,
  'request_headers:*evil* response_truncated:true',
  'rest.unmapped.a.b:x http_code!=404,500',
  '(method:GET or -method:PUT) severity>=high',
]) {
  test(`the server reads the rule of ${JSON.stringify(text)}`, async ({ visit }) => {
    const page = await visit({ role: 'admin' })
    await page.goto(`/hunt?q=${encodeURIComponent(text)}`)
    await page.getByRole('button', { name: 'Save as detection' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Check' }).click()
    await expect(dialog.getByText('The rule can run.')).toBeVisible()
  })
}

test('export: the query as CSV, NDJSON and Parquet', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/hunt?q=path%3A%2Flogin')
  await expect(rows(page)).toHaveCount(26)
  await page.getByRole('button', { name: 'Export' }).click()
  const dialog = page.getByRole('dialog')
  for (const [name, begin] of [
    ['CSV', '"time","id","what","outcome","http_code","src_ip","account","source"'],
    ['NDJSON', '{"'],
    ['Parquet', 'PAR1'],
  ] as const) {
    await dialog.getByRole('radio', { name }).check()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      dialog.getByRole('button', { name: 'Download' }).click(),
    ])
    expect(download.suggestedFilename()).toMatch(/^plura-hunt-[\dT-]+\.(csv|ndjson|parquet)$/)
    const text = readFileSync(await download.path(), 'latin1')
    expect(text.replace(/^\u00EF\u00BB\u00BF/, '').startsWith(begin)).toBe(true)
    if (name !== 'Parquet') expect(text.trim().split(/\r?\n/).length).toBe(name === 'CSV' ? 27 : 26)
    await expect(dialog.getByText(/^Downloaded/)).toBeVisible()
  }
  await dialog.getByRole('radio', { name: 'NDJSON' }).check()
  await dialog.getByRole('radio', { name: 'All columns' }).check()
  const [whole] = await Promise.all([
    page.waitForEvent('download'),
    dialog.getByRole('button', { name: 'Download' }).click(),
  ])
  expect(readFileSync(await whole.path(), 'utf8')).toContain('request_headers')
})

test('by role: who may not search is not led here, who may not write rules is not offered it', async ({
  visit,
}) => {
  const viewer = await visit({ role: 'viewer' })
  await viewer.goto('/')
  await expect(viewer.getByRole('link', { name: 'Incidents', exact: false }).first()).toBeVisible()
  await expect(viewer.getByRole('link', { name: 'Hunt' })).toHaveCount(0)
  await viewer.goto('/hunt')
  await expect(viewer.getByText('Your role may not search events')).toBeVisible()
  for (const role of ['auditor', 'analyst', 'responder'] as const) {
    const page = await visit({ role })
    await page.goto('/hunt?q=path%3A%2Flogin')
    await expect(rows(page)).toHaveCount(26)
    await expect(page.getByRole('button', { name: 'Export' })).toBeVisible()
    await expect(page.getByRole('button', { name: 'Save as detection' })).toHaveCount(0)
    const status = await page.evaluate(async () => {
      const me = await (await fetch('/api/v1/me')).json()
      const headers = { 'content-type': 'application/json', 'plura-csrf': me.csrf }
      const body = JSON.stringify({ text: 'title: x', reason: 'y' })
      return (await fetch('/api/v1/sigma/rules', { method: 'POST', headers, body })).status
    })
    expect(status).toBe(403)
  }
})

for (const language of LANGUAGES) {
  test(`in ${language}: words, nothing wider than a telephone, nothing serious`, async ({
    visit,
  }) => {
    const page = await visit({ role: 'admin', language, width: 390, theme: 'dark' })
    const w = (key: Parameters<typeof words>[1]) => words(language, key)
    for (const path of ['/hunt', '/hunt?mode=sql', '/hunt?q=nofield%3A1', '/hunt?tail=true']) {
      await page.goto(path)
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(w('page.hunt'))
      await expect(page.getByRole('button', { name: w('hunt.kept') })).toBeVisible()
      await expect(page.locator('.loading')).toHaveCount(0)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth)
      expect(wide, path).toBeLessThanOrEqual(390)
      const seen = await page.locator('main').innerText()
      expect(seen).not.toMatch(/\bhunt\.[a-z]/)
      expect(seen).not.toContain('{{')
      const { violations } = await new AxeBuilder({ page }).analyze()
      expect(
        violations.filter(({ impact }) => impact === 'serious' || impact === 'critical'),
        path,
      ).toEqual([])
    }
  })
}
