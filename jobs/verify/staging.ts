/** The table's positions against staging: what they point at exists, and everything after it follows without a hole. */
import { type ChunkRef, comparePositions, listChunks, readChunkMeta } from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import { incarnationName, isEnded, type Positions, positionsOf, sequenceOf } from '../compaction/positions.ts'
import type { Findings } from './problems.ts'

/** @param properties of the table's current metadata. */
export async function verifyStaging(
  store: ObjectStore,
  properties: Readonly<Record<string, string>>,
  findings: Findings,
  options: AbortableOptions = {},
): Promise<void> {
  let positions: Positions
  try {
    positions = positionsOf(properties)
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_POSITIONS_CORRUPT')) throw error
    findings.add('staging-position', 'table properties', error.message)
    return
  }
  for (const [name, shards] of Object.entries(positions)) {
    const match = /^(.*)@(\d+)$/.exec(name)
    if (match === null) {
      findings.add('staging-position', name, 'a position property names no <stream>@<created>')
      continue
    }
    const incarnation = { stream: match[1]!, created: Number(match[2]) }
    const chains = Map.groupBy(await listChunks(store, incarnation, options), (chunk) => chunk.shardId)
    for (const [shardId, position] of Object.entries(shards)) {
      const place = `${store.url}/_staging/${incarnationName(incarnation)}/shards/${shardId}`
      await verifyChain(store, place, chains.get(shardId) ?? [], position, findings, options)
    }
  }
}

async function verifyChain(
  store: ObjectStore,
  place: string,
  chunks: readonly ChunkRef[],
  position: string,
  findings: Findings,
  options: AbortableOptions,
): Promise<void> {
  const sequence = sequenceOf(position)
  if (chunks.length === 0) {
    // a chain is pruned once its end is consumed
    if (!isEnded(position))
      findings.add('staging-position', place, `the table stands at ${position}, the chain does not exist`)
    return
  }
  const at = chunks.findLastIndex((chunk) => comparePositions(chunk.after, sequence) < 0)
  const next = chunks[at + 1]
  if (at < 0 && next?.after !== sequence) {
    findings.add(
      'staging-position',
      place,
      `the table stands at ${position}, the oldest chunk continues ${chunks[0]!.after}`,
    )
    return
  }
  let end: string | undefined
  let ended = false
  for (const chunk of chunks.slice(Math.max(at, 0))) {
    const meta = await readMeta(store, chunk, findings, options)
    if (meta === undefined) return
    if (end !== undefined && chunk.after !== end) {
      findings.add(
        'staging-chain',
        `${store.url}/${chunk.key}`,
        `it continues ${chunk.after}, the chunk before it ends at ${end}`,
      )
    }
    end = meta.last
    ended = meta.ended
  }
  if (end !== undefined && comparePositions(end, sequence) < 0) {
    findings.add('staging-position', place, `the table stands at ${position}, staging ends at ${end}`)
  } else if (isEnded(position) && !ended) {
    findings.add('staging-position', place, `the table has consumed the end of the shard, staging has no end of it`)
  }
}

async function readMeta(
  store: ObjectStore,
  chunk: ChunkRef,
  findings: Findings,
  options: AbortableOptions,
): Promise<{ readonly last: string; readonly ended: boolean } | undefined> {
  try {
    const meta = await readChunkMeta(store, chunk, options)
    findings.checked.chunks++
    return meta
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_CHUNK_CORRUPT')) throw error
    findings.add('staging-chain', `${store.url}/${chunk.key}`, error.message)
    return undefined
  }
}
