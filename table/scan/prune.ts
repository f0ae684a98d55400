/**
 * Skipping what cannot match, and finding what matches as a whole. On any doubt a file may match, and does not surely
 * match, so that neither changes a result. `test/table/scan/scan.property.test.ts` holds that against the rows.
 */
import type { DataFile } from '../manifest/data-file.ts'
import type { ManifestFile } from '../manifest/manifest-list.ts'
import type { PartitionSpec } from '../spec/partition.ts'
import type { Schema } from '../spec/schema.ts'
import {
  type ChunkStatistics,
  type ColumnFacts,
  chunkFacts,
  fileFacts,
  partitionFacts,
  summaryFacts,
} from './column-facts.ts'
import type { ColumnReference, Expression } from './expression.ts'
import { TRUE, type Truths, truthsOf } from './truth.ts'

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
  return truthsOf(filter, (column) => {
    const facts: ColumnFacts[] = [fileFacts(file, column, schema)]
    for (const [index, field] of spec.fields.entries()) {
      if (field.sourceId !== column.fieldId || index >= file.partition.length) continue
      const known = partitionFacts(field.transform, column.type, file.partition[index]!)
      if (known !== undefined) facts.push(known)
    }
    return facts
  })
}

/** Whether a file of `manifest` may hold a matching row, by the partition summaries and the manifest's own spec. */
export function manifestMayMatch(
  filter: Expression,
  manifest: ManifestFile,
  spec: PartitionSpec,
  _schema: Schema,
): boolean {
  const factsOf = (column: ColumnReference): readonly ColumnFacts[] =>
    spec.fields.flatMap((field, index) => {
      const summary = manifest.partitions[index]
      if (summary === undefined || field.sourceId !== column.fieldId) return []
      return summaryFacts(field.transform, column.type, summary) ?? []
    })
  return (truthsOf(filter, factsOf) & TRUE) !== 0
}

/**
 * Whether a row of a row group, or of a page, may match.
 * @param statistics by field id; columns without any are left out.
 */
export function rowGroupMayMatch(filter: Expression, statistics: ReadonlyMap<number, ChunkStatistics>): boolean {
  const factsOf = (column: ColumnReference): readonly ColumnFacts[] => {
    const known = statistics.get(column.fieldId)
    return known === undefined ? [] : [chunkFacts(known, column.type)]
  }
  return (truthsOf(filter, factsOf) & TRUE) !== 0
}
