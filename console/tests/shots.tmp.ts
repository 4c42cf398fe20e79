import { expect, test } from './house'
const P='policies:\n  - policy: slow-down\n    version: 1\n    title: {ko: 느리게, en: Slow down, ja: 減速}\n    when: {rules: [password-spraying]}\n    then:\n      - {rung: limti, target: address, ttl: 1h, rate_per_minute: 10}\n'
test('prepare', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/settings/you')
  await page.evaluate(async (P) => {
    const me = await (await fetch('/api/v1/me')).json()
    const call = (method: string, path: string, body: unknown) => fetch(path, { method, headers: { 'content-type': 'application/json', 'plura-csrf': me.csrf }, body: JSON.stringify(body) })
    await call('POST','/api/v1/tokens',{name:'shop gateway',scopes:['gateway']})
    await call('POST','/api/v1/tokens',{name:'weekly report',scopes:['query','audit','act'],expires_days:30})
    await call('PUT','/api/v1/policy',{text:P.replace('limti','limit'),reason:'our own'})
    await call('PUT','/api/v1/policy',{text:P.replace('limti','limit').replace('1h','4h'),reason:'four hours are better'})
    await call('PUT','/api/v1/trust/registers/devices/laptop-7',{account:'kim',owner:'company',registered:true,patch_state:'latest',edr_state:'healthy'})
    const t = await (await call('POST','/api/v1/tokens',{name:'gw2',scopes:['gateway']})).json()
    const now = Date.now()
    const g = (path: string, body: unknown) => fetch(path, { method: 'POST', credentials:'omit', headers: { 'content-type': 'application/json', authorization: `Bearer ${t.token}` }, body: JSON.stringify(body) })
    await g('/api/v1/gateway/applied',{gateway:'edge-1',version:0})
    await g('/api/v1/gateway/loss',{gateway:'edge-2',dropped:120,since:now-90000,until:now-60000,reason:'spool-full'})
  }, P)
})
for (const [language, theme, width] of [['ko','light',1440],['ja','dark',1440],['en','light',390],['ko','dark',390],['en','dark',1440],['ja','light',390]] as const)
  test(`${language} ${theme} ${width}`, async ({ visit }) => {
    const file = (name: string) => `screenshots/${language}-${theme}-${width}-${name}.png`
    const page = await visit({ role: 'admin', language, theme, width })
    for (const s of ['you','tenant','people','tokens','policy','site','site?register=devices','health']) {
      await page.goto(`/settings/${s}`)
      await expect(page.getByRole('heading', { level: 1 }).first()).toBeAttached()
      await expect(page.locator('.loading')).toHaveCount(0)
      if (s==='policy') { await page.locator('.code-area').fill(P); await expect(page.locator('.faults')).toBeVisible() }
      await page.screenshot({ path: file(`s-${s.replace('?','-')}`), fullPage: s !== 'policy' })
      if (s==='people') { await page.locator('.page-aside button').click(); await page.screenshot({ path: file('s-invite') }); await page.keyboard.press('Escape') }
      if (s==='tokens') { await page.locator('.page-aside button').click(); await page.screenshot({ path: file('s-token') }); await page.keyboard.press('Escape') }
      if (s==='tenant') { await page.locator('.mode-row button').first().click(); await page.screenshot({ path: file('s-mode') }); await page.keyboard.press('Escape') }
      if (s==='policy') { await page.locator('.code-area').fill(P.replace('limti','limit').replace('1h','8h')); await page.waitForTimeout(900); await page.locator('.desk-foot .button-primary').click(); await page.screenshot({ path: file('s-diff') }); await page.keyboard.press('Escape');await page.locator('.desk-discard').click(); await page.waitForTimeout(300) }
    }
    await page.goto('/')
    await expect(page.locator('.first')).toBeVisible()
    await expect(page.locator('.loading')).toHaveCount(0)
    await page.screenshot({ path: file('s-first') })
    await page.locator('[data-step=site] summary').click()
    await page.screenshot({ path: file('s-first-open') })
  })
