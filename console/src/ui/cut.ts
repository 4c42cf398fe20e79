/** As many columns as fit, of its beginning and its end: both say what it is. Wide characters take two. */
export function cutMiddle(value: string, columns: number): string {
  const chars = [...value]
  const wide = (char: string) => ((char.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1)
  const length = chars.reduce((sum, char) => sum + wide(char), 0)
  if (length <= columns) return value
  const take = (from: string[], room: number) => {
    const taken: string[] = []
    for (const char of from) {
      room -= wide(char)
      if (room < 0) break
      taken.push(char)
    }
    return taken
  }
  const tail = Math.floor((columns - 1) / 2)
  const end = take([...chars].reverse(), tail).reverse()
  return `${take(chars, columns - 1 - tail).join('')}…${end.join('')}`
}
