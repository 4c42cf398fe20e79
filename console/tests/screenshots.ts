import { LANGUAGES, expect, test } from './house'
import { RULE_ID } from './story'

const PAGES: [string, string][] = [
  ['overview', '/'],
  ['incidents', '/incidents'],
  ['incident', '/incident'],
  ['graph', '/graph'],
  ['findings', '/findings'],
  ['event', '/event'],
  ['hunt', '/hunt?q=src_ip%3A203.0.113.66'],
  ['hunt-sql', '/hunt?mode=sql'],
  ['response', '/response'],
  ['force', '/response?view=force'],
  ['entity', '/entities/address%3A203.0.113.66'],
  ['audit', '/audit'],
  ['rules', '/rules'],
  ['coverage', '/rules?view=coverage'],
  ['noise', '/rules?view=noise'],
  ['exceptions', '/rules?view=exceptions'],
  ['packs', '/rules?view=packs'],
  ['rule-new', '/rules?view=new'],
  ['rule', `/rules/${RULE_ID}`],
  ['rule-replay', `/rules/${RULE_ID}?view=replay`],
  ['trust', '/trust'],
  ['trust-what-if', '/trust?view=what-if'],
  ['trust-policy', '/trust?view=policy'],
  ['settings-you', '/settings/you'],
  ['second-factor', '/second-factor'],
  ['settings-tenant', '/settings/tenant'],
  ['settings-people', '/settings/people'],
  ['settings-tokens', '/settings/tokens'],
  ['settings-policy', '/settings/policy'],
  ['settings-connectors', '/settings/connectors'],
  ['settings-site', '/settings/site'],
  ['settings-health', '/settings/health'],
]

for (const language of LANGUAGES) {
  for (const theme of ['light', 'dark'] as const) {
    for (const width of [1440, 390]) {
      test(`${language} ${theme} ${width}`, async ({ visit }) => {
        const file = (name: string) => `screenshots/${language}-${theme}-${width}-${name}.png`
        const door = await visit({ language, theme, width })
        await door.goto('/sign-in')
        await expect(door.getByRole('heading', { level: 1 })).toBeVisible()
        await door.screenshot({ path: file('sign-in') })
        const page = await visit({ role: 'admin', language, theme, width })
        for (const [name, path] of PAGES) {
          if (['/incident', '/graph', '/findings', '/event'].includes(path)) {
            await page.goto('/incidents')
            await page.locator('table.queue tbody a').first().click()
            await expect(page.locator('.step').first()).toBeVisible()
            if (path !== '/incident') {
              await page
                .locator('nav.tabs a')
                .nth(path === '/graph' ? 1 : 2)
                .click()
            }
            if (path === '/event') await page.locator('table.events button').first().click()
          } else await page.goto(path)
          await expect(page.getByRole('heading', { level: 1 }).first()).toBeAttached()
          await expect(page.locator('.loading')).toHaveCount(0)
          await page.screenshot({ path: file(name) })
        }
      })
    }
  }
}
