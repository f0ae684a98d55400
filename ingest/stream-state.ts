/**
 * Small objects beside the chunks of a stream: where it began, when each shard was last read to its tip, and which
 * tables read it.
 */
import { type Clock, fullJitterMillis } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import { type EpochMillis, epochMillis } from '../table/ids.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../table/io/object-store.ts'
import type { StreamStart } from './source.ts'
import { incarnationPrefix, type StreamIncarnation } from './staging.ts'

/** A table that reads the stream; prune keeps what it has not consumed. */
export interface Consumer {
  /** `namespace.name` */
  readonly table: string
  readonly tableUuid: string
  readonly catalog: string
  /** URL of the table's folder. */
  readonly location: string
}

const UPDATE_TRIES = 10

/**
 * The stream's start, made durable by its first run: `wanted` counts only then, later runs and shards get what is
 * stored.
 * @throws {FirnError} `FIRN_STAGING_CORRUPT` when start.json is not what a landing run writes.
 */
export async function ensureStart(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  wanted: StreamStart,
  options: AbortableOptions = {},
): Promise<StreamStart> {
  const key = `${incarnationPrefix(incarnation)}start.json`
  const stored = await getIfExists(store, key, options)
  if (stored !== undefined) return parseStart(stored.bytes, `${store.url}/${key}`)
  const json =
    wanted.type === 'TRIM_HORIZON'
      ? { type: wanted.type }
      : { type: wanted.type, timestamp: new Date(wanted.timestampMillis).toISOString() }
  try {
    await store.put(key, encodeJson(json), { ...options, ifNoneMatch: '*' })
    return wanted
  } catch (error) {
    const winner = FirnError.is(error, 'FIRN_PRECONDITION_FAILED') ? await getIfExists(store, key, options) : undefined
    if (winner === undefined) throw error
    return parseStart(winner.bytes, `${store.url}/${key}`)
  }
}

function parseStart(bytes: Uint8Array, name: string): StreamStart {
  const json = decodeJson(bytes, name)
  if (json['type'] === 'TRIM_HORIZON') return { type: 'TRIM_HORIZON' }
  const millis = Date.parse(String(json['timestamp']))
  if (json['type'] === 'AT_TIMESTAMP' && Number.isFinite(millis)) {
    return { type: 'AT_TIMESTAMP', timestampMillis: epochMillis(millis) }
  }
  throw corruptState(name, 'expected {"type": "TRIM_HORIZON"} or {"type": "AT_TIMESTAMP", "timestamp": "…"}')
}

/** When each shard was last read to its tip. */
export async function readCaughtUp(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  options: AbortableOptions = {},
): Promise<ReadonlyMap<string, EpochMillis>> {
  const key = `${incarnationPrefix(incarnation)}caught-up.json`
  const stored = await getIfExists(store, key, options)
  return stored === undefined ? new Map() : parseCaughtUp(stored.bytes, `${store.url}/${key}`)
}

/**
 * Move the shards of `reached` to their new times, never back; forget shards that `keep` refuses. Losing every race
 * is no error: an old time only makes a later run suspect a gap.
 */
export async function writeCaughtUp(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  reached: ReadonlyMap<string, EpochMillis>,
  options: AbortableOptions & { clock: Clock; keep: (shardId: string) => boolean },
): Promise<void> {
  const { clock, keep, signal } = options
  const key = `${incarnationPrefix(incarnation)}caught-up.json`
  await update(store, key, { clock, signal }, (bytes) => {
    const old = bytes === undefined ? new Map<string, EpochMillis>() : parseCaughtUp(bytes, `${store.url}/${key}`)
    const next = new Map([...old].filter(([shardId]) => keep(shardId)))
    for (const [shardId, millis] of reached) next.set(shardId, epochMillis(Math.max(millis, next.get(shardId) ?? 0)))
    const sorted = [...next].sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(sorted.map(([shardId, millis]) => [shardId, new Date(millis).toISOString()]))
  })
}

function parseCaughtUp(bytes: Uint8Array, name: string): Map<string, EpochMillis> {
  const entries = Object.entries(decodeJson(bytes, name)).map(([shardId, time]): [string, EpochMillis] => {
    const millis = Date.parse(String(time))
    if (!Number.isFinite(millis)) throw corruptState(name, `shard ${shardId} has the time ${JSON.stringify(time)}`)
    return [shardId, epochMillis(millis)]
  })
  return new Map(entries)
}

/**
 * Note that a table reads the stream. Idempotent; a table that moved replaces its entry.
 * @throws {FirnError} `FIRN_PRECONDITION_FAILED` when others kept changing the entry meanwhile.
 */
export async function registerConsumer(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  consumer: Consumer,
  options: AbortableOptions & { clock?: Clock } = {},
): Promise<void> {
  const key = `${incarnationPrefix(incarnation)}consumers/${consumer.table}.json`
  const { table, tableUuid, catalog, location } = consumer
  const json = { table, table_uuid: tableUuid, catalog, location }
  const landed = await update(store, key, options, () => json)
  if (landed) return
  throw new FirnError('conflict', 'FIRN_PRECONDITION_FAILED', `${store.url}/${key} kept changing`, {
    help: 'Another process registers the same table; run the command again.',
  })
}

/** Compare-and-set of one JSON object; nothing is written when it is what `next` wants already. */
async function update(
  store: ObjectStore,
  key: string,
  options: AbortableOptions & { clock?: Clock },
  next: (old: Uint8Array | undefined) => object,
): Promise<boolean> {
  const { clock, signal } = options
  for (let attempt = 0; attempt < UPDATE_TRIES; attempt++) {
    const stored = await getIfExists(store, key, { signal })
    const body = encodeJson(next(stored?.bytes))
    if (stored !== undefined && Buffer.compare(stored.bytes, body) === 0) return true
    try {
      await store.put(key, body, {
        signal,
        ...(stored === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: stored.etag }),
      })
      return true
    } catch (error) {
      if (!FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) throw error
    }
    if (clock !== undefined) await clock.sleep(fullJitterMillis(clock, attempt, 20, 1_000), signal)
  }
  return false
}

const encodeJson = (value: object): Uint8Array => Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`)

function decodeJson(bytes: Uint8Array, name: string): Record<string, unknown> {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw corruptState(name, (error as Error).message)
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>
  throw corruptState(name, 'expected a JSON object')
}

const corruptState = (name: string, why: string): FirnError =>
  new FirnError('corrupt', 'FIRN_STAGING_CORRUPT', `${name}: ${why}`, {
    detail: { object: name },
    help: 'Restore the object from a backup or a bucket version.',
  })
