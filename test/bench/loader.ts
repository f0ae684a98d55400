/**
 * `npm run bench:loader`: the loader beside other ways to read the same files, and how well it mixes.
 *
 * Speed: 60,000 articles of 5.3 kB in 8 files, shuffled batches of 64 by the loader, a straight sequential read by
 * parquet-wasm, hyparquet (with native zstd) and DuckDB; processes of their own, alternating, medians of `BENCH_ROUNDS`
 * (5). No time counts before all of them gave out the same rows. Then memory and mixing on 4.3 GB (800,000 articles in
 * 400 row groups, sorted by date) at the default limit, next to tfjs `.shuffle(1000)` and a block that is too small,
 * and how long resuming takes in a million and in a hundred million rows. Tables are made once, in `.cache/bench`.
 */
import { execFileSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Digest } from './loader/digest.ts'
import type { PeerReport } from './loader/peers.ts'
import type { QualityReport } from './loader/quality.ts'
import type { ResumeReport } from './loader/resume.ts'
import { buildTable } from './loader/tables.ts'
import { type Measured, measure } from './measure.ts'

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)
const ROWS = 60_000
const ROWS_PER_FILE = 7_500
const LARGE_ROWS = Number(process.env['BENCH_LARGE_ROWS'] ?? 800_000)
const LARGE_ROWS_PER_FILE = 32_768
const MB = 1e6

const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER: string = join(ROOT, '.cache', 'bench')
const script = (name: string): string => fileURLToPath(new URL(`./loader/${name}.ts`, import.meta.url))
const say = (line: string): void => void process.stdout.write(`${line}\n`)

interface Contestant {
  readonly name: string
  readonly shuffled: boolean
  /** What its batches hold; only those of strings are compared row by row. */
  readonly gives: 'strings' | 'bytes' | 'tokens'
  run(mode: 'time' | 'digest'): Promise<Measured>
}

type Timed = PeerReport & { readonly peakBytes: number; readonly cpuMillis: number }

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[(values.length - 1) >> 1]!

function contestants(warehouse: string, dataFolder: string, tokenizer: string): readonly Contestant[] {
  const firn = (gives: Contestant['gives'], workers: number): Contestant => ({
    name: `firn shuffled, ${gives}, ${workers} worker${workers === 1 ? '' : 's'}`,
    shuffled: true,
    gives,
    run: (mode) => measure(script('firn'), [gives, warehouse, mode, String(workers), tokenizer]),
  })
  const peer = (name: string): Contestant => ({
    name: `${name} in sequence, strings`,
    shuffled: false,
    gives: 'strings',
    run: (mode) => measure(script('peers'), [name, dataFolder, mode]),
  })
  return [
    firn('strings', 1),
    firn('strings', 2),
    firn('bytes', 2),
    firn('tokens', 2),
    peer('parquet-wasm'),
    peer('hyparquet'),
    peer('duckdb'),
  ]
}

async function checkEqual(all: readonly Contestant[]): Promise<number> {
  const digests: Digest[] = []
  for (const contestant of all.filter(({ gives }) => gives === 'strings')) {
    const { rows, bytes, sum } = JSON.parse((await contestant.run('digest')).stdout) as Digest
    digests.push({ rows, bytes, sum })
    if (JSON.stringify(digests[0]) !== JSON.stringify(digests.at(-1)) || rows !== ROWS) {
      throw new Error(`${contestant.name} gave other rows: ${JSON.stringify(digests)}`)
    }
  }
  say(`all of them give the same ${ROWS.toLocaleString('en')} rows, ${(digests[0]!.bytes / MB).toFixed(0)} MB of text`)
  return digests[0]!.bytes
}

async function speed(tokenizer: string): Promise<void> {
  const warehouse = await buildTable(join(FOLDER, `loader-${ROWS}`), ROWS, ROWS_PER_FILE, say)
  const dataFolder = join(fileURLToPath(warehouse), 'bench', 'articles', 'data')
  const files = await readdir(dataFolder)
  say(`${ROWS.toLocaleString('en')} articles in ${files.length} files, batches of 64, ${ROUNDS} rounds, medians`)
  const all = contestants(warehouse, dataFolder, tokenizer)
  const textBytes = await checkEqual(all)
  const runs = new Map<Contestant, Timed[]>(all.map((contestant) => [contestant, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const contestant of round % 2 === 0 ? all : all.toReversed()) {
      const { stdout, ...used } = await contestant.run('time')
      runs.get(contestant)!.push({ ...(JSON.parse(stdout) as PeerReport), ...used })
    }
  }
  const rate = (timed: readonly Timed[]): number => ROWS / (median(timed.map(({ millis }) => millis)) / 1000)
  for (const [{ name }, timed] of runs) {
    const rates = timed.map(({ millis }) => ROWS / (millis / 1000))
    const columns = [
      `${Math.round(rate(timed)).toLocaleString('en')} rows/s`,
      `${Math.round(Math.min(...rates)).toLocaleString('en')}-${Math.round(Math.max(...rates)).toLocaleString('en')}`,
      `${((rate(timed) * textBytes) / ROWS / MB).toFixed(0)} MB/s`,
      `first ${median(timed.map(({ firstBatchMillis }) => firstBatchMillis)).toFixed(0)} ms`,
      `peak ${(median(timed.map(({ peakBytes }) => peakBytes)) / MB).toFixed(0)} MB`,
    ]
    say(`  ${name.padEnd(36)}${columns.map((column) => column.padStart(18)).join('')}`)
  }
  const sequential = [...runs].filter(([{ shuffled }]) => !shuffled).map(([, timed]) => rate(timed))
  const best = Math.max(...sequential)
  for (const [{ name, shuffled }, timed] of runs) {
    if (shuffled) say(`  ${name}: ${(rate(timed) / best).toFixed(2)} times the best sequential read`)
  }
}

const perSecond = (rows: number, millis: number): string =>
  `${Math.round(rows / (millis / 1000)).toLocaleString('en')} rows/s`

async function memoryAndQuality(): Promise<void> {
  const warehouse = await buildTable(join(FOLDER, `loader-${LARGE_ROWS}`), LARGE_ROWS, LARGE_ROWS_PER_FILE, say)
  say('')
  say(`${LARGE_ROWS.toLocaleString('en')} articles sorted by date, memoryLimit 512 MB (default)`)
  const idle = await measure(script('firn'), ['none', warehouse, 'time', '1'])
  for (const workers of [1, 2]) {
    const { stdout, peakBytes } = await measure(script('firn'), ['bytes', warehouse, 'time', String(workers)])
    const { rows, millis } = JSON.parse(stdout) as PeerReport
    const above = peakBytes - idle.peakBytes
    say(
      `  an epoch, ${workers} worker${workers === 1 ? '' : 's'}: peak ${(peakBytes / MB).toFixed(0)} MB, ` +
        `${(above / MB).toFixed(0)} MB above the idle process, ${(above / 512e6).toFixed(2)} of the limit, ` +
        perSecond(rows, millis),
    )
  }
  // the start of threads and processes counts for little here
  const folder = join(fileURLToPath(warehouse), 'bench', 'articles', 'data')
  const firn = (workers: number): readonly string[] => ['strings', warehouse, 'time', String(workers)]
  const readers: readonly (readonly [string, string, readonly string[]])[] = [
    ['firn shuffled, strings, 1 worker', 'firn', firn(1)],
    ['firn shuffled, strings, 2 workers', 'firn', firn(2)],
    ...['parquet-wasm', 'hyparquet', 'duckdb'].map(
      (name) => [`${name} in sequence, strings`, 'peers', [name, folder, 'time']] as const,
    ),
  ]
  for (const [name, file, args] of readers) {
    const { stdout, peakBytes } = await measure(script(file), args)
    const { rows, millis } = JSON.parse(stdout) as PeerReport
    say(`  ${name.padEnd(36)}${perSecond(rows, millis).padStart(18)}, peak ${(peakBytes / MB).toFixed(0)} MB`)
  }
  const small = String(24 * MB)
  const lanes: readonly (readonly [string, readonly string[]])[] = [
    ['firn, default block', ['firn', warehouse, String(LARGE_ROWS_PER_FILE)]],
    ['firn, blockBytes 24 MB', ['firn', warehouse, String(LARGE_ROWS_PER_FILE), small]],
    ['tfjs .shuffle(1000)', ['tfjs', String(LARGE_ROWS), String(LARGE_ROWS_PER_FILE)]],
  ]
  for (const [name, args] of lanes) {
    const report = JSON.parse((await measure(script('quality'), args)).stdout) as QualityReport
    const { varianceRatio, drift, units, batches } = report
    const passes = varianceRatio <= 1.3 && units.mean >= 24
    say(
      `  ${name.padEnd(26)}VR ${varianceRatio.toFixed(2).padStart(6)}   drift ${drift.toFixed(2).padStart(8)}   ` +
        `row groups a batch: mean ${units.mean.toFixed(1)}, 1st percentile ${units.low}, least ${units.least} ` +
        `of ${batches.toLocaleString('en')}   ${passes ? 'passes' : 'fails'} (VR <= 1.3, 24 row groups)`,
    )
  }
}

async function resuming(): Promise<void> {
  say('')
  say('going on in the middle of an epoch, blocks of 16 row groups, small rows')
  for (const files of [15, 1_500]) {
    const folder = join(FOLDER, `loader-linked-${files}`)
    await measure(script('resume'), ['build', folder, String(files)])
    const { href } = pathToFileURL(folder)
    const { stdout: token } = await measure(script('resume'), ['token', href])
    const reports: ResumeReport[] = []
    for (let round = 0; round < ROUNDS; round++) {
      reports.push(JSON.parse((await measure(script('resume'), ['run', href, token])).stdout) as ResumeReport)
    }
    const of = (pick: (report: ResumeReport) => number): string => `${median(reports.map(pick)).toFixed(0)} ms`
    say(
      `  ${reports[0]!.rows.toLocaleString('en').padStart(12)} rows: open ${of((report) => report.openMillis)}, ` +
        `seek ${of((report) => report.seekMillis)}, first batch ${of((report) => report.firstBatchMillis)} after the start`,
    )
  }
}

/** Trained once from the table itself. */
async function tokenizerFile(): Promise<string> {
  const path = join(FOLDER, 'loader-tokenizer.json')
  const warehouse = await buildTable(join(FOLDER, `loader-${ROWS}`), ROWS, ROWS_PER_FILE, say)
  await measure(script('tokenizer'), [warehouse, path])
  return path
}

// as it is installed: contestants should not spend their start on removing types
execFileSync('npm', ['run', '-s', 'build'], { cwd: ROOT, stdio: 'inherit' })
const parts = process.argv.slice(2)
const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part)
if (wanted('speed')) await speed(await tokenizerFile())
if (wanted('quality')) await memoryAndQuality()
if (wanted('resume')) await resuming()
