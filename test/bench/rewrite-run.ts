/** What `rewrite.ts` measures, in a process of its own: `build <warehouse> <files>` or `rewrite <warehouse> …`. */
import { mkdir } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { openCatalog } from '../../table/catalog/open.ts'
import { newRunId, systemClock } from '../../table/clock.ts'
import { columnFromValues } from '../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../table/format/arrow-take.ts'
import { openStore } from '../../table/io/open-store.ts'
import { planRewrite, runRewrite } from '../../table/maintenance/rewrite.ts'
import type { DataFile } from '../../table/manifest/data-file.ts'
import type { Schema } from '../../table/spec/schema.ts'
import { createDataFileWriter } from '../../table/write/writer.ts'
import { generator } from './generator.ts'
import type { RunReport } from './rewrite.ts'

const TABLE = 'bench.articles'
/** Compressed 1.4 MB. */
const ROWS = 600
const CHARS = 4_000
const FIRST_MICROS = 1_700_000_000_000_000n
const YEAR_SECONDS = 31_536_000

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: true, type: 'string' },
    { id: 2, name: 'publish_date', required: true, type: 'timestamptz' },
    { id: 3, name: 'title', required: false, type: 'string' },
    { id: 4, name: 'content', required: false, type: 'string' },
  ],
}

const nextLetters = generator(7)
const WORDS: readonly string[] = Array.from({ length: 30_000 }, () =>
  Array.from({ length: 2 + nextLetters(9) }, () => String.fromCharCode(97 + nextLetters(26))).join(''),
)

function textOf(next: (below: number) => number, chars: number): string {
  let text = ''
  while (text.length < chars) text += `${WORDS[next(WORDS.length)]!} `
  return text
}

async function build(warehouse: string, files: number): Promise<void> {
  const { store } = await opened(warehouse)
  const table = await openCatalog(store, { clock: systemClock }).createTable(TABLE, {
    schema: SCHEMA,
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: {
      orderId: 1,
      fields: [2, 1].map((sourceId) => ({
        sourceId,
        transform: 'identity',
        direction: 'asc',
        nullOrder: 'nulls-first',
      })),
    },
    properties: {},
  })
  const written: DataFile[] = []
  for (let file = 0; file < files; file++) {
    const next = generator(file + 1)
    const rows = Array.from({ length: ROWS }, (_, row) => ({
      id: `article-${file}-${row}`,
      publish_date: FIRST_MICROS + BigInt(next(YEAR_SECONDS)) * 1_000_000n,
      title: textOf(next, 60),
      content: textOf(next, CHARS),
    }))
    const columns = SCHEMA.fields.map(({ type, name }) =>
      columnFromValues(
        type,
        rows.map((row) => row[name as keyof typeof row]),
        name,
      ),
    )
    const writer = createDataFileWriter({
      store: table.store,
      location: table.location,
      schema: SCHEMA,
      spec: { specId: 0, fields: [] },
      partition: [],
      sortOrderId: 0,
      fileNamePrefix: `small-${file}`,
      targetFileSizeBytes: 1 << 30,
    })
    await writer.write(batchOfColumns(SCHEMA, columns, rows.length))
    written.push(...(await writer.close()).map(({ dataFile }) => dataFile))
  }
  await table.append(written)
}

async function opened(warehouse: string): Promise<{ store: ReturnType<typeof openStore> }> {
  return { store: openStore(pathToFileURL(warehouse).href, { clock: systemClock }) }
}

async function rewrite(warehouse: string, memory: number, target: number, spillFolder: string): Promise<RunReport> {
  const { store } = await opened(warehouse)
  const table = await openCatalog(store, { clock: systemClock }).loadTable(TABLE)
  await mkdir(spillFolder, { recursive: true })
  const options = { targetFileSizeBytes: target }
  const plan = await planRewrite(table, options)
  const { table: after, result } = await runRewrite(table, plan, {
    runId: newRunId(systemClock),
    spillFolder,
    memoryLimitBytes: memory,
  })
  const again = await planRewrite(after, options)
  return {
    ...result.totals,
    sizes: result.groups.flatMap(({ outputs }) => outputs.map(({ sizeBytes }) => sizeBytes)),
    depthBefore: result.overlapDepth.before,
    depthAfter: result.overlapDepth.after,
    digests: result.groups.map(({ digest }) => digest),
    leftToDo: again.groups.length,
  }
}

const [command, warehouse = '', ...rest] = process.argv.slice(2)
if (command === 'build') await build(warehouse, Number(rest[0]))
else {
  const report = await rewrite(warehouse, Number(rest[0]), Number(rest[1]), rest[2] ?? '')
  process.stdout.write(JSON.stringify(report))
}
