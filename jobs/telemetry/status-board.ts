/** What `/status` tells of the work so far, gathered from the channels. */
import { commitChannel, ingestChannel } from '../../table/diagnostics.ts'
import { subscribeToRuns } from './run-channel.ts'

export interface StatusBoard {
  /** Plain JSON in wire names. */
  snapshot(): object
  close(): void
}

export function statusBoard(): StatusBoard {
  const lags = new Map<string, Map<string, number>>()
  const snapshots = new Map<string, object>()
  const runs = new Map<string, object>()
  const subscriptions = [
    ingestChannel.subscribe((message) => {
      if (message.kind !== 'lag') return
      const shards = lags.get(message.stream) ?? new Map<string, number>()
      lags.set(message.stream, shards)
      if (message.behindMillis === undefined) shards.delete(message.shardId)
      else shards.set(message.shardId, message.behindMillis)
    }),
    commitChannel.subscribe(({ table, outcome, operation, snapshotId, totals }) => {
      if (outcome !== 'ok' || snapshotId === undefined) return
      const committed = totals === undefined ? undefined : new Date(totals.timestampMillis).toISOString()
      snapshots.set(table, { snapshot_id: snapshotId, operation, committed_at: committed })
    }),
    subscribeToRuns((message) => {
      if (message.phase !== 'end' || !message.recorded) return
      const { job, subject, run_id, outcome, finished_at, error } = message.record
      runs.set(`${job} ${subject}`, { run_id, outcome, finished_at, code: error?.code })
    }),
  ]
  return {
    snapshot: () => ({
      lag_seconds: Object.fromEntries(
        [...lags].map(([stream, shards]) => [stream, Math.max(0, ...shards.values()) / 1000]),
      ),
      last_snapshots: Object.fromEntries(snapshots),
      last_runs: Object.fromEntries(runs),
    }),
    close: () => {
      for (const end of subscriptions) end()
    },
  }
}
