/**
 * How much a writer records of each column, by the table properties `write.metadata.metrics.*`. Follows Java's
 * MetricsConfig, unknown modes included: they count as not set.
 */
import { childrenOf, type Schema } from '../spec/schema.ts'
import type { SortOrder } from '../spec/sort.ts'
import type { IcebergType } from '../spec/types.ts'

/** `none`: nothing, not even its size. `counts`: no bounds. `truncate`: characters or bytes that bounds keep. */
export type MetricsMode = 'none' | 'counts' | 'full' | { readonly truncate: number }

export const DEFAULT_METRICS_MODE: MetricsMode = { truncate: 16 }

const DEFAULT_KEY = 'write.metadata.metrics.default'
const COLUMN_PREFIX = 'write.metadata.metrics.column.'
const LIMIT_KEY = 'write.metadata.metrics.max-inferred-column-defaults'
const DEFAULT_LIMIT = 100
/** Sorting by such a transform of a column makes the column's bounds tell files apart. */
const ORDERED_TRANSFORM = /^(identity|year|month|day|hour|truncate\[\d+\])$/

/** @returns the mode of a field by id, nested fields included. @param sortOrder that the file is written in. */
export function metricsModes(
  schema: Schema,
  sortOrder: SortOrder | undefined,
  properties: Readonly<Record<string, string>>,
): (fieldId: number) => MetricsMode {
  const chosen = parseMode(properties[DEFAULT_KEY])
  const limit = inferredLimit(properties[LIMIT_KEY])
  const isWide = properties[DEFAULT_KEY] === undefined && schema.fields.length > limit
  const usual: MetricsMode = isWide ? 'none' : (chosen ?? DEFAULT_METRICS_MODE)
  const sorted = new Set(
    sortOrder?.fields.filter(({ transform }) => ORDERED_TRANSFORM.test(transform)).map(({ sourceId }) => sourceId),
  )
  const modes = new Map<number, MetricsMode>()
  const visit = (id: number, path: string, type: IcebergType, inherited: MetricsMode): void => {
    const promoted = usual === 'none' || usual === 'counts' ? DEFAULT_METRICS_MODE : usual
    const own = properties[COLUMN_PREFIX + path]
    const unset = sorted.has(id) ? promoted : inherited
    modes.set(id, own === undefined ? unset : (parseMode(own) ?? usual))
    for (const child of childrenOf(type)) visit(child.id, `${path}.${child.name}`, child.type, inherited)
  }
  schema.fields.forEach((field, index) => {
    visit(field.id, field.name, field.type, isWide && index < limit ? DEFAULT_METRICS_MODE : usual)
  })
  return (fieldId) => modes.get(fieldId) ?? usual
}

function parseMode(text: string | undefined): MetricsMode | undefined {
  const mode = text?.toLowerCase()
  if (mode === 'none' || mode === 'counts' || mode === 'full') return mode
  const length = /^truncate\((\d{1,9})\)$/.exec(mode ?? '')?.[1]
  return length !== undefined && Number(length) > 0 ? { truncate: Number(length) } : undefined
}

function inferredLimit(text: string | undefined): number {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : DEFAULT_LIMIT
}
