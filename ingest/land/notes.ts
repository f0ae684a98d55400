/** What a run leaves for the next one beside its chunks: when shards were at their tip, and the retention then. */

import type { SourceShard } from '../source.ts'
import { writeCaughtUp, writeRetention } from '../staging/stream-state.ts'
import { isUnread, knownUntil, type Run } from './run.ts'

/**
 * One small object for all shards. A chain that has ended says so itself; a shard that is gone is remembered until
 * there is one, which may be its only trace.
 */
export async function noteCaughtUp(run: Run, shards: readonly SourceShard[]): Promise<void> {
  const { source, store, clock, signal } = run.options
  if (!source.listsEveryShard) return
  const listed = new Set(shards.map((shard) => shard.shardId))
  const keep = (shardId: string): boolean =>
    run.states.get(shardId)?.chain.ended !== true && (listed.has(shardId) || !run.heads.has(shardId))
  const times = new Map(run.reached)
  // A shard that was not begun is remembered by what is known of its parents, which are forgotten when they have ended.
  for (const shard of shards) {
    const millis = isUnread(run, shard) && keep(shard.shardId) ? knownUntil(run, shard, undefined) : undefined
    if (millis !== undefined && !times.has(shard.shardId)) times.set(shard.shardId, millis)
  }
  await noteRetention(run, shards)
  const isNews = [...times].some(([shardId, millis]) => millis > (run.caughtUp.get(shardId) ?? 0))
  if (!isNews && [...run.caughtUp.keys()].every(keep)) return
  await writeCaughtUp(store, run.context.incarnation, times, { clock, keep, signal })
}

/** A shorter retention holds for everybody at once, a longer one for a shard that was at its tip since. */
async function noteRetention(run: Run, shards: readonly SourceShard[]): Promise<void> {
  const { nowMillis, thenMillis = Number.POSITIVE_INFINITY } = run.retention
  const { store, signal } = run.options
  if (nowMillis <= 0 || nowMillis === thenMillis) return
  const isDone = ({ shardId }: SourceShard): boolean =>
    run.reached.has(shardId) || run.states.get(shardId)?.chain.ended === true
  if (nowMillis < thenMillis || shards.every(isDone)) {
    await writeRetention(store, run.context.incarnation, nowMillis, { signal })
  }
}
