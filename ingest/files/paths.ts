/** Which files a `--from` names, and what their shards are called. */
import { createHash } from 'node:crypto'
import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'

/** In a directory only these count; a file that is named outright may be called anything. */
const RECORD_FILE = /\.(ndjson|jsonl|json)(\.gz|\.zst)?$/i
/** File systems end at 255 bytes a name; the rest is left for temporary suffixes. */
const MAX_SHARD_ID_BYTES = 200

/**
 * Absolute paths without symbolic links, each once, in the order given; the files of a directory (not of its subdirectories) and of a
 * pattern (`*` and `?` in the last segment) are sorted.
 * @throws {FirnError} `FIRN_FILE_NOT_FOUND` (not-found) for a path, directory or pattern without a file;
 *   `FIRN_FILE_UNREADABLE` (invalid) for what is neither file nor directory.
 */
export async function resolveFiles(paths: readonly string[], options: AbortableOptions = {}): Promise<string[]> {
  if (paths.length === 0) throw notFound('no file was named', 'Name at least one NDJSON file, directory or pattern.')
  const files = new Set<string>()
  for (const given of paths) {
    options.signal?.throwIfAborted()
    const path = resolve(given.startsWith('file:') ? fileURLToPath(given) : given)
    for (const file of await filesOf(path)) files.add(await realPath(file))
  }
  return [...files]
}

/** A file has one shard, whichever way leads to it. A link that leads nowhere stays: its shard fails, not the others. */
const realPath = (path: string): Promise<string> => realpath(path).catch(() => path)

async function filesOf(path: string): Promise<string[]> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw unreadable(path, error)
  })
  if (info?.isFile()) return [path]
  if (info?.isDirectory()) {
    const found = await filesIn(path, (name) => RECORD_FILE.test(name))
    if (found.length > 0) return found
    throw notFound(`directory ${path} has no record files`, 'Expected *.ndjson, *.jsonl or *.json, also .gz or .zst.')
  }
  if (info !== undefined) throw unreadable(path, new Error('neither a file nor a directory'))
  const pattern = basename(path)
  const found = /[*?]/.test(pattern) ? await filesIn(dirname(path), wildcard(pattern)) : []
  if (found.length > 0) return found
  throw notFound(`${path} does not exist`, 'Check the path; relative ones count from the current directory.')
}

async function filesIn(directory: string, accepts: (name: string) => boolean): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw unreadable(directory, error)
  })
  const names = entries.filter((entry) => !entry.isDirectory() && accepts(entry.name)).map((entry) => entry.name)
  return names.sort().map((name) => join(directory, name))
}

function wildcard(pattern: string): (name: string) => boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  const regexp = new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's')
  return (name) => regexp.test(name) && (pattern.startsWith('.') || !name.startsWith('.'))
}

/** The shard of a file is its absolute URL. */
export const fileShardId = (path: string): string => urlShardId(pathToFileURL(path).href)

/**
 * A URL percent-encoded into one path segment. One too long for a file name is its digest and its tail: no encoded URL
 * begins like a digest, so the two cannot meet.
 */
export function urlShardId(url: string): string {
  const encoded = encodeURIComponent(url)
  if (encoded.length <= MAX_SHARD_ID_BYTES) return encoded
  const digest = createHash('sha256').update(url).digest('hex')
  return `${digest}~${encoded.slice(-(MAX_SHARD_ID_BYTES - digest.length - 1)).replace(/^[^%]{0,2}(?=%)/, '')}`
}

export const unreadable = (path: string, cause: Error): FirnError =>
  new FirnError('invalid', 'FIRN_FILE_UNREADABLE', `cannot read ${path}: ${cause.message}`, {
    detail: { path },
    help: 'Name a regular file that this user may read.',
    cause,
  })

const notFound = (message: string, help: string): FirnError =>
  new FirnError('not-found', 'FIRN_FILE_NOT_FOUND', message, { help })
