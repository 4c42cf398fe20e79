import { test, expect } from '@playwright/test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fieldsLike, typedAt } from '../src/domain/hunt/complete'
import { term, withTerm } from '../src/domain/hunt/edit'
import { FIELDS } from '../src/domain/hunt/fields'
import { Fault, parse } from '../src/domain/hunt/language'
import { bucketsOf, spanOf } from '../src/domain/hunt/range'
import { toSigma } from '../src/domain/hunt/sigma'
import { condition, countOperators } from '../src/domain/hunt/sql'

/** The SQL of a query, or `code from-to` of what is wrong with it. */
function sql(text: string): string {
  const read = parse(text)
  try {
    if ('fault' in read) throw read.fault
    return condition(read.node) ?? ''
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault
    return `${fault.code} ${fault.from}-${fault.to} ${Object.values(fault.params).join(' ')}`.trim()
  }
}

function sigma(text: string): string {
  const read = parse(text)
  if ('fault' in read) throw read.fault
  const yaml = toSigma(read.node, {
    id: 'i',
    title: 't',
    level: 'low',
    description: 'd',
    date: '2026-11-22',
  })
  return yaml.slice(yaml.indexOf('logsource:'), yaml.indexOf('level:'))
}

test('the fields are the columns of the server', () => {
  const source = readFileSync(join(import.meta.dirname, '../../crates/schema/src/event.rs'), 'utf8')
  const rows = source.matchAll(/^ {4}(\w+): (?:Option<)?(\w+)>?( as Time)? => "([^"]+)",/gm)
  const kinds: Record<string, string> = { String: 'text', i64: 'int', Value: 'json', Uuid: 'text' }
  const found = [...rows].map(([, name, type, time, path]) => ({
    name,
    path,
    kind: time ? 'time' : (kinds[type ?? ''] ?? type),
  }))
  expect(found.length).toBeGreaterThan(80)
  expect(FIELDS).toEqual(found)
})

const CASES: [string, string][] = [
  ['', ''],
  ['*', ''],
  ['  ', ''],
  ['method:GET', "method = 'GET'"],
  ['method=GET', "method = 'GET'"],
  ['method != GET', "not coalesce(method = 'GET', false)"],
  ['NOT method:GET', "not coalesce(method = 'GET', false)"],
  ['-method:GET', "not coalesce(method = 'GET', false)"],
  ['not not method:GET', "not coalesce(not coalesce(method = 'GET', false), false)"],
  ['method:GET,POST', "method in ('GET', 'POST')"],
  ['method:GET, POST', "method in ('GET', 'POST')"],
  ['method:(GET or POST)', "method in ('GET', 'POST')"],
  ['method:(GET POST*)', "(method = 'GET' or method like 'POST%')"],
  ['http_code>=500', 'http_code >= 500'],
  ['http_code >= 500', 'http_code >= 500'],
  ['http_code:>=500', 'http_code >= 500'],
  ['http_code<500 http_code > 399', '(http_code < 500 and http_code > 399)'],
  ['status:404', 'http_code = 404'],
  ['http_code:*', 'http_code is not null'],
  ['NOT account:*', 'not coalesce(account is not null, false)'],
  ['account:""', "account = ''"],
  ['class:http_activity', 'class_uid = 4002'],
  ['class_uid:4002,3002', 'class_uid in (4002, 3002)'],
  ['severity>=high', 'severity_id >= 4'],
  ['request_truncated:TRUE', 'request_truncated = true'],
  ['src_endpoint.ip:203.0.113.66', "src_ip = '203.0.113.66'"],
  ['src_ip:2001:db8::1', "src_ip = '2001:db8::1'"],
  ['src_ip:10.0.0.0/8', "src_ip like '10.%'"],
  ['src_ip:192.0.2.7/32', "src_ip = '192.0.2.7'"],
  [
    'src_ip:172.16.0.0/12',
    "(src_ip like '172.%' and try_cast(split_part(src_ip, '.', 2) as bigint) >= 16 and try_cast(split_part(src_ip, '.', 2) as bigint) <= 31)",
  ],
  ['path:/admin*', "path like '/admin%'"],
  ['path:*.php*', "path like '%.php%'"],
  ['path:/100%_a*', "path like '/100\\%\\_a%'"],
  ['path:C:\\dir*', "path like 'C:\\\\dir%'"],
  ['path:a\\*b', "path = 'a*b'"],
  ['path:"a*b"', "path = 'a*b'"],
  ['path:"say \\"hi\\" \\\\"', 'path = \'say "hi" \\\''],
  ['path:/f(1)', "path = '/f(1)'"],
  ['(path:/f(1))', "path = '/f(1)'"],
  ['request_headers:*evil*', "request_headers like '%evil%'"],
  ['rest.unmapped.foo:bar', "json_text(rest, 'unmapped.foo') = 'bar'"],
  ['rest.unmapped.n>=5', "try_cast(json_text(rest, 'unmapped.n') as double) >= 5"],
  ['time>=2026-11-22T10:00:00Z', "time >= timestamp '2026-11-22T10:00:00.000Z'"],
  ['a OR method:GET b', ''],
  ['method:GET or method:PUT path:/a', "(method = 'GET' or (method = 'PUT' and path = '/a'))"],
  ['(method:GET or method:PUT) path:/a', "((method = 'GET' or method = 'PUT') and path = '/a')"],
  ['method:GET AND NOT (path:/a or path:/b)', ''],
  // Quoting: whatever is typed stays inside its quotes.
  ["account:' OR 1=1 --", ''],
  [`account:"' OR 1=1 --"`, "account = ''' OR 1=1 --'"],
  [`account:"\\' OR 1=1 --"`, "account = '\\'' OR 1=1 --'"],
  [`account:x*'--`, "account like 'x%''--'"],
  [`rest.a-b:"'"`, "json_text(rest, 'a-b') = ''''"],
  // What cannot be asked: code, place, words.
  ['statuscode>=500', 'unknown-field 0-10 statuscode status_code'],
  ['x method:GET zzzzzzzzzz:1', 'unknown-field 13-23 zzzzzzzzzz'],
  ['"src_ip":1', 'unknown'],
  ["src_ip';drop:1", ''],
  ['http_code:abc', 'not-a-number 10-13 http_code abc'],
  ['http_code:1;drop', 'not-a-number 10-16 http_code 1;drop'],
  ['http_code:5*', 'wildcard-here 10-12 http_code'],
  ['http_code>*', 'wildcard-here 10-11 http_code'],
  ['http_code>1,2', 'list-compared 0-13 http_code'],
  ['status_code>=500', 'not-comparable 0-16 status_code http_code'],
  ['time>yesterday', 'not-a-time 5-14 time yesterday'],
  ['request_truncated:yes', 'not-a-bool 18-21 request_truncated yes'],
  ['request_headers:evil', 'json-whole 16-20 request_headers evil'],
  ['src_ip:10.0.0.1/8', 'network-bits 7-17 10.0.0.0/8'],
  ['src_ip:10.0.0/8', 'network-wrong 7-15 10.0.0/8'],
  ['src_ip:2001:db8::/32', 'network-v6 7-20 2001:db8::/32'],
  ['method:', 'value-missing 0-7 method'],
  ['method: GET', 'value-missing 0-7 method'],
  ['method:GET,', 'value-missing 0-11 method'],
  ['method:()', 'value-missing 0-9 method'],
  ['"open', 'quote-open 0-5'],
  ['(method:GET', 'paren-open 0-1'],
  ['method:(GET', 'paren-open 7-8'],
  ['method:GET)', 'paren-extra 10-11'],
  ['method:GET and', 'term-missing 13-14'],
  ['or method:GET', 'term-missing 0-1'],
  ['NOT', 'term-missing 2-3'],
  ['()', 'term-missing 0-1'],
  [`${'('.repeat(30)}a`, 'too-deep 20-21 20'],
  [Array.from({ length: 40 }, (_, n) => `w${n}`).join(' '), 'too-long'],
]

for (const [text, wanted] of CASES) {
  test(`sql of ${text.slice(0, 60) || 'nothing'}`, () => {
    const found = sql(text)
    if (wanted === 'too-long') expect(found).toMatch(/^too-long/)
    else if (wanted !== '' && wanted !== 'unknown') expect(found).toBe(wanted)
    // Outside of quotes stands nothing but what the compiler writes.
    if (!/^[a-z-]+ \d+-\d+/.test(found)) {
      const bare = found.replace(/'(?:[^']|'')*'/g, '?')
      expect(bare).not.toContain("'")
      expect(bare).not.toMatch(/--|;|\bunion\b|\bdrop\b|1=1/i)
    }
  })
}

test('free text is looked for in the columns of the text search, whatever its case', () => {
  const found = sql('"50%_\'x"')
  expect(found.split(' or ')).toHaveLength(14)
  expect(found).toContain("message ilike '%50\\%\\_''x%'")
  expect(sql('https://x.example/a')).toContain("ilike '%https://x.example/a%'")
  expect(sql('- a')).toContain("ilike '%-%'")
})

test('operators are counted as the server counts them', () => {
  // `(` `=` `or` `=` and the star of `count(*)`: what crates/store/src/lake/query.rs `is_operator` counts.
  expect(countOperators("select count(*) from events where (a = 'x or y' or b >= 1)")).toBe(7)
})

test('terms are added and taken away where they stand', () => {
  expect(term('path', '/a b')).toBe('path:"/a b"')
  expect(term('path', '/a')).toBe('path:/a')
  expect(term('path', 'a*"\\')).toBe('path:"a*\\"\\\\"')
  expect(withTerm('', 'method', 'GET', false)).toBe('method:GET')
  expect(withTerm('x', 'method', 'GET', true)).toBe('x NOT method:GET')
  expect(withTerm('a or b', 'method', 'GET', false)).toBe('(a or b) method:GET')
  expect(withTerm('(a or b)', 'method', 'GET', false)).toBe('(a or b) method:GET')
  expect(withTerm('(a or b) c', 'method', 'GET', false)).toBe('(a or b) c method:GET')
  expect(withTerm('x method:GET', 'method', 'GET', false)).toBe('x method:GET')
  expect(withTerm('x method:GET y', 'method', 'GET', true)).toBe('x y NOT method:GET')
  expect(withTerm('NOT method:GET', 'method', 'GET', false)).toBe('method:GET')
  for (const value of [
    `' OR 1=1 --`,
    'a"b',
    'x\\',
    '*',
    ' ',
    'or',
    '(',
    'a,b',
    '10.0.0.0/8',
    '\u202E',
  ]) {
    const read = parse(term('account', value))
    expect(
      'node' in read && read.node.kind === 'test' && read.node.values.map((v) => v.parts),
    ).toEqual([[value]])
  }
})

test('completion knows what is typed', () => {
  expect(typedAt('src', 3)).toMatchObject({ what: 'field', typed: 'src', from: 0 })
  expect(typedAt('a (-me', 6)).toMatchObject({ what: 'field', typed: 'me', from: 4 })
  expect(typedAt('method:G', 8)).toMatchObject({ what: 'value', typed: 'G', from: 7 })
  expect(typedAt('method:GET,P', 12)).toMatchObject({ what: 'value', typed: 'P', from: 11 })
  expect(typedAt('path:"/a b', 10)).toMatchObject({ what: 'value', typed: '/a b', from: 5 })
  expect(typedAt('"free te', 8)).toBeUndefined()
  expect(fieldsLike('http_request.url', 2).map((field) => field.name)).toEqual(['scheme', 'host'])
  expect(fieldsLike('src', 5)[0]?.name).toBe('src_ip')
})

test('a query is written as a rule', () => {
  expect(sigma('class:http_activity http_code>=500 NOT method:GET')).toBe(
    `logsource:
  product: ocsf
  category: http_activity
detection:
  s1:
    http_response.code|gte: 500
  s2:
    http_request.http_method|cased: 'GET'
  condition: (s1 and not s2)
`,
  )
  expect(sigma('src_ip:10.0.0.0/8,192.0.2.1 or account:*')).toBe(
    `logsource:
  product: ocsf
detection:
  s1:
    - src_endpoint.ip|cased: '192.0.2.1'
    - src_endpoint.ip|cidr: '10.0.0.0/8'
  s2:
    actor.user.name|exists: true
  condition: (s1 or s2)
`,
  )
  expect(sigma(`account:"it's * \\\\ ?" path:/a*b`)).toContain(
    `actor.user.name|cased: 'it''s \\* \\\\ \\?'`,
  )
  expect(sigma('class:4002')).toContain('class_uid: 4002')
  expect(sigma('evil')).toContain("- http_request.url.path|contains: 'evil'")
  expect(sigma('account:"a\nb"')).toContain('cased: "a\\nb"')
  for (const text of ['*', 'time>2026-11-22', 'request_headers.0.name:x']) {
    expect(() => sigma(text)).toThrow('not-in-a-rule')
  }
})

test('bars are of a width people count in', () => {
  const span = spanOf({ name: '24h' }, Date.UTC(2026, 10, 22, 12))
  const { ms, origin, count } = bucketsOf(span)
  expect(ms).toBe(1_800_000)
  expect(count).toBeLessThanOrEqual(91)
  expect(origin).toBeLessThanOrEqual(span.from)
  expect(origin + count * ms).toBeGreaterThanOrEqual(span.until)
  for (const until of [1, 60_000, 86_400_000 * 400]) {
    expect(bucketsOf({ from: 0, until }).count).toBeLessThanOrEqual(91)
  }
})
