import { execFileSync } from 'node:child_process'
import type { Page } from '@playwright/test'
import { expect, house, test } from './house'
import { GZIPPED, HOST, SECRET } from './story'

// One after the other: they work on the same incidents.
test.describe.configure({ mode: 'serial' })

async function openIncident(page: Page, title: RegExp) {
  await page.goto('/incidents')
  await page.locator('table.queue tbody').getByRole('link', { name: title }).first().click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(title)
}

const STUFFING = /Leaked passwords tried on many accounts|An account was taken over/
const SHELL = /A shell connects back to the attacker|A web shell/

test('the queue by keyboard, its filters in the address', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await page.keyboard.press('g')
  await page.keyboard.press('i')
  await expect(page).toHaveURL(/\/incidents/)
  const rows = page.locator('table.queue tbody tr')
  await expect(rows.first()).toBeVisible()
  await page.keyboard.press('j')
  await expect(rows.first().getByRole('link')).toBeFocused()
  await page.keyboard.press('j')
  await expect(rows.nth(1).getByRole('link')).toBeFocused()
  await page.keyboard.press('k')
  await page.keyboard.press('x')
  await expect(page.getByText('1 selected')).toBeVisible()
  await page.getByLabel('Set status').selectOption('in-progress')
  await expect(rows.first()).not.toContainText('In progress')
  await page.getByRole('button', { name: 'Apply to 1' }).click()
  await expect(page.getByText('1 changed')).toBeVisible()
  await expect(rows.filter({ hasText: 'In progress' })).toHaveCount(1)

  await page.keyboard.press('Escape')
  await page.getByLabel('Filter by text').fill('nothing has this name')
  await expect(page.getByText('Nothing matches these filters')).toBeVisible()
  await expect(page).toHaveURL(/q=nothing/)
  await page.getByRole('button', { name: 'Clear filters' }).last().click()
  await page.getByLabel('Status', { exact: true }).selectOption('in-progress')
  await expect(rows).toHaveCount(1)
  await page.reload()
  await expect(page.getByLabel('Status', { exact: true })).toHaveValue('in-progress')
  await expect(rows).toHaveCount(1)
  // Enter does what has the focus: another control is not a row.
  await page.keyboard.press('j')
  await page.getByRole('link', { name: 'Overview' }).focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await page.goBack()
  await expect(rows).toHaveCount(1)
  await page.keyboard.press('j')
  await expect(rows.first().getByRole('link')).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/incidents\/[0-9a-f-]{36}/)

  await page.keyboard.press('?')
  await expect(page.getByRole('dialog')).toContainText('Keyboard shortcuts')
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await page.keyboard.press('Control+k')
  await expect(page.getByRole('combobox', { name: 'Where to, or what to do' })).toBeFocused()
  await page.keyboard.type('respon')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/response/)
})

test('an incident is understood: story, numbers, evidence, decoded', async ({ visit }) => {
  const page = await visit({ role: 'responder' })
  await openIncident(page, STUFFING)
  await expect(page.locator('.step-finding').first()).toContainText('Credential access')
  await page.getByRole('link', { name: /^Findings and evidence/ }).click()
  const finding = page.locator('section.panel', { has: page.getByText('Accounts that failed') })
  await expect(finding.first()).toContainText('Leaked passwords')
  await finding
    .first()
    .getByRole('button', { name: /^Open event/ })
    .first()
    .click()
  await expect(page).toHaveURL(/event=/)
  const panel = page.getByRole('dialog')
  await expect(panel).toContainText('POST /login')
  await expect(panel).toContainText('203.0.113.66')
  await panel
    .getByText(/^Headers/)
    .first()
    .click()
  await expect(panel.locator('.mask').first()).toHaveText('[secret:0123456789abcdef]')

  // The address is the state: a reload shows the same event.
  await page.reload()
  await expect(panel).toContainText('POST /login')
  await panel.getByRole('button', { name: 'Decoder' }).click()
  await panel.getByLabel('Text to decode').fill(encodeURIComponent(GZIPPED))
  await expect(panel.locator('.decoder pre')).toHaveText('hello decoder')
  await expect(panel.locator('.decoder-steps')).toContainText('gzip')
})

test('personal data is shown for a reason, and that is recorded', async ({ visit }) => {
  const page = await visit({ role: 'responder' })
  await openIncident(page, STUFFING)
  await page.getByRole('link', { name: /^Findings and evidence/ }).click()
  // Cards fill as their events come: the first button of the page is now one's, now the other's.
  const finding = page.locator('section.panel', { has: page.getByText('Accounts that failed') })
  await finding
    .first()
    .getByRole('button', { name: /^Open event/ })
    .first()
    .click()
  const panel = page.getByRole('dialog')
  await expect(panel).toContainText('POST /login')
  await panel.getByRole('button', { name: /Show personal data/ }).click()
  await expect(page.getByText(SECRET)).toHaveCount(0)
  await panel.getByLabel('Why').fill('the customer asked')
  await panel.getByRole('button', { name: 'Record and show' }).click()
  await expect(panel.getByText(SECRET)).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByText(SECRET)).toHaveCount(0)

  const auditor = await visit({ role: 'auditor' })
  await auditor.goto('/audit')
  const row = auditor.getByRole('row').filter({ hasText: 'Personal data viewed' })
  await expect(row.first()).toContainText('the customer asked')
  await expect(row.first()).toContainText('the-responder')
})

test('work on it: assignee, classification, comment', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await openIncident(page, STUFFING)
  await page.getByRole('button', { name: 'Take it' }).click()
  await expect(page.getByLabel('Assignee', { exact: true }).locator('option:checked')).toHaveText(
    'the-analyst',
  )
  await page.getByLabel('Classification', { exact: true }).selectOption('true-positive')
  await page.getByRole('button', { name: 'Save classification' }).click()
  await expect(page.getByRole('button', { name: 'Save classification' })).toHaveCount(0)
  await expect(page.getByLabel('Classification', { exact: true })).toHaveValue('true-positive')
  await page.getByRole('link', { name: /^Comments/ }).click()
  await page.getByLabel('Comment', { exact: true }).fill('<b>called</b> the customer')
  await page.getByRole('button', { name: 'Comment' }).click()
  await expect(page.locator('.comments')).toContainText('<b>called</b> the customer')
  await expect(page.locator('.comments')).toContainText('the-analyst')
  // A viewer, who may not list users, still sees who wrote.
  const viewer = await visit({ role: 'viewer', language: 'ko' })
  await viewer.goto(new URL(page.url()).pathname + '?tab=talk')
  await expect(viewer.locator('.comments')).toContainText('the-analyst')
})

test('a step is rejected without a reason by nobody, approved, extended, undone and applied again', async ({
  visit,
}) => {
  const page = await visit({ role: 'responder' })
  await openIncident(page, SHELL)
  const card = page.locator('article.action', { hasText: 'awaiting approval' }).first()
  await expect(card).toContainText(HOST)
  await expect(card).toContainText('Would have hit in the week before')
  await card.getByRole('button', { name: 'Approve' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: 'Approve' }).click()
  await expect(dialog).toContainText('A reason is needed')
  await dialog.getByLabel('Why').fill('seen on the host, confirmed by phone')
  await dialog.getByRole('button', { name: 'Approve' }).click()
  await expect(dialog).toHaveCount(0)
  await expect(page.getByText('Approved', { exact: true })).toBeVisible()

  await page.goto('/response?view=force&rung=isolate')
  const held = page.locator('article.action', { hasText: HOST }).first()
  await held.getByRole('button', { name: 'Extend' }).click()
  await dialog.getByLabel('Why').fill('not cleaned yet')
  await dialog.getByLabel('Longer by').selectOption('4')
  await dialog.getByRole('button', { name: 'Extend' }).click()
  await expect(page.getByText('Extended', { exact: true })).toBeVisible()
  await held.getByRole('button', { name: 'Undo' }).click()
  await dialog.getByLabel('Why').fill('host is clean again')
  await dialog.getByRole('button', { name: 'Undo' }).click()
  await expect(page.getByText('Undone', { exact: true })).toBeVisible()

  await page.goto('/response?view=history')
  const ended = page.locator('article.action', { hasText: HOST }).first()
  await expect(ended).toContainText('undone')
  await ended.getByText('Details and history').click()
  await expect(ended).toContainText('host is clean again')
  await expect(ended).toContainText('the-responder')

  // Another rule's proposal of the same waits: that one is to be approved.
  await ended.getByRole('button', { name: 'Apply again' }).click()
  await dialog.getByLabel('Why').fill('it was not clean')
  await dialog.getByRole('button', { name: 'Apply again' }).click()
  await expect(dialog.getByRole('alert')).toContainText('The same step waits for an approval')
  await page.keyboard.press('Escape')

  await page.goto('/response?view=force&rung=step-up')
  const step = page.locator('article.action').first()
  await step.getByRole('button', { name: 'Undo' }).click()
  await dialog.getByLabel('Why').fill('confirmed by phone')
  await dialog.getByRole('button', { name: 'Undo' }).click()
  await expect(dialog).toHaveCount(0)
  await page.goto('/response?view=history')
  const again = page.locator('article.action', { hasText: 'step-up' })
  await again.filter({ hasText: 'undone' }).getByRole('button', { name: 'Apply again' }).click()
  await dialog.getByLabel('Why').fill('somebody else answered')
  await dialog.getByRole('button', { name: 'Apply again' }).click()
  await expect(page.getByText('Applied again', { exact: true })).toBeVisible()
  await page.goto('/response?view=force&rung=step-up')
  await step.getByText('Details and history').click()
  await expect(step).toContainText('somebody else answered')

  const reader = await visit({ role: 'analyst' })
  await reader.goto('/response?view=history')
  await expect(reader.locator('article.action').first()).toBeVisible()
  await expect(reader.getByRole('button', { name: 'Apply again' })).toHaveCount(0)
})

test('the evidence goes out as a package that verifies', async ({ visit }) => {
  const page = await visit({ role: 'responder' })
  await openIncident(page, STUFFING)
  await page.getByRole('button', { name: 'Export evidence' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Why').fill('for the authority')
  const download = page.waitForEvent('download')
  await dialog.getByRole('button', { name: 'Export' }).last().click()
  const file = await (await download).path()
  const said = execFileSync(house().binary, ['verify', file], { encoding: 'utf8' })
  expect(said).not.toBe('')
})

test('an entity with its timeline, and the ledger with its proof', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/entities/address%3A203.0.113.66')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('203.0.113.66')
  await expect(page.locator('table.events tbody tr').first()).toBeVisible()
  await expect(page.locator('.incident-line').first()).toBeVisible()
  await expect(page.locator('article.action').first()).toBeVisible()

  await page.goto('/audit')
  const dialog = page.getByRole('dialog')
  // The newest entry moves down while others are written: a click may meet nothing.
  await expect(async () => {
    await page
      .getByRole('button', { name: /^Entry/ })
      .first()
      .click({ timeout: 2_000 })
    await expect(dialog).toBeVisible({ timeout: 2_000 })
  }).toPass({ timeout: 30_000 })
  await dialog.getByRole('button', { name: 'Check that it is in the ledger' }).click()
  await expect(dialog).toContainText('It is: its path of')
  await dialog.getByRole('link', { name: 'Everything about this record' }).click()
  await expect(page).toHaveURL(/subject=/)
  await expect(page.getByRole('heading', { name: 'About one record' })).toBeVisible()
})
