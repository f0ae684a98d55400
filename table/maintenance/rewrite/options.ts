/** What a rewrite aims at. Names and numbers are those of Iceberg's `rewrite_data_files`, in camel case. */
import { FirnError } from '../../errors.ts'
import { pathTo } from '../../scan/columns.ts'
import type { Expression } from '../../scan/expression.ts'
import { currentSchema, defaultSortOrder, type TableMetadata } from '../../spec/metadata.ts'
import { fieldsById } from '../../spec/schema.ts'
import { type SortField, type SortOrder, sameSortFields } from '../../spec/sort.ts'
import { canApply } from '../../spec/transform.ts'
import { isPrimitive } from '../../spec/types.ts'

/**
 * How rows are laid out: `binpack` keeps them as they come, `sort` orders them by a sort order, `zorder` along a curve
 * through several columns, so that filters on each of them skip files.
 */
export type RewriteStrategy = 'binpack' | 'sort' | 'zorder'

export interface RewritePlanOptions {
  /** Default: `sort` when the table has a sort order, `binpack` otherwise. */
  readonly strategy?: RewriteStrategy
  /** For `sort`; default: the table's. */
  readonly sortOrder?: readonly SortField[]
  /** For `zorder`: names of flat top-level columns. */
  readonly zorderColumns?: readonly string[]
  /** Default: the table's `write.target-file-size-bytes`, else 512 MiB. */
  readonly targetFileSizeBytes?: number
  /** Default: 0.75 of the target. */
  readonly minFileSizeBytes?: number
  /** Default: 1.8 of the target. */
  readonly maxFileSizeBytes?: number
  /** Default: 5. */
  readonly minInputFiles?: number
  /** Rewrite every file, whatever its state. Default: false. */
  readonly rewriteAll?: boolean
  /** Default: 100 GiB. */
  readonly maxFileGroupSizeBytes?: number
  /** Delete files that make a data file worth a rewrite. Default: no number does. */
  readonly deleteFileThreshold?: number
  /** Share of rows that file-scoped deletes take away. Default: 0.3. */
  readonly deleteRatioThreshold?: number
  /** Default: all. */
  readonly maxFilesToRewrite?: number
  /** Only files that may hold matching rows. */
  readonly where?: Expression | undefined
  /** Files whose key ranges lie deeper over one another than this are rewritten; for `sort` only. Default: 1. */
  readonly overlapDepthThreshold?: number
  /** Whether files of another sort order than the wanted one are rewritten; for `sort` only. Default: true. */
  readonly rewriteStaleOrder?: boolean
  /** Whether files of another partition spec than the default one are rewritten. Default: true. */
  readonly rewriteStaleSpec?: boolean
}

/** Options with every default filled in. */
export interface RewriteSettings {
  readonly strategy: RewriteStrategy
  /** Of the output; empty fields for `binpack` and `zorder`. Id 0 when the table does not know the order. */
  readonly sortOrder: SortOrder
  readonly zorderColumns: readonly string[]
  readonly targetFileSizeBytes: number
  readonly minFileSizeBytes: number
  readonly maxFileSizeBytes: number
  readonly minInputFiles: number
  readonly rewriteAll: boolean
  readonly maxFileGroupSizeBytes: number
  /** `null`: never; JSON has no infinity. */
  readonly deleteFileThreshold: number | null
  readonly deleteRatioThreshold: number
  readonly maxFilesToRewrite: number | null
  readonly overlapDepthThreshold: number
  readonly rewriteStaleOrder: boolean
  readonly rewriteStaleSpec: boolean
}

const MIN_RATIO = 0.75
const MAX_RATIO = 1.8
const DEFAULT_TARGET_BYTES = 512 * 1024 * 1024
const DEFAULT_GROUP_BYTES = 100 * 1024 ** 3

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid); `FIRN_COLUMN_NOT_FOUND`. */
export function resolveSettings(metadata: TableMetadata, options: RewritePlanOptions): RewriteSettings {
  const tableOrder = defaultSortOrder(metadata)
  const strategy = options.strategy ?? (tableOrder.fields.length > 0 ? 'sort' : 'binpack')
  const property = metadata.properties['write.target-file-size-bytes']
  const target = options.targetFileSizeBytes ?? (property === undefined ? DEFAULT_TARGET_BYTES : Number(property))
  const settings: RewriteSettings = {
    strategy,
    sortOrder: strategy === 'sort' ? outputOrder(metadata, options.sortOrder) : { orderId: 0, fields: [] },
    zorderColumns: strategy === 'zorder' ? (options.zorderColumns ?? []) : [],
    targetFileSizeBytes: target,
    minFileSizeBytes: options.minFileSizeBytes ?? Math.floor(target * MIN_RATIO),
    maxFileSizeBytes: options.maxFileSizeBytes ?? Math.floor(target * MAX_RATIO),
    minInputFiles: options.minInputFiles ?? 5,
    rewriteAll: options.rewriteAll ?? false,
    maxFileGroupSizeBytes: options.maxFileGroupSizeBytes ?? DEFAULT_GROUP_BYTES,
    deleteFileThreshold: options.deleteFileThreshold ?? null,
    deleteRatioThreshold: options.deleteRatioThreshold ?? 0.3,
    maxFilesToRewrite: options.maxFilesToRewrite ?? null,
    overlapDepthThreshold: options.overlapDepthThreshold ?? 1,
    rewriteStaleOrder: options.rewriteStaleOrder ?? true,
    rewriteStaleSpec: options.rewriteStaleSpec ?? true,
  }
  checkNumbers(settings)
  checkColumns(metadata, settings, options)
  return settings
}

/** The table's own order of these fields has an id, which tells readers and the next plan that a file is sorted. */
function outputOrder(metadata: TableMetadata, fields: readonly SortField[] | undefined): SortOrder {
  if (fields === undefined) return defaultSortOrder(metadata)
  const known = metadata.sortOrders.find((order) => sameSortFields(order.fields, fields))
  return { orderId: known?.orderId ?? 0, fields }
}

function checkNumbers(settings: RewriteSettings): void {
  const { targetFileSizeBytes: target, minFileSizeBytes: min, maxFileSizeBytes: max } = settings
  if (!(Number.isSafeInteger(target) && target > 0))
    throw invalid(`targetFileSizeBytes: expected above 0, got ${target}`)
  if (!(min >= 0 && min < target))
    throw invalid(`minFileSizeBytes: expected 0 to below the target ${target}, got ${min}`)
  if (!(max > target)) throw invalid(`maxFileSizeBytes: expected above the target ${target}, got ${max}`)
  const positive = {
    minInputFiles: settings.minInputFiles,
    maxFileGroupSizeBytes: settings.maxFileGroupSizeBytes,
    maxFilesToRewrite: settings.maxFilesToRewrite ?? 1,
    overlapDepthThreshold: settings.overlapDepthThreshold,
  }
  for (const [name, value] of Object.entries(positive)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw invalid(`${name}: expected a whole number above 0, got ${value}`)
  }
  const { deleteRatioThreshold: ratio, deleteFileThreshold: files } = settings
  if (!(ratio > 0 && ratio <= 1)) throw invalid(`deleteRatioThreshold: expected above 0, up to 1, got ${ratio}`)
  if (files !== null && !(Number.isSafeInteger(files) && files >= 0)) {
    throw invalid(`deleteFileThreshold: expected a whole number from 0, got ${files}`)
  }
}

function checkColumns(metadata: TableMetadata, settings: RewriteSettings, options: RewritePlanOptions): void {
  const { strategy } = settings
  if (options.sortOrder !== undefined && strategy !== 'sort')
    throw invalid(`sortOrder belongs to sort, not to ${strategy}`)
  if (options.zorderColumns !== undefined && strategy !== 'zorder') {
    throw invalid(`zorderColumns belongs to zorder, not to ${strategy}`)
  }
  if (strategy === 'sort' && settings.sortOrder.fields.length === 0) {
    throw invalid('the table has no sort order', 'Give sortOrder, or set one for the table, or use binpack.')
  }
  if (strategy === 'zorder' && settings.zorderColumns.length === 0) throw invalid('zorder needs zorderColumns')
  const schema = currentSchema(metadata)
  const fields = fieldsById(schema)
  for (const { sourceId, transform } of settings.sortOrder.fields) {
    const type = fields.get(sourceId)?.type
    if (type === undefined || !isPrimitive(type) || pathTo(schema.fields, sourceId) === undefined) {
      throw invalid(`sort field ${sourceId} is no primitive column, or lies in a list or map`)
    }
    if (!canApply(transform, type)) throw invalid(`sort transform ${transform} cannot be applied to ${type}`)
  }
  for (const name of settings.zorderColumns) {
    const field = schema.fields.find((candidate) => candidate.name === name)
    if (field === undefined || !isPrimitive(field.type)) throw invalid(`zorder column "${name}" is no flat column`)
  }
}

const invalid = (message: string, help?: string): FirnError =>
  new FirnError('invalid', 'FIRN_INVALID_OPTION', `rewrite: ${message}`, help === undefined ? {} : { help })
