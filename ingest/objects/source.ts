/**
 * Objects that others staged: Firehose prefixes, Kafka Connect's and Vector's files. An object is a shard, the number
 * of a JSON text in it is its position. Such objects are written once: one is read to its end, closed, and refused if
 * it ever changes. Landing a prefix again adds what is new in it.
 */
import { FirnError } from '../../table/errors.ts'
import { epochMillis } from '../../table/ids.ts'
import type { AbortableOptions, ObjectInfo, ObjectStore } from '../../table/io/object-store.ts'
import { urlShardId } from '../files/paths.ts'
import type { RecordSource, SourcePage } from '../source.ts'
import { openObject } from './bytes.ts'
import { objectChanged } from './errors.ts'
import { JsonTextCutter } from './json-texts.ts'

/** Where objects are looked for. */
export interface ObjectPlace {
  readonly store: ObjectStore
  /** An object or a folder at the store's root; ended by `*`: every key that begins so; `''`: all objects. */
  readonly name: string
}

export interface ObjectSourceOptions {
  readonly places: readonly ObjectPlace[]
  /** Stream name to land under; default `objects`. */
  readonly as?: string
  /** Longer texts stop the object; default 64 MiB. */
  readonly maxTextBytes?: number
}

const DEFAULT_MAX_TEXT_BYTES = 64 * 1024 * 1024

/**
 * Each text is a record, good or bad: judging it is compaction's work. Its arrival time is the time when the store
 * got the object. The listing is pulled page by page, and kept for the run: about 300 bytes an object.
 */
export function objectSource(options: ObjectSourceOptions): RecordSource {
  const { places, as = 'objects', maxTextBytes = DEFAULT_MAX_TEXT_BYTES } = options
  let found: ReadonlyMap<string, FoundObject> | undefined
  const listOnce = async (listOptions: AbortableOptions = {}): Promise<ReadonlyMap<string, FoundObject>> => {
    found ??= await listObjects(places, listOptions)
    return found
  }
  return {
    stream: as,
    start: { type: 'TRIM_HORIZON' },
    listsEveryShard: false,
    open: async (openOptions) => {
      await listOnce(openOptions) // nothing is written to staging for objects that are not there
      return { created: 0 }
    },
    listShards: async (listOptions) =>
      [...(await listOnce(listOptions)).keys()].map((shardId) => ({ shardId, parents: [] })),
    read: async function* (shard, { lastChunk }, readOptions) {
      const object = (await listOnce(readOptions)).get(shard.shardId) as FoundObject
      if (lastChunk !== undefined) expectSame(object, lastChunk.etag)
      yield* readTexts(object, maxTextBytes, readOptions)
    },
    checkEnded: (shard, { etag }) => {
      const object = found?.get(shard.shardId)
      if (object !== undefined) expectSame(object, etag)
    },
  }
}

/** `s3://bucket/a/b` is `b` in the store `s3://bucket/a`; with a slash at the end it is everything in `…/a/b`. */
export function splitObjectUrl(url: string): { readonly root: string; readonly name: string } {
  const cut = url.lastIndexOf('/')
  const isBucket = /^[^:]*:\/\/[^/]*$/.test(url)
  return isBucket ? { root: url, name: '' } : { root: url.slice(0, cut), name: url.slice(cut + 1) }
}

interface FoundObject {
  readonly store: ObjectStore
  readonly info: ObjectInfo
}

function expectSame({ store, info }: FoundObject, landed: string | undefined): void {
  if (landed !== info.etag) throw objectChanged(`${store.url}/${info.key}`, info.etag, landed)
}

/** @throws {FirnError} `FIRN_FILE_NOT_FOUND` (not-found) for a place without an object. */
async function listObjects(
  places: readonly ObjectPlace[],
  options: AbortableOptions,
): Promise<ReadonlyMap<string, FoundObject>> {
  const found = new Map<string, FoundObject>()
  for (const { store, name } of places) {
    let any = false
    for await (const info of store.list(name.replace(/\*$/, ''), options)) {
      if (!isIn(info, name)) continue
      any = true
      found.set(urlShardId(`${store.url}/${info.key}`), { store, info })
    }
    if (any) continue
    throw new FirnError('not-found', 'FIRN_FILE_NOT_FOUND', `there is no object at ${store.url}/${name}`, {
      detail: { url: `${store.url}/${name}` },
      help: 'Name an object or a folder; end the URL with * for every key that begins like it.',
    })
  }
  return found
}

/** Consoles make a folder by an empty object whose key ends in a slash. */
function isIn({ key, sizeBytes }: ObjectInfo, name: string): boolean {
  if (key.endsWith('/') && sizeBytes === 0) return false
  return name === '' || name.endsWith('*') || key === name || key.startsWith(`${name}/`)
}

async function* readTexts(
  { store, info }: FoundObject,
  maxTextBytes: number,
  options: AbortableOptions = {},
): AsyncGenerator<SourcePage, void, undefined> {
  const cutter = new JsonTextCutter(`${store.url}/${info.key}`, maxTextBytes)
  const arrivalMillis = epochMillis(Math.max(Math.floor(info.lastModifiedMillis), 0))
  const page = (texts: ReturnType<JsonTextCutter['push']>, ended: boolean): SourcePage => ({
    records: texts.map(({ number, bytes }) => ({
      sequenceNumber: String(number),
      partitionKey: '',
      arrivalMillis,
      data: bytes,
    })),
    millisBehindLatest: null,
    gap: false,
    ended,
    caughtUp: ended,
    etag: info.etag,
  })
  for await (const block of openObject(store, info, options)) {
    options.signal?.throwIfAborted()
    const texts = cutter.push(block)
    if (texts.length > 0) yield page(texts, false)
  }
  yield page(cutter.end(), true)
}
