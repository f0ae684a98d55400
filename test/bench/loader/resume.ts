/**
 * How long it takes to go on in the middle of an epoch, by the size of the table, in a process of its own:
 * `node resume.ts build <folder> <files>` and `node resume.ts run <warehouse URL>`.
 *
 * The rows are small and every file is a link to the same one: what is measured is planning, finding the place, and
 * reading one block of 16 row groups, which a table of a hundred million rows has as well as one of a million.
 */
import { existsSync } from 'node:fs'
import { link, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { decodeState, encodeState } from '../../../loader/resume/token.ts'
import { openCatalog } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../../table/format/arrow-take.ts'
import { openStore } from '../../../table/io/open-store.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { ROW_GROUP_ROWS, TABLE } from './tables.ts'

const RESUME_FILE_ROWS: number = 33 * ROW_GROUP_ROWS
const BLOCK_ROW_GROUPS = 16

export interface ResumeReport {
  readonly rows: number
  readonly openMillis: number
  readonly seekMillis: number
  readonly firstBatchMillis: number
}

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'position', required: true, type: 'int' },
    { id: 2, name: 'value', required: true, type: 'int' },
  ],
}

export async function buildLinkedTable(folder: string, files: number): Promise<string> {
  const url = pathToFileURL(folder).href
  const complete = join(folder, 'complete')
  if (existsSync(complete)) return url
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const store = openStore(url, { clock: systemClock })
  const spec = { specId: 0, fields: [] }
  const table = await openCatalog(store, { clock: systemClock }).createTable(TABLE, {
    schema: SCHEMA,
    partitionSpec: spec,
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  })
  const writer = createDataFileWriter({
    store: table.store,
    location: table.location,
    schema: SCHEMA,
    spec,
    partition: [],
    sortOrderId: 0,
    fileNamePrefix: 'original',
    targetFileSizeBytes: 1 << 30,
    rowGroupRows: ROW_GROUP_ROWS,
  })
  const values = Array.from({ length: RESUME_FILE_ROWS }, (_, row) => row)
  const columns = SCHEMA.fields.map(({ name }) => columnFromValues('int', values, name))
  await writer.write(batchOfColumns(SCHEMA, columns, values.length))
  const [written] = await writer.close()
  const { dataFile } = written!
  const linked = Array.from({ length: files }, (_, index) => ({
    ...dataFile,
    filePath: `${dirname(dataFile.filePath)}/linked-${String(index).padStart(6, '0')}.parquet`,
  }))
  for (const { filePath } of linked) await link(fileURLToPath(dataFile.filePath), fileURLToPath(filePath))
  await table.append(linked)
  await writeFile(complete, '')
  return url
}

async function run(warehouse: string): Promise<ResumeReport> {
  const { openDataset } = await import('../../../loader/index.ts')
  const { planned, bytes } = { planned: { warehouse, table: TABLE }, bytes: BLOCK_ROW_GROUPS * ROW_GROUP_ROWS * 24 }
  const options = {
    ...planned,
    shuffle: { seed: 1, blockBytes: bytes },
    batch: { size: 64 },
    numWorkers: 0,
    pin: false as const,
  }
  // the token of the middle, as a run that got there has it
  const first = await openDataset(options)
  const state = decodeState(first.stateDict())
  const rows = first.length!
  const { blocks } = await first.explain()
  const token = encodeState({
    ...state,
    batches: Math.floor(rows / 128),
    block: Math.floor(blocks / 2),
    offset: 100,
  })
  await first[Symbol.asyncDispose]()
  const started = performance.now()
  const dataset = await openDataset(options)
  const opened = performance.now()
  await dataset.loadStateDict(token)
  const batches = dataset.epoch()
  const sought = performance.now()
  await batches.next()
  const delivered = performance.now()
  await batches.return()
  await dataset[Symbol.asyncDispose]()
  return {
    rows,
    openMillis: opened - started,
    seekMillis: sought - opened,
    firstBatchMillis: delivered - started,
  }
}

const [command, where = '', files = ''] = process.argv.slice(2)
if (command === 'build') await buildLinkedTable(where, Number(files))
else if (command === 'run') process.stdout.write(JSON.stringify(await run(where)))
