/** Shards that are not listed any more, and one that is again though its chain was closed. */
import { FirnError } from '../../table/errors.ts'
import type { SourceShard } from '../source.ts'
import type { ChunkMeta } from '../staging/chunk.ts'
import { readChunkMeta } from '../staging/staging.ts'
import { forEachShard, type Run, stateOf } from './run.ts'

/**
 * A shard that is gone and whose chain has not ended lost its tail: say so in an end marker, then go on. A shard
 * without a record so far has no chain; that it was read is known from the time when it was at its tip.
 */
export async function endVanished(run: Run, shards: readonly SourceShard[]): Promise<void> {
  const { source, store } = run.options
  const listed = new Set(shards.map(({ shardId }) => shardId))
  const missing = [...new Set([...run.heads.keys(), ...run.caughtUp.keys()])].filter((id) => !listed.has(id))
  const open: SourceShard[] = []
  const look = missing.map((shardId) => ({ shardId }))
  await forEachShard(run, look, async ({ shardId }, shardSignal) => {
    const head = run.heads.get(shardId)
    const lastChunk = head && (await readChunkMeta(store, head, { signal: shardSignal }).catch(undefinedWhenPruned))
    const isOpen = head === undefined || lastChunk?.ended === false
    if (isOpen) open.push({ shardId, parents: lastChunk?.parents ?? [] })
  })
  if (open.length === 0) return
  // A chain is closed for good: not because of one list that left a shard out.
  const again = new Set((await source.listShards({ signal: run.reading })).map(({ shardId }) => shardId))
  const vanished = open.filter(({ shardId }) => !again.has(shardId))
  await forEachShard(run, vanished, async (shard, shardSignal) => {
    const { chain } = await stateOf(run, shard)
    await chain.end({ gap: true, signal: shardSignal })
  })
}

/** Since it was listed, with its whole chain or because another lander added to it: the next run looks again. */
function undefinedWhenPruned(error: unknown): undefined {
  if (!FirnError.is(error, 'FIRN_OBJECT_NOT_FOUND')) throw error
}

export const openAgain = ({ stream, shardId, last, after }: ChunkMeta): FirnError =>
  new FirnError(
    'corrupt',
    'FIRN_CHAIN_CONFLICT',
    `shard ${shardId} of stream ${stream} is open, but its chain was ended after ${last}, when the shard was not listed`,
    {
      detail: { stream, shardId, last },
      help: `Nothing more of it lands. Delete the last object of its chain (after ${after}) if no table has consumed the end, and land again.`,
    },
  )
