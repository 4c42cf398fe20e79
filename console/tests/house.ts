import { test as base, expect, type BrowserContext, type Page } from '@playwright/test'
import en from '../src/i18n/en.json' with { type: 'json' }
import ja from '../src/i18n/ja.json' with { type: 'json' }
import ko from '../src/i18n/ko.json' with { type: 'json' }

export const PASSWORD = 'correct horse battery staple'
export const ROLES = ['owner', 'admin', 'responder', 'analyst', 'auditor', 'viewer'] as const
export type Role = (typeof ROLES)[number]
export const LANGUAGES = ['en', 'ko', 'ja'] as const
export type Language = (typeof LANGUAGES)[number]
export type House = {
  base: string
  binary: string
  ca: string
  /** Where what the ticket desk was sent can be read. */
  desk: string
  /** One-time passwords that nobody has used. */
  fresh: Record<string, string>
}

export const house = (): House => JSON.parse(process.env.PLURA_HOUSE ?? '{}') as House

const TABLES = { en, ko, ja }

/** The words a person with this language reads; `{{n}}` filled from `values`. */
export function words(
  language: Language,
  key: keyof typeof en,
  values: Record<string, unknown> = {},
) {
  return TABLES[language][key].replace(/\{\{(\w+)\}\}/g, (_, name: string) => String(values[name]))
}

export type Visit = {
  role?: Role
  language?: Language
  theme?: 'light' | 'dark'
  width?: number
  tenant?: string
}

/** Opens a browser of its own for somebody. Whatever leaves the origin or breaks the policy fails the test. */
export const test = base.extend<{ visit: (visit?: Visit) => Promise<Page> }>({
  visit: async ({ browser }, use) => {
    const opened: BrowserContext[] = []
    const faults: string[] = []
    await use(async ({ role, language = 'en', theme = 'light', width = 1440, tenant } = {}) => {
      const origin = house().base
      const context = await browser.newContext({
        baseURL: origin,
        locale: language,
        colorScheme: theme,
        viewport: { width, height: 900 },
        timezoneId: 'Asia/Seoul',
        ignoreHTTPSErrors: true,
        acceptDownloads: true,
      })
      opened.push(context)
      const page = await context.newPage()
      page.on('request', (request) => {
        const url = request.url()
        if (!url.startsWith(`${origin}/`) && !/^(data|blob):/.test(url)) faults.push(`left: ${url}`)
      })
      page.on('pageerror', (error) => faults.push(`error: ${error.message}`))
      page.on('dialog', (dialog) => faults.push(`dialog: ${dialog.message()}`))
      page.on('console', (message) => {
        if (/Content Security Policy|Trusted ?Type/i.test(message.text()))
          faults.push(message.text())
      })
      if (role) {
        const name = role === 'owner' ? 'owner' : `the-${role}`
        const answer = await context.request.post('/api/v1/login', {
          data: { name, password: PASSWORD },
        })
        expect(answer.ok(), await answer.text()).toBe(true)
      }
      // The owner belongs to two tenants; the stories are in the first.
      const chosen = tenant ?? (role === 'owner' ? 'default' : undefined)
      if (chosen) {
        await context.addInitScript((id) => void (localStorage['plura.tenant'] ??= id), chosen)
      }
      return page
    })
    await Promise.all(opened.map((context) => context.close()))
    expect(faults, 'nothing leaves the origin, nothing breaks the policy').toEqual([])
  },
})

/** Sends events as the signed-in person, if the role may. */
export async function send(page: Page, events: object[]) {
  const text = events.map((event) => JSON.stringify(event)).join('\n')
  const sent = await page.evaluate(async (body) => {
    const me = await (await fetch('/api/v1/me')).json()
    const headers = {
      'content-type': 'application/x-ndjson',
      'plura-csrf': me.csrf,
      'plura-tenant': 'default',
    }
    return (await fetch('/api/v1/intake/events', { method: 'POST', headers, body })).json()
  }, `${text}\n`)
  expect(sent).toMatchObject({ rejected: 0 })
}

export { expect }
