/** Decoding in the browser, one step after the other. Nothing is sent anywhere. */

export const STEPS = ['url', 'base64', 'hex', 'unicode', 'gzip', 'jwt'] as const
export type Step = (typeof STEPS)[number]

type Bytes = Uint8Array<ArrayBuffer>

/** A small input that unpacks to more is a bomb. */
export const RESULT_BYTES_MAX = 4 << 20
const CHAIN_MAX = 8

export class TooLarge extends Error {}

/** Applies the steps; throws where one does not fit. */
export async function decode(input: string, steps: readonly Step[]): Promise<string> {
  let bytes = encode(input)
  for (const step of steps) bytes = await apply(step, bytes)
  return new TextDecoder().decode(bytes)
}

const encode = (text: string): Bytes => new Uint8Array(new TextEncoder().encode(text))

async function apply(step: Step, bytes: Bytes): Promise<Bytes> {
  // Gzip takes bytes; everything else is text that says bytes.
  if (step === 'gzip') return gunzip(bytes)
  const text = new TextDecoder().decode(bytes)
  switch (step) {
    case 'url':
      return percent(text)
    case 'base64':
      return base64(text)
    case 'hex':
      return hex(text)
    case 'unicode':
      return encode(unicode(text))
    case 'jwt':
      return encode(jwt(text))
  }
}

/** Percent signs and plus; what is no escape stays, as servers take it. */
function percent(text: string): Bytes {
  if (!/%[0-9a-f]{2}|\+/i.test(text)) throw new Error('no escape')
  const out: number[] = []
  const bytes = encode(text.replaceAll('+', ' '))
  for (let at = 0; at < bytes.length; at++) {
    const pair = String.fromCharCode(bytes[at + 1] ?? 0, bytes[at + 2] ?? 0)
    if (bytes[at] === 0x25 && /^[0-9a-f]{2}$/i.test(pair)) {
      out.push(Number.parseInt(pair, 16))
      at += 2
    } else out.push(bytes[at] ?? 0)
  }
  return new Uint8Array(out)
}

/** Both alphabets, with or without padding. */
function base64(text: string): Bytes {
  const plain = text
    .replace(/\s+/g, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replace(/=+$/, '')
  if (plain === '' || !/^[A-Za-z0-9+/]+$/.test(plain) || plain.length % 4 === 1) {
    throw new Error('not Base64')
  }
  return Uint8Array.from(atob(plain), (char) => char.charCodeAt(0))
}

/** `48 65`, `0x48,0x65`, `\x48\x65`. */
function hex(text: string): Bytes {
  const plain = text.replace(/0x|\\x|[\s:,-]/gi, '')
  if (plain === '' || plain.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(plain))
    throw new Error('not hex')
  return Uint8Array.from(plain.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

/** `\u0041`, `\u{1F600}`, `\x41`, `&#65;`, `&#x41;`, `%u0041`. */
function unicode(text: string): string {
  const escape =
    /\\u\{([0-9a-f]{1,6})\}|\\u([0-9a-f]{4})|%u([0-9a-f]{4})|\\x([0-9a-f]{2})|&#x([0-9a-f]{1,6});|&#(\d{1,7});/gi
  let isFound = false
  const out = text.replace(escape, (whole, ...groups: (string | undefined)[]) => {
    const at = groups.slice(0, 6).findIndex((group) => group !== undefined)
    const digits = groups[at]
    const code = digits === undefined ? Number.NaN : Number.parseInt(digits, at === 5 ? 10 : 16)
    if (!(code <= 0x10ffff)) return whole
    isFound = true
    // Surrogate halves find each other as code units; code points above are whole.
    return code > 0xffff ? String.fromCodePoint(code) : String.fromCharCode(code)
  })
  if (!isFound) throw new Error('no escape')
  return out
}

/** Header and claims, read. Whether the signature is right cannot be told here. */
function jwt(text: string): string {
  const [head, claims, signature] = text
    .trim()
    .replace(/^Bearer\s+/i, '')
    .split('.')
  if (!head || !claims || signature === undefined) throw new Error('not a JWT')
  const part = (piece: string): unknown => JSON.parse(new TextDecoder().decode(base64(piece)))
  return JSON.stringify({ header: part(head), claims: part(claims) }, null, 2)
}

async function gunzip(bytes: Bytes): Promise<Bytes> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))
  const reader = stream.getReader()
  const parts: Bytes[] = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > RESULT_BYTES_MAX) {
      await reader.cancel()
      throw new TooLarge()
    }
    parts.push(value)
  }
  const out = new Uint8Array(size)
  let from = 0
  for (const part of parts) {
    out.set(part, from)
    from += part.length
  }
  return out
}

/** The steps that lead from this text to one that reads as text; none where it already does. */
export async function detect(input: string): Promise<Step[]> {
  const steps: Step[] = []
  let bytes = encode(input.trim())
  while (steps.length < CHAIN_MAX) {
    const next = await guess(bytes)
    if (!next) break
    steps.push(next.step)
    bytes = next.bytes
    if (next.step === 'jwt') break
  }
  return steps
}

async function guess(bytes: Bytes): Promise<{ step: Step; bytes: Bytes } | undefined> {
  const text = new TextDecoder().decode(bytes)
  const order: [Step, boolean][] = [
    ['gzip', bytes[0] === 0x1f && bytes[1] === 0x8b],
    ['jwt', /^(Bearer\s+)?eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(text.trim())],
    ['unicode', /\\u\{?[0-9a-f]{4}|%u[0-9a-f]{4}|&#x?[0-9a-f]+;|(\\x[0-9a-f]{2}){2}/i.test(text)],
    ['url', /%[0-9a-f]{2}/i.test(text)],
    ['hex', /^(0x)?([0-9a-f]{2}[\s:,]?){4,}$/i.test(text.trim())],
    ['base64', /^[A-Za-z0-9+/_-]{8,}={0,2}$/.test(text.trim())],
  ]
  for (const [step, isLikely] of order) {
    if (!isLikely) continue
    const found = await apply(step, bytes).catch(() => undefined)
    if (found && found.length > 0 && (isReadable(found) || found[0] === 0x1f)) {
      return { step, bytes: found }
    }
  }
  return undefined
}

/** UTF-8 with hardly a control character in it. */
function isReadable(bytes: Bytes): boolean {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const odd = text.match(/[\u0000-\u0008\u000e-\u001f]/g)?.length ?? 0
    return odd * 10 <= text.length
  } catch {
    return false
  }
}
