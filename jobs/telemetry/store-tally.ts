/**
 * Requests of tasks that run in another thread or process: counted there, since a channel is heard in its own thread
 * only, and told of here when the task has ended, well or not.
 */
import { type StoreRequest, type StoreTotals, storeChannel } from '../../table/diagnostics.ts'

/** What a task hands over beside its result; JSON. */
export interface TaskTelemetry {
  readonly store: readonly StoreTotals[]
}

export interface StoreTally {
  /** Everything since the tally began. */
  taken(): TaskTelemetry
}

/** Counts the requests of this thread, for as long as it lives. */
export function tallyStore(): StoreTally {
  const totals = new Map<string, StoreTotals>()
  storeChannel.subscribe((message) => {
    if (message.kind === undefined) add(totals, message)
  })
  return { taken: () => ({ store: [...totals.values()] }) }
}

function add(totals: Map<string, StoreTotals>, { op, outcome, bytes }: StoreRequest): void {
  const key = `${op} ${outcome}`
  const before = totals.get(key)
  totals.set(key, {
    op,
    outcome,
    requests: (before?.requests ?? 0) + 1,
    bytes: (before?.bytes ?? 0) + bytes,
  })
}

/** Tell in this thread what a task did elsewhere. */
export function tellTaskTelemetry(telemetry: TaskTelemetry | undefined): void {
  if (telemetry === undefined || telemetry.store.length === 0 || !storeChannel.hasSubscribers) return
  storeChannel.publish({ kind: 'tally', totals: telemetry.store })
}
