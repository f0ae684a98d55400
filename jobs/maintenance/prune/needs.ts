/** What the tables that read a stream still need of it: where each stands, and where each could go back to. */
import { type ConsumerEntry, listConsumers, listIncarnations, type StreamIncarnation } from '../../../ingest/index.ts'
import { FirnError } from '../../../table/errors.ts'
import { ancestorsOf, type Catalog, lineOf, type Table } from '../../../table/index.ts'
import type { AbortableOptions, ObjectStore, StoredObject } from '../../../table/io/object-store.ts'
import { incarnationName, type Positions, positionsOf } from '../../compaction/positions.ts'
import { positionsAt } from '../positions-at.ts'
import type { Need } from './plan.ts'

export interface NeedsSource extends AbortableOptions {
  /** The warehouse. */
  readonly store: ObjectStore
  readonly catalog: Catalog
}

/** Tables that were loaded already, by name: one that reads several streams is loaded once. */
export type LoadedTables = Map<string, Promise<Table>>

/**
 * A need for the table as it is, and one for each snapshot that `firn rollback --reprocess` takes it back to. The
 * entries are listed before the tables are loaded, each table as it is now: going back never reaches below what is
 * found here, because a table gains only snapshots that come later, and loses the old ones.
 * @throws {FirnError} `FIRN_NO_CONSUMER`, `FIRN_CONSUMER_UNREADABLE` (failed): then nothing may be pruned;
 *   `FIRN_STORE_UNAVAILABLE` and other failures that pass.
 */
export async function needsOf(
  source: NeedsSource,
  incarnation: StreamIncarnation,
  loaded: LoadedTables = new Map(),
): Promise<readonly Need[]> {
  const { store, signal } = source
  const entries = await listConsumers(store, incarnation, { signal })
  if (entries.length === 0) throw noConsumer(incarnation)
  const needs: Need[] = []
  for (const entry of entries) needs.push(...(await needsOfTable(source, incarnation, entry, loaded)))
  return needs
}

/** `<stream>@<created>` of every stream that `table` is registered with. */
export async function streamsReadBy(
  store: ObjectStore,
  table: string,
  options: AbortableOptions = {},
): Promise<readonly string[]> {
  const names: string[] = []
  for (const incarnation of await listIncarnations(store, options)) {
    const entries = await listConsumers(store, incarnation, options)
    if (entries.some((entry) => entry.table === table)) names.push(incarnationName(incarnation))
  }
  return names
}

async function needsOfTable(
  source: NeedsSource,
  incarnation: StreamIncarnation,
  entry: ConsumerEntry,
  loaded: LoadedTables,
): Promise<readonly Need[]> {
  const table = await tableOf(source, incarnation, entry, loaded)
  const name = incarnationName(incarnation)
  const positions = currentPositions(table, incarnation, entry)
  const current = { table: entry.table, snapshotId: null, positions: positions[name] ?? {} }
  const head = table.currentSnapshot()?.snapshotId
  // Not in the table yet: nothing of the stream has been read, and `current` needs all of it.
  if (head === undefined || positions[name] === undefined) return [current]
  const store = remembering(source.store)
  const history: Need[] = []
  const { metadata } = table
  for (const id of new Set([...ancestorsOf(metadata, head), ...lineOf(metadata, head)])) {
    const at = { store, table, tableName: entry.table, signal: source.signal }
    const then = await positionsAt(at, id, head, { [name]: positions[name] }).catch(unknownWhenImpossible)
    history.push({
      table: entry.table,
      snapshotId: String(id),
      positions: then === 'unknown' ? then : (then[name] ?? {}),
    })
  }
  return [current, ...history]
}

/** Repair may still tell it: everything is kept until the snapshot expires. */
function unknownWhenImpossible(error: unknown): 'unknown' {
  if (FirnError.is(error, 'FIRN_REPROCESS_IMPOSSIBLE') || FirnError.is(error, 'FIRN_MANIFEST_CORRUPT')) return 'unknown'
  throw error
}

async function tableOf(
  { catalog, signal }: NeedsSource,
  incarnation: StreamIncarnation,
  { consumer, table: name }: ConsumerEntry,
  loaded: LoadedTables,
): Promise<Table> {
  const refuse = (why: string, cause?: unknown): FirnError => unreadable(incarnation, name, why, cause)
  if (consumer instanceof FirnError) throw refuse(consumer.message, consumer)
  if (consumer.catalog !== catalog.kind) {
    const where = (kind: string): string => (kind === 'rest' ? 'a REST catalog' : "the warehouse's folders")
    throw refuse(`it is registered from ${where(consumer.catalog)}, and looked for in ${where(catalog.kind)}`)
  }
  let table: Table
  try {
    const loading = loaded.get(name) ?? catalog.loadTable(name, { signal })
    loaded.set(name, loading)
    table = await loading
  } catch (error) {
    signal?.throwIfAborted()
    if (FirnError.is(error) && error.retryable) throw error
    throw refuse(FirnError.is(error) ? error.message : String(error), error)
  }
  const { tableUuid } = table.metadata
  if (tableUuid === consumer.tableUuid) return table
  throw refuse(`it was dropped and made again: ${consumer.tableUuid} is registered, ${tableUuid} is there now`)
}

function currentPositions(table: Table, incarnation: StreamIncarnation, { table: name }: ConsumerEntry): Positions {
  try {
    return positionsOf(table.metadata.properties)
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_POSITIONS_CORRUPT')) throw error
    throw unreadable(incarnation, name, error.message, error)
  }
}

function unreadable(incarnation: StreamIncarnation, table: string, why: string, cause: unknown): FirnError {
  const stream = incarnationName(incarnation)
  const message = `what table ${table} needs of stream ${stream} cannot be told, so nothing of it is pruned: ${why}`
  return new FirnError('failed', 'FIRN_CONSUMER_UNREADABLE', message, {
    detail: { stream, table },
    help: `mend the table; or, when it will not read the stream again: firn staging forget ${stream} ${table}`,
    cause,
  })
}

function noConsumer(incarnation: StreamIncarnation): FirnError {
  const stream = incarnationName(incarnation)
  return new FirnError('failed', 'FIRN_NO_CONSUMER', `no table reads stream ${stream}, so nothing of it is pruned`, {
    detail: { stream },
    help: `compact it first: firn compact <table> --stream ${incarnation.stream}`,
  })
}

/** Each object is asked for once: the positions of many snapshots come from the same few JSON manifests. */
function remembering(store: ObjectStore): ObjectStore {
  const known = new Map<string, Promise<StoredObject>>()
  return {
    url: store.url,
    put: (key, body, options) => store.put(key, body, options),
    get: (key, options) => {
      const found = known.get(key) ?? store.get(key, options)
      known.set(key, found)
      return found
    },
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
  }
}
