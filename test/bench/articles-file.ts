/** The benchmark's input: generated articles as NDJSON, the same bytes on every machine, about 3.2 kB a record. */

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, stat } from 'node:fs/promises'
import { articleAt } from '../../jobs/demo/articles.ts'

const SEED = 7
const NEWEST_MILLIS = Date.UTC(2026, 10, 1)
/** Characters of a second text that bring an article to 3.2 kB. */
const EXTRA_CHARACTERS = 480

/** Writes the file unless it is there. @returns its size in bytes. */
export async function writeArticles(path: string, rows: number): Promise<number> {
  const existing = await stat(path).catch(() => undefined)
  if (existing !== undefined) return existing.size
  const out = createWriteStream(`${path}.part`)
  for (let start = 0; start < rows; start += 500) {
    const lines: string[] = []
    for (let index = start; index < Math.min(start + 500, rows); index++) {
      const article = articleAt({ seed: SEED, index, newestMillis: NEWEST_MILLIS })
      const extra = articleAt({ seed: SEED + 1, index, newestMillis: NEWEST_MILLIS }).content.slice(0, EXTRA_CHARACTERS)
      lines.push(`${JSON.stringify({ ...article, content: `${article.content} ${extra}` })}\n`)
    }
    if (!out.write(lines.join(''))) await once(out, 'drain')
  }
  out.end()
  await once(out, 'finish')
  await rename(`${path}.part`, path)
  return (await stat(path)).size
}
