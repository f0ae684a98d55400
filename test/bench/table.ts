/**
 * `npm run bench:table`: what a table's metadata costs. First appends and plans as a table grows; then one plan over
 * 100,000 data files beside PyIceberg's `table.scan().plan_files()` on the very same table, alternating, each in a
 * process of its own. No time counts before both have found the same files. `BENCH_FILES`, `BENCH_ROUNDS` (5) change
 * the size. PyIceberg comes from the environment that `npm run test:interop` installs; without it, it is left out.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { systemClock } from '../../table/clock.ts'
import { openCatalog, openStore } from '../../table/index.ts'
import type { StoreCounts } from './counting-store.ts'
import { type AppendCost, measureAppends } from './table-appends.ts'
import { definition, hourlyFile } from './table-files.ts'

const FILES = Number(process.env['BENCH_FILES'] ?? 100_000)
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)
const COMMITS = 20
const PLAN: string = fileURLToPath(new URL('./table-plan.ts', import.meta.url))
const PEER: string = fileURLToPath(new URL('./pyiceberg_plan.py', import.meta.url))
const PYTHON: string = fileURLToPath(new URL('../../.cache/interop/python/bin/python', import.meta.url))

const run = promisify(execFile)
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const cells = (...values: readonly string[]): string => values.map((value) => value.padStart(13)).join('')

interface Planned {
  readonly files: number
  readonly rows: number
  readonly paths: string
  readonly planMillis: number
  /** Of all threads: what a busy machine does not change. */
  readonly planCpuMillis: number
  /** From the start of the process. */
  readonly processMillis: number
  readonly rssBytesBefore: number
  readonly peakBytes: number
}

function reportAppends(costs: readonly AppendCost[]): void {
  say(
    'appends of one file, merge append, 120 snapshots kept; means of one append over a round of merging, and one plan',
  )
  const per = (counts: StoreCounts): readonly string[] => [
    counts.get.toFixed(1),
    counts.put.toFixed(1),
    (counts.head + counts.list + counts.delete).toFixed(1),
    (counts.bytesRead / 1000).toFixed(1),
  ]
  say(
    cells(
      'appends',
      'snapshots',
      'manifests',
      'commit ms',
      'CPU ms',
      'gets',
      'puts',
      'others',
      'read kB',
      'written kB',
    ),
  )
  for (const { appends, snapshots, manifests, objects, commitMillis, commitCpuMillis, commit } of costs) {
    const written = (commit.bytesWritten / 1000).toFixed(1)
    say(
      cells(
        ...[appends, snapshots, manifests, objects].map(String),
        commitMillis.toFixed(1),
        commitCpuMillis.toFixed(1),
        ...per(commit),
        written,
      ),
    )
  }
  say('')
  say(cells('appends', 'day: plan ms', 'gets', 'read kB', 'files', 'all: plan ms', 'gets', 'read kB', 'files'))
  for (const { appends, newestDay, everything } of costs) {
    const plans = [newestDay, everything].flatMap(({ millis, counts, files }) => [
      millis.toFixed(1),
      String(counts.get),
      (counts.bytesRead / 1000).toFixed(1),
      String(files),
    ])
    say(cells(String(appends), ...plans))
  }
  const [from, to] = costs.slice(-2)
  if (from === undefined || to === undefined) return
  const growth = (value: (cost: AppendCost) => number): string => `${(value(to) / value(from)).toFixed(2)} times`
  say('')
  say(
    `from ${from.appends} to ${to.appends} appends: an append takes ${growth((cost) => cost.commitMillis)} as long (${growth((cost) => cost.commitCpuMillis)} ` +
      `by processor time), ${growth((cost) => requests(cost.commit))} the requests, ${growth((cost) => cost.commit.bytesWritten)} the bytes; ` +
      `the newest day's plan ${growth((cost) => cost.newestDay.millis)} as long`,
  )
  say('')
}

const requests = (counts: StoreCounts): number => counts.get + counts.put + counts.head + counts.list + counts.delete

/** @returns the URL of the table. */
async function writeTable(folder: string): Promise<string> {
  const catalog = openCatalog(openStore(pathToFileURL(folder).href, { clock: systemClock }), { clock: systemClock })
  let table = await catalog.createTable('bench.files', definition())
  const each = Math.ceil(FILES / COMMITS)
  for (let commit = 0; commit < COMMITS; commit++) {
    const files = Array.from({ length: Math.min(each, FILES - commit * each) }, (_, index) =>
      hourlyFile(table.location, commit * 24 + (index % 24), index),
    )
    table = (await table.append(files)).table
  }
  return table.location
}

const report = (
  name: string,
  { planMillis, planCpuMillis, processMillis, rssBytesBefore, peakBytes }: Planned,
): string =>
  `${name.padEnd(24)}${cells(
    `${planMillis.toFixed(0)} ms`,
    `${planCpuMillis.toFixed(0)} ms`,
    `${processMillis.toFixed(0)} ms`,
    `${(rssBytesBefore / 1e6).toFixed(0)} MB`,
    `${(peakBytes / 1e6).toFixed(0)} MB`,
  )}`

async function planIn(program: string, args: readonly string[]): Promise<Planned> {
  const { stdout } = await run(program, [...args], { maxBuffer: 1 << 20 })
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Planned
}

const median = (runs: readonly Planned[]): Planned => {
  const of = (value: (run: Planned) => number): number => runs.map(value).sort((a, b) => a - b)[(runs.length - 1) >> 1]!
  return {
    ...runs[0]!,
    planMillis: of((one) => one.planMillis),
    planCpuMillis: of((one) => one.planCpuMillis),
    processMillis: of((one) => one.processMillis),
    rssBytesBefore: of((one) => one.rssBytesBefore),
    peakBytes: of((one) => one.peakBytes),
  }
}

async function comparePlans(location: string): Promise<void> {
  const contestants: Record<string, () => Promise<Planned>> = {
    'firn, file://': () => planIn(process.execPath, [PLAN, 'file', location]),
    'firn, memory': () => planIn(process.execPath, [PLAN, 'memory', location]),
    ...(existsSync(PYTHON) ? { 'PyIceberg, file://': () => planIn(PYTHON, [PEER, location]) } : {}),
  }
  const runs = new Map<string, Planned[]>()
  say(`one plan over ${FILES.toLocaleString('en')} data files, ${ROUNDS} rounds`)
  say(`${''.padEnd(24)}${cells('plan', 'plan CPU', 'process', 'RSS before', 'peak RSS')}`)
  // what compiles the programs and fills the file cache counts for nobody
  for (const plan of Object.values(contestants)) await plan()
  for (let round = 0; round < ROUNDS; round++) {
    const names = Object.keys(contestants)
    // neither is always the one that finds the file cache warm
    if (round % 2 === 1) names.reverse()
    for (const name of names) {
      const planned = await contestants[name]!()
      const first = runs.values().next().value?.[0] ?? planned
      if (planned.files !== FILES || planned.rows !== first.rows || planned.paths !== first.paths) {
        throw new Error(`${name} found other files: ${JSON.stringify({ planned, first })}`)
      }
      runs.set(name, [...(runs.get(name) ?? []), planned])
      say(report(`round ${round + 1}  ${name}`, planned))
    }
  }
  say('')
  for (const [name, all] of runs) say(report(`median  ${name}`, median(all)))
  const [ours, theirs] = [runs.get('firn, file://'), runs.get('PyIceberg, file://')]
  if (ours === undefined || theirs === undefined) return say('PyIceberg is not installed: npm run test:interop does it')
  const [a, b] = [median(ours), median(theirs)]
  const ratio = (value: number): string => value.toFixed(1)
  say(
    `firn plans ${ratio(b.planMillis / a.planMillis)} times as fast as PyIceberg (${ratio(b.planCpuMillis / a.planCpuMillis)}` +
      ` by processor time, ${ratio(b.processMillis / a.processMillis)} with the start of the process) with ${(a.peakBytes / b.peakBytes).toFixed(2)} times its peak memory`,
  )
}

const folder = await mkdtemp(join(tmpdir(), 'firn-bench-table-'))
try {
  reportAppends(await measureAppends())
  await comparePlans(await writeTable(folder))
} finally {
  await rm(folder, { recursive: true, force: true })
}
