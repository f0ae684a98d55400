/** What lies in a table's folder, against what the table leads to. Pure but for the listing. */
import { FirnError } from '../../errors.ts'
import type { EpochMillis } from '../../ids.ts'
import type { AbortableOptions, ObjectInfo, ObjectStore } from '../../io/object-store.ts'
import { canonicalPath, pathOnly } from '../canonical-path.ts'
import type { References } from './references.ts'

export type ObjectKind = 'metadata' | 'manifest' | 'manifest-list' | 'statistics' | 'content'

/** An object that nothing leads to. */
export interface Foundling {
  /** Relative to the table's folder. */
  readonly key: string
  /** By its name. */
  readonly kind: ObjectKind
  readonly sizeBytes: number
  readonly etag: string
  readonly lastModifiedMillis: number
}

export interface Listing {
  readonly objects: readonly ObjectInfo[]
  readonly bytes: number
}

export async function listTable(store: ObjectStore, options: AbortableOptions): Promise<Listing> {
  const objects: ObjectInfo[] = []
  let bytes = 0
  for await (const info of store.list('', options)) {
    objects.push(info)
    bytes += info.sizeBytes
  }
  return { objects, bytes }
}

export interface Unreferenced {
  readonly orphans: readonly Foundling[]
  readonly young: number
  readonly hidden: number
}

/** @param kept keys of metadata files that stay although nothing names them. */
export function findUnreferenced(
  location: string,
  { objects }: Listing,
  { paths }: References,
  kept: ReadonlySet<string>,
  olderThanMillis: EpochMillis,
): Unreferenced {
  const orphans: Foundling[] = []
  let young = 0
  let hidden = 0
  for (const { key, sizeBytes, etag, lastModifiedMillis } of objects) {
    if (kept.has(key) || paths.has(canonicalPath(`${location}/${key}`))) continue
    if (isHidden(key)) hidden++
    else if (lastModifiedMillis >= olderThanMillis) young++
    else orphans.push({ key, kind: kindOf(key), sizeBytes, etag, lastModifiedMillis })
  }
  return { orphans, young, hidden }
}

/** As Hadoop hides them, but for partition folders, whose column may be called so. */
const isHidden = (key: string): boolean => key.split('/').some((part) => /^[._]/.test(part) && !part.includes('='))

function kindOf(key: string): ObjectKind {
  if (/\.metadata\.json(?:\.gz)?$/.test(key)) return 'metadata'
  if (/^metadata\/snap-.*\.avro$/.test(key)) return 'manifest-list'
  if (/^metadata\/.*\.avro$/.test(key)) return 'manifest'
  return /\.(?:stats|puffin)$/.test(key) && key.startsWith('metadata/') ? 'statistics' : 'content'
}

/**
 * The same path under another scheme or authority may be the same object: `hdfs://a/t/f` and `hdfs://b/t/f`.
 * @throws {FirnError} `FIRN_PREFIX_MISMATCH` (invalid).
 */
export function assertSamePrefixes(location: string, orphans: readonly Foundling[], { elsewhere }: References): void {
  if (elsewhere.size === 0) return
  for (const { key } of orphans) {
    const found = elsewhere.get(pathOnly(canonicalPath(`${location}/${key}`)))
    if (found === undefined) continue
    const message = `${location}/${key} looks like an orphan, but the table references ${found}: it may be the same object`
    throw new FirnError('invalid', 'FIRN_PREFIX_MISMATCH', message, {
      detail: { location, key, path: found },
      help: 'Rewrite the table so that all of its paths begin alike (copy it), then remove orphans.',
    })
  }
}
