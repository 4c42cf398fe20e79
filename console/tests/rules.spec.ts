import type { Page } from '@playwright/test'
import { LANGUAGES, expect, send, test, words, type Role } from './house'
import { LOUD_ID, RULE_ID } from './story'

const TITLE = 'Log-in from a documentation network'

/** The rule of the story, once its hits are counted. */
async function hitRow(page: Page) {
  await page.goto('/rules?q=documentation')
  const row = page.locator('table.rules tbody tr[aria-rowindex]').first()
  await expect(row).toContainText(TITLE)
  await expect(row.locator('.rules-hits')).toHaveText('1', { useInnerText: true })
  return row
}

/** One after the other: the server runs one replay at once. */
test.describe.configure({ mode: 'default' })

test('the list: hits, filters, sorting and keys, all in the address', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await page.keyboard.press('g')
  await page.keyboard.press('u')
  await expect(page).toHaveURL(/\/rules$/)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Rules')
  const rows = page.locator('table.rules tbody tr[aria-rowindex]')
  await expect(rows.first()).toContainText(TITLE)
  await expect(page.locator('.rules-foot')).toContainText(/\d+ of \d+ rules · \d+ on/)

  await page.keyboard.press('/')
  await page.keyboard.type('any request')
  await expect(rows).toHaveCount(1)
  await expect(page).toHaveURL(/q=any/)
  await expect(rows.first().locator('.rules-state')).toHaveText('Off')
  await page.getByRole('button', { name: 'Clear filters' }).click()

  await page.getByLabel('Pack', { exact: true }).selectOption('ransomware-early')
  await expect(rows.filter({ hasText: 'Recovery at start' })).toHaveCount(1)
  await expect(rows.filter({ hasText: TITLE })).toHaveCount(0)
  await page.getByLabel('State', { exact: true }).selectOption('broken')
  await expect(page.getByText('No rule matches these filters')).toBeVisible()
  await page.getByLabel('Pack', { exact: true }).selectOption('house-pack')
  await expect(rows).toHaveCount(1)
  await rows.first().getByRole('link').first().click()
  await expect(page.getByRole('alert')).toContainText('This rule cannot run')
  await page.goBack()
  await page.getByRole('button', { name: 'Clear filters' }).click()

  await page.getByLabel('Sort by', { exact: true }).selectOption('title')
  await expect(page).toHaveURL(/sort=title/)
  await page.getByRole('heading', { level: 1 }).click()
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  await expect(rows.nth(1).getByRole('link').first()).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/rules\/.+/)
  await page.goBack()
  await expect(page).toHaveURL(/sort=title/)
  await hitRow(page)
})

test('thousands of rules: only what is in sight is drawn', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  const all = Array.from({ length: 3755 }, (_, n) => ({
    id: `rule-${`${n}`.padStart(5, '0')}`,
    title: `Rule number ${`${n}`.padStart(5, '0')}`,
    kind: 'rule',
    origin: 'public',
    version: 1,
    enabled: n % 3 > 0,
    level: ['low', 'medium', 'high', 'critical'][n % 4],
    status: 'test',
    tags: [`attack.t1${`${n % 600}`.padStart(3, '0')}`, 'attack.execution'],
    logsource: 'windows/process_creation',
    served: true,
    problems: [],
  }))
  await page.route('**/api/v1/sigma/rules?*', async (route) => {
    const after = new URL(route.request().url()).searchParams.get('after')
    const from = after ? all.findIndex(({ id }) => id === after) + 1 : 0
    const items = all.slice(from, from + 500)
    const next = from + 500 < all.length ? items.at(-1)?.id : undefined
    const json = { items, next, total: all.length, enabled: 2503, broken: 0, faults: [] }
    await route.fulfill({ json })
  })
  await page.goto('/rules?sort=title')
  await expect(page.locator('.rules-foot')).toContainText('3755 of 3755 rules · 2503 on')
  const rows = page.locator('table.rules tbody tr[aria-rowindex]')
  expect(await rows.count()).toBeLessThan(80)
  await page.locator('.windowed').evaluate((box) => (box.scrollTop = box.scrollHeight))
  await expect(rows.last()).toContainText('Rule number 03754')
  expect(await rows.count()).toBeLessThan(80)
  await page.locator('.windowed').evaluate((box) => (box.scrollTop = box.scrollHeight / 2))
  await expect(rows.filter({ hasText: 'Rule number 01877' })).toBeVisible()
  await page.getByLabel('Filter by text', { exact: true }).fill('01234')
  await expect(rows).toHaveCount(1)
  await expect(rows.first()).toContainText('Rule number 01234')
  await page.getByRole('link', { name: 'ATT&CK coverage' }).click()
  await expect(page.locator('.matrix .cell').first()).toBeVisible()
})

test('coverage leads from a technique to its rules', async ({ visit }) => {
  const page = await visit({ role: 'auditor' })
  await hitRow(page)
  await page.goto('/rules?view=coverage')
  const column = page.locator('.matrix-column').filter({ hasText: 'Credential access' })
  const cell = column.getByRole('link', { name: /T1110\.004/ })
  await expect(cell).toContainText('1 of 1 on')
  await expect(cell).toContainText('hits: 1')
  const tactics = await page.locator('.matrix-column h2').allInnerTexts()
  const at = (name: string) => tactics.findIndex((text) => text.startsWith(name))
  expect(at('Reconnaissance')).toBeLessThan(at('Execution'))
  expect(at('Execution')).toBeLessThan(at('Credential access'))
  expect(at('Credential access')).toBeLessThan(at('Impact'))
  await cell.focus()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/tag=attack\.t1110\.004/)
  await expect(page.locator('table.rules tbody tr[aria-rowindex]')).toHaveCount(1)
})

test('a rule: author, description, references, hits, findings and their incident', async ({
  visit,
}) => {
  const page = await visit({ role: 'analyst' })
  const row = await hitRow(page)
  await row.getByRole('link').first().click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(TITLE)
  const facts = page.getByRole('complementary', { name: 'Details' })
  await expect(facts).toContainText('Ada <img src=x onerror=window.__hit=1>')
  await expect(facts).toContainText('DRL-1.1')
  const about = page.locator('.rule-about')
  await expect(about).toContainText('Somebody logs in from 203.0.113.0/24.')
  await expect(about).toContainText('Writers of documentation')
  const link = about.getByRole('link', { name: /plura\.example/ })
  await expect(link).toHaveAttribute('rel', /noopener noreferrer/)
  await expect(about).toContainText('javascript:window.__hit=1')
  await expect(about.getByRole('link')).toHaveCount(1)
  await expect(page.locator('.rule-hits strong')).toHaveText('1')
  const finding = page.locator('.panel .lines a.incident-line').first()
  await finding.click()
  await expect(page).toHaveURL(/\/incidents\/.+tab=findings/)
  expect(await page.evaluate(() => '__hit' in window)).toBe(false)

  await page.goto(`/rules/${RULE_ID}?view=text`)
  await expect(page.locator('pre.rule-text')).toContainText('c-ip|cidr: 203.0.113.0/24')
  await page.goto('/rules/no-such-rule')
  await expect(page.getByRole('alert')).toContainText('This does not exist in this tenant')
})

test('a new rule: checked, saved switched off, replayed, switched on, changed, deleted', async ({
  visit,
}) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/rules')
  await page.getByRole('link', { name: 'New rule' }).click()
  await page.getByRole('button', { name: 'Start from an example' }).click()
  const area = page.getByLabel('Sigma rule (YAML)')
  const check = page.getByRole('region', { name: 'Check' })
  await expect(check).toContainText('It can run.')
  const good = await area.inputValue()
  await area.fill(good.replace('condition: selection', 'condition: selektion'))
  await expect(check).toContainText('It cannot run')
  await expect(check).toContainText('selektion')
  await check
    .getByRole('button', { name: /^Line \d+/ })
    .first()
    .click()
  expect(
    await area.evaluate((node: HTMLTextAreaElement) =>
      node.value.slice(node.selectionStart, node.selectionEnd),
    ),
  ).toContain('selektion')
  const title = `Product pages ${Date.now()}`
  await area.fill(
    good.replace('Requests for the admin path', title).replaceAll('/admin', '/products'),
  )
  await expect(check).toContainText('It can run.')
  await expect(page.getByRole('radio', { name: /^Shadow/ })).toBeChecked()
  const save = page.getByRole('button', { name: 'Save switched off, then replay' })
  await save.click()
  await expect(page.getByText('A reason is needed')).toBeVisible()
  await page.getByLabel('Why', { exact: true }).fill('to see how often')
  await save.click()

  await expect(page).toHaveURL(/\/rules\/.+view=replay/)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(title)
  await page.getByRole('button', { name: 'Run replay' }).click()
  const result = page.locator('.panel').filter({ hasText: 'What it would have found' })
  await expect(result.locator('.replay-figures')).toContainText('40')
  await expect(result.locator('.replay-columns')).toContainText('192.0.2.10')
  await expect(result.locator('table.events button').first()).toBeVisible()
  await result.getByRole('button', { name: 'Switch on' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('nothing follows from them')
  await dialog.getByLabel('Why', { exact: true }).fill('quiet enough')
  await dialog.getByRole('button', { name: 'Switch on' }).click()
  await expect(page.locator('.incident-head')).toContainText('On')
  await expect(page.getByRole('complementary', { name: 'Details' })).toContainText('quiet enough')

  await page.getByRole('navigation', { name: 'Parts of the rule' }).getByText('Text').click()
  await page.getByRole('button', { name: 'Edit' }).click()
  const text = await area.inputValue()
  await area.fill(text.replace('level: low', 'level: informational'))
  await page.getByLabel('Why', { exact: true }).fill('less grave')
  await expect(check).toContainText('It can run.')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await expect(page.locator('pre.rule-text')).toContainText('level: informational')
  await expect(page.locator('.incident-head')).toContainText('Informational')

  await page.getByRole('button', { name: 'Delete' }).click()
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await expect(page).toHaveURL(/\/rules$/)
  await expect(page.getByText(title)).toHaveCount(0)
})

test('a rule moves from shadow over canary to enforced, and back', async ({ visit }) => {
  test.slow()
  const page = await visit({ role: 'admin' })
  const now = Date.now()
  const path = `/staged-${now}`
  const title = `Staged ${now}`
  let sequence = now
  const ask = (ip: string) =>
    send(page, [
      {
        metadata: { log_source: 'rules-spec', sequence: ++sequence, log_format: 'gateway' },
        time: Date.now(),
        class_uid: 4002,
        src_endpoint: { ip },
        http_request: { http_method: 'GET', url: { path } },
        http_response: { code: 200 },
      },
    ])
  const head = page.locator('.incident-head')
  const lines = page.locator('.panel .lines .incident-line')
  const dialog = page.getByRole('dialog')
  /** Findings come a moment after their events. */
  const found = async (count: number) => {
    await expect(async () => {
      await page.reload()
      await expect(lines).toHaveCount(count, { timeout: 2000 })
    }).toPass()
  }

  await page.goto('/rules?view=new')
  await page.getByRole('button', { name: 'Start from an example' }).click()
  const area = page.getByLabel('Sigma rule (YAML)')
  const text = await area.inputValue()
  await area.fill(
    text
      .replace('Requests for the admin path', title)
      .replaceAll('/admin', path)
      .replace('level: low', 'level: medium'),
  )
  await expect(page.getByRole('radio', { name: /^Shadow/ })).toBeChecked()
  await page.getByLabel('Why', { exact: true }).fill('to be looked at')
  await expect(page.getByRole('region', { name: 'Check' })).toContainText('It can run.')
  await page.getByRole('button', { name: 'Save and switch on' }).click()
  await expect(head).toContainText(title)
  await expect(head).toContainText('On')
  await expect(head).toContainText('Shadow')

  // In shadow: its finding is there to be looked at, and in no incident.
  await ask('198.51.100.88')
  await found(1)
  await expect(lines.first()).toContainText('Shadow')
  await expect(page.locator('.panel .lines a.incident-line')).toHaveCount(0)
  await lines.first().click()
  const card = page.locator('.finding-here')
  await expect(card.getByRole('heading', { name: title })).toBeVisible()
  await expect(card).toContainText(path)
  await page.goto('/incidents')
  await expect(page.locator('table.queue tbody tr').first()).toBeVisible()
  await expect(page.locator('table.queue')).not.toContainText('198.51.100.88')

  // On to canary, with a reason.
  await page.goto(`/rules?q=${now}&stage=shadow`)
  const row = page.locator('table.rules tbody tr[aria-rowindex]')
  await expect(row.locator('.rules-state')).toContainText('Shadow')
  await row.getByRole('link').first().click()
  await page.getByRole('button', { name: 'Change stage' }).click()
  await expect(dialog.getByRole('radio', { name: /^Canary/ })).toBeChecked()
  await dialog.getByRole('radio', { name: /^Enforced/ }).check()
  await expect(dialog).toContainText('This leaves out canary')
  await dialog.getByRole('radio', { name: /^Shadow/ }).check()
  await expect(dialog.getByRole('button', { name: 'Move to: Shadow' })).toBeDisabled()
  await dialog.getByRole('radio', { name: /^Canary/ }).check()
  await dialog.getByRole('button', { name: 'Move to: Canary' }).click()
  await expect(dialog).toContainText('A reason is needed')
  await dialog.getByLabel('Why', { exact: true }).fill('its findings are right')
  await dialog.getByRole('button', { name: 'Move to: Canary' }).click()
  await expect(head).toContainText('Canary')
  const facts = page.getByRole('complementary', { name: 'Details' })
  await expect(facts).toContainText('its findings are right')

  // The next event makes an incident; what was found before stays as it was found.
  await ask('198.51.100.89')
  await found(2)
  await expect(lines.nth(1)).toContainText('Shadow')
  await expect(lines.first()).toContainText('Canary')
  await lines.first().click()
  await expect(page).toHaveURL(/\/incidents\/.+tab=findings/)
  const section = page.locator('section.panel').filter({ hasText: title }).first()
  await expect(section.locator('.finding-head')).toContainText('Canary')
  await section.getByRole('link', { name: 'About this rule' }).click()

  await page.getByRole('button', { name: 'Change stage' }).click()
  await expect(dialog.getByRole('radio', { name: /^Enforced/ })).toBeChecked()
  await expect(dialog).toContainText('Actions come into force as the policy says')
  await dialog.getByLabel('Why', { exact: true }).fill('looked at')
  await dialog.getByRole('button', { name: 'Move to: Enforced' }).click()
  await expect(head).not.toContainText('Canary')
  await page.goto(`/rules?q=${now}&stage=canary`)
  await expect(page.getByText('No rule matches these filters')).toBeVisible()
  await page.getByLabel('Stage', { exact: true }).selectOption('Enforced')
  await expect(page).toHaveURL(/stage=enforce/)
  await row.getByRole('link').first().click()
  await page.getByRole('button', { name: 'Change stage' }).click()
  await dialog.getByRole('radio', { name: /^Shadow/ }).check()
  await dialog.getByLabel('Why', { exact: true }).fill('back')
  await dialog.getByRole('button', { name: 'Move to: Shadow' }).click()
  await expect(head).toContainText('Shadow')

  // Nothing of it is left for others to count.
  await page.evaluate(async (rule) => {
    const me = await (await fetch('/api/v1/me')).json()
    const headers = { 'content-type': 'application/json', 'plura-csrf': me.csrf }
    const { items } = await (await fetch('/api/v1/incidents?limit=100')).json()
    for (const { id, title } of items as { id: string; title: string }[]) {
      if (title !== rule) continue
      const body = JSON.stringify({ status: 'closed' })
      await fetch(`/api/v1/incidents/${id}`, { method: 'PATCH', headers, body })
    }
    await fetch(`/api/v1/sigma/rules/${rule}`, { method: 'DELETE', headers })
  }, new URL(page.url()).pathname.split('/').at(-1))
})

test('a loud rule is told before it is switched on', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  await page.goto(`/rules/${LOUD_ID}?view=replay`)
  await page.getByRole('button', { name: 'Run replay' }).click()
  await expect(page.locator('.warn')).toContainText('It would be loud')
  await page.locator('.panel .panel-head').getByRole('button', { name: 'Switch on' }).click()
  await expect(page.getByRole('dialog')).toContainText('It would be loud')
  await page.getByRole('button', { name: 'Cancel' }).click()
  await expect(page.locator('.incident-head')).toContainText('Off')
})

test('a replay that is cancelled has hung up', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.route('**/replay?*', () => new Promise(() => undefined))
  await page.goto(`/rules/${LOUD_ID}?view=replay`)
  await page.getByRole('button', { name: 'Run replay' }).click()
  await expect(page.getByText(/s, 40 s at most/)).toBeVisible()
  const ended = page.waitForEvent('requestfailed', (request) => request.url().includes('/replay'))
  await page.getByRole('button', { name: 'Cancel' }).click()
  await ended
  await expect(page.getByText('Cancelled; the server has stopped as well.')).toBeVisible()
  await expect(page.getByRole('alert')).toHaveCount(0)
})

test('an exception from a finding: its scope, seven days, and back', async ({ visit }) => {
  const page = await visit({ role: 'responder' })
  await hitRow(page)
  await page.goto(`/rules/${RULE_ID}`)
  await page.locator('.panel .lines a.incident-line').first().click()
  const card = page.locator('section.panel').filter({ hasText: TITLE }).first()
  await expect(card.getByRole('link', { name: 'About this rule' })).toHaveAttribute(
    'href',
    new RegExp(RULE_ID),
  )
  await card.getByRole('button', { name: 'Make an exception' }).click()
  const dialog = page.getByRole('dialog')
  const values = dialog.getByLabel('Value', { exact: true })
  await expect(values.nth(0)).toHaveValue('shop.example')
  await expect(values.nth(1)).toHaveValue('/login')
  await expect(dialog.getByLabel('Holds for')).toHaveValue('7')
  const why = `tests of ${Date.now()}`
  await dialog.getByRole('button', { name: 'Keep it quiet' }).click()
  await expect(dialog.getByText('A reason is needed')).toBeVisible()
  await dialog.getByLabel('Why', { exact: true }).fill(why)
  await dialog.getByRole('button', { name: 'Keep it quiet' }).click()
  await expect(dialog).toHaveCount(0)

  await page.goto('/rules?view=exceptions')
  const row = page.locator('table.exceptions tbody tr').filter({ hasText: why })
  await expect(row).toContainText('cs-uri-stem: /login')
  await expect(row).toContainText('cs-host: shop.example')
  await expect(row).toContainText('the-responder')
  await expect(row).toContainText(/6 days|7 days/)
  await row.getByRole('button', { name: 'Take back' }).click()
  await dialog.getByRole('button', { name: 'Take back' }).click()
  await expect(row).toHaveCount(0)
  await page.getByRole('link', { name: 'Ended' }).click()
  await expect(row).toContainText('taken back')
})

test('packs: who signed them, what could not be read, and what a selection would change', async ({
  visit,
}) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/rules?view=packs')
  const row = page.locator('table.packs tbody tr').filter({ hasText: 'ransomware-early' })
  await expect(row).toContainText('not signed')
  await expect(page.locator('.diagnostics')).toContainText('unreadable.yml')
  const preview = page.locator('.selection-preview')
  await expect(preview).toContainText(/\d+ of \d+ rules of packs are on/)
  await page.getByLabel('Level', { exact: true }).selectOption('critical')
  await expect(preview).toContainText(/Now \d+ on, then \d+: 0 switched on, [1-9]\d* switched off/)
  const after = Number(/then (\d+):/.exec(await preview.innerText())?.[1])
  await page.getByRole('button', { name: 'Save selection' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Why', { exact: true }).fill('only the gravest')
  await dialog.getByRole('button', { name: 'Save selection' }).click()
  await expect(dialog).toHaveCount(0)
  await expect(preview).toContainText(new RegExp(`^${after} of \\d+ rules of packs are on`))
  await page.getByLabel('Level', { exact: true }).selectOption('')
  await page.getByRole('button', { name: 'Save selection' }).click()
  await dialog.getByLabel('Why', { exact: true }).fill('back')
  await dialog.getByRole('button', { name: 'Save selection' }).click()
  await expect(dialog).toHaveCount(0)
})

const CASES: { role: Role; writes: boolean; excepts: boolean }[] = [
  { role: 'auditor', writes: false, excepts: false },
  { role: 'analyst', writes: false, excepts: false },
  { role: 'responder', writes: false, excepts: true },
  { role: 'admin', writes: true, excepts: true },
]

for (const { role, writes, excepts } of CASES) {
  test(`${role}: what is offered about rules`, async ({ visit }) => {
    const page = await visit({ role })
    await page.goto('/rules')
    await expect(page.locator('table.rules tbody tr[aria-rowindex]').first()).toBeVisible()
    await expect(page.getByRole('link', { name: 'New rule' })).toHaveCount(writes ? 1 : 0)
    expect((await page.getByRole('switch').count()) > 0).toBe(writes)
    await page.goto('/rules?view=new')
    await expect(page.getByLabel('Sigma rule (YAML)')).toHaveCount(writes ? 1 : 0)
    await page.goto(`/rules/${LOUD_ID}?view=text`)
    await expect(page.locator('pre.rule-text')).toBeVisible()
    for (const name of ['Edit', 'Delete', 'Switch on', 'Change stage']) {
      await expect(page.getByRole('button', { name, exact: true })).toHaveCount(writes ? 1 : 0)
    }
    await expect(page.getByRole('button', { name: 'Make an exception' })).toHaveCount(
      excepts ? 1 : 0,
    )
    await page.goto('/rules?view=packs')
    await expect(page.locator('.selection-preview')).toBeVisible()
    await expect(page.getByRole('button', { name: 'Save selection' })).toHaveCount(writes ? 1 : 0)

    // What is not offered is refused all the same.
    const answer = await page.evaluate(async (id) => {
      const me = await (await fetch('/api/v1/me')).json()
      const headers = { 'content-type': 'application/json', 'plura-csrf': me.csrf }
      const send = async (method: string, path: string, body: unknown) =>
        (await fetch(path, { method, headers, body: JSON.stringify(body) })).status
      return [
        await send('PUT', `/api/v1/sigma/rules/${id}`, { enabled: true, reason: ' ' }),
        await send('PUT', `/api/v1/sigma/rules/${id}`, { stage: 'canary', reason: ' ' }),
        await send('POST', '/api/v1/sigma/exceptions', { rule: id, reason: ' ' }),
      ]
    }, LOUD_ID)
    expect(answer).toEqual([writes ? 400 : 403, writes ? 400 : 403, excepts ? 400 : 403])
  })
}

test('a viewer has no such page', async ({ visit }) => {
  const page = await visit({ role: 'viewer' })
  await page.goto('/incidents')
  await expect(page.locator('table.queue tbody tr').first()).toBeVisible()
  await expect(page.getByRole('navigation', { name: 'Pages' }).getByText('Rules')).toHaveCount(0)
  await page.goto('/rules')
  await expect(page.getByRole('alert').first()).toContainText('Your role may not do this here')
})

for (const language of LANGUAGES) {
  test(`every part in words, in ${language}`, async ({ visit }) => {
    const page = await visit({ role: 'admin', language })
    const parts = [
      '',
      '?view=coverage',
      '?view=noise',
      '?view=exceptions',
      '?view=packs',
      '?view=new',
    ]
    const one = ['', '?view=replay', '?view=exceptions', '?view=text'].map(
      (it) => `/${RULE_ID}${it}`,
    )
    for (const part of [...parts, ...one]) {
      await page.goto(`/rules${part}`)
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
      await expect(page.locator('.loading')).toHaveCount(0)
      const seen = await page.locator('body').innerText()
      expect(seen, part).not.toMatch(
        /\b(rules|rule|stage|except|replay|packs|noise|coverage)\.[a-z]+\.?[a-z]*\b(?<!yml)/,
      )
      expect(seen, part).not.toContain('{{')
    }
    await page.goto('/rules?view=new')
    const shadow = page.getByRole('radio', { name: words(language, 'stage.shadow.text') })
    await expect(shadow).toBeChecked()
    await page.goto(`/rules/${LOUD_ID}?view=replay`)
    await page.getByRole('button', { name: words(language, 'rules.stage.change') }).click()
    const dialog = page.getByRole('dialog', { name: words(language, 'rules.stage.title') })
    await expect(dialog.getByText(words(language, 'stage.canary.text'))).toBeVisible()
    await dialog.getByRole('button', { name: words(language, 'ui.cancel') }).click()
    await page.getByRole('button', { name: words(language, 'replay.go') }).click()
    await expect(page.getByText(words(language, 'replay.result'))).toBeVisible()
    await expect(page.locator('.warn')).toContainText(words(language, 'replay.loud.text'))
  })
}

test('what others wrote into rules is text', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  for (const path of ['/rules?q=onerror', '/rules?view=noise', '/rules?view=packs']) {
    await page.goto(path)
    await expect(page.locator('.loading')).toHaveCount(0)
    expect(await page.evaluate(() => '__hit' in window)).toBe(false)
  }
  await page.goto('/rules?q=onerror')
  await page.getByRole('link', { name: /^'?"><img/ }).click()
  await expect(page.getByRole('heading', { level: 1 })).toContainText('<img src=x')
  await expect(page.locator('.rule-about')).toContainText('<script>')
  expect(await page.evaluate(() => '__hit' in window)).toBe(false)
  expect(await page.locator('script:not([src]), [onerror], img[src="x"]').count()).toBe(0)
})
