import { expect, test } from '@playwright/test'
import { decode, detect } from '../src/domain/decode'
import { house } from './house'

test('the console is served small, for ever, and by its policy', async ({ playwright }) => {
  const http = await playwright.request.newContext({
    baseURL: house().base,
    ignoreHTTPSErrors: true,
  })
  const page = await http.get('/', { headers: { accept: 'text/html', 'accept-encoding': 'gzip' } })
  expect(page.headers()['content-security-policy']).toContain("default-src 'none'")
  expect(page.headers()['cache-control']).toBe('no-cache')
  const assets = [...(await page.text()).matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(
    (m) => m[1],
  )
  expect(assets.length).toBeGreaterThan(1)
  let bytes = 0
  for (const path of assets) {
    const file = await http.get(path ?? '', { headers: { 'accept-encoding': 'gzip' } })
    expect(file.headers()['content-encoding']).toBe('gzip')
    expect(file.headers()['cache-control']).toContain('immutable')
    expect(file.headers()['x-content-type-options']).toBe('nosniff')
    bytes += Number(file.headers()['content-length'])
    const plain = await http.get(path ?? '', { headers: { 'accept-encoding': 'identity' } })
    expect(await plain.text()).toBe(await file.text())
  }
  // With the pages behind it, the first load stays below 400 kB; this is what comes before any page.
  expect(bytes).toBeLessThan(200_000)
  const wrong = await http.get('/api/nothing', { headers: { accept: 'text/html' } })
  expect(wrong.headers()['content-type']).toBe('application/problem+json')
  await http.dispose()
})

test('the decoder undoes one step after the other', async () => {
  const cases: [string, string, string[]][] = [
    ['%3Cscript%3E', '<script>', ['url']],
    ['%253Cb%253E', '<b>', ['url', 'url']],
    ['aGVsbG8gd29ybGQ=', 'hello world', ['base64']],
    ['aGVsbG8gd29ybGQ', 'hello world', ['base64']],
    ['68656c6c6f20776f726c64', 'hello world', ['hex']],
    ['\\u003cimg\\u003e', '<img>', ['unicode']],
    ['&#x3c;a&#62;', '<a>', ['unicode']],
    ['\\ud83d\\ude00 \\u{1f600}', '😀 😀', ['unicode']],
    ['nothing to do here', 'nothing to do here', []],
  ]
  for (const [input, output, steps] of cases) {
    const found = await detect(input)
    expect(found, input).toEqual(steps)
    expect(await decode(input, found), input).toBe(output)
  }
  const token =
    ['{"alg":"none"}', '{"sub":"ann"}'].map((part) => btoa(part).replace(/=+$/, '')).join('.') + '.'
  expect(await detect(token)).toEqual(['jwt'])
  expect(await decode(token, ['jwt'])).toContain('"sub": "ann"')
  await expect(decode('not base64!', ['base64'])).rejects.toThrow()
  await expect(decode('abc', ['hex'])).rejects.toThrow()
})
