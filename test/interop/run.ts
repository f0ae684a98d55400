/**
 * `npm run test:interop`: PyIceberg, DuckDB and Spark read what this package wrote, at every snapshot, and must find
 * the very values that were written. Installs the engines first (`.cache/interop/`); one that is missing is a failure.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startS3Server } from '../../jobs/demo/s3-server.ts'
import { openStore } from '../../table/index.ts'
import { type EngineName, readWith, type S3Access } from './engines.ts'
import type { ExpectedTable } from './expected.ts'
import { writeFlatTables } from './flat-tables.ts'
import { readForeignTables } from './foreign.ts'
import { inspectLikePyiceberg } from './inspect.ts'
import { type Engines, installEngines, installRestEngines, type RestEngines } from './install.ts'
import { compareLoader } from './loader.ts'
import { compareExpected } from './loader-epochs.ts'
import { pipelineOverFiles, pipelineOverS3 } from './pipeline.ts'
import { shareTableOverRest } from './rest.ts'
import { compareSignatures } from './sigv4.ts'
import { tellStories } from './stories.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)

interface Warehouse {
  readonly title: string
  readonly url: string
  readonly tables: readonly ExpectedTable[]
  readonly readers: readonly EngineName[]
  readonly s3?: S3Access
}

/** @returns true when every engine found what was written. */
async function readEverywhere(engines: Engines, warehouse: Warehouse): Promise<boolean> {
  const { title, url, tables, s3 } = warehouse
  let passed = true
  for (const engine of warehouse.readers) {
    const started = performance.now()
    const request = { engine, engines, warehouse: url, tables, ...(s3 === undefined ? {} : { s3 }) }
    const differences = await readWith(request).catch((error: unknown) => [String(error)])
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const read = tables.filter((table) => !table.without.includes(engine))
    const snapshots = read.reduce((sum, table) => sum + table.snapshots.length, 0)
    const filters = read.reduce((sum, table) => sum + table.filters.length, 0)
    const what = `${read.length} tables, ${snapshots} snapshots, ${filters} filters`
    say(`${differences.length === 0 ? 'ok    ' : 'FAILED'} ${title}: ${engine} read ${what} (${seconds} s)`)
    for (const line of differences.slice(0, 40)) say(`       ${line}`)
    passed &&= differences.length === 0
  }
  return passed
}

const ALL: readonly EngineName[] = ['pyiceberg', 'duckdb', 'spark']
const BUCKET = 'my-bucket'
/** The embedded S3 checks no signature; clients want some credentials nevertheless. */
const CREDENTIALS = { region: 'us-east-1', accessKeyId: 'firn-interop', secretAccessKey: 'firn-interop-secret' }

async function tablesOfTests(folder: string): Promise<Warehouse> {
  // engines take a location as it stands: a folder's spaces and letters must reach them unencoded
  const { url } = openStore(pathToFileURL(join(folder, 'every type, ünï')).href)
  const tables = [...(await writeFlatTables(url)), ...(await tellStories(url))]
  return { title: 'every type and history, file://', url, tables, readers: ALL }
}

async function articlesOverFiles(folder: string): Promise<Warehouse> {
  return { title: 'pipeline, file://', readers: ALL, ...(await pipelineOverFiles(join(folder, 'files'))) }
}

async function readForeign(engines: Engines, writer: EngineName, folder: string): Promise<boolean> {
  const started = performance.now()
  const { snapshots, tables, differences } = await readForeignTables(engines, writer, folder)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const what = `${tables} tables, ${snapshots} snapshots, by scans and as datasets`
  report(`written by ${writer}: firn read ${what} (${seconds} s)`, differences)
  return differences.length === 0
}

async function loadBeside(engines: Engines, folder: string): Promise<boolean> {
  const started = performance.now()
  const { splits, ranges, folders, differences } = await compareLoader(engines, join(folder, 'loader'))
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const what = `${splits} splits, ${ranges} deltas, ${folders} folders of plain files`
  report(`loader beside spark, pyiceberg, pyarrow and duckdb: ${what} (${seconds} s)`, differences)
  return differences.length === 0
}

/** Equality deletes are there too, which no engine here writes; what the engines read of them is known by now. */
async function loadDeleted({ title, tables }: Warehouse): Promise<boolean> {
  const deleted = tables.filter(({ name }) => name.includes('deletes'))
  if (deleted.length === 0) return true
  const differences = (await Promise.all(deleted.map(compareExpected))).flat()
  report(`${title}: ${deleted.length} tables with deletes as datasets, at every snapshot`, differences)
  return differences.length === 0
}

async function inspectBeside(engines: Engines, { title, tables }: Warehouse): Promise<boolean> {
  const readable = tables.filter(({ without }) => !without.includes('pyiceberg'))
  const { compared, differences } = await inspectLikePyiceberg(engines, readable)
  const passed = differences.length === 0
  say(`${passed ? 'ok    ' : 'FAILED'} ${title}: ${compared} metadata tables are PyIceberg's, row by row`)
  for (const line of differences.slice(0, 40)) say(`       ${line}`)
  return passed
}

async function overRest(engines: Engines, rest: RestEngines, folder: string): Promise<boolean> {
  const signed = await compareSignatures(rest.botocorePython)
  report(`SigV4: ${signed.requests} requests signed as botocore signs them`, signed.differences)
  const started = performance.now()
  const { commits, conflicts, changes, differences } = await shareTableOverRest(engines, rest, folder)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const what = `${commits} commits in turns and at once, ${conflicts} lost races made good, ${changes} kinds of changes`
  report(`REST catalog: firn, pyiceberg and spark wrote one table: ${what} (${seconds} s)`, differences)
  return signed.differences.length + differences.length === 0
}

function report(what: string, differences: readonly string[]): void {
  say(`${differences.length === 0 ? 'ok    ' : 'FAILED'} ${what}`)
  for (const line of differences.slice(0, 40)) say(`       ${line}`)
}

async function main(): Promise<void> {
  const engines = await installEngines(say)
  const folder = await mkdtemp(join(tmpdir(), 'firn-interop-'))
  const server = await startS3Server({ buckets: [BUCKET] })
  try {
    const s3: S3Access = { endpoint: server.url, ...CREDENTIALS }
    // our own reader, in this process, takes credentials where the AWS SDK looks
    process.env['AWS_ACCESS_KEY_ID'] = s3.accessKeyId
    process.env['AWS_SECRET_ACCESS_KEY'] = s3.secretAccessKey
    const articlesOverS3 = async (): Promise<Warehouse> => {
      const url = `s3://${BUCKET}/warehouse`
      const tables = await pipelineOverS3(folder, url, s3)
      return { title: 'pipeline, live on S3', url, tables, readers: ['pyiceberg', 'duckdb'], s3 }
    }
    const outcomes: boolean[] = []
    for (const write of [() => articlesOverFiles(folder), articlesOverS3, () => tablesOfTests(folder)]) {
      const warehouse = await write()
      outcomes.push(await readEverywhere(engines, warehouse))
      if (warehouse.s3 !== undefined) continue
      outcomes.push(await inspectBeside(engines, warehouse))
      outcomes.push(await loadDeleted(warehouse))
    }
    for (const writer of ALL) outcomes.push(await readForeign(engines, writer, folder))
    outcomes.push(await loadBeside(engines, folder))
    outcomes.push(await overRest(engines, await installRestEngines(say), folder))
    if (outcomes.includes(false)) process.exitCode = 1
  } finally {
    await server.close()
    await rm(folder, { recursive: true, force: true })
  }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exitCode = 1
}
