import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from '@playwright/test'
import {
  CONNECTORS_EXAMPLE,
  CONNECTORS_FILE,
  serverExample,
} from '../src/domain/connectors-example'
import { secureUrl } from '../src/domain/secure-url'
import en from '../src/i18n/en.json' with { type: 'json' }
import { LANGUAGES, expect, house, test, words } from './house'
import { PAYLOADS } from './story'

type Sent = { about?: string; who?: string; event?: string; type?: string }

const sent = async () => (await (await fetch(house().desk)).json()) as Sent[]

/** Opens the incident all of these tests work on: its address. */
async function openIncident(page: Page): Promise<string> {
  const list = await (await page.request.get('/api/v1/incidents')).json()
  const ids = (list.items as { id: string }[]).map(({ id }) => id)
  const path = `/incidents/${ids.sort()[0]}`
  await page.goto(path)
  await expect(page.getByRole('heading', { name: 'Details' })).toBeVisible()
  return path
}

const harmless = async (page: Page) => {
  expect(await page.evaluate(() => '__hit' in window)).toBe(false)
  expect(await page.locator('a[href^="javascript:"], [onerror], [onload]').count()).toBe(0)
}

/** All of them work on one incident, whose ticket and list are one. */
test.describe.configure({ mode: 'serial' })

test('only an address that is what it looks like becomes a link', () => {
  for (const text of ['https://desk.example/SEC-17', 'HTTPS://desk.example:8443/a?b=c#d']) {
    expect(secureUrl(text)?.protocol, text).toBe('https:')
  }
  for (const text of [
    'SEC-17',
    'http://desk.example/',
    'https:desk.example',
    'https://',
    'https://bank.example@evil.example/',
    '//desk.example/1',
    'data:text/html,x',
    ' https://desk.example',
    ...PAYLOADS,
  ]) {
    expect(secureUrl(text), text).toBe(undefined)
  }
})

test('an incident keeps its ticket: a number, an address, and text that would be more', async ({
  visit,
}) => {
  const page = await visit({ role: 'analyst' })
  await openIncident(page)
  const ticket = page.locator('.ticket')
  const write = async (text: string) => {
    await page.getByRole('button', { name: /^(Enter|Change) the ticket$/ }).click()
    const line = page.getByLabel('Number or https address of the ticket')
    await expect(line).toBeFocused()
    await line.fill(text)
    await line.press('Enter')
  }
  // A run before this one may have ended half-way.
  const remove = page.getByRole('button', { name: 'Remove the ticket' })
  if (await remove.isVisible()) await remove.click()
  await expect(ticket).toContainText('None')
  await write('  ')
  await expect(page.getByRole('alert')).toHaveText('Enter a number or an address')
  await page.keyboard.press('Escape')
  await write('SEC-17')
  await expect(ticket).toContainText('SEC-17')
  await expect(page.getByRole('button', { name: 'Change the ticket' })).toBeFocused()
  await expect(ticket.getByRole('link')).toHaveCount(0)
  await page.getByRole('button', { name: 'Undo', exact: true }).last().click()
  await expect(ticket).toContainText('None')

  await write('https://desk.example/SEC-17?from=plura')
  const link = ticket.getByRole('link')
  await expect(link).toHaveAttribute('href', 'https://desk.example/SEC-17?from=plura')
  await expect(link).toHaveAttribute('rel', 'noopener noreferrer')
  await expect(link).toHaveAttribute('target', '_blank')

  for (const text of PAYLOADS.slice(0, 5)) {
    await write(text)
    await expect(ticket).toContainText(text)
    await expect(ticket.getByRole('link')).toHaveCount(0)
    await harmless(page)
  }
  // A bell is no part of one line.
  await write(PAYLOADS[5])
  await expect(page.getByRole('alert')).toContainText('one line of at most 500 characters')
  await page.keyboard.press('Escape')
  await page.reload()
  await expect(ticket).toContainText(PAYLOADS[4])
  await remove.click()
  await expect(ticket).toContainText('None')
})

test('somebody is told of an incident, and what came of it stands in it', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  const path = await openIncident(page)
  const panel = page.locator('#told')
  const entry = panel.locator('.told > li').first()
  const dialog = page.getByRole('dialog')
  const before = (await sent()).length
  const told = await panel.locator('.told > li').count()
  const tell = async (connector: string, reason: string) => {
    await panel.getByRole('button', { name: 'Tell others' }).click()
    await dialog.getByRole('radio', { name: connector }).check()
    await dialog.getByLabel('Why').fill(reason)
    await dialog.getByRole('button', { name: 'Send' }).click()
  }
  await panel.getByRole('button', { name: 'Tell others' }).click()
  // Tickets first, and nobody who only acts.
  await expect(dialog.locator('.listener')).toHaveText([/^desk/, /^gone/, /^slow/, /^soc/])
  await expect(dialog.getByRole('radio', { name: /desk.*accounts masked/ })).toBeChecked()
  await expect(dialog.getByRole('radio', { name: /soc.*named in full/ })).toBeVisible()
  await dialog.getByRole('button', { name: 'Send' }).click()
  await expect(dialog.getByRole('alert')).toContainText('A reason is needed')
  expect((await sent()).length).toBe(before)

  // While it is sent it cannot be sent again.
  await page.route('**/tell', async (route) => {
    await new Promise((done) => setTimeout(done, 1_000))
    await route.continue()
  })
  await dialog.getByLabel('Why').fill(`${PAYLOADS.join(' ')} kept-here`)
  const send = dialog.getByRole('button', { name: 'Send' })
  await send.click()
  await expect(send).toHaveAttribute('aria-disabled', 'true')
  await expect(dialog.getByRole('status')).toContainText('20 s at most')
  await expect(page.getByText('desk was told')).toBeVisible()
  await expect(dialog).toHaveCount(0)
  await page.unroute('**/tell')
  await expect(entry).toContainText('desk')
  await expect(entry).toContainText('by the-analyst')
  await expect(entry).toContainText('Done answered 201')
  for (const text of PAYLOADS.slice(0, 5)) await expect(entry).toContainText(text)
  await expect(entry.locator('.hidden-char', { hasText: 'U+202E' })).toBeVisible()
  await harmless(page)
  const got = (await sent()).slice(before)
  expect(got.map(({ event }) => event)).toEqual(['incident.told'])

  await tell('soc', 'kept-here for the record')
  await expect(page.getByText('soc was told')).toBeVisible()
  expect((await sent()).at(-1)?.type).toBe('incident.told')
  const all = JSON.stringify((await sent()).slice(before))
  expect(all, 'what was sent, whole').toContain('incident.told')
  expect(all, 'the reason stays here').not.toContain('kept-here')
  await expect(panel.locator('.told > li')).toHaveCount(told + 2)

  await tell('gone', 'nobody there')
  await expect(page.getByText('gone could not be told: It could not be reached')).toBeVisible()
  await expect(entry).toContainText('Failed It could not be reached')
  await expect(entry).toContainText('Check that it runs')
  await entry.getByText('Details').click()
  await expect(entry).toContainText('connection-failed')
  await expect(entry).toContainText('127.0.0.1:1')

  // Who may not tell sees who was told, and asks for nothing else.
  for (const role of ['viewer', 'auditor'] as const) {
    const reader = await visit({ role })
    const asked: string[] = []
    reader.on('request', (request) => asked.push(new URL(request.url()).pathname))
    await reader.goto(path)
    await expect(reader.locator('.told > li').first()).toContainText('nobody there')
    await expect(reader.getByRole('button', { name: 'Tell others' })).toHaveCount(0)
    await expect(reader.locator('.ticket')).toContainText('None')
    await expect(reader.getByRole('button', { name: 'Enter the ticket' })).toHaveCount(0)
    expect(asked).not.toContain('/api/v1/connectors')
    const answer = await reader.evaluate(async (path) => {
      const me = await (await fetch('/api/v1/me')).json()
      const headers = { 'content-type': 'application/json', 'plura-csrf': me.csrf }
      const body = JSON.stringify({ connector: 'desk', reason: 'no' })
      return (await fetch(`/api/v1${path}/tell`, { method: 'POST', headers, body })).status
    }, path)
    expect(answer).toBe(403)
  }

  for (const language of ['ko', 'ja'] as const) {
    const w = (key: Parameters<typeof words>[1]) => words(language, key)
    const other = await visit({ role: 'analyst', language })
    await other.goto(path)
    const shown = other.locator('#told')
    await expect(shown.getByRole('heading', { name: w('told.title') })).toBeVisible()
    await expect(shown).toContainText(w('delivery.code.connection-failed'))
    await expect(shown).toContainText(w('delivery.done'))
    await expect(other.getByText(w('ticket.title'), { exact: true })).toBeVisible()
    await shown.getByRole('button', { name: w('told.tell') }).click()
    await expect(other.getByRole('dialog')).toContainText(w('tell.text'))
    await expect(other.getByRole('dialog')).toContainText(w('connectorkind.ticket'))
  }

  const admin = await visit({ role: 'admin' })
  await admin.goto(`/audit?subject=${path.split('/').at(-1)}`)
  for (const word of ['reason.telling', 'reason.told', 'reason.ticket-changed'] as const) {
    const row = admin.getByRole('row').filter({ hasText: words('en', word) })
    await expect(row.first()).toBeVisible()
  }
})

test('without a connector the incident says where one is set up', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.route('**/api/v1/connectors', (route) => route.fulfill({ json: [] }))
  await openIncident(page)
  const panel = page.locator('#told')
  await expect(panel).toContainText('No connector takes notices here')
  await expect(panel.getByRole('button', { name: 'Tell others' })).toHaveCount(0)
  await page.unroute('**/api/v1/connectors')
  await panel.getByRole('link', { name: 'How one is set up' }).click()
  await expect(page).toHaveURL(/\/settings\/connectors/)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Connectors')
})

test('connectors are listed and tried by who sets policy', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/settings/you')
  await page.getByRole('link', { name: 'Connectors' }).click()
  const row = (name: string) =>
    page.locator('.connectors > li').filter({ has: page.getByRole('heading', { name }) })
  await expect(page.locator('.connectors > li')).toHaveCount(5)
  await expect(row('desk')).toContainText('Makes tickets')
  await expect(row('desk')).toContainText('Accounts are masked')
  await expect(row('soc')).toContainText('named in full')
  await expect(row('idp')).toContainText('Carries out the actions')
  await expect(row('idp').getByRole('button')).toHaveCount(0)
  await expect(page.getByRole('heading', { name: 'Masking' })).toBeVisible()

  const dialog = page.getByRole('dialog')
  const attempt = async (name: string) => {
    await page.getByRole('button', { name: `Try ${name}` }).click()
    await dialog.getByLabel('Why').fill('new desk')
    await dialog.getByRole('button', { name: 'Send the test' }).click()
  }
  await page.getByRole('button', { name: 'Try desk' }).click()
  await expect(dialog).toContainText('This makes a real ticket')
  await dialog.getByRole('button', { name: 'Send the test' }).click()
  await expect(dialog.getByRole('alert')).toContainText('A reason is needed')
  await page.keyboard.press('Escape')
  await attempt('desk')
  await expect(row('desk')).toContainText('Done answered 201')
  expect((await sent()).at(-1)).toEqual({
    about: 'This is a test',
    who: '',
    event: 'connector.test',
  })
  await attempt('gone')
  await expect(row('gone')).toContainText('Failed It could not be reached')
  await row('gone').getByText('Details').click()
  await expect(row('gone')).toContainText('connection-failed')

  await page.goto('/audit')
  const tried = page.getByRole('row').filter({ hasText: words('en', 'reason.connector-tested') })
  await expect(tried.first()).toContainText('the-admin')

  const auditor = await visit({ role: 'auditor' })
  await auditor.goto('/settings/connectors')
  await expect(auditor.locator('.connectors > li')).toHaveCount(5)
  await expect(auditor.locator('.connectors').getByRole('button')).toHaveCount(0)

  const viewer = await visit({ role: 'viewer' })
  await viewer.goto('/settings/you')
  await expect(viewer.getByRole('heading', { level: 1 })).toHaveText('You')
  await expect(viewer.getByRole('link', { name: 'Connectors' })).toHaveCount(0)
  await viewer.goto('/settings/connectors')
  await expect(viewer.getByRole('alert').first()).toContainText(words('en', 'problem.forbidden'))

  for (const language of ['ko', 'ja'] as const) {
    const other = await visit({ role: 'analyst', language })
    await other.goto('/settings/connectors')
    await expect(other.getByRole('heading', { level: 1 })).toHaveText(
      words(language, 'settings.connectors'),
    )
    const seen = other.locator('main')
    for (const key of ['connectors.text', 'connectors.does.ticket', 'masking.logs.what'] as const) {
      await expect(seen).toContainText(words(language, key))
    }
  }
})

test('without one, the page shows an example that the server reads', async ({ visit }) => {
  for (const language of LANGUAGES) {
    const page = await visit({ role: 'owner', language, tenant: 'second' })
    await page.goto('/settings/connectors')
    await expect(page.getByText(words(language, 'connectors.none'), { exact: true })).toBeVisible()
    const file = page.getByRole('region', { name: words(language, 'connectors.setup.file.label') })
    expect((await file.innerText()).trim()).toBe(CONNECTORS_EXAMPLE.trim())
    await expect(page.getByText('connectors: { second:')).toBeVisible()
  }
  const folder = mkdtempSync(join(tmpdir(), 'plura-example-'))
  try {
    const here = (text: string) => text.replaceAll('/etc/plura/', `${folder}/`)
    writeFileSync(here(CONNECTORS_FILE), here(CONNECTORS_EXAMPLE))
    writeFileSync(join(folder, 'server.yaml'), here(serverExample('second')))
    writeFileSync(join(folder, 'desk.token'), 'Bearer one')
    writeFileSync(join(folder, 'soc.key'), `whsec_${Buffer.alloc(32, 1).toString('base64')}`)
    const flags = ['server', '--config', join(folder, 'server.yaml'), '--check']
    const { stdout } = await promisify(execFile)(house().binary, flags)
    expect(stdout).toContain('the configuration is fine')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('while there is no answer the incident says so, and the answer comes by itself', async ({
  visit,
}) => {
  test.setTimeout(120_000)
  const admin = await visit({ role: 'admin' })
  await admin.goto('/settings/connectors')
  await admin.getByRole('button', { name: 'Try slow' }).click()
  await admin.getByRole('dialog').getByLabel('Why').fill('how slow')
  await admin.getByRole('button', { name: 'Send the test' }).click()

  const page = await visit({ role: 'responder' })
  await openIncident(page)
  await page.getByRole('button', { name: 'Tell others' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('radio', { name: 'slow' }).check()
  await dialog.getByLabel('Why').fill('they take their time')
  await dialog.getByRole('button', { name: 'Send' }).click()
  const wait = { timeout: 30_000 }
  await expect(page.getByText('slow has not answered yet')).toBeVisible(wait)
  const entry = page.locator('.told > li').first()
  await expect(entry).toContainText('they take their time')
  await expect(entry).toContainText(/Under way|Done/)
  await expect(entry).toContainText('Done answered 201', wait)

  const tried = admin.locator('.connectors > li').filter({ hasText: 'slow' })
  await expect(tried).toContainText('Under way', wait)
  await expect(tried).toContainText('is not shown here')
})

test('each code of a failure has its words', () => {
  const folder = join(import.meta.dirname, '../../crates/respond/src/connectors')
  const texts = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'))
  const codes = texts.flatMap((text) =>
    [...text.matchAll(/Failure::(?:new|transient)\(\s*"([a-z-]+)"/g)].map(([, code]) => code),
  )
  expect(codes.length).toBeGreaterThan(10)
  for (const code of codes) {
    expect(Object.keys(en), code).toContain(`delivery.code.${code}`)
    expect(Object.keys(en), code).toContain(`delivery.todo.${code}`)
  }
})
