import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { LANGUAGES, expect, house, test, words } from './house'

/** A tenant nobody else works in, with nothing in it. */
async function newTenant(page: Page): Promise<string> {
  const id = `first-${Date.now().toString(36)}`
  await page.goto('/settings/you')
  await page.evaluate(async (id) => {
    const me = await (await fetch('/api/v1/me', { headers: { 'plura-tenant': 'default' } })).json()
    await fetch('/api/v1/tenants', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'plura-csrf': me.csrf,
        'plura-tenant': 'default',
      },
      body: JSON.stringify({ id, name: 'A new house' }),
    })
  }, id)
  return id
}

const AUDIT =
  'type=SYSCALL msg=audit(TIME:101): arch=c000003e syscall=59 success=yes exit=0 ppid=900 pid=4001 auid=1000 uid=0 gid=0 euid=0 comm="id" exe="/usr/bin/id" key="exec"\n' +
  'type=EXECVE msg=audit(TIME:101): argc=1 a0="id"\n' +
  'type=PROCTITLE msg=audit(TIME:101): proctitle=6964\n'

test('the first steps by their own commands, each ticked by what came of it', async ({ visit }) => {
  test.setTimeout(180_000)
  const page = await visit({ role: 'owner' })
  const tenant = await newTenant(page)
  const folder = mkdtempSync(join(tmpdir(), 'plura-first-'))
  copyFileSync(house().ca, join(folder, 'server.pem'))
  const run = (script: string) =>
    execFileSync('bash', ['-euc', script], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
    })
  const step = (id: string) => page.locator(`[data-step=${id}]`)
  const isDone = (id: string) => step(id).getAttribute('data-done')
  try {
    await page.goto(`/?tenant=${tenant}`)
    await expect(page.getByText('0 of 7 done')).toBeVisible()

    // A token is made here and stands in the commands.
    const commands = async (id: string) => {
      await step(id).locator('summary').click()
      await step(id).getByRole('button', { name: 'Make a token for it' }).click()
      await expect(step(id)).toContainText('before you leave')
      return step(id).locator('pre').last().innerText()
    }
    run(await commands('log'))
    await expect.poll(() => isDone('log'), { timeout: 90_000 }).toBe('true')

    writeFileSync(
      join(folder, 'audit.log'),
      AUDIT.replaceAll('TIME', `${(Date.now() / 1000).toFixed(3)}`),
    )
    const host = await commands('host')
    expect(host).toContain('auditctl')
    run(host.replace(/^auditctl.*\n/, '').replace('/var/log/audit/audit.log', 'audit.log'))
    await expect.poll(() => isDone('host'), { timeout: 90_000 }).toBe('true')

    // The configuration is one the gateway takes, and it comes to the server with it.
    const start = await commands('site')
    const yaml = await step('site').locator('pre').first().innerText()
    writeFileSync(
      join(folder, 'gateway.yaml'),
      yaml.replace('0.0.0.0:8080', '127.0.0.1:0').replace('127.0.0.1:9180', '127.0.0.1:0'),
    )
    run(start.replace(/\nplura gateway.*$/, ''))
    execFileSync(house().binary, ['gateway', '--config', 'gateway.yaml', '--check'], {
      cwd: folder,
    })
    const gateway = spawn(house().binary, ['gateway', '--config', 'gateway.yaml'], {
      cwd: folder,
      stdio: 'ignore',
    })
    try {
      await expect.poll(() => isDone('site'), { timeout: 60_000 }).toBe('true')
      await page.goto(`/settings/health?tenant=${tenant}`)
      await expect(page.getByRole('row').filter({ hasText: 'edge-1' })).toContainText(
        'enforces the newest restrictions',
      )
    } finally {
      gateway.kill('SIGTERM')
    }

    await page.goto(`/settings/people?tenant=${tenant}`)
    await page.getByRole('button', { name: 'Invite' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Login name').fill(`colleague-${tenant}`)
    await dialog.getByRole('button', { name: 'Make the account' }).click()
    await dialog.getByRole('button', { name: 'I have kept it' }).click()
    await page.getByRole('link', { name: 'Overview' }).click()
    await expect(step('colleague')).toHaveAttribute('data-done', 'true')
    await expect(step('mode')).toHaveAttribute('data-done', 'false')
    await expect(step('demo')).toHaveAttribute('data-done', 'false')

    // Hidden, and back by the palette.
    await page.getByRole('button', { name: 'Hide' }).click()
    await expect(step('site')).toHaveCount(0)
    await page.reload()
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
    await expect(step('site')).toHaveCount(0)
    await page.keyboard.press('Control+k')
    await expect(page.getByRole('combobox', { name: 'Where to, or what to do' })).toBeFocused()
    await page.keyboard.type('first five')
    await page.keyboard.press('Enter')
    await expect(step('site')).toHaveAttribute('data-done', 'true')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('who may not take them is not shown the first steps', async ({ visit }) => {
  for (const role of ['viewer', 'auditor', 'responder'] as const) {
    const page = await visit({ role })
    await page.goto('/')
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
    await expect(page.locator('.incident-line').first()).toBeVisible()
    await expect(page.locator('[data-step]')).toHaveCount(0)
  }
})

for (const language of LANGUAGES) {
  test(`the first steps in ${language}`, async ({ visit }) => {
    const page = await visit({ role: 'admin', language })
    await page.goto('/')
    await expect(page.getByRole('heading', { name: words(language, 'first.title') })).toBeVisible()
    for (const summary of await page.locator('.first summary').all()) await summary.click()
    const seen = await page.locator('.first').innerText()
    expect(seen).not.toMatch(/\bfirst\.[a-z]/)
    expect(seen).not.toContain('{{')
    expect(seen).toContain(words(language, 'first.demo'))
    // What others made is told as it is: people and events are there, no gateway is.
    await expect(page.locator('[data-step=colleague]')).toHaveAttribute('data-done', 'true')
    await expect(page.locator('[data-step=site]')).toHaveAttribute('data-done', 'false')
  })
}
