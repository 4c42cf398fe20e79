import type { Page } from '@playwright/test'
import { MACHINE_SCOPES, RIGHTS, SCOPES, SCOPE_NAMES, roleMay } from '../src/domain/rights'
import { LANGUAGES, PASSWORD, ROLES, expect, house, test, words } from './house'

/** Unlike any name of another run of this test. */
const unlike = (name: string) => `${name}-${Date.now().toString(36)}`

const row = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text })

async function step(page: Page, name: string, what: string) {
  await page.getByRole('button', { name: `What can be done about ${name}` }).click()
  await page.getByRole('menuitem', { name: what }).click()
}

test('somebody is invited, signs in, and is changed, reset, disabled and removed', async ({
  visit,
}) => {
  const name = unlike('newcomer')
  const page = await visit({ role: 'admin' })
  const dialog = page.getByRole('dialog')
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await page.keyboard.press('g')
  await page.keyboard.press('s')
  await expect(page).toHaveURL(/\/settings\/you/)
  await page.getByRole('link', { name: 'People' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('People')

  await page.getByRole('button', { name: 'Invite' }).click()
  await dialog.getByLabel('Login name').fill('not a name')
  await dialog.getByRole('button', { name: 'Make the account' }).click()
  await expect(dialog.getByRole('alert')).toContainText('A login name is')
  await dialog.getByLabel('Login name').fill('the-viewer')
  await dialog.getByRole('button', { name: 'Make the account' }).click()
  await expect(dialog.getByRole('alert')).toContainText('This name is taken')
  // An admin makes no owner.
  await expect(dialog.getByLabel('Role').locator('option')).toHaveCount(5)
  await dialog.getByLabel('Login name').fill(name)
  await dialog.getByLabel('Displayed name').fill('New <b>Comer</b>')
  await dialog.getByLabel('Role').selectOption('responder')
  await dialog.getByRole('button', { name: 'Make the account' }).click()
  await expect(dialog).toContainText('This is shown only once')
  const password = await dialog.locator('pre').innerText()
  await dialog.getByRole('button', { name: 'I have kept it' }).click()
  await expect(row(page, name)).toContainText('one-time password not used')
  await expect(row(page, name)).toContainText('New <b>Comer</b>')
  expect(await page.content()).not.toContain(password)

  const door = await visit()
  const signIn = async (secret: string) => {
    await door.goto('/sign-in')
    await door.getByLabel('Name', { exact: true }).fill(name)
    await door.getByLabel('Password', { exact: true }).fill(secret)
    await door.getByRole('button', { name: 'Sign in' }).click()
  }
  const choose = async (secret: string, next: string) => {
    await door.getByLabel('Password you signed in with').fill(secret)
    await door.getByLabel('New password', { exact: true }).fill(next)
    await door.getByLabel('New password again').fill(next)
    await door.getByRole('button', { name: 'Save and go on' }).click()
  }
  await signIn(password)
  await choose(password, PASSWORD)
  await expect(door.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await door.goto('/settings')
  await expect(door.getByText('Decides about actions')).toBeVisible()
  await expect(door.getByRole('link', { name: 'People' })).toHaveCount(0)
  await expect(page.getByText('active').first()).toBeVisible()

  await step(page, name, 'Change name or role')
  await dialog.getByLabel('Role').selectOption('viewer')
  await dialog.getByRole('button', { name: 'Change name or role' }).click()
  await expect(row(page, name)).toContainText('viewer')
  await step(page, name, 'Disable')
  await dialog.getByRole('button', { name: 'Disable' }).click()
  await expect(row(page, name)).toContainText('disabled')
  await signIn(PASSWORD)
  await expect(door.getByRole('alert')).toContainText('do not belong together')
  await step(page, name, 'Enable')
  await dialog.getByRole('button', { name: 'Enable' }).click()
  await expect(row(page, name)).toContainText('active')
  await step(page, name, 'Reset password')
  await dialog.getByRole('button', { name: 'Reset password' }).click()
  await expect(dialog).toContainText('This is shown only once')
  const again = await dialog.locator('pre').innerText()
  expect(again).not.toBe(password)
  await page.keyboard.press('Escape')
  await signIn(again)
  await choose(again, `${PASSWORD} again`)
  await expect(door.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await step(page, name, 'Remove from tenant')
  await dialog.getByRole('button', { name: 'Remove from tenant' }).click()
  await expect(row(page, name)).toHaveCount(0)

  // All of it is in the ledger.
  const auditor = await visit({ role: 'auditor' })
  await auditor.goto('/audit')
  await expect(auditor.getByRole('row').filter({ hasText: 'removed' }).first()).toBeVisible()
})

test('nobody is offered what would lock them out, and nobody touches an owner', async ({
  visit,
}) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/settings/people')
  await page.getByRole('button', { name: 'What can be done about the-admin' }).click()
  await expect(page.getByRole('menuitem')).toHaveText([
    'Change name or role',
    'Sign-ins and changes in the ledger',
  ])
  await page.getByRole('menuitem', { name: 'Change name' }).click()
  await expect(page.getByRole('dialog').getByLabel('Role')).toBeDisabled()
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'What can be done about owner' }).click()
  await expect(page.getByRole('menuitem')).toHaveText(['Sign-ins and changes in the ledger'])
  await page.keyboard.press('Escape')
  // And the server says the same.
  const said = await page.evaluate(async () => {
    const me = await (await fetch('/api/v1/me')).json()
    const users = (await (await fetch('/api/v1/users')).json()) as { id: string; name: string }[]
    const owner = users.find((user) => user.name === 'owner')?.id
    const headers = { 'content-type': 'application/json', 'plura-csrf': me.csrf }
    const body = JSON.stringify({ disabled: true })
    return (await fetch(`/api/v1/users/${owner}`, { method: 'PATCH', headers, body })).json()
  })
  expect(said.code).toBe('owner-required')
})

test('the table of rights is the server’s own', async ({ visit }) => {
  for (const role of ROLES) {
    const page = await visit({ role })
    await page.goto('/settings/you')
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('You')
    const me = await page.evaluate(async () => {
      const headers = { 'plura-tenant': 'default' }
      return (await (await fetch('/api/v1/me', { headers })).json()) as { rights: string[] }
    })
    const ours = Object.keys(RIGHTS).filter((right) => roleMay(role, right as keyof typeof RIGHTS))
    // Other rights are for tokens alone, or this table has to grow.
    expect(me.rights.toSorted(), role).toEqual(ours.toSorted())
    await expect(page.locator('.right-yes')).toHaveCount(ours.length)
  }
  const page = await visit({ role: 'owner' })
  await page.goto('/settings/tokens')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('API tokens')
  for (const scope of SCOPE_NAMES) {
    const rights = await page.evaluate(async (scope) => {
      const headers = { 'plura-tenant': 'default' }
      const me = await (await fetch('/api/v1/me', { headers })).json()
      const made = await fetch('/api/v1/tokens', {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json', 'plura-csrf': me.csrf },
        body: JSON.stringify({ name: `of ${scope}`, scopes: [scope], expires_days: 1 }),
      })
      const { token, view } = await made.json()
      const asked = await fetch('/api/v1/me', {
        headers: { authorization: `Bearer ${token}` },
        credentials: 'omit',
      })
      await fetch(`/api/v1/tokens/${view.id}`, {
        method: 'DELETE',
        headers: { ...headers, 'plura-csrf': me.csrf },
      })
      return ((await asked.json()) as { rights: string[] }).rights
    }, scope)
    expect(rights.toSorted(), scope).toEqual([...SCOPES[scope]].toSorted())
  }
  // Without end: as many of them as the server lets be.
  expect(MACHINE_SCOPES).toEqual(['intake', 'gateway', 'decide', 'signals'])
})

test('a token is made, works, is revoked and refused', async ({ visit }) => {
  const name = unlike('report script')
  const page = await visit({ role: 'admin' })
  const dialog = page.getByRole('dialog')
  await page.goto('/settings/tokens')
  await page.getByRole('button', { name: 'Make a token' }).click()
  await dialog.getByRole('button', { name: 'Make it' }).click()
  await expect(dialog.getByRole('alert')).toContainText('A name is needed')
  await dialog.getByLabel('Name', { exact: true }).fill(name)
  // An admin may not see personal data, and gives nobody what they have not.
  await expect(dialog.getByRole('checkbox', { name: /^reveal/ })).toBeDisabled()
  await dialog.getByRole('checkbox', { name: /^intake/ }).check()
  await expect(dialog.getByLabel('Expires').locator('option')).toHaveCount(6)
  await dialog.getByRole('checkbox', { name: /^query/ }).check()
  await expect(dialog.getByLabel('Expires').locator('option')).toHaveCount(5)
  await dialog.getByLabel('Expires').selectOption('30')
  await dialog.getByRole('button', { name: 'Make it' }).click()
  await expect(dialog).toContainText('This is shown only once')
  const token = await dialog.locator('pre').first().innerText()
  expect(token).toMatch(/^plura_/)
  const ask = () =>
    fetch(`${house().base}/api/v1/incidents`, { headers: { authorization: `Bearer ${token}` } })
  expect((await ask()).status).toBe(200)
  await dialog.getByRole('button', { name: 'I have kept it' }).click()
  await expect(row(page, name)).toContainText('the-admin')
  await page.reload()
  await expect(row(page, name)).toContainText('the-admin')
  await expect(row(page, name)).not.toContainText('never')
  await page.getByRole('button', { name: `Revoke: ${name}` }).click()
  await dialog.getByRole('button', { name: 'Revoke' }).click()
  await expect(row(page, name)).toHaveCount(0)
  await expect.poll(async () => (await ask()).status).toBe(401)
  await page.getByRole('link', { name: /revoked or expired/ }).click()
  await expect(page).toHaveURL(/isAll=true/)
  await expect(row(page, name)).toContainText('revoked')
})

const POLICY = (version: number, ttl: string) => `policies:
  - policy: slow-down
    version: ${version}
    title: {ko: 느리게, en: Slow down, ja: 減速}
    when: {rules: [password-spraying]}
    then:
      - {rung: limit, target: address, ttl: ${ttl}, rate_per_minute: 10}
`

test('a policy with a fault is refused with its line; it is mended, changed and restored', async ({
  visit,
}) => {
  const page = await visit({ role: 'owner', tenant: 'second' })
  const dialog = page.getByRole('dialog')
  await page.goto('/settings/policy?tenant=second')
  await expect(page.getByText('The policies that come with Plura are in force')).toBeVisible()
  const editor = page.getByLabel('Response policy, YAML')
  await editor.fill(POLICY(1, '1h').replace('rung: limit', 'rung: limti'))
  await expect(page.locator('.faults')).toContainText('Line 7')
  await expect(page.locator('.code-bad')).toHaveText('7')
  await expect(page.getByRole('button', { name: 'Review and save' })).toBeDisabled()
  await page.getByRole('button', { name: 'Line 7' }).click()
  await expect(editor).toBeFocused()
  // What is not saved is there when one comes back.
  await page.getByRole('link', { name: 'Sources and health' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sources and health')
  await page.getByRole('link', { name: 'Response policy' }).click()
  await expect(editor).toHaveValue(/limti/)
  await editor.fill(POLICY(1, '1h'))
  await expect(page.getByText('checked without faults')).toBeVisible()

  const save = async (reason: string) => {
    await page.getByRole('button', { name: 'Review and save' }).click()
    await dialog.getByRole('button', { name: 'Save' }).click()
    await expect(dialog.getByRole('alert')).toContainText('A reason is needed')
    await dialog.getByLabel('Why').fill(reason)
    await dialog.getByRole('button', { name: 'Save' }).click()
    await expect(dialog).toHaveCount(0)
    await expect(page.locator('.made')).toContainText(reason)
  }
  await save('our first own policy')
  await expect(page.locator('.version')).toHaveCount(1)
  await editor.fill(POLICY(2, '4h'))
  await page.getByRole('button', { name: 'Review and save' }).click()
  await expect(dialog.locator('.diff-removed')).toHaveCount(2)
  await expect(dialog.locator('.diff-added')).toContainText(['version: 2', 'ttl: 4h'])
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await save('four hours are better')
  await expect(page.locator('.version')).toHaveCount(2)

  await page.getByRole('link', { name: 'Version 1' }).click()
  await expect(page).toHaveURL(/version=1/)
  await expect(dialog.locator('.diff-added')).toContainText(['version: 1', 'ttl: 1h'])
  await dialog.getByRole('button', { name: 'Restore this' }).click()
  await expect(editor).toHaveValue(POLICY(1, '1h'))
  await save('back to one hour')
  await expect(page.locator('.version')).toHaveCount(3)
  await expect(page.locator('.version').first()).toContainText('back to one hour')
})

test('the mode is changed for a reason and found in the ledger; so is retention', async ({
  visit,
}) => {
  const page = await visit({ role: 'owner', tenant: 'second' })
  const dialog = page.getByRole('dialog')
  await page.goto('/settings/tenant?tenant=second')
  const mode = page.locator('#sidebar .mode')
  await expect(mode).toHaveText('observes')
  await page.getByRole('button', { name: 'Choose this mode: enforces' }).click()
  await expect(dialog).toContainText('This leaves out canary')
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: 'Choose this mode: canary' }).click()
  await dialog.getByRole('button', { name: 'Choose this mode' }).click()
  await expect(dialog.getByRole('alert')).toContainText('A reason is needed')
  await dialog.getByLabel('Why').fill('two weeks of observing went well')
  await dialog.getByRole('button', { name: 'Choose this mode' }).click()
  await expect(dialog).toHaveCount(0)
  await expect(mode).toHaveText('canary')

  await page.getByRole('button', { name: 'Change retention' }).click()
  await dialog.getByRole('textbox', { name: 'All events' }).fill('0')
  await dialog.getByLabel('Another time for a kind of event').selectOption('4002')
  await dialog.getByRole('textbox', { name: /Web requests/ }).fill('30')
  await dialog.getByRole('button', { name: 'Save retention' }).click()
  await expect(dialog.getByRole('alert')).toContainText('whole number of days')
  await dialog.getByRole('textbox', { name: 'All events' }).fill('365')
  await expect(dialog).toContainText('deleted within the hour')
  await dialog.getByLabel('Why').fill('the law asks for a year')
  await dialog.getByRole('button', { name: 'Save retention' }).click()
  await expect(dialog).toHaveCount(0)
  await expect(page.getByText('365 days')).toBeVisible()
  await expect(page.getByText('30 days')).toBeVisible()

  await page.goto('/audit?tenant=second')
  const entry = page.getByRole('row').filter({ hasText: 'tenant changed · canary' })
  await expect(entry.first()).toContainText('Owner')
  await expect(entry).toHaveCount(2)
})

test('a tenant is made where tenants are made, and nowhere else', async ({ visit }) => {
  const page = await visit({ role: 'owner' })
  const dialog = page.getByRole('dialog')
  const id = unlike('house')
  await page.goto('/settings/tenants')
  await page.getByRole('button', { name: 'Make a tenant' }).click()
  await dialog.getByLabel('Identifier').fill('-Not One')
  await dialog.getByLabel('Name', { exact: true }).fill('Third house')
  await dialog.getByRole('button', { name: 'Make it' }).click()
  await expect(dialog.getByRole('alert')).toContainText('An identifier is')
  await dialog.getByLabel('Identifier').fill(id)
  await dialog.getByRole('button', { name: 'Make it' }).click()
  await expect(page).toHaveURL(new RegExp(`/settings/tenant\\?tenant=${id}`))
  await expect(page.locator('#sidebar .tenant-name')).toHaveText('Third house')
  await page.getByRole('link', { name: 'Tenants' }).click()
  await expect(row(page, id)).toContainText('observes')
  // Only the home tenant's owner makes them, and only there.
  await expect(page.getByRole('button', { name: 'Make a tenant' })).toHaveCount(0)
})

test('the site is told, a fault has its line, and registers are kept', async ({ visit }) => {
  const page = await visit({ role: 'owner', tenant: 'second' })
  const dialog = page.getByRole('dialog')
  await page.goto('/settings/site?tenant=second')
  await expect(page.getByText('Nothing is told yet')).toBeVisible()
  await page.getByText('An example').click()
  const example = await page.getByRole('region', { name: 'An example' }).innerText()
  const editor = page.getByLabel('Site, YAML')
  const save = async () => {
    await page.getByRole('button', { name: 'Review and save' }).click()
    await dialog.getByLabel('Why').fill('what we know of ourselves')
    await dialog.getByRole('button', { name: 'Save' }).click()
  }
  await editor.fill(example.replace('10.0.0.0/8', '10.0.0.1/8'))
  await save()
  await expect(dialog.getByRole('alert')).toContainText('cannot be used')
  await page.keyboard.press('Escape')
  await expect(page.locator('.faults')).toContainText('Line 2')
  await editor.fill(example)
  await save()
  await expect(dialog).toHaveCount(0)
  await expect(page.getByText('Version 1')).toBeVisible()

  await page.getByRole('link', { name: 'Trips' }).click()
  await expect(page).toHaveURL(/register=trips/)
  await page.getByRole('button', { name: 'Enter a trip' }).click()
  await dialog.getByLabel('Identifier').fill('kim-in-tokyo')
  await dialog.getByRole('button', { name: 'Enter', exact: true }).click()
  await expect(dialog.getByRole('alert')).toContainText('are to be filled in')
  await dialog.getByLabel('Account').fill('kim')
  await dialog.getByLabel(/Country/).fill('Japan')
  await dialog.getByLabel('From').fill('2026-12-01T09:00')
  await dialog.getByLabel('Until').fill('2026-12-05T18:00')
  await dialog.getByRole('button', { name: 'Enter', exact: true }).click()
  await expect(dialog.getByRole('alert')).toContainText('This entry cannot be used')
  await dialog.getByLabel(/Country/).fill('JP')
  await dialog.getByRole('button', { name: 'Enter', exact: true }).click()
  await expect(row(page, 'kim-in-tokyo')).toContainText('JP')
  await page.getByRole('button', { name: 'Remove: kim-in-tokyo' }).click()
  await dialog.getByRole('button', { name: 'Remove' }).click()
  await expect(row(page, 'kim-in-tokyo')).toHaveCount(0)

  await page.getByRole('link', { name: 'Devices' }).click()
  await page.getByRole('button', { name: 'Enter a device' }).click()
  await dialog.getByLabel('Identifier').fill('laptop-7')
  await dialog.getByLabel('Registered').selectOption('true')
  await dialog.getByLabel('Patches').selectOption('latest')
  await dialog.getByRole('button', { name: 'Enter', exact: true }).click()
  await expect(row(page, 'laptop-7')).toContainText('latest')
  await page.getByRole('link', { name: 'Invitations' }).click()
  await page.getByRole('button', { name: 'Enter an invitation' }).click()
  await dialog.getByLabel('Identifier').fill('17')
  await dialog.getByLabel('Invited by').fill('kim')
  await dialog.getByLabel('Guest').fill('lee@partner.example')
  await dialog.getByRole('button', { name: 'Enter', exact: true }).click()
  await expect(row(page, 'lee@partner.example')).toContainText('Owner')
})

test('sources and health tell what reports', async ({ visit }) => {
  const page = await visit({ role: 'auditor' })
  await page.goto('/settings/health')
  await expect(row(page, 'edge')).toBeVisible()
  await expect(page.getByText('Server version')).toBeVisible()
  const dropped = page.locator('.figures > div', { hasText: 'Known to be lost' })
  await expect(dropped).toBeVisible()
})

const SECTIONS = ['you', 'tenant', 'people', 'tokens', 'policy', 'site', 'health'] as const

test('an auditor reads all of it and changes none of it', async ({ visit }) => {
  const page = await visit({ role: 'auditor' })
  for (const section of SECTIONS) {
    await page.goto(`/settings/${section}`)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await expect(page.locator('.loading')).toHaveCount(0)
    await expect(page.locator('.state-failed')).toHaveCount(0)
    await expect(page.locator('main .button-primary, main .button-danger')).toHaveCount(0)
    await expect(page.locator('main textarea:not([readonly])')).toHaveCount(0)
  }
  await page.goto('/settings/tenant')
  await expect(page.getByRole('button', { name: /Choose this mode/ })).toHaveCount(0)
  await expect(page.getByRole('button', { name: 'Change retention' })).toHaveCount(0)
})

for (const language of LANGUAGES) {
  test(`a viewer sees what is for viewers, in ${language}`, async ({ visit }) => {
    const page = await visit({ role: 'viewer', language })
    await page.goto('/settings')
    const nav = page.getByRole('navigation', { name: words(language, 'settings.sections') })
    await expect(nav.getByRole('link')).toHaveText([
      words(language, 'settings.you'),
      words(language, 'settings.tenant'),
    ])
    for (const section of ['people', 'tokens', 'policy', 'health']) {
      await page.goto(`/settings/${section}`)
      await expect(page.getByRole('alert').first()).toContainText(
        words(language, 'problem.forbidden'),
      )
    }
  })

  test(`every section speaks ${language}`, async ({ visit }) => {
    const page = await visit({ role: 'admin', language })
    for (const section of SECTIONS) {
      await page.goto(`/settings/${section}`)
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(
        words(language, `settings.${section}`),
      )
      await expect(page.locator('.loading')).toHaveCount(0)
      const seen = await page.locator('body').innerText()
      expect(seen).not.toMatch(
        /\b(settings|people|tokens|tenant|policy|site|health|right|scope|desk|retention)\.[a-z]/,
      )
      expect(seen).not.toContain('{{')
    }
  })
}
