/**
 * Small objects beside the chunks of a stream: when each shard was last read to its tip, what the retention was then, and
 * which tables read it.
 * (stream-start.ts has a third one, where the stream began.)
 */
import { type Clock, fullJitterMillis } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import { corruptState, decodeJson, encodeJson } from './staged-json.ts'
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
 * The retention of the stream when all of its shards were last at their tip, milliseconds: raised since, it does not
 * bring back what had passed it. `undefined` before the first run ended.
 */
export async function readRetention(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  options: AbortableOptions = {},
): Promise<number | undefined> {
  const key = retentionKey(incarnation)
  const stored = await getIfExists(store, key, options)
  if (stored === undefined) return undefined
  const name = `${store.url}/${key}`
  const millis = decodeJson(stored.bytes, name)['millis']
  if (typeof millis === 'number' && millis > 0) return millis
  throw corruptState(name, `"millis" is ${JSON.stringify(millis)}, expected a number above 0`)
}

/** The last writer stays: both have just asked the stream. */
export async function writeRetention(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  millis: number,
  options: AbortableOptions = {},
): Promise<void> {
  await store.put(retentionKey(incarnation), encodeJson({ millis }), options)
}

const retentionKey = (incarnation: StreamIncarnation): string => `${incarnationPrefix(incarnation)}retention.json`

/**
 * Note that a table reads the stream. Idempotent; a table that moved, or was made again in the warehouse's folders,
 * replaces its entry.
 * @throws {FirnError} `FIRN_CONSUMER_CONFLICT` (failed) when another catalog's table of that name is registered: with
 *   its entry gone, prune would take what it has not consumed. `FIRN_PRECONDITION_FAILED` when others kept changing the
 *   entry meanwhile.
 */
export async function registerConsumer(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  consumer: Consumer,
  options: AbortableOptions & { clock?: Clock } = {},
): Promise<void> {
  const key = consumerKey(incarnation, consumer.table)
  const { table, tableUuid, catalog, location } = consumer
  const json = { table, table_uuid: tableUuid, catalog, location }
  const landed = await update(store, key, options, (bytes) => {
    const old = bytes && parseConsumer(bytes, `${store.url}/${key}`, table)
    if (old !== undefined && !(old instanceof FirnError) && mayBothExist(old, consumer)) {
      throw consumerConflict(incarnation, old, consumer)
    }
    return json
  })
  if (landed) return
  throw new FirnError('conflict', 'FIRN_PRECONDITION_FAILED', `${store.url}/${key} kept changing`, {
    help: 'Another process registers the same table; run the command again.',
  })
}

/** The warehouse's folders hold one table of a name. REST catalogs are many, and their entries do not say which. */
const mayBothExist = (a: Consumer, b: Consumer): boolean =>
  a.tableUuid !== b.tableUuid && !(a.catalog === 'file' && b.catalog === 'file')

function consumerConflict({ stream, created }: StreamIncarnation, old: Consumer, table: Consumer): FirnError {
  const place = ({ tableUuid, catalog, location }: Consumer): string =>
    `${tableUuid} in ${catalog === 'rest' ? 'a REST catalog' : "the warehouse's folders"} at ${location}`
  const message = `stream ${stream} is read by another table ${table.table}: registered is ${place(old)}, this is ${place(table)}`
  return new FirnError('failed', 'FIRN_CONSUMER_CONFLICT', message, {
    detail: { stream, table: table.table, registered: old.tableUuid, found: table.tableUuid },
    help: `Give one of the two another name, or another warehouse; when the registered one is gone: firn staging forget ${stream}@${created} ${table.table}`,
  })
}

/** An entry of a stream's consumers, as far as it can be read. */
export interface ConsumerEntry {
  /** `namespace.name`, by the entry's key. */
  readonly table: string
  readonly key: string
  /** What the entry says, or why it cannot be told: `FIRN_STAGING_CORRUPT`. */
  readonly consumer: Consumer | FirnError
}

/** Every table that reads the stream, by name. A damaged entry is listed too: it stands for a table all the same. */
export async function listConsumers(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  options: AbortableOptions = {},
): Promise<readonly ConsumerEntry[]> {
  const prefix = consumersPrefix(incarnation)
  const entries: ConsumerEntry[] = []
  for await (const { key } of store.list(prefix, options)) {
    const stored = await getIfExists(store, key, options)
    if (stored === undefined) continue // deregistered since the listing
    const table = key.slice(prefix.length).replace(/\.json$/, '')
    entries.push({ table, key, consumer: parseConsumer(stored.bytes, `${store.url}/${key}`, table) })
  }
  return entries
}

function parseConsumer(bytes: Uint8Array, name: string, table: string): Consumer | FirnError {
  try {
    const json = decodeJson(bytes, name)
    const text = (member: string): string => {
      const value = json[member]
      if (typeof value === 'string' && value !== '') return value
      throw corruptState(name, `"${member}" is ${JSON.stringify(value)}, expected a text`)
    }
    if (text('table') !== table) throw corruptState(name, `it is of table ${text('table')}`)
    return { table, tableUuid: text('table_uuid'), catalog: text('catalog'), location: text('location') }
  } catch (error) {
    if (FirnError.is(error, 'FIRN_STAGING_CORRUPT')) return error
    throw error
  }
}

/**
 * Forget that a table reads the stream: what only it has not consumed may then be pruned. A table that goes on reading
 * registers itself again with its next run.
 * @returns false when it was not registered.
 */
export async function deregisterConsumer(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  table: string,
  options: AbortableOptions = {},
): Promise<boolean> {
  const key = consumerKey(incarnation, table)
  if ((await store.head(key, options)) === undefined) return false
  await store.delete(key, options)
  return true
}

const consumersPrefix = (incarnation: StreamIncarnation): string => `${incarnationPrefix(incarnation)}consumers/`
const consumerKey = (incarnation: StreamIncarnation, table: string): string =>
  `${consumersPrefix(incarnation)}${table}.json`

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
