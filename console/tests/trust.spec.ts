import type { Page } from '@playwright/test'
import { LANGUAGES, expect, house, test, words } from './house'

const SITE = `grants:
  - {subjects: [trust-alice], actions: [read], resources: ["record:ledger"]}
`

const CASES = `scenarios:
  - id: any-score
    signals: {identity: {mfa_result: success}}
    expected: {trust: [0, 100], decision: [step_up]}
  - id: never
    signals: {identity: {mfa_result: fail}}
    expected: {trust: [99, 100], decision: [allow]}
`

/** Decisions as an enforcement point makes them: alice may read the record, mallory may not. */
async function decide(page: Page) {
  const { csrf } = (await (await page.request.get('/api/v1/me')).json()) as { csrf: string }
  const headers = { 'plura-csrf': csrf }
  const site = await page.request.put('/api/v1/trust/site', {
    headers,
    data: { text: SITE, reason: 'trust tests' },
  })
  expect(site.ok(), await site.text()).toBe(true)
  const made = await page.request.post('/api/v1/tokens', {
    headers,
    data: { name: `trust-${Date.now()}`, scopes: ['decide'] },
  })
  expect(made.ok(), await made.text()).toBe(true)
  const { token } = (await made.json()) as { token: string }
  for (const id of ['trust-alice', 'trust-mallory']) {
    const answer = await fetch(`${house().base}/access/v1/evaluation`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        subject: { type: 'user', id },
        action: { name: 'read' },
        resource: { type: 'record', id: 'ledger' },
      }),
    })
    expect(answer.ok, await answer.text()).toBe(true)
  }
}

test('a decision is explained, and tried again with other signals', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  await decide(page)
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await page.keyboard.press('g')
  await page.keyboard.press('t')
  await expect(page).toHaveURL(/\/trust/)
  await page.getByLabel('Outcome').selectOption('Refused')
  await expect(page).toHaveURL(/permit=false/)
  await page.getByLabel('Session').fill('user:trust-mallory')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/session=/)
  await page.locator('.trust-line a').first().click()
  const sums = page.getByRole('table', { name: 'How the score adds up' })
  // The addends make the score, to the hundredth.
  const parts = await sums.locator('tbody tr td:nth-child(3)').allInnerTexts()
  const sum = parts.reduce((all, text) => all + Math.round(Number(text) * 100), 0)
  const score = await page.locator('.trust-score-number strong').innerText()
  expect(sum).toBe(Math.round(Number(score) * 100))
  await expect(sums.locator('tfoot')).toContainText(score)
  await expect(sums).toContainText('right to the resource')
  await expect(page.getByRole('link', { name: /account trust-mallory/i })).toBeVisible()

  await page.getByRole('link', { name: 'Try in what-if' }).click()
  await expect(page).toHaveURL(/signals=/)
  await expect(page.getByLabel('authorization', { exact: true })).toHaveValue('mismatch')
  const tried = page.locator('.trust-score-number strong')
  await expect(tried).toHaveText(score)
  await page.getByLabel('authorization', { exact: true }).selectOption('match')
  await expect(tried).not.toHaveText(score)
  await page.getByLabel('failed_attempts_recent, slider').fill('40')
  await expect(page).toHaveURL(/failed_attempts_recent%3D40/)
  await expect(page.locator('.trust-answer')).toHaveAttribute('aria-busy', 'false')
  const low = await tried.innerText()
  await page.reload()
  await expect(page.getByLabel('failed_attempts_recent', { exact: true })).toHaveValue('40')
  await expect(tried).toHaveText(low)
  await page.getByLabel('Find a signal').fill('attempts')
  await expect(page.locator('.sign')).toHaveCount(1)
  await page.getByRole('button', { name: 'Reset' }).click()
  await expect(page).not.toHaveURL(/signals=/)
})

test('a policy is checked, examined, compared, saved and taken back', async ({ visit }) => {
  test.setTimeout(120_000)
  const page = await visit({ role: 'admin' })
  await decide(page)
  await page.goto('/trust?view=policy')
  const editor = page.getByLabel('Trust policy, YAML')
  await expect(editor).toHaveValue(/policy: zero_trust/)
  const shipped = await editor.inputValue()
  await editor.fill('meta: [')
  await expect(page.getByRole('alert').first()).toContainText('Line')
  await expect(page.getByRole('button', { name: 'Review and save' })).toHaveAttribute(
    'aria-disabled',
    'true',
  )
  await editor.fill(shipped.replace('unknown: 69 ', 'unknown: 20 '))
  await expect(page.getByText('Changed, not saved; checked without faults')).toBeVisible({
    timeout: 30_000,
  })
  await page.getByLabel('Test cases, YAML').fill(CASES)
  await page.getByRole('button', { name: 'Run the cases' }).click()
  const results = page.getByRole('table', { name: 'Results of the cases' })
  await expect(results.getByRole('row').filter({ hasText: 'never' })).toContainText('failed')
  await expect(results.getByRole('row')).toHaveCount(3)
  await page.getByRole('button', { name: 'Compare', exact: true }).click()
  await expect(page.getByText(/decisions judged: \d+ would be decided otherwise/)).toBeVisible()

  await page.getByRole('button', { name: 'Review and save' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('of 2 cases passed')
  await expect(dialog).toContainText('unknown: 20')
  await dialog.getByLabel('Why').fill('unknown counts for less')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(page.locator('.version').first()).toContainText('unknown counts for less')
  await page.getByRole('button', { name: 'Use the shipped policy' }).click()
  await dialog.getByLabel('Why').fill('back again')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Shipped with Plura')).toBeVisible()
  await page.locator('.version a').nth(1).click()
  await dialog.getByRole('button', { name: 'Restore this' }).click()
  await expect(editor).toHaveValue(/unknown: 20 /)
  await page.getByRole('button', { name: 'Discard changes' }).click()
  await expect(editor).toHaveValue(shipped)
})

test('an analyst tries and does not save; a viewer has no page', async ({ visit }) => {
  const analyst = await visit({ role: 'analyst' })
  await analyst.goto('/trust?view=policy')
  await expect(analyst.getByLabel('Trust policy, YAML')).toHaveAttribute('readonly', '')
  await expect(analyst.getByRole('button', { name: 'Review and save' })).toHaveCount(0)
  await expect(analyst.getByText('Your role may read it and try it').first()).toBeVisible()
  const viewer = await visit({ role: 'viewer' })
  await viewer.goto('/')
  await expect(viewer.getByRole('heading', { level: 1 })).toBeVisible()
  await expect(viewer.getByRole('navigation').getByText('Trust', { exact: true })).toHaveCount(0)
  await viewer.goto('/trust')
  await expect(viewer.getByText('Your role may not see trust.')).toBeVisible()
})

for (const language of LANGUAGES) {
  test(`trust in ${language}`, async ({ visit }) => {
    const page = await visit({ role: 'admin', language })
    for (const view of ['decisions', 'what-if', 'policy'] as const) {
      await page.goto(view === 'decisions' ? '/trust' : `/trust?view=${view}`)
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(
        words(language, 'page.trust'),
      )
      await expect(page.locator('a.tab.active')).toHaveText(words(language, `trust.view.${view}`))
      await expect(page.locator('.loading')).toHaveCount(0)
      const seen = await page.locator('body').innerText()
      expect(seen).not.toMatch(/\btrust\.[a-z]/)
      expect(seen).not.toContain('{{')
    }
  })
}
