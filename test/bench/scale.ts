/**
 * `npm run bench:scale`: records of about 1 kB from a file, landed once, then compacted by one process and by four, each
 * with a memory limit of 1 GB. Prints rows a second, the peak memory of every process, and what the tables hold: the
 * digests must be equal. `ROWS=1000000,2000000,5000000` for several sizes, `MEMORY=1GB`, `SETUPS=1,4` for others.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { CompactResult } from '../../jobs/compaction/index.ts'
import { generator } from './generator.ts'
import type { TableCheck } from './scale-check.ts'

const ROWS = (process.env['ROWS'] ?? '200000').split(',').map(Number)
const MEMORY = process.env['MEMORY'] ?? '1GB'
const SETUPS = (process.env['SETUPS'] ?? '1,4').split(',').map(Number)
const ROOT: string = fileURLToPath(new URL('../../.cache/bench', import.meta.url))
const BIN: string = fileURLToPath(new URL('../../jobs/bin.ts', import.meta.url))
const CHECK: string = fileURLToPath(new URL('./scale-check.ts', import.meta.url))
const USAGE: string = new URL('./scale-usage.ts', import.meta.url).href
const NEWEST_MILLIS = Date.parse('2026-11-20T12:00:00Z')
const TABLE = 'bench.articles'
const MIB = 1024 * 1024

const say = (line: string): void => void process.stdout.write(`${line}\n`)

interface Usage {
  readonly isTask: boolean
  readonly peakBytes: number
  readonly cpuMillis: number
}

interface Finished {
  readonly stdout: string
  readonly seconds: number
  readonly usage: readonly Usage[]
}

const letters = generator(7)
const WORDS: readonly string[] = Array.from({ length: 20_000 }, () =>
  Array.from({ length: 2 + letters(9) }, () => String.fromCharCode(97 + letters(26))).join(''),
)

/** Every twentieth record is a new version of an earlier article. */
function lineAt(index: number): string {
  const next = generator(index + 1)
  let content = ''
  while (content.length < 820) content += `${WORDS[next(WORDS.length)]!} `
  const id = index > 0 && index % 20 === 0 ? next(index) : index
  const article = {
    article_id: `article-${String(id).padStart(9, '0')}`,
    title: `${WORDS[next(WORDS.length)]!} ${WORDS[next(WORDS.length)]!} ${index}`,
    author: `author ${next(5000)}`,
    publish_date: new Date(NEWEST_MILLIS - next(30 * 86_400) * 1000).toISOString(),
    content: `${content}.`,
  }
  return `${JSON.stringify(article)}\n`
}

async function generate(path: string, rows: number): Promise<void> {
  const out = createWriteStream(path)
  let buffer = ''
  for (let index = 0; index < rows; index++) {
    buffer += lineAt(index)
    if (buffer.length < MIB && index < rows - 1) continue
    if (!out.write(buffer)) await once(out, 'drain')
    buffer = ''
  }
  out.end()
  await once(out, 'close')
}

async function run(folder: string, script: string, args: readonly string[]): Promise<Finished> {
  const usage = join(folder, 'usage')
  await rm(usage, { recursive: true, force: true })
  mkdirSync(usage, { recursive: true })
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FIRN|AWS)_/.test(name))
  const started = performance.now()
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...Object.fromEntries(inherited), NODE_OPTIONS: `--import ${USAGE}`, BENCH_SCALE_FOLDER: usage },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const out: Buffer[] = []
  child.stdout.on('data', (part: Buffer) => out.push(part))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}`)
  const read = (name: string): Usage => JSON.parse(readFileSync(join(usage, name), 'utf8')) as Usage
  return {
    stdout: Buffer.concat(out).toString(),
    seconds: (performance.now() - started) / 1000,
    usage: readdirSync(usage).map(read),
  }
}

const mib = (bytes: number): string => (bytes / MIB).toFixed(0)

async function compactWith(folder: string, base: string, tasks: number): Promise<string> {
  const warehouse = join(folder, 'warehouse')
  await rm(warehouse, { recursive: true, force: true })
  // objects are never changed in place, so a link is as good as a copy
  execFileSync('cp', ['-al', base, warehouse])
  const url = pathToFileURL(warehouse).href
  const how = tasks === 1 ? [] : ['--tasks', String(tasks), '--executor', 'processes']
  const args = ['compact', TABLE, '--warehouse', url, '--memory-limit', MEMORY, ...how, '--output', 'json', '--quiet']
  const { stdout, seconds, usage } = await run(folder, BIN, args)
  const result = JSON.parse(stdout) as CompactResult
  const check = JSON.parse((await run(folder, CHECK, [url])).stdout) as TableCheck
  const main = usage.filter(({ isTask }) => !isTask)
  const tasksUsed = usage.filter(({ isTask }) => isTask)
  const cpu = usage.reduce((sum, { cpuMillis }) => sum + cpuMillis, 0) / 1000
  say(
    `  ${tasks === 1 ? 'one process' : `${tasks} processes`}: ${(result.records_read / seconds).toFixed(0)} rows/s (${seconds.toFixed(1)} s, ${cpu.toFixed(1)} s CPU)`,
  )
  say(`    peak memory    ${main.map((each) => mib(each.peakBytes)).join(', ')} MiB`)
  if (tasksUsed.length > 0) say(`    of its tasks   ${tasksUsed.map((each) => mib(each.peakBytes)).join(', ')} MiB`)
  say(`    rows           ${result.records_read} read, ${result.rows_added} added, ${result.duplicates} duplicates`)
  say(`    files          ${check.fileBytes.map(mib).join(', ')} MiB, overlap depth ${check.overlapDepth}`)
  say(`    content        ${check.rows} rows, ${check.digest}`)
  return check.digest
}

let failed = false
for (const rows of ROWS) {
  const folder = join(ROOT, `scale-${rows}`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const input = join(folder, 'records.ndjson')
  const base = join(folder, 'base')
  await generate(input, rows)
  const landed = await run(folder, BIN, ['land', '--from', input, '--warehouse', pathToFileURL(base).href, '--quiet'])
  await rm(input)
  say(`${rows} records, memory limit ${MEMORY}; landed in ${landed.seconds.toFixed(1)} s`)
  const digests: string[] = []
  for (const tasks of SETUPS) digests.push(await compactWith(folder, base, tasks))
  if (new Set(digests).size > 1) failed = true
  await rm(folder, { recursive: true, force: true })
}
if (failed) {
  say('the tables differ')
  process.exitCode = 1
}
