import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { LANGUAGES, expect, test } from './house'
import { RULE_ID } from './story'

const PAGES = [
  '/',
  '/incidents',
  '/incident',
  '/hunt',
  '/hunt?mode=sql',
  '/findings',
  '/graph',
  '/event',
  '/response?view=force',
  '/audit',
  '/settings/you',
  '/second-factor',
  '/settings/tenant',
  '/settings/people',
  '/settings/tokens',
  '/settings/policy',
  '/settings/connectors',
  '/settings/site',
  '/settings/site?register=devices',
  '/settings/health',
  '/entities/address%3A203.0.113.66',
  '/rules',
  '/trust',
  '/trust?view=what-if',
  '/trust?view=policy',
  '/rules?view=coverage',
  '/rules?view=noise',
  '/rules?view=exceptions',
  '/rules?view=packs',
  '/rules?view=new',
  `/rules/${RULE_ID}`,
  `/rules/${RULE_ID}?view=replay`,
  `/rules/${RULE_ID}?view=text`,
]

/** Each test walks through every page. */
test.describe.configure({ timeout: 180_000 })

/** Opens a page by its short name; `/incident` is the first there is. */
async function open(page: Page, path: string) {
  if (['/incident', '/graph', '/findings', '/event'].includes(path)) {
    await page.goto('/incidents')
    await page.locator('table.queue tbody a').first().click()
    await expect(page.locator('.step').first()).toBeVisible()
    if (path === '/incident') return
    if (path === '/graph') {
      await page.locator('nav.tabs a').nth(1).click()
      await expect(page.locator('svg.graph')).toBeVisible()
      return
    }
    await page.locator('nav.tabs a').nth(2).click()
    await expect(page.locator('table.events').first()).toBeVisible()
    if (path === '/findings') return
    await page.locator('table.events button').first().click()
    await expect(page.locator('dialog .block').first()).toBeVisible()
  } else await page.goto(path)
  await expect(page.getByRole('heading', { level: 1 }).first()).toBeAttached()
  await expect(page.locator('.loading')).toHaveCount(0)
}

for (const theme of ['light', 'dark'] as const) {
  test(`axe finds nothing serious, ${theme}`, async ({ visit }) => {
    test.setTimeout(10_000 * (PAGES.length + 1))
    const page = await visit({ role: 'admin', theme })
    for (const path of PAGES) {
      await open(page, path)
      const { violations } = await new AxeBuilder({ page }).analyze()
      const told = violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(
          ({ id, nodes }) =>
            `${path} ${id}: ${nodes
              .map((node) => node.html)
              .slice(0, 3)
              .join(' | ')}`,
        )
      expect.soft(told, path).toEqual([])
    }
    const door = await visit({ theme })
    await door.goto('/sign-in')
    await expect(door.getByRole('heading', { level: 1 })).toBeVisible()
    const { violations } = await new AxeBuilder({ page: door }).analyze()
    expect(violations.map(({ id }) => id)).toEqual([])
  })
}

for (const language of LANGUAGES) {
  test(`no page is wider than a telephone, in ${language}`, async ({ visit }) => {
    test.setTimeout(10_000 * PAGES.length)
    const page = await visit({ role: 'admin', language, width: 390 })
    for (const path of PAGES) {
      await open(page, path)
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect.soft(over, path).toBeLessThanOrEqual(0)
    }
  })
}
