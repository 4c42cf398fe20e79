import { LANGUAGES, PASSWORD, expect, house, test, words } from './house'

for (const language of LANGUAGES) {
  test(`the first sign-in, in ${language}`, async ({ visit }) => {
    const page = await visit({ language })
    const once = house().fresh[`fresh-${language}`] ?? ''
    await page.goto('/incidents?severity=high')
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(
      words(language, 'signin.title'),
    )
    await expect(page.locator('html')).toHaveAttribute('lang', language)

    // Wrong first: said in words, and nothing is given away.
    await page.getByLabel(words(language, 'signin.name'), { exact: true }).fill(`fresh-${language}`)
    await page.getByLabel(words(language, 'signin.password'), { exact: true }).fill('not this one')
    await page.getByRole('button', { name: words(language, 'signin.go') }).click()
    await expect(page.getByRole('alert')).toContainText(words(language, 'problem.login-failed'))

    await page.getByLabel(words(language, 'signin.password'), { exact: true }).fill(once)
    await page.getByRole('button', { name: words(language, 'signin.go') }).click()

    // The password was for one use.
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(
      words(language, 'password.title'),
    )
    await page.getByLabel(words(language, 'password.current')).fill(once)
    await page.getByLabel(words(language, 'password.new'), { exact: true }).fill('too short')
    await page.getByLabel(words(language, 'password.again')).fill('too short')
    await page.getByRole('button', { name: words(language, 'password.go') }).click()
    await expect(page.getByRole('alert')).toHaveText(words(language, 'password.short', { n: 6 }))
    await page.getByLabel(words(language, 'password.new'), { exact: true }).fill(PASSWORD)
    await page.getByLabel(words(language, 'password.again')).fill(PASSWORD)
    await page.getByRole('button', { name: words(language, 'password.go') }).click()

    // On to where one wanted to go.
    await expect(page).toHaveURL(/\/incidents\?severity=high/)
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(
      words(language, 'page.incidents'),
    )
    await page.getByRole('button', { name: new RegExp(`^fresh-${language}:`) }).click()
    await page.getByRole('menuitem', { name: words(language, 'person.out') }).click()
    await expect(page).toHaveURL(/\/sign-in/)
    await page.goto('/incidents')
    await expect(page).toHaveURL(/\/sign-in/)
  })
}

test('a language is chosen before signing in, and stays', async ({ visit }) => {
  const page = await visit({ language: 'en' })
  await page.goto('/sign-in')
  await page.getByLabel('Language').selectOption('ko')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(words('ko', 'signin.title'))
  await page.reload()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(words('ko', 'signin.title'))
})

test('who tries too often is told how long to wait', async ({ visit }) => {
  const page = await visit({ language: 'en' })
  await page.goto('/sign-in')
  await page.getByLabel('Name', { exact: true }).fill('locked')
  const alert = page.getByRole('alert')
  for (let tries = 0; tries < 12; tries++) {
    await page.getByLabel('Password', { exact: true }).fill('guess')
    const answered = page.waitForResponse('**/api/v1/login')
    await page.getByRole('button', { name: 'Sign in' }).click()
    if ((await answered).status() === 429) break
  }
  await expect(alert).toContainText(/The next try is heard in .*\d/)
  await expect(alert).toContainText('Nothing is locked for ever')
})

test('a session that ends leads back to where one was', async ({ visit }) => {
  const page = await visit({ role: 'analyst' })
  await page.goto('/response?view=force')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Response')
  await page.context().clearCookies()
  // What is on screen is asked for again and again; the next answer is 401.
  await expect(page).toHaveURL(/\/sign-in/)
  await expect(page.getByText('Your session has ended')).toBeVisible()
  await page.getByLabel('Name', { exact: true }).fill('the-analyst')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(/\/response\?view=force/)
})

test('nothing secret is kept in the browser or stands in the address', async ({ visit }) => {
  const page = await visit({ role: 'admin' })
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  const kept = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }]),
  )
  const me = await page.evaluate(async () => (await fetch('/api/v1/me')).json())
  expect(me.csrf).toMatch(/^[0-9a-f]{32,}$/)
  expect(kept).not.toContain(me.csrf)
  expect(await page.evaluate(() => document.cookie)).toBe('')
  expect(page.url()).not.toContain(me.csrf)
})

test('a link elsewhere is not followed after signing in', async ({ visit }) => {
  const page = await visit()
  await page.goto('/sign-in?back=https://evil.example/')
  await page.getByLabel('Name', { exact: true }).fill('the-viewer')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(`${house().base}/`)
})

test('a sign-out that the server did not hear is told, and not shown as one', async ({ visit }) => {
  const page = await visit({ role: 'auditor' })
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview')
  await page.route('**/api/v1/logout', (route) => route.abort())
  const out = async () => {
    await page.getByRole('button', { name: /^the-auditor:/ }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
  }
  await out()
  await expect(page.getByText('The server does not answer').first()).toBeVisible()
  await expect(page).not.toHaveURL(/sign-in/)
  await page.unroute('**/api/v1/logout')
  await out()
  await expect(page).toHaveURL(/\/sign-in$/)
  await page.goto('/')
  await expect(page).toHaveURL(/\/sign-in/)
})

test('a way back that hides another host in controls is not taken', async ({ visit }) => {
  const page = await visit()
  await page.goto('/sign-in?back=%2F%09%2Fevil.example%2F')
  await page.getByLabel('Name', { exact: true }).fill('the-viewer')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(`${house().base}/`)
})
