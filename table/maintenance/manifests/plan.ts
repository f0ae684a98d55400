/**
 * Which manifests are to be written anew. A scan reads every manifest that may hold a matching file: many small ones
 * cost requests, and ones that hold files of all partitions are never skipped.
 */
import { FirnError } from '../../errors.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import { decodeBound } from '../../manifest/bounds.ts'
import { type ManifestFile, mayHaveLiveFiles } from '../../manifest/manifest-list.ts'
import { carriedManifests } from '../../manifest/snapshot-manifests.ts'
import { compareValues } from '../../spec/compare.ts'
import { currentSchema, schemaForSpec, specById, type TableMetadata } from '../../spec/metadata.ts'
import { partitionTypes } from '../../spec/partition.ts'
import type { PrimitiveType, PrimitiveValue } from '../../spec/types.ts'
import type { Table } from '../../table.ts'
import { mergeSettings } from '../../write/merge-manifests.ts'
import { headOf } from '../../write/snapshot-options.ts'

export interface ManifestPlanOptions extends AbortableOptions {
  /** Of a manifest written. Default: `commit.manifest.target-size-bytes`, 8 MiB. */
  readonly targetSizeBytes?: number | undefined
  /** Default: `main`. */
  readonly branch?: string | undefined
  /** Write all of them anew, whatever their state. Default: false. */
  readonly rewriteAll?: boolean | undefined
}

/** `small`: fewer would do; `scattered`: partitions of several manifests lie between each other; `all`: asked for. */
export type ManifestReason = 'small' | 'scattered' | 'all'

export interface ManifestGroup {
  readonly specId: number
  readonly content: 'data' | 'deletes'
  readonly reasons: readonly ManifestReason[]
  readonly inputs: readonly { readonly path: string; readonly lengthBytes: number; readonly files: number }[]
  readonly bytes: number
  readonly files: number
  /** Manifests that they become. */
  readonly outputs: number
}

/** Plain JSON. */
export interface ManifestPlan {
  readonly location: string
  readonly tableUuid: string
  readonly branch: string
  /** Decimal. `null`: the branch is empty. */
  readonly snapshotId: string | null
  readonly targetSizeBytes: number
  readonly groups: readonly ManifestGroup[]
  readonly totals: {
    readonly manifests: number
    readonly bytes: number
    readonly inputs: number
    readonly outputs: number
  }
}

/** Below this share of the target a manifest is small. */
const SMALL = 0.5
/** Bytes of manifests that are held in memory at once, encoded. */
const MAX_GROUP_BYTES = 256 * 1024 * 1024

/**
 * What a rewrite of manifests would do. Reads the manifest list only.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid); `FIRN_REF_NOT_FOUND` (not-found); as reading manifest lists.
 */
export async function planManifests(table: Table, options: ManifestPlanOptions = {}): Promise<ManifestPlan> {
  const { signal, branch = 'main', rewriteAll = false } = options
  const { metadata } = table
  const targetSizeBytes = options.targetSizeBytes ?? mergeSettings(metadata).targetSizeBytes
  if (!Number.isFinite(targetSizeBytes) || targetSizeBytes < 1) {
    const message = `size of manifests: expected 1 byte or more, got ${targetSizeBytes}`
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message)
  }
  const head = headOf(metadata, branch)
  const carried = await carriedManifests(table.store, metadata, head, { signal })
  const manifests = carried.filter(mayHaveLiveFiles)
  const groups = planGroups(metadata, manifests, targetSizeBytes, rewriteAll)
  const sum = (of: (group: ManifestGroup) => number): number => groups.reduce((total, group) => total + of(group), 0)
  return {
    location: metadata.location,
    tableUuid: metadata.tableUuid,
    branch,
    snapshotId: head === undefined ? null : String(head.snapshotId),
    targetSizeBytes,
    groups,
    totals: {
      manifests: manifests.length,
      bytes: manifests.reduce((total, { manifestLength }) => total + manifestLength, 0),
      inputs: sum(({ inputs }) => inputs.length),
      outputs: sum(({ outputs }) => outputs),
    },
  }
}

/** Pure. */
export function planGroups(
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
  targetSizeBytes: number,
  rewriteAll: boolean,
): readonly ManifestGroup[] {
  const pools = new Map<string, ManifestFile[]>()
  for (const manifest of manifests) {
    const key = `${manifest.partitionSpecId} ${manifest.content}`
    const pool = pools.get(key)
    if (pool === undefined) pools.set(key, [manifest])
    else pool.push(manifest)
  }
  return [...pools.values()].flatMap((pool) => groupsOfPool(metadata, pool, targetSizeBytes, rewriteAll))
}

interface Candidate {
  readonly manifest: ManifestFile
  readonly range: Range
  readonly reasons: readonly ManifestReason[]
}

/** All have one spec and one content. */
function groupsOfPool(
  metadata: TableMetadata,
  pool: readonly ManifestFile[],
  targetSizeBytes: number,
  rewriteAll: boolean,
): readonly ManifestGroup[] {
  const type = firstFieldType(metadata, pool[0]!.partitionSpecId)
  const ranged = pool
    .map((manifest) => ({ manifest, range: rangeOf(type, manifest) }))
    .sort((a, b) => compareEnds(type, a.range.lower, b.range.lower) || compareEnds(type, a.range.upper, b.range.upper))
  const scattered = new Set(scatteredOf(type, ranged))
  const small = new Set(ranged.filter(({ manifest }) => manifest.manifestLength < SMALL * targetSizeBytes))
  const fewer =
    outputsOf(
      [...small].map(({ manifest }) => manifest),
      targetSizeBytes,
    ) < small.size
  const candidates = ranged.flatMap((one): readonly Candidate[] => {
    const reasons: ManifestReason[] = [
      ...(fewer && small.has(one) ? (['small'] as const) : []),
      ...(scattered.has(one) ? (['scattered'] as const) : []),
      ...(rewriteAll ? (['all'] as const) : []),
    ]
    return reasons.length === 0 ? [] : [{ ...one, reasons }]
  })
  return chunks(candidates).map((chunk) => describe(chunk, targetSizeBytes))
}

/** Neighbours by partition, as many as fit into memory. */
function chunks(candidates: readonly Candidate[]): readonly (readonly Candidate[])[] {
  const all: Candidate[][] = []
  let bytes = 0
  for (const candidate of candidates) {
    const { manifestLength } = candidate.manifest
    if (all.length === 0 || bytes + manifestLength > MAX_GROUP_BYTES) {
      all.push([])
      bytes = 0
    }
    all.at(-1)!.push(candidate)
    bytes += manifestLength
  }
  return all
}

const outputsOf = (manifests: readonly ManifestFile[], targetSizeBytes: number): number =>
  Math.max(1, Math.ceil(manifests.reduce((sum, { manifestLength }) => sum + manifestLength, 0) / targetSizeBytes))

const filesOf = ({ addedFilesCount = 0, existingFilesCount = 0 }: ManifestFile): number =>
  addedFilesCount + existingFilesCount

function describe(chunk: readonly Candidate[], targetSizeBytes: number): ManifestGroup {
  const manifests = chunk.map(({ manifest }) => manifest)
  const files = manifests.reduce((sum, manifest) => sum + filesOf(manifest), 0)
  return {
    specId: manifests[0]!.partitionSpecId,
    content: manifests[0]!.content,
    reasons: [...new Set(chunk.flatMap(({ reasons }) => reasons))],
    inputs: manifests.map((manifest) => ({
      path: manifest.manifestPath,
      lengthBytes: manifest.manifestLength,
      files: filesOf(manifest),
    })),
    bytes: manifests.reduce((sum, { manifestLength }) => sum + manifestLength, 0),
    files,
    outputs: Math.min(files, outputsOf(manifests, targetSizeBytes)),
  }
}

/** `null` is the lowest value: that of files whose partition is null. */
type End = PrimitiveValue | null
interface Range {
  readonly lower: End
  readonly upper: End
  /** Whether the list says. */
  readonly known: boolean
}

/** Of the first partition field, by which manifests are told apart; `undefined` in an unpartitioned spec. */
function firstFieldType(metadata: TableMetadata, specId: number): PrimitiveType | undefined {
  const spec = specById(metadata, specId)
  return partitionTypes(spec, schemaForSpec(metadata, spec, currentSchema(metadata)))[0]
}

function rangeOf(type: PrimitiveType | undefined, { partitions }: ManifestFile): Range {
  const summary = partitions[0]
  if (type === undefined || summary === undefined) return { lower: null, upper: null, known: false }
  const decode = (bound: Uint8Array | undefined): End => (bound === undefined ? null : decodeBound(type, bound))
  return {
    lower: summary.containsNull ? null : decode(summary.lowerBound),
    upper: decode(summary.upperBound),
    known: true,
  }
}

function compareEnds(type: PrimitiveType | undefined, a: End, b: End): number {
  if (a === null || b === null || type === undefined) return Number(a !== null) - Number(b !== null)
  return compareValues(type, a, b)
}

/** Manifests that one partition may be in before they count as scattered: it may lie across an end of two. */
const TOLERATED_DEPTH = 2

/** Of ranges sorted by their lower ends: those that have more than an end in common with too many others. */
function scatteredOf<T extends { readonly range: Range }>(
  type: PrimitiveType | undefined,
  ranged: readonly T[],
): readonly T[] {
  const found = new Set<T>()
  let open: readonly T[] = []
  for (const one of ranged) {
    if (!one.range.known) continue
    open = [...open.filter(({ range }) => compareEnds(type, range.upper, one.range.lower) > 0), one]
    if (open.length > TOLERATED_DEPTH) for (const each of open) found.add(each)
  }
  return [...found]
}
