/** The input of the benchmark: articles of about 3.2 kB each, the same bytes on every machine. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { articleAt } from '../../jobs/demo/articles.ts'

const NEWEST_MILLIS = Date.parse('2026-11-20T12:00:00Z')
const SEED = 2026
/** The generator's articles are shorter: each gets this many characters of another one as a last paragraph. */
const EXTRA_CHARS = 512
const BUFFER_CHARS = 1 << 20

function lineAt(index: number): string {
  const article = articleAt({ seed: SEED, index, newestMillis: NEWEST_MILLIS })
  const other = articleAt({ seed: SEED + 1, index, newestMillis: NEWEST_MILLIS })
  const content = `${article.content}\n\n${other.content.slice(0, EXTRA_CHARS).toWellFormed()}`
  return `${JSON.stringify({ ...article, content })}\n`
}

/** Writes the file unless it is there. @returns its size in bytes. */
export async function generateInput(path: string, rows: number, say: (line: string) => void): Promise<number> {
  const found = await stat(path).catch(() => undefined)
  if (found !== undefined) return found.size
  say(`generating ${rows} articles into ${path} (once)`)
  await mkdir(dirname(path), { recursive: true })
  const out = createWriteStream(`${path}.part`)
  let buffer = ''
  for (let index = 0; index < rows; index++) {
    buffer += lineAt(index)
    if (buffer.length < BUFFER_CHARS) continue
    if (!out.write(buffer)) await once(out, 'drain')
    buffer = ''
  }
  out.end(buffer)
  await once(out, 'close')
  // only a complete file gets the name that the next run trusts
  await rename(`${path}.part`, path)
  return (await stat(path)).size
}
