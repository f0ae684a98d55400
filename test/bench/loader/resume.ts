/**
 * How long it takes to go on in the middle of an epoch, by the size of the table, in a process of its own:
 * `node resume.ts build <folder> <files>`, `node resume.ts token <warehouse URL>` and `node resume.ts run <warehouse URL> <token>`.
 *
 * The rows are small and every file is a link to the same one: what is measured is planning, finding the place, and
 * reading one block of 16 row groups, which a table of a hundred million rows has as well as one of a million.
 */
import { existsSync } from 'node:fs'
import { link, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { DatasetOptions } from '../../../loader/index.ts'
import { decodeState, encodeState } from '../../../loader/resume/token.ts'
import { openCatalog } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { columnFromValues } from '../../../table/format/arrow-columns.ts'
import { batchOfColumns } from '../../../table/format/arrow-take.ts'
import { openStore } from '../../../table/io/open-store.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { builtLoader } from './built.ts'
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

async function buildLinkedTable(folder: string, files: number): Promise<string> {
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

const { openDataset } = await builtLoader()

const optionsFor = (warehouse: string): DatasetOptions => ({
  warehouse,
  table: TABLE,
  shuffle: { seed: 1, blockBytes: BLOCK_ROW_GROUPS * ROW_GROUP_ROWS * 24 },
  batch: { size: 64 },
  numWorkers: 0,
  pin: false,
})

/** The token of the middle, as a run that got there has it. */
async function tokenOf(warehouse: string): Promise<string> {
  const dataset = await openDataset(optionsFor(warehouse))
  const { blocks } = await dataset.explain()
  const state = { ...decodeState(dataset.stateDict()), batches: Math.floor(dataset.length! / 128) }
  await dataset[Symbol.asyncDispose]()
  return encodeState({ ...state, block: Math.floor(blocks / 2), offset: 100 })
}

async function run(warehouse: string, token: string): Promise<ResumeReport> {
  const started = performance.now()
  const dataset = await openDataset(optionsFor(warehouse))
  const opened = performance.now()
  await dataset.loadStateDict(token)
  const batches = dataset.epoch()
  const sought = performance.now()
  await batches.next()
  const delivered = performance.now()
  await batches.return()
  const rows = dataset.length!
  await dataset[Symbol.asyncDispose]()
  return {
    rows,
    openMillis: opened - started,
    seekMillis: sought - opened,
    firstBatchMillis: delivered - started,
  }
}

const [command, where = '', argument = ''] = process.argv.slice(2)
if (command === 'build') await buildLinkedTable(where, Number(argument))
else if (command === 'token') process.stdout.write(await tokenOf(where))
else if (command === 'run') process.stdout.write(JSON.stringify(await run(where, argument)))
