/**
 * `npm run bench`: compaction beside DuckDB, in the same run, alternating; whole processes, start-up included.
 * BENCH_ROWS (200000) and BENCH_ROUNDS (3) change its size.
 *
 * Ours reads staged chunks, validates every record, computes all features and SHA-256, deduplicates, and commits a
 * snapshot; DuckDB reads the same records as NDJSON, counts words and sorts. Both write zstd level 1. Outputs are
 * compared before any time counts.
 */
import { mkdir, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { writeArticles } from './articles-file.ts'
import { measure, median, type Usage } from './measure.ts'

const ROWS = Number(process.env['BENCH_ROWS'] ?? 200_000)
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3)
const ROOT = resolve(import.meta.dirname, '../..')
const CACHE = join(ROOT, '.cache', 'bench')
const BIN = join(ROOT, 'jobs', 'bin.ts')

interface Digest {
  readonly rows: bigint
  readonly words: bigint
  readonly content: bigint
}

/** Rows, words and an order-independent digest of keys and texts, read by one engine from both outputs. */
async function digestOf(files: string): Promise<Digest> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const reader = await connection.runAndReadAll(`
    SELECT count(*)::BIGINT, sum(word_count)::BIGINT, bit_xor(hash(article_id, title, author, publish_date, content))::HUGEINT
    FROM read_parquet('${files}')`)
  const [rows, words, content] = reader.getRows()[0] as [bigint, bigint, bigint]
  connection.closeSync()
  return { rows, words, content }
}

const same = (a: Digest, b: Digest): boolean => a.rows === b.rows && a.words === b.words && a.content === b.content

function report(name: string, runs: readonly Usage[], megabytes: number): string {
  const wall = runs.map((run) => run.wallSeconds)
  const seconds = median(wall)
  const range = `${Math.min(...wall).toFixed(1)} to ${Math.max(...wall).toFixed(1)}`
  return [
    name.padEnd(14),
    `${seconds.toFixed(1)} s`.padStart(8),
    range.padStart(14),
    Math.round(ROWS / seconds)
      .toLocaleString('en')
      .padStart(10),
    (megabytes / seconds).toFixed(0).padStart(8),
    median(runs.map((run) => run.cpuSeconds))
      .toFixed(1)
      .padStart(8),
    median(runs.map((run) => run.peakMegabytes))
      .toFixed(0)
      .padStart(9),
  ].join('')
}

const work = join(CACHE, 'work')
await rm(work, { recursive: true, force: true })
await mkdir(work, { recursive: true })
const source = join(CACHE, `articles-${ROWS}.ndjson`)
const megabytes = (await writeArticles(source, ROWS)) / 1e6
const warehouse = join(work, 'warehouse')
const at = ['--warehouse', pathToFileURL(warehouse).href, '--output', 'json']
console.log(
  `${ROWS.toLocaleString('en')} articles, ${megabytes.toFixed(0)} MB of NDJSON; ${availableParallelism()} cores; Node ${process.version}`,
)

const landing = await measure([BIN, ...at, 'land', '--from', source], work)
console.log(
  `land: ${landing.wallSeconds.toFixed(1)} s, ${(megabytes / landing.wallSeconds).toFixed(0)} MB/s, peak ${landing.peakMegabytes.toFixed(0)} MB`,
)

const ours: Usage[] = []
const theirs: Usage[] = []
for (let round = 0; round < ROUNDS; round++) {
  const table = `bench.round${round}`
  const target = join(work, `duckdb${round}.parquet`)
  const contestants = [
    async () => ours.push(await measure([BIN, ...at, 'compact', table], work)),
    async () => theirs.push(await measure([join(import.meta.dirname, 'duckdb-compact.ts'), source, target], work)),
  ]
  for (const run of round % 2 === 0 ? contestants : contestants.toReversed()) await run()
  const [a, b] = [await digestOf(join(warehouse, `bench/round${round}/data/**/*.parquet`)), await digestOf(target)]
  if (!same(a, b) || a.rows !== BigInt(ROWS)) {
    throw new Error(
      `the outputs differ: firn ${a.rows} rows, ${a.words} words; DuckDB ${b.rows} rows, ${b.words} words`,
    )
  }
  console.log(
    `round ${round + 1}: firn ${ours.at(-1)!.wallSeconds.toFixed(1)} s, DuckDB ${theirs.at(-1)!.wallSeconds.toFixed(1)} s, outputs equal`,
  )
  await rm(target, { force: true })
  await rm(join(warehouse, 'bench', `round${round}`), { recursive: true })
}
console.log(
  `\n${''.padEnd(14)}${'median'.padStart(8)}${'range s'.padStart(14)}${'rows/s'.padStart(10)}${'MB/s'.padStart(8)}${'CPU s'.padStart(8)}${'peak MB'.padStart(9)}`,
)
console.log(report('firn compact', ours, megabytes))
console.log(report('DuckDB', theirs, megabytes))
const ratio = (of: (usage: Usage) => number): string => (median(theirs.map(of)) / median(ours.map(of))).toFixed(2)
console.log(
  `\nDuckDB / firn: time ${ratio((run) => run.wallSeconds)}, CPU ${ratio((run) => run.cpuSeconds)}, peak memory ${ratio((run) => run.peakMegabytes)} (above 1: firn is ahead)`,
)
await rm(work, { recursive: true, force: true })
