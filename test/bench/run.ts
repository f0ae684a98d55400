/**
 * `npm run bench`: `firn compact` beside DuckDB on the same articles, alternating, in processes of their own.
 *
 * Both read 200,000 articles (about 640 MB of NDJSON), count words, sort by (publish_date, article_id) and write
 * Parquet with zstd level 1. Ours reads them from staging, validates, adds four more features, and commits a snapshot;
 * DuckDB reads the NDJSON itself. `land`, which ours needs before, is timed on its own. No time counts before the rows
 * of both are proved equal. `BENCH_ROWS` and `BENCH_ROUNDS` (3) change the size, `BENCH_MEMORY` the limit of `compact`:
 * with the default of 1 GiB it sorts on disk, with 3GiB in memory.
 */
import { glob, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { generateInput } from './input.ts'
import { type Measured, measure } from './measure.ts'
import { quoted, type WordDefinition } from './sql.ts'

const ROWS = Number(process.env['BENCH_ROWS'] ?? 200_000)
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3)
const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER: string = join(ROOT, '.cache', 'bench')
const BIN: string = join(ROOT, 'jobs', 'bin.ts')
const DUCKDB: string = fileURLToPath(new URL('./duckdb-compact.ts', import.meta.url))

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const input = join(FOLDER, `articles-${ROWS}.ndjson`)
const warehouse = join(FOLDER, 'warehouse')
const firnEnv = { FIRN_WAREHOUSE: pathToFileURL(warehouse).href, FIRN_OUTPUT: 'json' }

async function compactWithFirn(round: number): Promise<Measured & { readonly files: string }> {
  const limit = ['--memory-limit', process.env['BENCH_MEMORY'] ?? '1GiB']
  const measured = await measure(BIN, ['compact', `bench.round${round}`, '--dataset', 'articles', ...limit], firnEnv)
  const { rows_added: rows } = JSON.parse(measured.stdout) as { rows_added: number }
  if (rows !== ROWS) throw new Error(`firn compact added ${rows} rows, expected ${ROWS}`)
  return { ...measured, files: join(warehouse, 'bench', `round${round}`, 'data', '**', '*.parquet') }
}

async function compactWithDuckdb(words: WordDefinition): Promise<Measured & { readonly files: string }> {
  const output = join(FOLDER, `duckdb-${words}.parquet`)
  await rm(output, { force: true })
  return { ...(await measure(DUCKDB, [input, output, words])), files: output }
}

/** Rows, words and a hash of every value, from the Parquet files. */
async function contentOf(files: string): Promise<{ rows: string; words: string; hash: string }> {
  const paths: string[] = []
  for await (const path of glob(files)) paths.push(path)
  if (paths.length === 0) throw new Error(`no files at ${files}`)
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const list = `[${paths.map(quoted).join(', ')}]`
  const reader = await connection.runAndReadAll(
    `SELECT count(*), sum(word_count), bit_xor(hash(article_id, title, author, epoch_us(publish_date), content))
     FROM read_parquet(${list}, hive_partitioning = false)`,
  )
  const [rows, words, hash] = reader.getRows()[0]!.map(String) as [string, string, string]
  connection.closeSync()
  instance.closeSync()
  return { rows, words, hash }
}

const report = (name: string, { wallMillis, cpuMillis, peakBytes }: Measured, inputBytes: number): string => {
  const seconds = wallMillis / 1000
  const columns = [
    `${seconds.toFixed(2)} s`,
    `${(cpuMillis / 1000).toFixed(1)} s CPU`,
    `${Math.round(ROWS / seconds).toLocaleString('en')} rows/s`,
    `${(inputBytes / 1e6 / seconds).toFixed(0)} MB/s`,
    `peak ${(peakBytes / 1e6).toFixed(0)} MB`,
  ]
  return `${name.padEnd(28)}${columns.map((column) => column.padStart(16)).join('')}`
}

const median = (values: readonly Measured[]): Measured =>
  [...values].sort((a, b) => a.wallMillis - b.wallMillis)[(values.length - 1) >> 1]!

async function landOnce(): Promise<Measured> {
  await rm(warehouse, { recursive: true, force: true })
  await mkdir(warehouse, { recursive: true })
  const measured = await measure(BIN, ['land', '--from', input], firnEnv)
  const { records } = JSON.parse(measured.stdout) as { records: number }
  if (records !== ROWS) throw new Error(`firn land read ${records} records, expected ${ROWS}`)
  return measured
}

async function main(): Promise<void> {
  const inputBytes = await generateInput(input, ROWS, say)
  say(`${ROWS.toLocaleString('en')} articles, ${(inputBytes / 1e6).toFixed(0)} MB of NDJSON, ${ROUNDS} rounds`)
  const landed = await landOnce()
  say(report('firn land', landed, inputBytes))
  const ours: Measured[] = []
  const theirs: Measured[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const lanes = [
      async () => {
        const run = await compactWithFirn(round)
        ours.push(run)
        say(report(`round ${round + 1}  firn compact`, run, inputBytes))
        return run.files
      },
      async () => {
        const run = await compactWithDuckdb('unicode')
        theirs.push(run)
        say(report(`round ${round + 1}  DuckDB`, run, inputBytes))
        return run.files
      },
    ]
    // neither is always the one that finds the file cache warm
    if (round % 2 === 1) lanes.reverse()
    const files: string[] = []
    for (const lane of lanes) files.push(await lane())
    const [first, second] = [await contentOf(files[0]!), await contentOf(files[1]!)]
    if (JSON.stringify(first) !== JSON.stringify(second) || first.rows !== String(ROWS)) {
      throw new Error(`the outputs differ: ${JSON.stringify({ first, second })}`)
    }
  }
  const side = await compactWithDuckdb('spaces')
  say(report('beside: DuckDB, split at " "', side, inputBytes))
  const [firn, duckdb] = [median(ours), median(theirs)]
  say('')
  say(report('median  firn compact', firn, inputBytes))
  say(report('median  DuckDB', duckdb, inputBytes))
  const ratio = (value: number): string => value.toFixed(2)
  say(
    `firn compact is ${ratio(duckdb.wallMillis / firn.wallMillis)} times as fast as DuckDB` +
      ` (${ratio(duckdb.wallMillis / (firn.wallMillis + landed.wallMillis))} with land,` +
      ` ${ratio(side.wallMillis / firn.wallMillis)} beside the split at " ")` +
      ` and takes ${ratio(firn.peakBytes / duckdb.peakBytes)} times its memory`,
  )
  await rm(warehouse, { recursive: true, force: true })
}

await main()
