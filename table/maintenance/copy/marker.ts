/** The sign that a folder holds an unfinished copy, and of what: a copy that died goes on, and nothing else is written over. */
import type { Clock } from '../../clock.ts'
import { newUuid } from '../../clock.ts'
import { FirnError } from '../../errors.ts'
import { JsonReader, parseJson } from '../../format/json.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../io/object-store.ts'
import type { TableMetadata } from '../../spec/metadata.ts'
import { MARKER_KEY } from './paths.ts'

export interface Marker {
  /** For the copy, should it not keep the identity of its source: the same in every try. */
  readonly newUuid: string
}

/**
 * @throws {FirnError} `FIRN_COPY_TARGET_NOT_EMPTY` (invalid); `FIRN_CONDITIONAL_WRITES_IGNORED` (invalid).
 */
export async function claimTarget(
  target: ObjectStore,
  source: TableMetadata,
  clock: Clock,
  options: AbortableOptions,
): Promise<Marker> {
  const existing = await unfinishedCopy(target, source, options)
  if (existing !== undefined) return existing
  const made = {
    schema: 'firn.copy/1',
    source: source.location,
    source_uuid: source.tableUuid,
    new_uuid: newUuid(clock),
  }
  const bytes = Buffer.from(`${JSON.stringify(made)}\n`)
  if (!(await create(target, bytes, options))) {
    const winner = await readMarker(target, source, options)
    if (winner !== undefined) return winner
    throw notEmpty(target, 'another copy began there')
  }
  // Where this goes through, two copies to one folder would overwrite each other's table.
  if (await create(target, bytes, options)) {
    const message = `${target.url} does not honour If-None-Match: *: two writers would overwrite each other's commits.`
    throw new FirnError('invalid', 'FIRN_CONDITIONAL_WRITES_IGNORED', message, {
      help: 'Copy to an endpoint that honours conditional writes; firn doctor checks one.',
    })
  }
  return { newUuid: made.new_uuid }
}

/**
 * Whether `target` may take a copy; only reads.
 * @returns the marker of an unfinished copy of the same table, which goes on; `undefined` for an empty folder.
 * @throws {FirnError} `FIRN_COPY_TARGET_NOT_EMPTY` (invalid).
 */
export async function unfinishedCopy(
  target: ObjectStore,
  source: TableMetadata,
  options: AbortableOptions,
): Promise<Marker | undefined> {
  const existing = await readMarker(target, source, options)
  if (existing !== undefined) return existing
  for await (const { key } of target.list('', options)) {
    if (key !== MARKER_KEY) throw notEmpty(target, `it holds ${key}`)
  }
  return undefined
}

export const removeMarker = (target: ObjectStore, options: AbortableOptions): Promise<void> =>
  target.delete(MARKER_KEY, options)

async function create(target: ObjectStore, bytes: Uint8Array, options: AbortableOptions): Promise<boolean> {
  try {
    await target.put(MARKER_KEY, bytes, { ifNoneMatch: '*', ...options })
    return true
  } catch (error) {
    if (FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) return false
    throw error
  }
}

async function readMarker(
  target: ObjectStore,
  source: TableMetadata,
  options: AbortableOptions,
): Promise<Marker | undefined> {
  const stored = await getIfExists(target, MARKER_KEY, options)
  if (stored === undefined) return undefined
  const where = `${target.url}/${MARKER_KEY}`
  let json: unknown
  try {
    json = parseJson(Buffer.from(stored.bytes).toString('utf8'))
  } catch (cause) {
    throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', `${where}: not JSON`, { cause, detail: { where } })
  }
  const reader = new JsonReader(json, where)
  if (reader.string('source_uuid') !== source.tableUuid || reader.string('source') !== source.location) {
    throw notEmpty(target, `it holds an unfinished copy of ${reader.string('source')}`)
  }
  return { newUuid: reader.string('new_uuid') }
}

export const notEmpty = (target: ObjectStore, why: string): FirnError =>
  new FirnError('invalid', 'FIRN_COPY_TARGET_NOT_EMPTY', `${target.url} cannot take a copy: ${why}`, {
    detail: { location: target.url },
    help: 'Name a folder that does not exist yet.',
  })
