/** What an epoch will take and how well it will mix, from metadata alone. */
import { planMemoryOf } from '../batches/memory.ts'
import { DEFAULT_BLOCK_BYTES, type ResolvedOptions } from '../options.ts'
import { sequentialBlocks } from '../order/blocks.ts'
import { type ExpectedQuality, expectedQuality } from '../order/quality.ts'
import type { LoaderPlan } from './plan.ts'

/** Plain JSON. Numbers that are marked so are estimates. */
export interface Explanation {
  /** `namespace.table`, or where it lies. */
  readonly table: string
  readonly snapshotId: string
  /** Over all ranks; `null` where only reading tells. */
  readonly rows: number | null
  readonly files: number
  /** Left out by filter, split or range without being read. */
  readonly filesSkipped: number
  readonly deleteFiles: number
  readonly units: number
  readonly blocks: number
  /** Footers that planning read. */
  readonly footersRead: number
  readonly columns: readonly string[]
  /** Canonical text; `null` without one. `filterLeft`: whether rows are still tested against it. */
  readonly filter: string | null
  readonly filterLeft: boolean
  readonly split: {
    readonly column: string
    readonly buckets: number
    readonly include: readonly [number, number]
  } | null
  readonly splitLeft: boolean
  /** Of an epoch, estimated. */
  readonly reads: { readonly requests: number; readonly bytes: number; readonly fileBytes: number }
  /** Bytes, estimated. `resident`: decoded rows of a block; `needed`: what `memoryLimit` must allow. */
  readonly memory: {
    readonly decoded: number
    readonly resident: number
    readonly needed: number
    readonly limit: number
  }
  /** `null` without a shuffle, and for token budgets. */
  readonly mixing: ExpectedQuality | null
}

/** One request for columns fetches no more. */
const REQUEST_BYTES = 2 * 2 ** 20

export function explainPlan(plan: LoaderPlan, options: ResolvedOptions): Explanation {
  const { origin, read, units, files } = plan
  const { split } = origin
  const { batch, shuffle } = options
  const unitBytes = units.map(({ bytes }) => bytes)
  const decoded = unitBytes.reduce((sum, bytes) => sum + bytes, 0)
  const blockBytes = shuffle?.blockBytes ?? DEFAULT_BLOCK_BYTES
  const mixing =
    shuffle === undefined
      ? undefined
      : expectedQuality(unitBytes, { blockBytes, batchRows: batch.kind === 'rows' ? batch.size : 1 })
  const { neededBytes, blockBytes: resident } = planMemoryOf(plan, options)
  return {
    table: origin.name,
    snapshotId: String(plan.snapshotId),
    rows: plan.rowCount ?? null,
    files: files.length,
    filesSkipped: origin.filesSkipped,
    deleteFiles: origin.deleteFiles,
    units: units.length,
    blocks: mixing?.blocks ?? sequentialBlocks(unitBytes, blockBytes).count,
    footersRead: origin.footersRead,
    columns: read.columns,
    filter: origin.filter ?? null,
    filterLeft: read.where !== undefined,
    split:
      split === undefined ? null : { column: split.column, buckets: split.buckets, include: [split.from, split.to] },
    splitLeft: read.split !== undefined,
    reads: {
      requests: files.length + origin.deleteFiles + requestsFor(unitBytes, decoded, origin.columnBytes),
      bytes: origin.columnBytes,
      fileBytes: origin.fileBytes,
    },
    memory: { decoded, resident, needed: neededBytes, limit: options.memoryLimitBytes },
    mixing: batch.kind === 'rows' ? (mixing ?? null) : null,
  }
}

/** Of each unit by its share of the columns' bytes. */
function requestsFor(unitBytes: readonly number[], decoded: number, columnBytes: number): number {
  return unitBytes.reduce(
    (sum, bytes) => sum + Math.max(1, Math.ceil((columnBytes * bytes) / decoded / REQUEST_BYTES)),
    0,
  )
}
