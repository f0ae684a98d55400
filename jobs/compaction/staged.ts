/** Staging as a compaction run sees it: which streams a table reads, and the listing that the plan is made from. */
import {
  type ChunkRef,
  listChunks,
  listIncarnations,
  readChunkMeta,
  type StreamIncarnation,
} from '../../ingest/index.ts'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import type { ListedChain, ListedStream } from './plan.ts'
import { incarnationName, isEnded, type Positions, STREAMS_PROPERTY } from './positions.ts'

/** Requests at a time while the ends of the chains are read. */
const CONCURRENCY = 16

/** What one run reads of staging. */
export interface StreamChoice {
  /** Every incarnation of the streams that the run reads. */
  readonly incarnations: readonly StreamIncarnation[]
  /** Names of the streams that the run reads. */
  readonly streams: readonly string[]
  /** Names of the streams in staging that the run does not read. */
  readonly unread: readonly string[]
}

/**
 * The streams that a run of `table` reads: those asked for, else its property `firn.streams`, else the only stream in
 * staging.
 * @throws {FirnError} `FIRN_STREAM_AMBIGUOUS` (invalid); `FIRN_STREAM_NOT_STAGED` (not-found).
 */
export async function chooseStreams(
  store: ObjectStore,
  table: string,
  properties: Readonly<Record<string, string>>,
  asked: readonly string[] | undefined,
  options: AbortableOptions = {},
): Promise<StreamChoice> {
  const { signal } = options
  const staged = await listIncarnations(store, signal === undefined ? {} : { signal })
  const stagedNames = [...new Set(staged.map((incarnation) => incarnation.stream))]
  const wanted = asked !== undefined && asked.length > 0 ? asked : streamsOf(properties, table)
  if (wanted === undefined) {
    if (stagedNames.length === 1) return { incarnations: staged, streams: stagedNames, unread: [] }
    if (stagedNames.length === 0) throw notStaged(store, 'nothing has been landed yet')
    throw new FirnError(
      'invalid',
      'FIRN_STREAM_AMBIGUOUS',
      `staging holds ${stagedNames.length} streams: ${stagedNames.join(', ')}; which of them goes into ${table}?`,
      { help: `firn compact ${table} --stream ${stagedNames[0]} (asked only once: the table remembers)` },
    )
  }
  const missing = wanted.find((stream) => !stagedNames.includes(stream))
  if (missing !== undefined) {
    const known = stagedNames.length === 0 ? '' : `; staging holds ${stagedNames.join(', ')}`
    throw notStaged(store, `nothing of stream ${missing} is in staging${known}`, missing)
  }
  return {
    incarnations: staged.filter((incarnation) => wanted.includes(incarnation.stream)),
    streams: [...new Set(wanted)],
    unread: stagedNames.filter((stream) => !wanted.includes(stream)),
  }
}

/** @param stream the missing one; left out when no stream is named. */
const notStaged = (store: ObjectStore, what: string, stream?: string): FirnError =>
  new FirnError('not-found', 'FIRN_STREAM_NOT_STAGED', `warehouse ${store.url}: ${what}`, {
    ...(stream === undefined ? {} : { detail: { stream } }),
    help: 'land records first: firn land --stream NAME, or firn land --from FILE',
  })

/** The property `firn.streams`. @throws {FirnError} `FIRN_PROPERTY_INVALID` (corrupt). */
export function streamsOf(properties: Readonly<Record<string, string>>, table: string): readonly string[] | undefined {
  const text = properties[STREAMS_PROPERTY]
  if (text === undefined) return undefined
  try {
    const json: unknown = JSON.parse(text)
    if (Array.isArray(json) && json.length > 0 && json.every((name) => typeof name === 'string')) return json
  } catch {
    // said below
  }
  throw new FirnError(
    'corrupt',
    'FIRN_PROPERTY_INVALID',
    `table ${table}: property ${STREAMS_PROPERTY} is no list of streams: ${text}`,
    {
      help: 'name the streams: firn compact --stream NAME',
    },
  )
}

/** Chunks by chain, and the metadata of the last chunk of every chain whose end is not consumed. */
export async function listStaging(
  store: ObjectStore,
  incarnations: readonly StreamIncarnation[],
  positions: Positions,
  options: AbortableOptions = {},
): Promise<readonly ListedStream[]> {
  const streams: ListedStream[] = []
  for (const incarnation of incarnations) {
    const consumed = positions[incarnationName(incarnation)] ?? {}
    const chains = Map.groupBy(await listChunks(store, incarnation, options), (chunk) => chunk.shardId)
    const listed = await mapBounded([...chains], async ([shardId, chunks]): Promise<ListedChain> => {
      const listedChunks = chunks.map(({ after, key, sizeBytes }) => ({ after, key, sizeBytes }))
      if (isEnded(Object.hasOwn(consumed, shardId) ? consumed[shardId] : undefined))
        return { shardId, chunks: listedChunks }
      const { after, last, ended, parents } = await readChunkMeta(store, chunks.at(-1) as ChunkRef, options)
      const writtenMillis = chunks.map(({ lastModifiedMillis }) => lastModifiedMillis)
      return { shardId, chunks: listedChunks, tail: { after, last, ended, parents }, writtenMillis }
    })
    streams.push({ ...incarnation, chains: listed })
  }
  return streams
}

/** Results in the order of the items; the first failure is thrown, work that has begun is not waited for. */
async function mapBounded<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index]!)
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, lane))
  return results
}
