/**
 * Where stages of a run leave what the next one reads: a folder of the local disk for one process, `_spill/` of the
 * warehouse for tasks that may run anywhere. Objects, written once and read by ranges; gone when the run ends.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { FirnError } from '../../../table/errors.ts'
import { type AbortableOptions, type ByteRange, type ObjectStore, subStore } from '../../../table/io/object-store.ts'
import { openStore } from '../../../table/io/open-store.ts'

/** Plain JSON, part of tasks. Names hold the run's random id and the number of its plan: no two runs share any. */
export type ExchangePlace =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'warehouse'; readonly prefix: string }

export interface Exchange {
  /** @throws {FirnError} `FIRN_SPILL_FAILED` when there is no room (unavailable) or the folder cannot be written (invalid); what the store throws. */
  put(key: string, body: Uint8Array, options: AbortableOptions): Promise<void>
  get(key: string, range: ByteRange, options: AbortableOptions): Promise<Uint8Array>
}

export function openExchange(place: ExchangePlace, warehouse: ObjectStore): Exchange {
  return exchangeOn(storeAt(place, warehouse), place)
}

const storeAt = (place: ExchangePlace, warehouse: ObjectStore): ObjectStore =>
  place.kind === 'folder' ? openStore(pathToFileURL(place.path).href) : subStore(warehouse, place.prefix)

/** @param place of the store, for messages. */
export function exchangeOn(store: ObjectStore, place?: ExchangePlace): Exchange {
  let writtenBytes = 0
  return {
    async put(key, body, { signal }) {
      try {
        await store.put(key, body, { signal })
        writtenBytes += body.byteLength
      } catch (cause) {
        if (!isFull(cause)) throw place?.kind === 'folder' ? unusable(place.path, cause) : cause
        const message = `no room in ${store.url} for ${body.byteLength} bytes more of sorted rows, ${writtenBytes} were written`
        throw new FirnError('unavailable', 'FIRN_SPILL_FAILED', message, {
          cause,
          detail: { folder: store.url, bytes: body.byteLength, writtenBytes },
          help: 'give --spill-folder a disk with room for the uncompressed input, or a larger --memory-limit',
        })
      }
    },
    async get(key, range, { signal }) {
      const { bytes } = await store.get(key, { range, signal })
      const expected = range.end - range.start
      if (bytes.byteLength === expected) return bytes
      const message = `${store.url}/${key} has ${bytes.byteLength} bytes from ${range.start}, expected ${expected}`
      throw new FirnError('corrupt', 'FIRN_SPILL_CORRUPT', message, { help: 'run the same command again' })
    },
  }
}

/** Its file store takes the folder for a warehouse, and would send its reader there. */
function unusable(path: string, cause: unknown): unknown {
  if (!FirnError.is(cause) || cause.kind !== 'invalid') return cause
  const message = `cannot write sorted rows below ${dirname(path)}: ${cause.message}`
  return new FirnError('invalid', 'FIRN_SPILL_FAILED', message, {
    cause,
    detail: { folder: dirname(path) },
    help: 'give --spill-folder a folder that this user may write to, or a larger --memory-limit',
  })
}

/** The disk, or the user's share of it, is full. */
function isFull(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') return true
  }
  return false
}

/** The run waits for the removal: many tasks leave thousands of objects. */
const DELETES_AT_ONCE = 16

/** Removes every object of the run, as far as that can be done: what is left is removed by maintenance, days later. */
export async function removeExchange(place: ExchangePlace, warehouse: ObjectStore): Promise<void> {
  // the run has its result, or a better error than one of these
  if (place.kind === 'folder') await rm(place.path, { recursive: true, force: true }).catch(() => {})
  else await removeAll(warehouse, place.prefix).catch(() => {})
}

/** Goes on after an object that cannot be deleted. */
async function removeAll(store: ObjectStore, prefix: string): Promise<void> {
  const open = new Set<Promise<void>>()
  try {
    for await (const { key } of store.list(prefix)) {
      const deleted: Promise<void> = store
        .delete(key)
        .catch(() => {})
        .finally(() => open.delete(deleted))
      open.add(deleted)
      if (open.size >= DELETES_AT_ONCE) await Promise.race(open)
    }
  } finally {
    await Promise.all(open)
  }
}

const FOLDER_PREFIX = 'firn-spill-'
const FOLDER_NAME = /^firn-spill-[0-9a-f]{16}-\d+$/
/** Longer than a run goes without spilling anything. */
const ABANDONED_AFTER_MILLIS = 86_400_000

/** A run's folder in `parent`. @param plans number of its plan. */
export const spillFolderOf = (parent: string, runId: string, plans: number): string =>
  join(parent, `${FOLDER_PREFIX}${runId}-${plans}`)

/**
 * Removes what runs left beside the folder `own` that were killed, after a day: else they would fill the disk one by
 * one. What time it is, the disk says, which dated them too.
 */
export async function removeAbandoned(own: string): Promise<void> {
  const parent = dirname(own)
  const names = await readdir(parent).catch(() => [])
  const others = names.filter((name) => FOLDER_NAME.test(name)).map((name) => join(parent, name))
  if (others.length === 0) return
  try {
    await mkdir(own, { recursive: true })
    const now = (await stat(own)).mtimeMs
    for (const path of others) {
      const { mtimeMs } = await stat(path)
      if (now - mtimeMs > ABANDONED_AFTER_MILLIS) await rm(path, { recursive: true, force: true })
    }
  } catch {
    // of another user, or removed by another run at this moment: the next run tries again
  }
}
