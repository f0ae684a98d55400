/**
 * Byte ranges of data and delete files on the local disk. Such files never change, so an entry stays right for as long
 * as it is whole: across epochs, runs and snapshots. Threads and processes share a folder without talking to each other.
 *
 * An entry is a file of its own, named after what it holds. It appears by a rename, and a checksum in front is verified
 * at every hit. Reading never fails because of the cache: what cannot be kept is counted and read from the store.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Clock } from '../../table/clock.ts'
import type { ByteRange, ObjectStore } from '../../table/index.ts'
import { type MutableCounters, withGet } from './counters.ts'

export interface DiskCacheOptions {
  /** Absolute path; made when it is missing. */
  readonly dir: string
  readonly limitBytes: number
  readonly clock: Clock
  readonly counters: MutableCounters
}

export interface CachedStoreOptions {
  /** Part of every key, beside the URL and the range. */
  readonly salt: string
  /** Take nothing from the cache; what is read replaces what it holds. */
  readonly fresh?: boolean
}

export interface ByteCache {
  /** `base`, whose range reads are answered by the cache where it can. */
  store(base: ObjectStore, options: CachedStoreOptions): ObjectStore
}

const MAGIC = 0x46_43_31_0a
const HEADER_BYTES = 12
/** Sub-folders, so that no folder grows long. */
const FOLDER_DIGITS = 2
/** Of an entry, or of one that is being written: the folder may be one that others keep files in as well. */
const OURS = /^[0-9a-f]{62}(\.[0-9a-f]{16}\.tmp)?$/
/** A writer that died leaves its temporary file; nobody writes for that long. */
const ABANDONED_MILLIS = 3_600_000
/** What stays after an eviction. */
const KEPT_SHARE = 0.9
/** Others write too: after writing this share of the limit, the folder is looked at again. */
const BLIND_SHARE = 1 / 32

export function diskCache({ dir, limitBytes, clock, counters }: DiskCacheOptions): ByteCache {
  const space = cacheSpace(dir, limitBytes, clock)
  const write = async (path: string, bytes: Uint8Array, etag: string): Promise<void> => {
    const size = bytes.byteLength + HEADER_BYTES + Buffer.byteLength(etag)
    if (size > limitBytes * KEPT_SHARE) return
    try {
      await space.reserve(size)
      await writeEntry(path, Buffer.from(clock.randomBytes(8)).toString('hex'), bytes, etag)
    } catch {
      counters.cacheFailures++
    }
  }
  return {
    store: (base, { salt, fresh = false }) =>
      withGet(base, async (key, options = {}) => {
        const { range } = options
        if (range === undefined) return base.get(key, options)
        options.signal?.throwIfAborted()
        const path = entryPath(dir, `${base.url}\n${key}\n${range.start}-${range.end}\n${salt}`)
        const found = fresh ? undefined : await readEntry(path, range, clock)
        if (found !== undefined) {
          counters.cacheHits++
          return found
        }
        counters.cacheMisses++
        const answer = await base.get(key, options)
        if (answer.bytes.byteLength === range.end - range.start) await write(path, answer.bytes, answer.etag)
        return answer
      }),
  }
}

function entryPath(dir: string, identity: string): string {
  const name = createHash('sha256').update(identity).digest('hex')
  return join(dir, name.slice(0, FOLDER_DIGITS), name.slice(FOLDER_DIGITS))
}

/** `undefined`: it is not there, or it is damaged and has gone. */
async function readEntry(
  path: string,
  range: ByteRange,
  clock: Clock,
): Promise<{ readonly bytes: Uint8Array; readonly etag: string } | undefined> {
  let file: Buffer
  try {
    file = await readFile(path)
  } catch {
    return undefined
  }
  const bodyBytes = range.end - range.start
  const start = file.length - bodyBytes
  const isWhole =
    start >= HEADER_BYTES &&
    file.readUInt32BE(0) === MAGIC &&
    file.readUInt32BE(4) === start - HEADER_BYTES &&
    file.readUInt32BE(8) === crc32(file.subarray(HEADER_BYTES))
  if (!isWhole) {
    await rm(path, { force: true }).catch(() => {})
    return undefined
  }
  const now = clock.nowMillis() / 1000
  await utimes(path, now, now).catch(() => {}) // it was used: others go first
  return { bytes: file.subarray(start), etag: file.toString('utf8', HEADER_BYTES, start) }
}

async function writeEntry(path: string, token: string, bytes: Uint8Array, etag: string): Promise<void> {
  const header = Buffer.alloc(HEADER_BYTES)
  const tag = Buffer.from(etag, 'utf8')
  header.writeUInt32BE(MAGIC, 0)
  header.writeUInt32BE(tag.length, 4)
  header.writeUInt32BE(crc32(bytes, crc32(tag)), 8)
  await mkdir(join(path, '..'), { recursive: true })
  const temporary = `${path}.${token}.tmp`
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writev([header, tag, bytes])
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}

interface CacheSpace {
  /** Makes room before `bytes` are written. */
  reserve(bytes: number): Promise<void>
}

interface Entry {
  readonly path: string
  readonly bytes: number
  readonly usedMillis: number
}

function cacheSpace(dir: string, limitBytes: number, clock: Clock): CacheSpace {
  /** As it was when the folder was looked at last, and what was written here since. */
  let total = Number.POSITIVE_INFINITY
  let written = 0
  let queue: Promise<void> = Promise.resolve()
  const evict = async (bytes: number): Promise<void> => {
    const entries = await listEntries(dir, clock)
    total = entries.reduce((sum, entry) => sum + entry.bytes, 0)
    written = 0
    if (total + bytes <= limitBytes * (1 - BLIND_SHARE)) return
    entries.sort((a, b) => a.usedMillis - b.usedMillis || (a.path < b.path ? -1 : 1))
    for (const entry of entries) {
      if (total + bytes <= limitBytes * KEPT_SHARE) return
      await rm(entry.path, { force: true })
      total -= entry.bytes
    }
  }
  const reserve = async (bytes: number): Promise<void> => {
    if (total + bytes > limitBytes || written > limitBytes * BLIND_SHARE) await evict(bytes)
    total += bytes
    written += bytes
  }
  return {
    reserve: (bytes) => {
      const done = queue.then(() => reserve(bytes))
      queue = done.catch(() => {})
      return done
    },
  }
}

/** Entries of every process; removes what writers that died left behind. */
async function listEntries(dir: string, clock: Clock): Promise<Entry[]> {
  await mkdir(dir, { recursive: true })
  const entries: Entry[] = []
  for (const folder of await readdir(dir)) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue
    for (const name of await readdir(join(dir, folder)).catch(() => [])) {
      if (!OURS.test(name)) continue
      const path = join(dir, folder, name)
      const facts = await stat(path).catch(() => undefined) // gone meanwhile
      if (facts === undefined || !facts.isFile()) continue
      const abandoned = name.endsWith('.tmp') && facts.mtimeMs < clock.nowMillis() - ABANDONED_MILLIS
      if (abandoned) await rm(path, { force: true }).catch(() => {})
      else entries.push({ path, bytes: facts.size, usedMillis: facts.mtimeMs })
    }
  }
  return entries
}
