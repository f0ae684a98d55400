/**
 * The tables of `npm run bench:loader`, each made once: articles of about 5.3 kB of text, fully sorted by
 * `publish_date`, in files of a given number of rows. `position` is a row's place in that order.
 */
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openCatalog } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../../table/format/arrow-take.ts'
import { openStore } from '../../../table/io/open-store.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { generator } from '../generator.ts'

export const TABLE = 'bench.articles'
/** Of the writer: a unit of the shuffle. */
export const ROW_GROUP_ROWS = 2_048

const FIRST_MICROS = 1_700_000_000_000_000n
const SECONDS_APART = 40n
const PARAGRAPHS = 20_000
const PARAGRAPHS_EACH = 4
const PARAGRAPH_CHARS = 1_325

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: true, type: 'string' },
    { id: 2, name: 'publish_date', required: true, type: 'timestamptz' },
    { id: 3, name: 'title', required: false, type: 'string' },
    { id: 4, name: 'content', required: false, type: 'string' },
    { id: 5, name: 'word_count', required: false, type: 'int' },
    { id: 6, name: 'position', required: false, type: 'int' },
  ],
}

interface Text {
  readonly text: string
  readonly words: number
}

/** Common words are common: the cube of a uniform number picks the word. */
function paragraphs(): readonly Text[] {
  const next = generator(7)
  const words = Array.from({ length: 30_000 }, () =>
    Array.from({ length: 2 + next(9) }, () => String.fromCharCode(97 + next(26))).join(''),
  )
  return Array.from({ length: PARAGRAPHS }, () => {
    const picked: string[] = []
    for (let chars = 0; chars < PARAGRAPH_CHARS; ) {
      const word = words[Math.floor(words.length * (next(1 << 20) / (1 << 20)) ** 3)]!
      picked.push(word)
      chars += word.length + 1
    }
    return { text: `${picked.join(' ')}.`, words: picked.length }
  })
}

/** @param folder of the warehouse; made unless it is there. @returns its URL. */
export async function buildTable(
  folder: string,
  rows: number,
  rowsPerFile: number,
  say: (line: string) => void,
): Promise<string> {
  const url = pathToFileURL(folder).href
  // only a complete table is trusted by the next run
  const complete = join(folder, 'complete')
  if (existsSync(complete)) return url
  say(`making ${rows.toLocaleString('en')} articles in ${folder} (once)`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const store = openStore(url, { clock: systemClock })
  const table = await openCatalog(store, { clock: systemClock }).createTable(TABLE, {
    schema: SCHEMA,
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: {
      orderId: 1,
      fields: [{ sourceId: 2, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' }],
    },
    properties: {},
  })
  const pool = paragraphs()
  const files: DataFile[] = []
  for (let start = 0; start < rows; start += rowsPerFile) {
    const writer = createDataFileWriter({
      store: table.store,
      location: table.location,
      schema: SCHEMA,
      spec: { specId: 0, fields: [] },
      partition: [],
      sortOrderId: 1,
      fileNamePrefix: `articles-${String(start).padStart(9, '0')}`,
      targetFileSizeBytes: 1 << 30,
      rowGroupRows: ROW_GROUP_ROWS,
    })
    const end = Math.min(rows, start + rowsPerFile)
    for (let at = start; at < end; at += ROW_GROUP_ROWS) {
      await writer.write(batchAt(pool, at, Math.min(end, at + ROW_GROUP_ROWS)))
    }
    files.push(...(await writer.close()).map(({ dataFile }) => dataFile))
  }
  await table.append(files)
  await writeFile(complete, '')
  return url
}

function batchAt(pool: readonly Text[], start: number, end: number): ReturnType<typeof batchOfColumns> {
  const next = generator(start + 1)
  const rows = Array.from({ length: end - start }, (_, index) => {
    const parts = Array.from({ length: PARAGRAPHS_EACH }, () => pool[next(pool.length)]!)
    return {
      id: `article-${String((start + index) * 7919).padStart(10, '0')}`,
      publish_date: FIRST_MICROS + BigInt(start + index) * SECONDS_APART * 1_000_000n,
      title: pool[next(pool.length)]!.text.slice(0, 60),
      content: parts.map(({ text }) => text).join('\n'),
      word_count: parts.reduce((sum, { words }) => sum + words, 0),
      position: start + index,
    }
  })
  const columns = SCHEMA.fields.map(({ type, name }) =>
    columnFromValues(
      type,
      rows.map((row) => row[name as keyof typeof row]),
      name,
    ),
  )
  return batchOfColumns(SCHEMA, columns, rows.length)
}
