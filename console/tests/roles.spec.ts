import { LANGUAGES, expect, test, words, type Language, type Role } from './house'

/** What each role may do, in the language of one of them: the buttons it sees, and what the server says. */
const CASES: {
  role: Role
  language: Language
  decides: boolean
  writes: boolean
  audits: boolean
  exports: boolean
}[] = [
  { role: 'viewer', language: 'en', decides: false, writes: false, audits: false, exports: false },
  { role: 'viewer', language: 'ko', decides: false, writes: false, audits: false, exports: false },
  { role: 'viewer', language: 'ja', decides: false, writes: false, audits: false, exports: false },
  { role: 'auditor', language: 'ko', decides: false, writes: false, audits: true, exports: true },
  { role: 'analyst', language: 'ja', decides: false, writes: true, audits: false, exports: false },
  { role: 'responder', language: 'ko', decides: true, writes: true, audits: false, exports: true },
  { role: 'admin', language: 'en', decides: true, writes: true, audits: true, exports: true },
]

for (const { role, language, decides, writes, audits, exports } of CASES) {
  test(`${role} in ${language}`, async ({ visit }) => {
    const w = (key: Parameters<typeof words>[1]) => words(language, key)
    const page = await visit({ role, language })
    await page.goto('/response')
    const cards = page.locator('article.action')
    await expect(cards.first()).toBeVisible()
    await expect(page.getByRole('button', { name: w('decide.approve'), exact: true })).toHaveCount(
      decides ? await cards.count() : 0,
    )

    const audit = page.getByRole('navigation', { name: w('ui.nav') }).getByText(w('page.audit'))
    await expect(audit).toHaveCount(audits ? 1 : 0)
    await page.goto('/audit')
    if (audits) await expect(page.getByRole('table')).toBeVisible()
    else await expect(page.getByRole('alert').first()).toContainText(w('problem.forbidden'))

    await page.goto('/incidents')
    const first = page.locator('table.queue tbody tr').first()
    await expect(first).toBeVisible()
    await expect(first.getByRole('checkbox')).toHaveCount(writes ? 1 : 0)
    await first.getByRole('link').click()
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await expect(page.getByRole('button', { name: w('incident.export') })).toHaveCount(
      exports ? 1 : 0,
    )
    await expect(page.getByLabel(w('incident.status'), { exact: true })).toHaveCount(writes ? 1 : 0)
    await page.getByRole('link', { name: new RegExp(`^${w('incident.tab.talk')}`) }).click()
    await expect(page.getByLabel(w('talk.label'), { exact: true })).toHaveCount(writes ? 1 : 0)

    // No key of a language is left on the screen.
    const seen = await page.locator('body').innerText()
    expect(seen).not.toMatch(/\b(ui|incident|story|rule|decide|page|action)\.[a-z]/)
    expect(seen).not.toContain('{{')

    // What is not offered is refused all the same.
    const answer = await page.evaluate(async () => {
      const me = await (await fetch('/api/v1/me')).json()
      const list = await (await fetch('/api/v1/actions?state=awaiting-approval')).json()
      const path = `/api/v1/actions/${list.items[0].id}/approve`
      const headers = { 'content-type': 'application/json', 'plura-csrf': me.csrf }
      return (await fetch(path, { method: 'POST', headers, body: '{"reason":" "}' })).status
    })
    expect(answer).toBe(decides ? 400 : 403)
  })
}

test('a viewer is told that events are not for the role', async ({ visit }) => {
  const page = await visit({ role: 'viewer' })
  await page.goto('/incidents')
  await page.locator('table.queue tbody tr a').first().click()
  await page.getByRole('link', { name: /^Findings and evidence/ }).click()
  await expect(page.getByText('Your role may not see events.').first()).toBeVisible()
})

for (const language of LANGUAGES) {
  test(`somebody with two tenants sees them apart, in ${language}`, async ({ visit }) => {
    const page = await visit({ role: 'owner', language })
    await page.goto('/')
    await expect(page).toHaveURL(/tenant=default/)
    await expect(page.locator('.incident-line').first()).toBeVisible()
    await page.getByRole('button', { name: words(language, 'tenant.switch') }).click()
    await page.getByRole('menuitem', { name: /Second house/ }).click()
    await expect(page).toHaveURL(/tenant=second/)
    await expect(
      page.getByText(words(language, 'overview.incidents.none'), { exact: true }),
    ).toBeVisible()
    await expect(page.getByText(words(language, 'evidence.none'), { exact: true })).toBeVisible()
    await page.goto('/incidents')
    await expect(page).toHaveURL(/tenant=second/)
    await expect(page.getByText(words(language, 'incidents.none'), { exact: true })).toBeVisible()
  })
}

test('back to another tenant: the rows are of the tenant that is named', async ({ visit }) => {
  const page = await visit({ role: 'owner' })
  const named = page.locator('#sidebar .tenant-name')
  const rows = page.locator('table.queue tbody tr')
  await page.goto('/incidents?tenant=default')
  await expect(rows.first()).toBeVisible()
  const count = await rows.count()
  await page.getByRole('button', { name: 'Switch tenant' }).click()
  await page.getByRole('menuitem', { name: /Second house/ }).click()
  await expect(named).toHaveText('Second house')
  await page.getByRole('link', { name: /^Incidents/ }).click()
  await expect(page.getByText('No incidents', { exact: true })).toBeVisible()
  await expect(rows).toHaveCount(0)

  // Whatever is on screen while the answers come late, it is of the tenant that is named.
  await page.route('**/api/v1/incidents**', async (route) => {
    await new Promise((done) => setTimeout(done, 500))
    await route.continue()
  })
  const look = () =>
    page.evaluate(() => ({
      name: document.querySelector('#sidebar .tenant-name')?.textContent ?? '',
      rows: document.querySelectorAll('table.queue tbody tr').length,
    }))
  for (const [go, tenant, shown] of [
    ['back', 'default', count],
    ['forward', 'second', 0],
  ] as const) {
    const steps = go === 'back' ? -2 : 2
    await page.evaluate((by) => history.go(by), steps)
    await expect(async () => {
      const seen = await look()
      if (/Second/.test(seen.name)) expect(seen.rows).toBe(0)
      expect(page.url()).toContain(`tenant=${tenant}`)
      expect(/Second/.test(seen.name)).toBe(tenant === 'second')
    }).toPass({ intervals: [20] })
    await expect(rows).toHaveCount(shown)
  }
})

test("a link to a tenant of somebody else leads to one of one's own", async ({ visit }) => {
  for (const tenant of ['elsewhere', 'Not%20A%20Tenant!']) {
    const page = await visit({ role: 'analyst' })
    await page.goto(`/incidents?tenant=${tenant}`)
    await expect(page.locator('table.queue tbody tr').first()).toBeVisible()
    await expect(page).not.toHaveURL(/tenant=/)
  }
})

test('a server that does not answer any more does not look healthy', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/incidents')
  await expect(page.locator('table.queue tbody tr').first()).toBeVisible()
  await page.route('**/api/v1/**', (route) => route.abort())
  await expect(page.locator('.stale').first()).toContainText('The server does not answer', {
    timeout: 40_000,
  })
  await expect(page.locator('table.queue tbody tr').first()).toBeVisible()
  await page.unroute('**/api/v1/**')
  await page.locator('.stale').getByRole('button', { name: 'Try again' }).first().click()
  await expect(page.locator('.stale')).toHaveCount(0)
})

test('a tile of the overview leads to as many incidents as it counts', async ({ visit }) => {
  const page = await visit({ role: 'viewer' })
  for (const severity of ['Critical', 'High', 'Medium', 'Low']) {
    await page.goto('/')
    const tile = page.locator('.tally').getByRole('link', { name: severity })
    const count = Number(await tile.locator('strong').innerText())
    await tile.click()
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Incidents')
    await expect(page.locator('table.queue tbody tr')).toHaveCount(count)
    const chosen = page.getByLabel('Severity', { exact: true }).locator('option:checked')
    await expect(chosen).toHaveText(severity === 'Critical' ? severity : `${severity} only`)
  }
})
