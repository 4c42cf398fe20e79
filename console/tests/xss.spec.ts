import { expect, test } from './house'
import { HOST, HOSTILE, PAYLOADS } from './story'

/** What came in stands on every page as text: nothing of it ran, nothing of it became an element. */
test('attacks are text everywhere', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  const harmless = async () => {
    expect(await page.evaluate(() => '__hit' in window)).toBe(false)
    expect(await page.locator('script:not([src]), [onerror], [onload], img[src="x"]').count()).toBe(
      0,
    )
    expect(await page.locator('a[href^="javascript:"]').count()).toBe(0)
  }
  await page.goto('/')
  await expect(page.locator('article.action').first()).toContainText(HOST)
  await harmless()
  await page.goto(`/entities/${encodeURIComponent(`account:${HOSTILE}`)}`)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(HOSTILE)
  await harmless()
  await page.locator('table.events tbody button').first().click()
  const panel = page.getByRole('dialog')
  await expect(panel).toContainText(PAYLOADS[1])
  await expect(panel).toContainText(PAYLOADS[0])
  await panel
    .getByText(/^Headers/)
    .first()
    .click()
  await expect(panel).toContainText(PAYLOADS[2])
  await panel.getByText('Whole event (OCSF JSON)').click()
  await panel.getByRole('button', { name: 'Decode' }).first().click()
  await harmless()

  // What hides or reorders is made visible.
  await expect(panel.locator('.hidden-char', { hasText: 'U+202E' }).first()).toBeVisible()
  expect(await panel.innerText()).not.toMatch(/[\u202A-\u202E]/)
  await page.keyboard.press('Escape')

  await page.goto(`/entities/${encodeURIComponent(`device:${HOST}`)}`)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(HOST)
  await page.locator('table.events tbody button').first().click()
  await panel.getByText('Whole event (OCSF JSON)').click()
  await expect(panel).toContainText(PAYLOADS[4])
  await harmless()

  for (const path of ['/incidents', '/response', '/response?view=force', '/audit']) {
    await page.goto(path)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await expect(page.locator('table tbody tr, article.action').first()).toBeVisible()
    await harmless()
  }
  // The same from the address: a name that does not exist, a filter, a tenant.
  for (const path of [
    `/incidents?q=${encodeURIComponent(PAYLOADS[0])}`,
    `/entities/${encodeURIComponent(`account:${PAYLOADS.join('')}`)}`,
    `/nowhere/${encodeURIComponent(PAYLOADS[1])}`,
  ]) {
    await page.goto(path)
    await expect(page.locator('main').first()).not.toBeEmpty()
    await harmless()
  }
})
