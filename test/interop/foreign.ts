/**
 * Tables that another engine wrote, read by us through their folder or metadata file: every snapshot, by the schema that
 * it has, by scans and as a training set.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { snapshotId } from '../../table/ids.ts'
import {
  type InspectRow,
  inspectEntries,
  inspectFiles,
  inspectHistory,
  inspectManifests,
  inspectPartitions,
  inspectRefs,
  inspectSnapshots,
  parseWhere,
  type Table,
} from '../../table/index.ts'
import { type Column, type Digests, digestRows } from './digest.ts'
import { type EngineName, runScript } from './engines.ts'
import { ownRows } from './expected.ts'
import { inspectLikePyiceberg, openPlace } from './inspect.ts'
import { type Engines, installRestEngines } from './install.ts'
import { compareEpochs } from './loader-epochs.ts'
import { startRestFixture } from './rest-fixture.ts'

interface ForeignSnapshot {
  readonly id: string
  readonly columns: readonly Column[]
  readonly digests: Digests
}

interface ForeignTable {
  readonly name: string
  /** Below the warehouse, or the URL of the metadata file. */
  readonly folder: string
  readonly snapshots: readonly ForeignSnapshot[]
  /** Of the current snapshot: rows, files, position deletes and their files of each partition. */
  readonly partitions?: readonly string[]
  /** Of the current snapshot: content, rows and bytes of each file. */
  readonly files?: readonly string[]
}

export interface ForeignRead {
  readonly tables: number
  readonly snapshots: number
  readonly differences: readonly string[]
}

/** @param engine writes the tables, by `<engine>_write.py`. */
export async function readForeignTables(engines: Engines, engine: EngineName, parent: string): Promise<ForeignRead> {
  const folder = join(parent, `written-by-${engine}`)
  const warehouse = pathToFileURL(folder).href
  const tables = await (engine === 'duckdb'
    ? writeOverRest(engines, folder)
    : runScript<readonly ForeignTable[]>({ engine, engines, warehouse, tables: [] }, `${engine}_write`, []))
  const differences: string[] = []
  for (const foreign of tables) {
    const url = urlOf(warehouse, foreign)
    const table = await openPlace(url)
    for (const snapshot of foreign.snapshots) {
      const found = await compareSnapshot(table, snapshot)
      if (found !== undefined) differences.push(`${foreign.name} at ${snapshot.id}: ${found}`)
      const workers = snapshot === foreign.snapshots.at(-1)
      const wrong = await compareEpochs({ table, url, snapshot, workers })
      if (wrong !== undefined) differences.push(`${foreign.name} at ${snapshot.id} as a dataset: ${wrong}`)
    }
    differences.push(...(await inspectEverything(foreign, table)))
  }
  const places = tables.map((foreign) => ({ name: foreign.name, folder: urlOf(warehouse, foreign) }))
  differences.push(...(await inspectLikePyiceberg(engines, places)).differences)
  const snapshots = tables.reduce((sum, { snapshots: all }) => sum + all.length, 0)
  return { snapshots, tables: tables.length, differences }
}

/** DuckDB writes to nothing but a REST catalog. */
async function writeOverRest(engines: Engines, folder: string): Promise<readonly ForeignTable[]> {
  await mkdir(folder)
  const { restJar } = await installRestEngines(() => undefined)
  const warehouse = pathToFileURL(join(folder, 'warehouse')).href
  const fixture = await startRestFixture(restJar, warehouse, folder)
  try {
    const request = { engine: 'duckdb', engines, warehouse, tables: [], rest: fixture.uri } as const
    return await runScript<readonly ForeignTable[]>(request, 'duckdb_write', [])
  } finally {
    await fixture.close()
  }
}

const urlOf = (warehouse: string, { folder }: ForeignTable): string =>
  /^\w+:\//.test(folder) ? folder : `${warehouse}/${folder}`

async function compareSnapshot(table: Table, { id, columns, digests }: ForeignSnapshot): Promise<string | undefined> {
  try {
    const rows = await ownRows(table.scan({ snapshotId: snapshotId(BigInt(id)) }))
    const found = digestRows(columns, rows)
    const wrong = Object.keys(digests.sha256).filter((name) => found.sha256[name] !== digests.sha256[name])
    if (found.count !== digests.count) return `${found.count} rows, expected ${digests.count}`
    if (wrong.length > 0) return `other values in ${wrong.join(', ')}`
    const counted = await table.scan({ snapshotId: snapshotId(BigInt(id)) }).count()
    if (counted !== digests.count) return `${counted} rows counted, expected ${digests.count}`
    return columns.some(({ name }) => name === 'instant') ? await comparePruned(table, id, rows.length) : undefined
  } catch (error) {
    return String(error)
  }
}

/** Foreign bounds and partitions prune as well as our own: two halves are the whole. */
async function comparePruned(table: Table, id: string, rows: number): Promise<string | undefined> {
  const halves = ["instant < '1970-01-02T00:00:00Z'", "instant >= '1970-01-02T00:00:00Z'"]
  let sum = 0
  for (const where of halves) {
    const selector = { snapshotId: snapshotId(BigInt(id)) }
    const { schema } = table.scan(selector)
    for await (const batch of table.scan({ ...selector, where: parseWhere(where, schema) }).batches()) {
      sum += batch.numRows
    }
  }
  return sum === rows ? undefined : `${sum} rows pass one of two filters, ${rows} must`
}

const PARTITION_COUNTS = ['record_count', 'file_count', 'position_delete_record_count', 'position_delete_file_count']
const FILE_COLUMNS = ['content', 'record_count', 'file_size_in_bytes']

const texts = (rows: readonly InspectRow[], columns: readonly string[]): string =>
  sorted(rows.map((row) => columns.map((column) => String(row[column])).join(',')))
const sorted = (lines: readonly string[]): string => [...lines].sort().join(' ')

async function inspectEverything(
  { name, snapshots, ...spark }: ForeignTable,
  table: Table,
): Promise<readonly string[]> {
  const differences: string[] = []
  const listed = inspectSnapshots(table).length
  if (listed !== snapshots.length) differences.push(`${name}: ${listed} snapshots, expected ${snapshots.length}`)
  try {
    for (const { id } of snapshots) {
      const selector = { snapshotId: snapshotId(BigInt(id)) }
      await inspectEntries(table, selector)
      await inspectFiles(table, selector)
      await inspectManifests(table, selector)
      await inspectPartitions(table, selector)
    }
    if (spark.partitions === undefined || spark.files === undefined) return differences
    const partitions = texts(await inspectPartitions(table), PARTITION_COUNTS)
    if (partitions !== sorted(spark.partitions)) {
      differences.push(`${name}: partitions ${partitions}, expected ${sorted(spark.partitions)}`)
    }
    const files = texts(await inspectFiles(table), FILE_COLUMNS)
    if (files !== sorted(spark.files)) differences.push(`${name}: files ${files}, expected ${sorted(spark.files)}`)
    inspectHistory(table)
    inspectRefs(table)
  } catch (error) {
    differences.push(`${name}: inspect: ${String(error)}`)
  }
  return differences
}
