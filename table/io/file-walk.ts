/**
 * The files below a folder as keys in UTF-8 byte order of the whole key.
 *
 * A directory sorts as its name with the slash that follows it in every key below: `a-b` comes before `a/b`, and
 * `a/b` before `a0`. One directory is read at a time, and only those that can hold a key that is asked for.
 */
import type { BigIntStats, Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { compareKeys, keyProblem } from './keys.ts'

/** `stat` calls in flight; the thread pool of libuv runs 4 at a time. */
const STAT_BATCH = 32

export interface WalkOptions {
  readonly prefix: string
  readonly startAfter?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface WalkedFile {
  readonly key: string
  readonly stats: BigIntStats
}

interface Item {
  /** Of a file: its key. Of a directory: what all keys in it start with, slash included. */
  readonly key: string
  readonly isFolder: boolean
}

export async function* walkFiles(root: string, options: WalkOptions): AsyncGenerator<WalkedFile, void, undefined> {
  const folder = options.prefix.slice(0, options.prefix.lastIndexOf('/') + 1)
  // A prefix that no key can have must not lead out of the root either.
  if (folder !== '' && keyProblem(folder.slice(0, -1)) !== undefined) return
  yield* walkFolder(root, folder, options)
}

async function* walkFolder(
  root: string,
  folder: string,
  options: WalkOptions,
): AsyncGenerator<WalkedFile, void, undefined> {
  options.signal?.throwIfAborted()
  const items = (await readFolder(root, folder)).filter((item) => isAskedFor(item, options))
  items.sort((a, b) => compareKeys(a.key, b.key))
  for (let at = 0; at < items.length; ) {
    options.signal?.throwIfAborted()
    if (items[at]!.isFolder) {
      yield* walkFolder(root, items[at]!.key, options)
      at++
      continue
    }
    const files = takeFiles(items, at)
    at += files.length
    const stats = await Promise.all(files.map(({ key }) => statIfThere(join(root, key))))
    for (const [i, { key }] of files.entries()) {
      const found = stats[i]
      if (found?.isFile()) yield { key, stats: found }
    }
  }
}

async function readFolder(root: string, folder: string): Promise<Item[]> {
  let entries: Dirent[]
  try {
    entries = await readdir(join(root, folder), { withFileTypes: true })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  }
  const items: Item[] = []
  for (const entry of entries) {
    if (keyProblem(entry.name) !== undefined) continue
    const key = folder + entry.name
    const isFolder = entry.isSymbolicLink()
      ? ((await statIfThere(join(root, key)))?.isDirectory() ?? false)
      : entry.isDirectory()
    items.push({ key: isFolder ? `${key}/` : key, isFolder })
  }
  return items
}

function isAskedFor({ key, isFolder }: Item, { prefix, startAfter }: WalkOptions): boolean {
  if (!key.startsWith(prefix) && !(isFolder && prefix.startsWith(key))) return false
  return startAfter === undefined || compareKeys(key, startAfter) > 0 || (isFolder && startAfter.startsWith(key))
}

function takeFiles(items: readonly Item[], from: number): readonly Item[] {
  let to = from
  while (to < items.length && to - from < STAT_BATCH && !items[to]!.isFolder) to++
  return items.slice(from, to)
}

async function statIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Removed since the directory was read, a dangling link, or a name that is not UTF-8.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined
    throw error
  }
}
