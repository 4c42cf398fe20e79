import { Refusal, type Schema } from '~/api/client'

/** Passkeys belong to a host name: an IP address has none, and older browsers neither. */
export function hasPasskeys(): boolean {
  const { hostname } = window.location
  const isAddress = hostname.startsWith('[') || /^[\d.]+$/.test(hostname)
  return 'PublicKeyCredential' in window && !isAddress
}

/** Has the device make a key. */
export async function makeKey(question: Schema['PasskeyQuestion']) {
  const { challenge, site, user, name, display, known, algorithms, timeout_ms } = question
  const made = await asked(() =>
    navigator.credentials.create({
      publicKey: {
        challenge: bytes(challenge),
        rp: { id: site, name: 'Plura' },
        user: { id: bytes(user), name, displayName: display },
        pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key', alg })),
        excludeCredentials: known.map((id) => ({ type: 'public-key', id: bytes(id) })),
        authenticatorSelection: { userVerification: 'required', residentKey: 'required' },
        attestation: 'none',
        timeout: timeout_ms,
      },
    }),
  )
  const response = made.response as AuthenticatorAttestationResponse
  const key = response.getPublicKey()
  if (!key) throw fault('passkey-unsupported', 'the browser does not tell the public key')
  return {
    id: made.id,
    client_data: text(response.clientDataJSON),
    authenticator_data: text(response.getAuthenticatorData()),
    public_key: text(key),
  }
}

/** Has the device sign in with one of its keys. */
export async function signWithKey(
  question: Schema['SignInQuestion'],
): Promise<Schema['PasskeyLogin']> {
  const { challenge, site, timeout_ms } = question
  const signed = await asked(() =>
    navigator.credentials.get({
      publicKey: {
        challenge: bytes(challenge),
        rpId: site,
        userVerification: 'required',
        timeout: timeout_ms,
      },
    }),
  )
  const response = signed.response as AuthenticatorAssertionResponse
  return {
    id: signed.id,
    client_data: text(response.clientDataJSON),
    authenticator_data: text(response.authenticatorData),
    signature: text(response.signature),
  }
}

/** What browsers call it (WebAuthn Level 3, §5.1.3 and §5.1.4), and the words we have for it. */
const FAULTS: Record<string, string> = {
  NotAllowedError: 'passkey-cancelled',
  AbortError: 'passkey-cancelled',
  InvalidStateError: 'passkey-known',
  SecurityError: 'passkey-untrusted',
  NotSupportedError: 'passkey-unsupported',
  ConstraintError: 'passkey-unsupported',
}

async function asked(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  const answer = await ask().catch((error: unknown) => {
    const code = error instanceof DOMException && FAULTS[error.name]
    throw code ? fault(code, error.message) : error
  })
  if (answer instanceof PublicKeyCredential) return answer
  throw fault('passkey-unsupported', 'the browser answered with something else')
}

const fault = (code: string, detail: string) => new Refusal({ status: 0, code, detail })

/** base64url without padding, as the API writes what is binary. */
function bytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(plain, (char) => char.charCodeAt(0))
}

function text(bytes: ArrayBuffer): string {
  const plain = String.fromCharCode(...new Uint8Array(bytes))
  return btoa(plain).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
