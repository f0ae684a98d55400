/**
 * Skipping what cannot match, and finding what matches as a whole. On any doubt a file may match, and does not surely
 * match, so that neither changes a result. `test/table/scan/scan.property.test.ts` holds that against the rows.
 */
import type { DataFile } from '../manifest/data-file.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import type { PartitionSpec } from '../spec/partition.ts'
import { fieldChain, type Schema } from '../spec/schema.ts'
import type { PrimitiveValue } from '../spec/types.ts'
import {
  type ChunkStatistics,
  type ColumnFacts,
  chunkFacts,
  fileFacts,
  partitionFacts,
  summaryFacts,
} from './column-facts.ts'
import type { ColumnReference, Expression } from './expression.ts'
import { ANY, isDecided, type Leaf, leafTruths, TRUE, type Truths, truthsOf } from './truth.ts'

/**
 * Whether a row of `file` may match.
 * @param spec of the file. @param schema that the filter was made with.
 */
export function fileMayMatch(filter: Expression, file: DataFile, spec: PartitionSpec, schema: Schema): boolean {
  return (fileTruths(filter, file, spec, schema) & TRUE) !== 0
}

/**
 * Whether every row of `file` surely matches: it can be deleted or counted as a whole. Delete files that apply to it
 * are the caller's business.
 */
export function fileMustMatch(filter: Expression, file: DataFile, spec: PartitionSpec, schema: Schema): boolean {
  return fileTruths(filter, file, spec, schema) === TRUE
}

function fileTruths(filter: Expression, file: DataFile, spec: PartitionSpec, schema: Schema): Truths {
  return truthsOf(filter, (leaf) => {
    const { parts, insideOptional } = planOf(leaf.column, spec, schema)
    let truths = ANY
    // Partition values first: many files share one, and what is known of it is remembered.
    for (const { index, factsOf } of parts) {
      const facts = index < file.partition.length ? factsOf(file.partition[index]!) : undefined
      if (facts !== undefined) truths &= leafTruths(leaf, facts)
    }
    return isDecided(truths) ? truths : truths & leafTruths(leaf, fileFacts(file, leaf.column, insideOptional))
  })
}

/** What is the same for every file of a spec. */
interface ColumnPlan {
  readonly schema: Schema
  readonly insideOptional: boolean
  readonly parts: readonly {
    readonly index: number
    readonly factsOf: (value: PrimitiveValue) => ColumnFacts | undefined
  }[]
}

const plans = new WeakMap<ColumnReference, WeakMap<PartitionSpec, ColumnPlan>>()

function planOf(column: ColumnReference, spec: PartitionSpec, schema: Schema): ColumnPlan {
  const bySpec = plans.get(column) ?? new WeakMap<PartitionSpec, ColumnPlan>()
  plans.set(column, bySpec)
  const known = bySpec.get(spec)
  if (known !== undefined && known.schema === schema) return known
  const above = (fieldChain(schema, column.fieldId) ?? []).slice(0, -1)
  const plan: ColumnPlan = {
    schema,
    insideOptional: above.some((field) => !field.required),
    parts: spec.fields.flatMap((field, index) =>
      field.sourceId === column.fieldId
        ? { index, factsOf: remembered((value) => partitionFacts(field.transform, column.type, value)) }
        : [],
    ),
  }
  bySpec.set(spec, plan)
  return plan
}

function remembered<T>(compute: (value: PrimitiveValue) => T): (value: PrimitiveValue) => T {
  const known = new Map<PrimitiveValue, T>()
  return (value) => {
    if (known.has(value)) return known.get(value)!
    if (known.size >= 10_000) known.clear()
    const result = compute(value)
    known.set(value, result)
    return result
  }
}

/** Whether a file of `manifest` may hold a matching row, by the partition summaries and the manifest's own spec. */
export function manifestMayMatch(filter: Expression, manifest: ManifestFile, spec: PartitionSpec): boolean {
  const narrow = (leaf: Leaf): Truths => {
    let truths = ANY
    for (const [index, field] of spec.fields.entries()) {
      const summary = manifest.partitions[index]
      if (summary === undefined || field.sourceId !== leaf.column.fieldId) continue
      const facts = summaryFacts(field.transform, leaf.column.type, summary)
      if (facts !== undefined) truths &= leafTruths(leaf, facts)
    }
    return truths
  }
  return (truthsOf(filter, narrow) & TRUE) !== 0
}

/**
 * Whether a row of a row group, or of a page, may match.
 * @param statistics by field id; columns without any are left out.
 */
export function rowGroupMayMatch(filter: Expression, statistics: ReadonlyMap<number, ChunkStatistics>): boolean {
  const narrow = (leaf: Leaf): Truths => {
    const known = statistics.get(leaf.column.fieldId)
    return known === undefined ? ANY : leafTruths(leaf, chunkFacts(known, leaf.column.type))
  }
  return (truthsOf(filter, narrow) & TRUE) !== 0
}
