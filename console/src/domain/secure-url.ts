/**
 * The address a text is, where it may become a link: written out as `https://`, without a name or password in it
 * that would look like its host.
 */
export function secureUrl(text: string): URL | undefined {
  if (!/^https:\/\//i.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  return url.protocol === 'https:' && !url.username && !url.password ? url : undefined
}
