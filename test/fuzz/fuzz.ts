/** Runs cases in processes of their own, with a limit of time and memory for each, and counts what came of them. */
import { type ChildProcess, fork } from 'node:child_process'
import type { Verdict } from './judge.ts'
import type { CaseReport, Message, Order } from './worker.ts'

export interface FuzzOptions {
  readonly cases: number
  readonly seed: number
  readonly first?: number
  readonly processes?: number
}

export interface Finding {
  readonly index: number
  readonly title: string
  readonly detail: string
}

export interface FuzzReport {
  readonly counts: ReadonlyMap<Verdict, number>
  /** By kind of object. */
  readonly countsByKind: ReadonlyMap<string, ReadonlyMap<Verdict, number>>
  readonly findings: readonly Finding[]
  readonly reports: readonly CaseReport[]
}

/** A case that takes longer hangs: an ordinary one takes a hundredth of a second, on a machine that is not busy. */
const CASE_MILLIS = 60_000
/** Until a process has made its tables. */
const START_MILLIS = 240_000
const HEAP_MEGABYTES = 256
/** The tables have some 100 KB. A case that needs more than this was led to by what its bytes claim. */
const MAX_GROWTH_BYTES = 256 << 20

/** Cases `first` to `first + cases`. A process that dies or hangs is a finding, and a new one goes on behind it. */
export async function fuzz({ cases, seed, first = 0, processes = 1 }: FuzzOptions): Promise<FuzzReport> {
  const reports: CaseReport[] = []
  const findings: Finding[] = []
  const share = Math.ceil(cases / processes)
  const end = first + cases
  await Promise.all(
    Array.from({ length: processes }, async (_, n) => {
      const to = Math.min(end, first + (n + 1) * share)
      for (let from = first + n * share; from < to; ) from = await runProcess({ seed, from, to }, reports, findings)
    }),
  )
  reports.sort((a, b) => a.index - b.index)
  for (const { index, title, verdict, detail } of reports)
    if (verdict === 'FINDING') findings.push({ index, title, detail })
  const countsByKind = new Map<string, Map<Verdict, number>>()
  const counts = new Map<Verdict, number>()
  for (const { kind, verdict } of reports) {
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
    const ofKind = countsByKind.get(kind) ?? new Map<Verdict, number>()
    ofKind.set(verdict, (ofKind.get(verdict) ?? 0) + 1)
    countsByKind.set(kind, ofKind)
  }
  return { counts, countsByKind, findings: findings.sort((a, b) => a.index - b.index), reports }
}

/** @returns the first case that is left. */
function runProcess(order: Order, reports: CaseReport[], findings: Finding[]): Promise<number> {
  const child = fork(new URL('./worker.ts', import.meta.url), {
    execArgv: ['--expose-gc', `--max-old-space-size=${HEAP_MEGABYTES}`, '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let errors = ''
  child.stderr!.on('data', (text: Buffer) => {
    errors = `${errors}${text.toString()}`.slice(-4000)
  })
  return new Promise((resolve) => {
    let current = { index: order.from, title: 'start' }
    let isHung = false
    let isDone = false
    let watchdog = watch(child, START_MILLIS, () => (isHung = true))
    child.on('message', (message: Message) => {
      clearTimeout(watchdog)
      watchdog = watch(child, CASE_MILLIS, () => (isHung = true))
      if ('starts' in message) current = { index: message.starts, title: message.title }
      else if ('report' in message) {
        const { report } = message
        reports.push(report)
        const growth = Math.max(report.peakBytes, report.bufferBytes)
        if (growth > MAX_GROWTH_BYTES) findings.push({ ...current, detail: `took ${growth >> 20} MB of memory` })
      } else isDone = true
    })
    child.once('exit', (code, signal) => {
      clearTimeout(watchdog)
      if (isDone) return resolve(order.to)
      const why = isHung ? `ran longer than ${CASE_MILLIS} ms` : `ended the process: ${code ?? signal}\n${errors}`
      findings.push({ ...current, detail: why })
      resolve(current.index + 1)
    })
    child.send(order)
  })
}

function watch(child: ChildProcess, millis: number, onHang: () => void): NodeJS.Timeout {
  return setTimeout(() => {
    onHang()
    child.kill('SIGKILL')
  }, millis)
}
