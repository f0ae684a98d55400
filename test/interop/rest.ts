/**
 * One table of Iceberg's own REST catalog, written by us, PyIceberg and Spark: in turns, and all at once. Each reads
 * the very rows that all have written, and nobody loses one.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemClock } from '../../table/clock.ts'
import { FirnError, openRestCatalog, type RestCatalog, type Table, type TableDefinition } from '../../table/index.ts'
import { readRows, writeRows } from '../table/support.ts'
import { type Column, type Digests, digestRows, type Row } from './digest.ts'
import { SPARK_FOR_SMALL_TABLES } from './engines.ts'
import type { Engines, RestEngines } from './install.ts'
import { loadThroughCatalog } from './loader-epochs.ts'
import { changeThroughRest } from './rest-changes.ts'
import { type RestEngine, startRestEngine, startRestFixture } from './rest-fixture.ts'

const TABLE = 'lake.raw.events'
const DEFINITION: TableDefinition = {
  schema: {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'id', required: true, type: 'string' },
      { id: 2, name: 'at', required: false, type: 'timestamptz' },
      { id: 3, name: 'n', required: false, type: 'int' },
      { id: 4, name: 'big', required: false, type: 'long' },
      { id: 5, name: 'score', required: false, type: 'double' },
      { id: 6, name: 'day', required: false, type: 'date' },
    ],
  },
  // by a value: PyIceberg computes no other transform without a native module
  partitionSpec: { specId: 0, fields: [{ sourceId: 6, fieldId: 1000, name: 'day', transform: 'identity' }] },
  sortOrder: {
    orderId: 1,
    fields: [{ sourceId: 1, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' }],
  },
  properties: { 'commit.retry.num-retries': '50', 'commit.retry.min-wait-ms': '10', 'commit.retry.max-wait-ms': '200' },
}
const COLUMNS: readonly Column[] = DEFINITION.schema.fields.map(({ name, type }) => ({ name, type: type as 'string' }))
const DAY = 20_778

/** What a commit adds: a few rows of one day, all values from the names. */
function rowsOf(writer: string, commit: number): Row[] {
  return Array.from({ length: 3 }, (_, index) => ({
    id: `${writer}-${commit}-${index} 😀`,
    at: index === 2 ? null : BigInt(DAY + commit) * 86_400_000_000n + BigInt(index),
    n: index === 1 ? null : commit * 1_000 - index,
    big: index === 0 ? 9_007_199_254_740_993n + BigInt(commit) : null,
    score: commit / 3 - index,
    day: DAY + (commit % 3),
  }))
}

/** As an engine is given them: numbers, which Python reads exactly. */
const wireRows = (rows: readonly Row[]): readonly object[] =>
  rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([key, value]) => [key, typeof value === 'bigint' ? rawNumber(value) : value]),
    ),
  )
const rawNumber = (value: bigint): unknown =>
  (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(value.toString())

interface Rig {
  readonly catalog: RestCatalog
  readonly pyiceberg: RestEngine<Digests>
  readonly spark: RestEngine<Digests>
  /** All rows that anybody wrote. */
  readonly written: Row[]
  readonly differences: string[]
}

/** @returns commits made by all, kinds of changes that the catalog took, and one line per difference. */
export async function shareTableOverRest(
  engines: Engines,
  { restJar }: RestEngines,
  parent: string,
): Promise<{ commits: number; conflicts: number; changes: number; differences: readonly string[] }> {
  const folder = join(parent, 'rest')
  await mkdir(folder)
  const warehouse = pathToFileURL(join(folder, 'warehouse')).href
  const fixture = await startRestFixture(restJar, warehouse, folder)
  const job = { uri: fixture.uri, table: TABLE, columns: COLUMNS, spark: sparkSettings(engines, fixture.uri, folder) }
  const options = { python: engines.python, job, folder }
  const catalog = openRestCatalog({ uri: fixture.uri, clock: systemClock })
  const started: RestEngine<Digests>[] = []
  try {
    await catalog.createTable(TABLE, DEFINITION)
    const pyiceberg = await startRestEngine<Digests>({ engine: 'pyiceberg', ...options })
    started.push(pyiceberg)
    const spark = await startRestEngine<Digests>({ engine: 'spark', ...options })
    started.push(spark)
    const rig: Rig = { catalog, pyiceberg, spark, written: [], differences: [] }
    await inTurns(rig)
    const conflicts = await atOnce(rig)
    rig.differences.push(...(await loadThroughCatalog(catalog, TABLE, digestRows(COLUMNS, rig.written))))
    const { metadata } = await catalog.loadTable(TABLE)
    const changed = await changeThroughRest(catalog, DEFINITION, join(folder, 'file-catalog'))
    const differences = [...rig.differences, ...changed.differences]
    return { commits: metadata.snapshots.length, conflicts, changes: changed.steps, differences }
  } finally {
    await Promise.all(started.map((engine) => engine.close()))
    await fixture.close()
  }
}

async function inTurns(rig: Rig): Promise<void> {
  const { catalog, pyiceberg, spark, written } = rig
  for (let round = 0; round < 3; round++) {
    await appendOurs(await catalog.loadTable(TABLE), rowsOf('firn', round))
    written.push(...rowsOf('firn', round))
    if (round === 0) await compareAll(rig, 'what firn wrote')
    for (const [name, engine] of [
      ['pyiceberg', pyiceberg],
      ['spark', spark],
    ] as const) {
      await engine.append([wireRows(rowsOf(name, round))])
      written.push(...rowsOf(name, round))
    }
    await compareAll(rig, `in turns, round ${round}`)
  }
}

const COMMITS = 12

/** All at once, each with many commits. @returns races that we and PyIceberg lost and made good. */
async function atOnce(rig: Rig): Promise<number> {
  const { catalog, pyiceberg, spark, written } = rig
  const commitsOf = (writer: string, count: number): Row[][] =>
    Array.from({ length: count }, (_, index) => rowsOf(writer, 100 + index))
  const ours = commitsOf('firn', COMMITS)
  const theirs = commitsOf('pyiceberg', COMMITS)
  const sparks = commitsOf('spark', 4)
  let retries = 0
  const writeOurs = async (): Promise<void> => {
    let table = await catalog.loadTable(TABLE)
    for (const rows of ours) {
      const result = await appendOurs(table, rows)
      retries += result.attempts - 1
      table = result.table
    }
  }
  const [, conflicts] = await Promise.all([
    writeOurs(),
    pyiceberg.append(theirs.map(wireRows)),
    spark.append(sparks.map(wireRows)),
  ])
  written.push(...[...ours, ...theirs, ...sparks].flat())
  await compareAll(rig, 'all at once')
  const { metadata } = await catalog.loadTable(TABLE)
  const commits = 10 - 1 + ours.length + theirs.length + sparks.length
  if (metadata.snapshots.length !== commits) {
    rig.differences.push(`${metadata.snapshots.length} snapshots, expected ${commits}`)
  }
  return conflicts + retries
}

/** A lost commit is made again with the same files, as a caller would. */
async function appendOurs(table: Table, rows: readonly Row[]): ReturnType<Table['append']> {
  const days = [...new Set(rows.map(({ day }) => day as number))]
  const files = await Promise.all(
    days.map((day) => writeRows(table, rows.filter((row) => row['day'] === day) as never, [day])),
  )
  for (let round = 0; ; round++) {
    try {
      return await table.append(files.flat())
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_COMMIT_CONFLICT') || round > 10) throw error
    }
  }
}

async function compareAll({ catalog, pyiceberg, spark, written, differences }: Rig, when: string): Promise<void> {
  const wanted = digestRows(COLUMNS, written)
  const own = (await readRows((await catalog.loadTable(TABLE)).scan())) as Row[]
  const found: readonly (readonly [string, Digests])[] = [
    ['firn', digestRows(COLUMNS, own)],
    ['pyiceberg', await pyiceberg.digest()],
    ['spark', await spark.digest()],
  ]
  for (const [reader, { count, sha256 }] of found) {
    const wrong = Object.keys(wanted.sha256).filter((column) => sha256[column] !== wanted.sha256[column])
    if (count !== wanted.count) differences.push(`${when}: ${reader} reads ${count} rows, expected ${wanted.count}`)
    else if (wrong.length > 0) differences.push(`${when}: ${reader} reads other values in ${wrong.join(', ')}`)
  }
}

const sparkSettings = (engines: Engines, uri: string, folder: string): Readonly<Record<string, string>> => ({
  'spark.jars': engines.icebergJar,
  'spark.ui.enabled': 'false',
  'spark.ui.showConsoleProgress': 'false',
  'spark.driver.host': '127.0.0.1',
  'spark.driver.bindAddress': '127.0.0.1',
  'spark.driver.memory': '1g',
  'spark.sql.session.timeZone': 'UTC',
  ...SPARK_FOR_SMALL_TABLES,
  'spark.sql.warehouse.dir': join(folder, 'spark-warehouse'),
  'spark.sql.extensions': 'org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions',
  'spark.sql.catalog.firn': 'org.apache.iceberg.spark.SparkCatalog',
  'spark.sql.catalog.firn.type': 'rest',
  'spark.sql.catalog.firn.uri': uri,
  'spark.sql.catalog.firn.cache-enabled': 'false',
})
