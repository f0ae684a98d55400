/**
 * `npm run bench:rewrite`: 1,000 small files of 1.4 GB together become sorted files of the right size, in a process of
 * its own with a memory limit: 1 GiB, and a quarter of the input. Every file spans all dates, so a reader of one date
 * opens all of them before, and one after. The table is made once, in `.cache/bench/rewrite`; each run starts from a
 * copy of it whose data files are links. `BENCH_FILES` changes the number of files.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { measure } from './measure.ts'

const FILES = Number(process.env['BENCH_FILES'] ?? 1_000)
const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER: string = join(ROOT, '.cache', 'bench', `rewrite-${FILES}`)
const RUN: string = fileURLToPath(new URL('./rewrite-run.ts', import.meta.url))
const MIB = 1024 * 1024

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(0)} %`

export interface RunReport {
  readonly filesBefore: number
  readonly filesAfter: number
  readonly rows: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly sizes: readonly number[]
  readonly depthBefore: number | null
  readonly depthAfter: number | null
  readonly digests: readonly string[]
  readonly leftToDo: number
}

async function freshTable(): Promise<string> {
  const warehouse = join(FOLDER, 'warehouse')
  const base = join(FOLDER, 'base')
  await rm(warehouse, { recursive: true, force: true })
  if (!existsSync(base)) {
    say(`making ${FILES} small files in ${FOLDER} (once)`)
    await mkdir(warehouse, { recursive: true })
    await measure(RUN, ['build', warehouse, String(FILES)])
    await rename(warehouse, base)
  }
  // objects are never changed in place, so a link is as good as a copy
  execFileSync('cp', ['-al', base, warehouse])
  return warehouse
}

async function run(memoryMib: number, targetMib: number): Promise<void> {
  const warehouse = await freshTable()
  const args = ['rewrite', warehouse, String(memoryMib * MIB), String(targetMib * MIB), join(FOLDER, 'spill')]
  const measured = await measure(RUN, args)
  const report = JSON.parse(measured.stdout) as RunReport
  const target = targetMib * MIB
  say('')
  say(`memory limit ${memoryMib} MiB, target ${targetMib} MiB, input ${(report.bytesBefore / 1e6).toFixed(0)} MB`)
  say(
    `  peak memory    ${(measured.peakBytes / MIB).toFixed(0)} MiB, ${(measured.peakBytes / MIB / memoryMib).toFixed(2)} of the limit`,
  )
  say(`  time           ${(measured.wallMillis / 1000).toFixed(1)} s, ${(measured.cpuMillis / 1000).toFixed(1)} s CPU`)
  say(
    `  files          ${report.filesBefore} -> ${report.filesAfter}, ${report.rows} rows, ${(report.bytesAfter / 1e6).toFixed(0)} MB`,
  )
  say(`  sizes          ${report.sizes.map((size) => percent(size, target)).join(', ')} of the target`)
  say(`  overlap depth  ${report.depthBefore} -> ${report.depthAfter}`)
  say(`  left to do     ${report.leftToDo} groups`)
  say(`  digest         ${report.digests.join(', ')}`)
}

await run(1024, 128)
await run(320, 16)
await rm(join(FOLDER, 'warehouse'), { recursive: true, force: true })
