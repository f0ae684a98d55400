/**
 * `npm run test:interop`: PyIceberg, DuckDB and Spark read what this package wrote, at every snapshot, and must find
 * the very values that were written. Installs the engines first (`.cache/interop/`); one that is missing is a failure.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type EngineName, readWith, type S3Access } from './engines.ts'
import { type ExpectedTable, writeFlatTables } from './flat-tables.ts'
import { type Engines, installEngines } from './install.ts'

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

async function main(): Promise<void> {
  const engines = await installEngines(say)
  const folder = await mkdtemp(join(tmpdir(), 'firn-interop-'))
  try {
    const url = pathToFileURL(join(folder, 'warehouse')).href
    const tables = await writeFlatTables(url)
    const every: readonly EngineName[] = ['pyiceberg', 'duckdb', 'spark']
    const passed = await readEverywhere(engines, { title: 'every flat type, file://', url, tables, readers: every })
    if (!passed) process.exitCode = 1
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exitCode = 1
}
