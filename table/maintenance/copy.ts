/**
 * Copies of a table at another place, for backup, restore and moves. Every absolute path changes with it: in the
 * metadata, in manifest lists and manifests, and in the rows of position delete files; all other files are the same bytes.
 *
 * 1. Claim the target folder, which must be empty or hold an unfinished copy of the same table.
 * 2. Copy data files, delete files and statistics, then manifests, then manifest lists; each is read back.
 * 3. Compare the copy with the source: every manifest entry, and the rows of the chosen heads.
 * 4. Create its metadata, version 1. Before that there is no table at the target, after it a complete one.
 * The source is only read. A death anywhere leaves work that the next run of the same copy goes on with.
 */
import { createFileTable } from '../catalog/file.ts'
import { openTableAt } from '../catalog/open.ts'
import type { Clock } from '../clock.ts'
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../io/object-store.ts'
import { prefetch } from '../scan/prefetch.ts'
import { normaliseLocation } from '../spec/location.ts'
import { printMetadata, type TableMetadata } from '../spec/metadata.ts'
import type { Table } from '../table.ts'
import { checkManifests, checkRows, type RowCheck } from './copy/check.ts'
import { copyPositionDeletes, type RewrittenDeletes } from './copy/deletes.ts'
import { movedManifest, movedManifestList } from './copy/manifests.ts'
import { claimTarget, notEmpty, removeMarker, unfinishedCopy } from './copy/marker.ts'
import { type CopySnapshots, copiedMetadata } from './copy/metadata.ts'
import { mapPaths, type PathMap } from './copy/paths.ts'
import { type CopyPlan, planCopy } from './copy/plan.ts'
import { byteGate, putChecked, transfer } from './copy/transfer.ts'

export type { RowCheck, SnapshotDigest } from './copy/check.ts'
export type { CopySnapshots } from './copy/metadata.ts'
export { type CopiedObject, type CopyPlan, planCopy } from './copy/plan.ts'

export interface CopyOptions extends AbortableOptions {
  readonly clock: Clock
  /** Default: all. */
  readonly snapshots?: CopySnapshots
  /**
   * The copy gets the source's uuid: it takes the source's place, which is gone or will never be written again.
   * Default: false, a uuid of its own.
   */
  readonly keepIdentity?: boolean
  /** SHA-256 of a data file, by its path in the source, from when it was written. */
  readonly sha256Of?: (path: string) => string | undefined
  /** Compare the rows of `heads` (the current snapshot and those of refs, the default) or of `all` copied snapshots. */
  readonly compareRows?: 'heads' | 'all'
  /** Of whole files in memory at a time; a larger one goes alone. Default: 512 MiB. */
  readonly memoryLimitBytes?: number
}

export interface CopyResult extends RowCheck {
  /** As it was created; read-only. */
  readonly table: Table
  readonly snapshotIds: readonly SnapshotId[]
  readonly dataFiles: number
  readonly deleteFiles: number
  readonly statistics: number
  readonly manifests: number
  readonly manifestLists: number
  /** Of data files, delete files and statistics. */
  readonly bytes: number
  /** Files that an earlier try had copied. */
  readonly kept: number
}

const MEMORY_LIMIT_BYTES = 512 << 20
/** Objects copied at once. */
const DEPTH = 8
const HINT_KEY = 'metadata/version-hint.text'

interface Copy {
  readonly source: Table
  readonly target: ObjectStore
  readonly paths: PathMap
  readonly plan: CopyPlan
  readonly options: CopyOptions
  readonly abort: AbortableOptions
}

/**
 * @param target rooted at the folder of the copy; its `url` becomes the copy's location.
 * @throws {FirnError} `FIRN_COPY_TARGET_NOT_EMPTY`, `FIRN_COPY_SOURCE_INVALID`, `FIRN_CONDITIONAL_WRITES_IGNORED`
 *   (invalid); `FIRN_COPY_DIFFERS` (corrupt); `FIRN_COMMIT_STATE_UNKNOWN` (unknown-commit): run it again; as `planCopy`.
 */
export async function copyTable(source: Table, target: ObjectStore, options: CopyOptions): Promise<CopyResult> {
  const abort: AbortableOptions = { signal: options.signal }
  assertApart(source, target)
  const plan = await planCopy(source, options.snapshots ?? 'all', abort)
  const marker = await claimTarget(target, source.metadata, options.clock, abort)
  const paths = mapPaths(source.location, target.url)
  const uuid = options.keepIdentity === true ? source.metadata.tableUuid : marker.newUuid
  const metadata = copiedMetadata(source.metadata, plan.snapshots, paths, uuid)
  const copy: Copy = { source, target, paths, plan, options, abort }
  const kept = await copyObjects(copy)
  await copyManifests(copy, await copyDeletes(copy))
  const rows = await check(copy, metadata)
  await create(copy, metadata)
  const count = (kind: string): number => plan.objects.filter((object) => object.kind === kind).length
  return {
    table: await openTableAt(target, { clock: options.clock, ...abort }),
    snapshotIds: plan.snapshots.map(({ snapshotId }) => snapshotId),
    dataFiles: count('data'),
    deleteFiles: count('deletes') + plan.positionDeletes.length,
    statistics: count('statistics'),
    manifests: plan.manifests.length,
    manifestLists: plan.snapshots.filter(({ manifestList }) => manifestList !== undefined).length,
    bytes: plan.bytes,
    kept,
    ...rows,
  }
}

/**
 * That `target` may take a copy of `source`, or of what an interrupted one has left there. Only reads.
 * @throws {FirnError} `FIRN_COPY_TARGET_NOT_EMPTY` (invalid).
 */
export async function checkCopyTarget(
  source: Table,
  target: ObjectStore,
  options: AbortableOptions = {},
): Promise<void> {
  assertApart(source, target)
  await unfinishedCopy(target, source.metadata, options)
}

function assertApart({ store }: Table, target: ObjectStore): void {
  const [from, to] = [`${normaliseLocation(store.url)}/`, `${normaliseLocation(target.url)}/`]
  if (from.startsWith(to) || to.startsWith(from)) throw notEmpty(target, 'it lies in the table, or the table in it')
}

async function copyObjects({ source, target, paths, plan, options, abort }: Copy): Promise<number> {
  const gate = byteGate(options.memoryLimitBytes ?? MEMORY_LIMIT_BYTES)
  let kept = 0
  const copyOne = ({ path, sizeBytes }: CopyPlan['objects'][number], signal: AbortSignal): Promise<string> => {
    const object = {
      source: source.store,
      target,
      from: paths.sourceKey(path),
      to: paths.targetKey(path),
      sizeBytes,
      sha256: options.sha256Of?.(path),
    }
    return gate(sizeBytes, () => transfer(object, { signal }))
  }
  for await (const done of prefetch(plan.objects, copyOne, { depth: DEPTH, ...abort })) if (done === 'kept') kept++
  return kept
}

async function copyDeletes(copy: Copy): Promise<ReadonlyMap<string, RewrittenDeletes>> {
  const { source, target, paths, plan, abort } = copy
  const rewritten = new Map<string, RewrittenDeletes>()
  for (const file of plan.positionDeletes) {
    rewritten.set(paths.sourceKey(file.filePath), await copyPositionDeletes(source, target, file, paths, abort))
  }
  return rewritten
}

/** Manifests first: a list holds their lengths. */
async function copyManifests(copy: Copy, deletes: ReadonlyMap<string, RewrittenDeletes>): Promise<void> {
  const { source, target, paths, plan, abort } = copy
  const move = async (
    path: string,
    change: (bytes: Uint8Array) => Promise<Uint8Array>,
    signal: AbortSignal,
  ): Promise<readonly [string, number]> => {
    const key = paths.sourceKey(path)
    const bytes = await change((await source.store.get(key, { signal })).bytes)
    await putChecked(target, paths.targetKey(path), bytes, { signal })
    return [key, bytes.length]
  }
  const lengths = new Map<string, number>()
  const moveManifest = ({ manifestPath: path }: CopyPlan['manifests'][number], signal: AbortSignal) =>
    move(path, (bytes) => movedManifest(bytes, path, paths, deletes), signal)
  for await (const [key, length] of prefetch(plan.manifests, moveManifest, { depth: DEPTH, ...abort })) {
    lengths.set(key, length)
  }
  const lists = plan.snapshots.flatMap(({ manifestList }) => manifestList ?? [])
  const moveList = (path: string, signal: AbortSignal): ReturnType<typeof move> =>
    move(path, (bytes) => movedManifestList(bytes, path, paths, lengths), signal)
  for await (const _done of prefetch(lists, moveList, { depth: DEPTH, ...abort })) abort.signal?.throwIfAborted()
}

async function check({ source, target, paths, options, abort }: Copy, metadata: TableMetadata): Promise<RowCheck> {
  const copy = { store: target, metadata }
  await checkManifests(source, copy, paths, abort)
  const heads = Object.values(metadata.refs).map(({ snapshotId }) => snapshotId)
  const all = metadata.snapshots.map(({ snapshotId }) => snapshotId)
  const ids = options.compareRows === 'all' ? all : all.filter((id) => heads.includes(id))
  return checkRows(source, copy, ids, abort)
}

/** The commit. A try before this one may have got here, and died before it took the marker away. */
async function create({ target, abort }: Copy, metadata: TableMetadata): Promise<void> {
  try {
    await createFileTable(target, metadata, abort)
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_TABLE_EXISTS')) throw error
    const first = await getIfExists(target, 'metadata/v1.metadata.json', abort)
    const isOurs = first !== undefined && Buffer.from(first.bytes).toString('utf8') === printMetadata(metadata)
    if (!isOurs) throw notEmpty(target, 'another copy was finished there')
    if ((await target.head(HINT_KEY, abort)) === undefined) await raiseHint(target, abort)
  }
  await removeMarker(target, abort)
}

/** Create-only: whoever commits the next version raises it himself. */
async function raiseHint(target: ObjectStore, abort: AbortableOptions): Promise<void> {
  try {
    await target.put(HINT_KEY, Buffer.from('1'), { ifNoneMatch: '*', ...abort })
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) throw error
  }
}
