import { request as connect, type Page } from '@playwright/test'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { LANGUAGES, PASSWORD, expect, house, test, words, type Language } from './house'

const STEP_MS = 30_000

/** What an app shows `steps` from now (RFC 6238). */
function codeOf(secret: string, steps = 0): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...secret.replace(/\s/g, '')]
    .map((char) => alphabet.indexOf(char).toString(2).padStart(5, '0'))
    .join('')
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigInt64BE(BigInt(Math.floor(Date.now() / STEP_MS) + steps))
  const tag = createHmac('sha1', key).update(counter).digest()
  const number = tag.readUInt32BE((tag[19] ?? 0) & 15) & 0x7fffffff
  return `${number % 1_000_000}`.padStart(6, '0')
}

/** Somebody new, with a password of their own: nobody else's signing in changes. */
async function newcomer(role = 'analyst'): Promise<string> {
  const name = `factor-${Date.now().toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`
  const call = await connect.newContext({ baseURL: house().base, ignoreHTTPSErrors: true })
  const login = async (who: string, password: string) => {
    const answer = await call.post('/api/v1/login', { data: { name: who, password } })
    expect(answer.ok(), await answer.text()).toBe(true)
    return { 'plura-csrf': ((await answer.json()) as { csrf: string }).csrf }
  }
  const admin = await login('the-admin', PASSWORD)
  const made = await call.post('/api/v1/users', { headers: admin, data: { name, role } })
  expect(made.ok(), await made.text()).toBe(true)
  const { one_time_password: once } = (await made.json()) as { one_time_password: string }
  const own = await login(name, once)
  const changed = await call.post('/api/v1/password', {
    headers: own,
    data: { current: once, new: PASSWORD },
  })
  expect(changed.ok(), await changed.text()).toBe(true)
  await call.dispose()
  return name
}

async function signIn(page: Page, name: string, language: Language = 'en', path = '/settings/you') {
  await page.goto(path)
  await page.getByLabel(words(language, 'signin.name'), { exact: true }).fill(name)
  await page.getByLabel(words(language, 'signin.password'), { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: words(language, 'signin.go'), exact: true }).click()
}

async function signOut(page: Page, language: Language = 'en') {
  const out = page.locator('main').getByRole('button', { name: words(language, 'person.out') })
  await out.click()
  await expect(page).toHaveURL(/\/sign-in/)
}

/** Adds one-time codes on the page for oneself: the secret and the recovery codes. */
async function addCodes(page: Page, language: Language = 'en') {
  const t = (key: Parameters<typeof words>[1]) => words(language, key)
  const dialog = page.getByRole('dialog')
  await page.getByRole('button', { name: t('factor.codes.add') }).click()
  await dialog.getByLabel(t('signin.password')).fill('another one entirely')
  await dialog.getByRole('button', { name: t('factor.next') }).click()
  await expect(dialog.getByRole('alert')).toContainText(t('problem.password-wrong'))
  await dialog.getByLabel(t('signin.password')).fill(PASSWORD)
  await dialog.getByRole('button', { name: t('factor.next') }).click()
  await expect(dialog.getByRole('img', { name: t('factor.qr') })).toBeVisible()
  const secret = await dialog.locator('pre').innerText()
  const field = dialog.getByLabel(t('factor.code'))
  const right = codeOf(secret)
  await field.fill(right === '000000' ? '111111' : '000000')
  await dialog.getByRole('button', { name: t('factor.codes.go') }).click()
  await expect(dialog.getByRole('alert')).toContainText(t('problem.code-wrong'))
  await field.fill(codeOf(secret))
  await dialog.getByRole('button', { name: t('factor.codes.go') }).click()
  return { secret, recovery: await keepRecovery(page, language) }
}

/** The recovery codes, which the dialog does not let go before they are kept. */
async function keepRecovery(page: Page, language: Language = 'en') {
  const dialog = page.getByRole('dialog')
  const box = dialog.getByLabel(words(language, 'factor.kept'))
  await expect(box).toBeVisible()
  const codes = (await dialog.locator('pre').innerText()).split('\n')
  expect(codes).toHaveLength(10)
  await page.keyboard.press('Escape')
  await expect(dialog.getByRole('alert')).toHaveText(words(language, 'factor.kept.first'))
  const saved = page.waitForEvent('download')
  await dialog.getByRole('button', { name: words(language, 'factor.download') }).click()
  expect(readFileSync(await (await saved).path(), 'utf8')).toBe(`${codes.join('\n')}\n`)
  await box.check()
  await dialog.getByRole('button', { name: words(language, 'factor.done') }).click()
  await expect(dialog).toHaveCount(0)
  return codes
}

for (const language of LANGUAGES) {
  test(`codes are added, asked for, and a recovery code works once, in ${language}`, async ({
    visit,
  }) => {
    const name = await newcomer()
    const page = await visit({ language })
    await signIn(page, name, language)
    await expect(page.getByText(words(language, 'factor.none'))).toBeVisible()
    // An address has no passkeys, and the page says so.
    await expect(page.getByText(words(language, 'factor.passkey.address'))).toBeVisible()
    const { secret, recovery } = await addCodes(page, language)
    await expect(page.locator('#second-factor')).toContainText(words(language, 'factor.on'))
    const seen = await page.locator('#second-factor').innerText()
    expect(seen).not.toMatch(/\bfactor\.[a-z]/)
    expect(seen).not.toContain('{{')
    expect(await page.content()).not.toContain(recovery[0])

    await signOut(page, language)
    await signIn(page, name, language)
    const field = page.getByLabel(words(language, 'signin.code'), { exact: true })
    await expect(field).toBeFocused()
    const go = page.getByRole('button', { name: words(language, 'signin.go'), exact: true })
    await field.fill('00000')
    await go.click()
    await expect(page.getByRole('alert')).toContainText(words(language, 'problem.code-wrong'))
    await expect(page.getByLabel(words(language, 'signin.name'), { exact: true })).toHaveValue(name)
    // The code that confirmed is spent; the next one is good already.
    await field.fill(codeOf(secret, 1))
    await go.click()
    await expect(page).toHaveURL(/\/settings\/you/)

    await signOut(page, language)
    await signIn(page, name, language)
    await field.fill(recovery[3]?.toUpperCase() ?? '')
    await go.click()
    await expect(page.locator('#second-factor')).toContainText(
      words(language, 'factor.recovery.left', { n: 9 }),
    )
    await signOut(page, language)
    await signIn(page, name, language)
    await field.fill(recovery[3] ?? '')
    await go.click()
    await expect(page.getByRole('alert')).toContainText(words(language, 'problem.code-wrong'))
  })
}

test('recovery codes are renewed, codes removed, and an admin resets', async ({ visit }) => {
  const name = await newcomer('admin')
  const page = await visit()
  const dialog = page.getByRole('dialog')
  await signIn(page, name, 'en', '/')
  const step = page.locator('[data-step=factor]')
  await expect(step).toHaveAttribute('data-done', 'false')
  await page.goto('/settings/you')
  const { recovery } = await addCodes(page)
  await page.goto('/')
  await expect(step).toHaveAttribute('data-done', 'true')

  await page.goto('/settings/you')
  await page.getByRole('button', { name: 'Renew recovery codes' }).click()
  await dialog.getByLabel('Password').fill(PASSWORD)
  await dialog.getByRole('button', { name: 'Renew recovery codes' }).click()
  expect(await keepRecovery(page)).not.toContain(recovery[0])
  await page.getByRole('button', { name: 'Remove: One-time codes' }).click()
  await dialog.getByLabel('Password').fill(PASSWORD)
  await dialog.getByRole('button', { name: 'Remove' }).click()
  await expect(page.getByText(words('en', 'factor.none'))).toBeVisible()
  await addCodes(page)

  const admin = await visit({ role: 'admin' })
  await admin.goto('/settings/people')
  const row = admin.getByRole('row').filter({ hasText: name })
  await expect(row.getByRole('cell', { name: 'on', exact: true })).toBeVisible()
  // Nobody resets their own here, and who only reads is not offered it.
  const auditor = await visit({ role: 'auditor' })
  await auditor.goto('/settings/people')
  await auditor.getByRole('button', { name: `What can be done about ${name}` }).click()
  await expect(auditor.getByRole('menuitem')).toHaveCount(1)
  await admin.getByRole('button', { name: `What can be done about ${name}` }).click()
  await admin.getByRole('menuitem', { name: 'Reset second factor' }).click()
  await admin.getByRole('dialog').getByRole('button', { name: 'Reset second factor' }).click()
  await expect(row.getByRole('cell', { name: 'none', exact: true })).toBeVisible()
  await page.goto('/settings/you')
  await expect(page).toHaveURL(/\/sign-in/)
  await signIn(page, name)
  await expect(page.getByText(words('en', 'factor.none'))).toBeVisible()
})

test('whoever has to add one is led there, and then on', async ({ visit }) => {
  const name = await newcomer()
  const page = await visit()
  let insists = true
  // The server of these tests does not insist; its answer is made to, and nothing else.
  await page.route(/\/api\/v1\/(me|login)$/, async (route) => {
    const answer = await route.fetch()
    const body = (await answer.json()) as Record<string, unknown>
    await route.fulfill({
      response: answer,
      json: { ...body, must_add_second_factor: insists && answer.ok() },
    })
  })
  await signIn(page, name, 'en', '/incidents')
  await expect(page).toHaveURL(/\/second-factor/)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Second factor')
  await page.goto('/incidents?severity=high')
  await expect(page).toHaveURL(/\/second-factor/)
  insists = false
  await addCodes(page)
  await expect(page).toHaveURL(/\/incidents\?severity=high/)
})

test('a passkey is made, signs in, and is removed', async ({ browser }) => {
  // Passkeys belong to a name, and the other stories' base is an address.
  const base = house().base.replace('127.0.0.1', 'localhost')
  const name = await newcomer()
  const context = await browser.newContext({
    baseURL: base,
    locale: 'en',
    ignoreHTTPSErrors: true,
  })
  const page = await context.newPage()
  const dialog = page.getByRole('dialog')
  const devices = await context.newCDPSession(page)
  await devices.send('WebAuthn.enable')
  const { authenticatorId } = await devices.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  await signIn(page, name)
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await dialog.getByLabel('Name of the device').fill('Blue <b>key</b>')
  await dialog.getByLabel('Password').fill(PASSWORD)
  await dialog.getByRole('button', { name: 'Go on' }).click()
  await keepRecovery(page)
  await expect(page.locator('.factor-keys')).toContainText('Blue <b>key</b>')
  await expect(page.locator('.factor-keys')).toContainText('last used never')

  // The password alone does not do any more; the passkey is offered first.
  await signOut(page)
  await signIn(page, name)
  await expect(page.getByText('This account signs in with a passkey')).toBeVisible()
  await expect(page.getByLabel('Recovery code')).toBeFocused()
  const byKey = page.getByRole('button', { name: 'Sign in with a passkey' })
  await byKey.click()
  await expect(page.locator('.factor-keys')).toContainText('last used')
  await expect(page.locator('.factor-keys')).not.toContainText('never')

  // A device that does not know its user is refused in words.
  await signOut(page)
  await devices.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
  await byKey.click()
  await expect(page.getByRole('alert')).toContainText('The passkey was not used')
  await devices.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true })
  await byKey.click()
  await expect(page).not.toHaveURL(/sign-in/)
  await page.goto('/settings/you')
  await page.getByRole('button', { name: 'Remove: Blue <b>key</b>' }).click()
  await dialog.getByLabel('Password').fill(PASSWORD)
  await dialog.getByRole('button', { name: 'Remove' }).click()
  await expect(page.getByText(words('en', 'factor.none'))).toBeVisible()
  await signOut(page)
  // A key that was removed opens nothing.
  await byKey.click()
  await expect(page.getByRole('alert')).toContainText('The passkey was not accepted')
  await context.close()
})
