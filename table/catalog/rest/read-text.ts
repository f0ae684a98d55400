/** The text of an HTTP answer, as far as it is of a size that can be meant. */

/** More came than is read. */
export class TooLong extends Error {
  override readonly name = 'TooLong'
}

/** @throws {TooLong} past `maxBytes` after decompression; the rest is not fetched. */
export async function readText(response: Response, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder()
  const pieces: string[] = []
  let bytes = 0
  // leaving the loop closes the connection
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new TooLong(`more than ${maxBytes} bytes`)
    pieces.push(decoder.decode(chunk, { stream: true }))
  }
  pieces.push(decoder.decode())
  return pieces.join('')
}
