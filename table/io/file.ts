/**
 * Objects as files of one folder, for local warehouses. Every writer of a warehouse must open the same folder.
 *
 * - An object appears or changes at once: its bytes go to a temporary file, are synced, and then linked (create
 *   only) or renamed (replace) to their place, whose directory is synced too. Files are never changed in place, so
 *   an open file is a consistent view of one version.
 * - Create-only needs no lock: `link` refuses an existing name. Everything else that changes a key holds its lock.
 * - ETag = inode, modification time, size, not a hash: `head` and `list` answer without reading, whatever the size.
 *   It changes with every replacement: while an object exists its inode is not given to another file, and a
 *   replacement's modification time is made to be later than that of the object it replaces.
 * - Temporary files and locks live in `.firn-tmp` at the root, which no listing shows. It has to be on the file
 *   system of the objects, which has to support hard links.
 */
import type { BigIntStats } from 'node:fs'
import { type FileHandle, link, open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { fileFailure } from './file-errors.ts'
import { withFileLock } from './file-lock.ts'
import { ownerName, ownerState } from './file-owner.ts'
import { CHUNK_BYTES, makeFolder, makeLater, readFully, syncFolder } from './file-system.ts'
import { fileUrlOfPath } from './file-url.ts'
import { walkFiles } from './file-walk.ts'
import { assertKey, assertRange, clampRange, RESERVED_SEGMENT } from './keys.ts'
import type {
  AbortableOptions,
  DeleteOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  StoredObject,
} from './object-store.ts'
import { assertOneCondition, objectNotFound, preconditionFailed } from './store-errors.ts'

/** Coarsest step of a file system's clock that is guarded against when an object is deleted. */
const CLOCK_STEP_MILLIS = 20
/** Tries to put a file into a directory that a delete keeps removing because it is empty. */
const MAX_PLACE_TRIES = 100

/** The store of the folder at absolute `path`. The folder need not exist: it reads as empty until the first put. */
export function openFileStore(path: string, options: { readonly clock?: Clock } = {}): ObjectStore {
  return new FileObjectStore(path, options.clock ?? systemClock)
}

class FileObjectStore implements ObjectStore {
  readonly url: string
  readonly #root: string
  readonly #scratch: string
  readonly #clock: Clock
  #swept = false

  constructor(root: string, clock: Clock) {
    this.url = fileUrlOfPath(root)
    this.#root = root
    this.#scratch = join(root, RESERVED_SEGMENT)
    this.#clock = clock
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<{ readonly etag: string }> {
    assertKey(key, this.url)
    assertOneCondition(key, options)
    options.signal?.throwIfAborted()
    const path = join(this.#root, key)
    try {
      // Spares the write when the answer is clear; the check that counts is made when the file is put in place.
      await this.#assertCondition(key, path, options)
      return await this.#withTemporary(body, options.signal, async (temporary) => {
        if (options.ifNoneMatch === undefined) return this.#replace(key, path, temporary, options)
        await this.#place(key, path, () => link(temporary, path))
        return { etag: etagOf(await stat(temporary, { bigint: true })) }
      })
    } catch (error) {
      throw fileFailure(this.url, key, 'write', error)
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    assertKey(key, this.url)
    if (options.range !== undefined) assertRange(options.range, key)
    options.signal?.throwIfAborted()
    let file: FileHandle | undefined
    try {
      file = await open(join(this.#root, key), 'r')
      const stats = await file.stat({ bigint: true })
      if (!stats.isFile()) throw objectNotFound(this.url, key)
      const { start, end } = clampRange(options.range, Number(stats.size))
      return { bytes: await readFully(file, start, end, options), etag: etagOf(stats) }
    } catch (error) {
      throw fileFailure(this.url, key, 'read', error)
    } finally {
      await file?.close()
    }
  }

  async head(key: string, options: AbortableOptions = {}): Promise<ObjectInfo | undefined> {
    assertKey(key, this.url)
    options.signal?.throwIfAborted()
    try {
      const stats = await statObject(join(this.#root, key))
      return stats && describe(key, stats)
    } catch (error) {
      throw fileFailure(this.url, key, 'look up', error)
    }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    try {
      for await (const { key, stats } of walkFiles(this.#root, { ...options, prefix })) yield describe(key, stats)
    } catch (error) {
      throw fileFailure(this.url, prefix, 'list', error)
    }
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    assertKey(key, this.url)
    options.signal?.throwIfAborted()
    const path = join(this.#root, key)
    try {
      if ((await statObject(path)) === undefined) return
      await this.#locked(key, options.signal, async (assertHeld) => {
        const stats = await statObject(path)
        if (stats === undefined) return
        if (options.ifMatch !== undefined && etagOf(stats) !== options.ifMatch) {
          throw preconditionFailed(this.url, key, `If-Match: ${options.ifMatch}`)
        }
        // A later object may get this inode: its modification time has to differ from this one's.
        const ageMillis = this.#clock.nowMillis() - Number(stats.mtimeMs)
        if (Math.abs(ageMillis) < CLOCK_STEP_MILLIS) await this.#clock.sleep(CLOCK_STEP_MILLIS, options.signal)
        await assertHeld()
        await unlink(path)
      })
      await syncFolder(dirname(path))
      await this.#removeEmptyFolders(dirname(path))
    } catch (error) {
      throw fileFailure(this.url, key, 'delete', error)
    }
  }

  async #replace(
    key: string,
    path: string,
    temporary: string,
    options: PutOptions,
  ): Promise<{ readonly etag: string }> {
    return this.#locked(key, options.signal, async (assertHeld) => {
      const current = await this.#assertCondition(key, path, options)
      const stats = await makeLater(temporary, current)
      await this.#place(key, path, async () => {
        await assertHeld()
        await rename(temporary, path)
      })
      return { etag: etagOf(stats) }
    })
  }

  /** The current object's stats. @throws {FirnError} `FIRN_PRECONDITION_FAILED` when it is not as `options` say. */
  async #assertCondition(key: string, path: string, options: PutOptions): Promise<BigIntStats | undefined> {
    const current = await statObject(path)
    if (options.ifNoneMatch !== undefined && current !== undefined) {
      throw preconditionFailed(this.url, key, 'If-None-Match: *')
    }
    if (options.ifMatch !== undefined && (current === undefined || etagOf(current) !== options.ifMatch)) {
      throw preconditionFailed(this.url, key, `If-Match: ${options.ifMatch}`)
    }
    return current
  }

  /** Run `move`, which gives a file its place, with the directories it needs; then make the result durable. */
  async #place(key: string, path: string, move: () => Promise<void>): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await move()
        return await syncFolder(dirname(path))
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (attempt >= MAX_PLACE_TRIES) throw error
        if (code === 'ENOENT') {
          await makeFolder(dirname(path))
        } else if (code === 'EEXIST' || code === 'EISDIR') {
          if (await isFolder(path)) await removeFolderInTheWay(this.url, key, path)
          else throw preconditionFailed(this.url, key, 'If-None-Match: *', error)
        } else {
          throw error
        }
      }
    }
  }

  async #withTemporary<T>(
    body: Uint8Array,
    signal: AbortSignal | undefined,
    use: (temporary: string) => Promise<T>,
  ): Promise<T> {
    await makeFolder(this.#scratch)
    await this.#sweep()
    const nonce = Buffer.from(this.#clock.randomBytes(8)).toString('hex')
    const temporary = join(this.#scratch, `${ownerName()}.${nonce}.tmp`)
    try {
      const file = await open(temporary, 'wx')
      try {
        for (let at = 0; at < body.length; at += CHUNK_BYTES) {
          signal?.throwIfAborted()
          await file.writeFile(body.subarray(at, at + CHUNK_BYTES))
        }
        await file.sync()
      } finally {
        await file.close()
      }
      signal?.throwIfAborted()
      return await use(temporary)
    } finally {
      await rm(temporary, { force: true })
    }
  }

  /** Once per store: remove temporary files of processes that are gone. Best effort, never in anyone's way. */
  async #sweep(): Promise<void> {
    if (this.#swept) return
    this.#swept = true
    const names = await readdir(this.#scratch)
    const left = names.filter((name) => name.endsWith('.tmp') && ownerState(name) === 'dead')
    await Promise.all(left.map((name) => rm(join(this.#scratch, name), { force: true })))
  }

  #locked<T>(
    key: string,
    signal: AbortSignal | undefined,
    work: (assertHeld: () => Promise<void>) => Promise<T>,
  ): Promise<T> {
    return withFileLock(this.#scratch, key, work, { clock: this.#clock, signal })
  }

  /** Object stores have no empty folders; a folder of ours goes with its last object. */
  async #removeEmptyFolders(folder: string): Promise<void> {
    for (let at = folder; at !== this.#root && at.startsWith(this.#root); at = dirname(at)) {
      try {
        await rmdir(at)
      } catch {
        return
      }
    }
  }
}

const etagOf = (stats: BigIntStats): string =>
  `"${stats.ino.toString(16)}-${stats.mtimeNs.toString(16)}-${stats.size.toString(16)}"`

const describe = (key: string, stats: BigIntStats): ObjectInfo => ({
  key,
  sizeBytes: Number(stats.size),
  etag: etagOf(stats),
  lastModifiedMillis: Number(stats.mtimeMs),
})

async function statObject(path: string): Promise<BigIntStats | undefined> {
  try {
    const stats = await stat(path, { bigint: true })
    return stats.isFile() ? stats : undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}

async function removeFolderInTheWay(storeUrl: string, key: string, path: string): Promise<void> {
  try {
    await rmdir(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new FirnError('invalid', 'FIRN_INVALID_KEY', `Key ${key} is refused in ${storeUrl}: it names a folder.`, {
      detail: { store: storeUrl, key },
      help: 'In a file store no key can be the beginning of another one with a slash behind it; use another name.',
      cause: error,
    })
  }
}
