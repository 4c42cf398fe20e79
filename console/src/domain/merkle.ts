/** RFC 6962 inclusion, computed here: the path of an entry leads to the root that a checkpoint signs. */

type Bytes = Uint8Array<ArrayBuffer>

const bytesOf = (base64: string): Bytes =>
  Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))

async function node(left: Bytes, right: Bytes): Promise<Bytes> {
  const both = new Uint8Array([1, ...left, ...right])
  return new Uint8Array(await crypto.subtle.digest('SHA-256', both))
}

/** The root above `leaf`, or `undefined` when the path does not fit the tree's size (RFC 9162 §2.1.3.2). */
export async function rootOf(
  leaf: Bytes,
  index: number,
  size: number,
  path: string[],
): Promise<string | undefined> {
  if (index >= size) return undefined
  let [at, last] = [index, size - 1]
  let hash = leaf
  for (const sibling of path.map(bytesOf)) {
    if (last === 0) return undefined
    if (at % 2 === 1 || at === last) {
      hash = await node(sibling, hash)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else hash = await node(hash, sibling)
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 ? btoa(String.fromCharCode(...hash)) : undefined
}

/** Members sorted, no white space: RFC 8785, which JSON.stringify writes but for the order. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${members.map(([name, held]) => `${JSON.stringify(name)}:${canonical(held)}`).join(',')}}`
}

export type Proof = {
  index: number
  leaf: unknown
  path: string[]
  size: number
  checkpoint: string
}

/** Whether the entry as it is shown is in the tree whose root the checkpoint names. */
export async function isIncluded(proof: Proof): Promise<boolean> {
  const entry = new TextEncoder().encode(canonical(proof.leaf))
  const leaf = await crypto.subtle.digest('SHA-256', new Uint8Array([0, ...entry]))
  const root = await rootOf(new Uint8Array(leaf), proof.index, proof.size, proof.path)
  // C2SP tlog-checkpoint: origin, size, root.
  const [, size, signedRoot] = proof.checkpoint.split('\n')
  return root !== undefined && root === signedRoot && size === String(proof.size)
}
