import { expect, test, type Page } from '@playwright/test'
import { execFileSync, spawn } from 'node:child_process'
import { once as first } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PASSWORD, words, type Language } from './house'
import { freePort } from './server'

const LANGUAGE = (process.env.TOUR_LANGUAGE ?? 'en') as Language
const ROOT = join(import.meta.dirname, '../..')
const OUT = join(ROOT, LANGUAGE === 'en' ? 'docs/tour' : `docs/tour/${LANGUAGE}`)
const say = (key: Parameters<typeof words>[1]) => words(LANGUAGE, key)

/** `plura demo`, as `make run` starts it, and the call that the stolen key makes. */
async function demo() {
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
  const binary = process.env.PLURA_BIN ?? join(target, 'quick/plura')
  const folder = mkdtempSync(join(tmpdir(), 'plura-tour-'))
  const flags = ['--data', join(folder, 'demo'), '--listen', `127.0.0.1:${await freePort()}`]
  flags.push('--gateway', `127.0.0.1:${await freePort()}`)
  const child = spawn(binary, ['demo', ...flags], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      // Beside one's own demo, not instead of it.
      XDG_CONFIG_HOME: folder,
      PLURA_CONSOLE: join(import.meta.dirname, '../dist/www'),
    },
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const found = async (pattern: RegExp) => {
    for (let tries = 0; tries < 1_800; tries++) {
      const [, group] = pattern.exec(said) ?? []
      if (group) return group
      if (child.exitCode !== null) break
      await new Promise((done) => setTimeout(done, 100))
    }
    throw new Error(`the demo did not say ${pattern}:\n${said}`)
  }
  const base = await found(/(?:console|server) +(https:\/\/[\d.:]+)/)
  const password = await found(/one-time password `([^`]+)`/)
  const call = await found(/(curl -s -o [\s\S]*?chat\/completions)/)
  return {
    binary,
    base,
    password,
    status: () => execFileSync('sh', ['-c', call], { encoding: 'utf8' }).trim(),
    end: async () => {
      const ended = first(child, 'exit')
      child.kill('SIGINT')
      await ended
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

const shoot = async (page: Page, name: string) => {
  await page.evaluate(() => document.fonts.ready)
  await page.waitForTimeout(400)
  await page.screenshot({ path: join(OUT, `${name}.png`) })
}

test('the tour', async ({ browser }) => {
  mkdirSync(OUT, { recursive: true })
  const house = await demo()
  try {
    const context = await browser.newContext({
      baseURL: house.base,
      locale: LANGUAGE,
      viewport: { width: 1280, height: 800 },
      ignoreHTTPSErrors: true,
      acceptDownloads: true,
    })
    const page = await context.newPage()
    const button = (key: Parameters<typeof words>[1]) =>
      page.getByRole('button', { name: say(key), exact: true })

    await page.goto('/')
    const begun = Date.now()
    await page.getByLabel(say('signin.name'), { exact: true }).fill('owner')
    await page.getByLabel(say('signin.password'), { exact: true }).fill(house.password)
    await shoot(page, '1-sign-in')
    await button('signin.go').click()
    await page.getByLabel(say('password.current'), { exact: true }).fill(house.password)
    await page.getByLabel(say('password.new'), { exact: true }).fill(PASSWORD)
    await page.getByLabel(say('password.again'), { exact: true }).fill(PASSWORD)
    await button('password.go').click()

    // The key is stolen within a minute of the start.
    const theft = page.getByRole('link', { name: say('rule.credential-theft') }).first()
    await expect(theft).toBeVisible({ timeout: 120_000 })
    const waited = Date.now() - begun
    await shoot(page, '2-overview')
    await theft.click()
    await expect(page.locator('.step').first()).toBeVisible()
    // First it is limited; when it goes on, blocked.
    await expect(page.locator('.step', { hasText: say('act.action-block') }).first()).toBeVisible({
      timeout: 120_000,
    })
    await shoot(page, '3-incident')

    await page.locator('nav.tabs a').nth(1).click()
    await page.waitForTimeout(1_000)
    await shoot(page, '4-graph')
    await page.locator('nav.tabs a').nth(2).click()
    await page.locator('table.events button').first().click()
    await expect(page.getByRole('dialog')).toBeVisible()
    await page.waitForTimeout(500)
    await shoot(page, '5-evidence')
    await page.keyboard.press('Escape')
    await page.locator('nav.tabs a').nth(3).click()

    expect(house.status(), 'the key is blocked').toBe('403')
    const blocks = page.locator('article.action', { hasText: say('rung.block') })
    const held = blocks.filter({ has: button('decide.undo') }).first()
    const decide = async (key: 'decide.undo' | 'decide.reapply', why: string, name: string) => {
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel(say('decide.reason'), { exact: true }).fill(why)
      await shoot(page, name)
      await dialog.getByRole('button', { name: say(key), exact: true }).click()
      await expect(dialog).toHaveCount(0)
    }
    await held.getByRole('button', { name: say('decide.undo'), exact: true }).click()
    await decide('decide.undo', 'the customer confirmed by phone', '6-undo')
    await expect.poll(house.status, { timeout: 15_000 }).toBe('200')
    const ended = blocks.filter({ has: button('decide.reapply') }).first()
    await ended.getByRole('button', { name: say('decide.reapply'), exact: true }).click()
    await decide('decide.reapply', 'it was not the customer who called', '7-again')
    await expect.poll(house.status, { timeout: 15_000 }).toBe('403')

    await button('incident.export').click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel(say('decide.reason'), { exact: true }).fill('for our files')
    const download = page.waitForEvent('download')
    await dialog.getByRole('button', { name: say('incident.export.go'), exact: true }).click()
    const file = join(mkdtempSync(join(tmpdir(), 'plura-tour-file-')), 'evidence.zip')
    await (await download).saveAs(file)
    await page.waitForTimeout(500)
    await shoot(page, '8-evidence-package')
    const verified = execFileSync(house.binary, ['verify', file], { encoding: 'utf8' })
    const secs = (ms: number) => Math.round(ms / 1000)
    console.log(verified)
    console.log(
      JSON.stringify({ whole_secs: secs(Date.now() - begun), of_it_until_the_theft: secs(waited) }),
    )
    await context.close()
  } finally {
    await house.end()
  }
})
