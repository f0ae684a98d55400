/** How many runs go on at a time in this process, and which never meet. */
import type { JobSpec } from './job-spec.ts'

export interface Lanes {
  /**
   * Do `work` when it is its turn; first come, first served.
   * @returns what `work` gives; `undefined` when `signal` aborted before its turn came.
   */
  inTurn<T>(job: JobSpec, signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined>
}

/** Landing waits for the network most of the time. */
const LANDINGS = 8
/** Each of them may take the whole memory limit. */
const TABLE_RUNS = 2

/** Landings beside each other, a few tables beside each other, and of one table one run at a time. */
export function createLanes(limits: { readonly landings?: number; readonly tableRuns?: number } = {}): Lanes {
  const landings = createGate(limits.landings ?? LANDINGS)
  const tableRuns = createGate(limits.tableRuns ?? TABLE_RUNS)
  const tables = new Map<string, Gate>()
  return {
    inTurn: async (job, signal, work) => {
      if (job.kind === 'land') return await landings(signal, work)
      const table = tables.get(job.table) ?? createGate(1)
      tables.set(job.table, table)
      // the table first: who waits for its table must not keep others from theirs
      return await table(signal, () => tableRuns(signal, work))
    },
  }
}

type Gate = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T | undefined>

interface Waiter {
  readonly go: () => void
  /** A place was handed over, not merely the wait ended. */
  hasPlace: boolean
}

function createGate(places: number): Gate {
  let taken = 0
  const line: Waiter[] = []
  const leave = (): void => {
    const next = line.shift()
    if (next === undefined) taken--
    else {
      next.hasPlace = true
      next.go()
    }
  }
  const enter = async (signal: AbortSignal): Promise<boolean> => {
    if (taken < places) {
      taken++
      return true
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiter: Waiter = { go: resolve, hasPlace: false }
    line.push(waiter)
    signal.addEventListener('abort', resolve as () => void, { once: true })
    await promise
    signal.removeEventListener('abort', resolve as () => void)
    if (!waiter.hasPlace) line.splice(line.indexOf(waiter), 1)
    return waiter.hasPlace
  }
  return async (signal, work) => {
    if (signal.aborted || !(await enter(signal))) return undefined
    try {
      return signal.aborted ? undefined : await work()
    } finally {
      leave()
    }
  }
}
