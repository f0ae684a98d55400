/**
 * Programs of somebody who installed the package, as text: compiled or run where it is installed, never here, because
 * `firnlake/…` means nothing in a clone before it is built.
 */

/** `node doors.mjs <warehouse> <table>`: the doors, a worker thread of compaction and one of the loader. */
export const doorsProgram = `
import assert from 'node:assert/strict'
import * as ingest from 'firnlake/ingest'
import * as jobs from 'firnlake/jobs'
import * as loader from 'firnlake/loader'
import * as table from 'firnlake/table'

const [warehouse, name] = process.argv.slice(2)
const clock = table.systemClock
const store = table.openStore(warehouse, { clock })
const catalog = table.openCatalog(store, { clock })

const staged = await ingest.listIncarnations(store)
assert.equal(staged.length, 1)
const result = await jobs.compact({
  store,
  catalog,
  table: name,
  dataset: await jobs.resolveDataset('articles'),
  clock,
  executor: jobs.workerExecutor({ warehouse }),
})
assert.equal(result.rows_added, 2)
assert.ok((await catalog.listTables()).includes(name))

const dataset = await loader.openDataset({ warehouse, table: name, batch: { size: 1 }, numWorkers: 1 })
const ids = []
for await (const batch of dataset.epoch(0)) ids.push(batch.getChild('article_id').get(0))
assert.deepEqual(ids.sort(), ['a', 'b'])
await dataset[Symbol.asyncDispose]()
console.log('doors ok')
`

/** Type declarations, used from every door. */
export const typedProgram = `
import { fileSource, land, type LandResult } from 'firnlake/ingest'
import { compact, type CompactResult, resolveDataset, workerExecutor } from 'firnlake/jobs'
import { type Dataset, openDataset } from 'firnlake/loader'
import { FirnError, openCatalog, openStore, parseWhere, currentSchema, systemClock as clock, type Table } from 'firnlake/table'

export async function landed(path: string): Promise<LandResult> {
  const store = openStore('file:///data/warehouse', { clock })
  return await land({ store, source: fileSource({ paths: [path], as: 'files', clock }), clock })
}

export async function compacted(warehouse: string): Promise<CompactResult> {
  const store = openStore(warehouse, { clock })
  const catalog = openCatalog(store, { clock })
  const dataset = await resolveDataset('articles')
  return await compact({ store, catalog, table: 'news.articles', dataset, clock, executor: workerExecutor({ warehouse }) })
}

export async function rows(table: Table): Promise<number> {
  let count = 0
  const where = parseWhere("author = 'x'", currentSchema(table.metadata))
  for await (const batch of table.scan({ where }).batches()) count += batch.numRows
  return count
}

export async function dataset(): Promise<Dataset> {
  return await openDataset({ warehouse: 'file:///data/warehouse', table: 'news.articles', batch: { size: 8 } })
}

export const isConflict = (error: unknown): boolean => FirnError.is(error) && error.kind === 'conflict'
// @ts-expect-error a batch size is needed
void openDataset({ table: 'news.articles' })
`
