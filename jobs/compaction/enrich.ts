/**
 * Record bytes to a row: decode, validate, compute the features. What does not pass is refused with a reason and
 * leaves no trace in the rows.
 */
import { decodeRecord } from '../../ingest/index.ts'
import type { DatasetDefinition, DatasetField, FeatureName } from '../datasets/index.ts'
import { type Column, columnFor, type Int32Column, Int64Column, type Utf8Column } from './columns.ts'
import { measureText, sha256Hex, type TextFeatures } from './features.ts'
import { type CellValue, type Refusal, recordFields, recordValidator } from './validate.ts'

/** The accepted records of a run as columns, in the order in which they were added. */
export interface EnrichedRows {
  readonly dataset: DatasetDefinition
  /** By field name; all fields but `compacted_at`, which is one value for the whole run. */
  readonly columns: ReadonlyMap<string, Column>
  /** Arrival time in milliseconds, whether or not the dataset has a column for it. */
  readonly arrivals: Int64Column
  readonly rowCount: number
}

export interface Enricher {
  /** @returns the refusal when the record made no row. */
  add(bytes: Uint8Array, arrivalMillis: number): Refusal | undefined
  readonly rows: EnrichedRows
}

export function createEnricher(dataset: DatasetDefinition): Enricher {
  const validate = recordValidator(dataset)
  const columns = new Map<string, Column>()
  for (const field of dataset.fields) {
    if (field.from.kind !== 'compacted_at') columns.set(field.name, columnFor(field.type))
  }
  const recordColumns = recordFields(dataset).map((field) => columns.get(field.name)!)
  const featureSets = featureSetsOf(dataset, columns)
  const arrivedColumns = dataset.fields
    .filter((field) => field.from.kind === 'arrived_at')
    .map((field) => columns.get(field.name) as Int64Column)
  const arrivals = new Int64Column()
  const cells: CellValue[] = new Array(recordColumns.length).fill(null)
  let rowCount = 0
  const decodeOptions = { maxBytes: dataset.maxRecordBytes }
  return {
    add(bytes, arrivalMillis) {
      const decoded = decodeRecord(bytes, decodeOptions)
      if (!decoded.ok) return { reason: decoded.reason, message: decoded.message }
      const refusal = validate(decoded.value, cells)
      if (refusal !== undefined) return refusal
      const row = rowCount++
      for (let index = 0; index < recordColumns.length; index++) appendCell(recordColumns[index]!, cells[index]!)
      for (const features of featureSets) features.append(row)
      arrivals.append(BigInt(arrivalMillis))
      for (const column of arrivedColumns) column.append(BigInt(arrivalMillis) * 1000n)
      return undefined
    },
    rows: {
      dataset,
      columns,
      arrivals,
      get rowCount() {
        return rowCount
      },
    },
  }
}

/** The validator has checked that the cell has the column's type. */
function appendCell(column: Column, cell: CellValue): void {
  ;(column as { append(cell: CellValue): void }).append(cell)
}

/** Features of one text column, computed together: the counts share one pass. */
interface FeatureSet {
  append(row: number): void
}

function featureSetsOf(dataset: DatasetDefinition, columns: ReadonlyMap<string, Column>): readonly FeatureSet[] {
  const bySource = new Map<string, [FeatureName, Column][]>()
  for (const field of dataset.fields) {
    const from = featureOf(field)
    if (from === undefined) continue
    const set = bySource.get(from.of) ?? []
    set.push([from.feature, columns.get(field.name)!])
    bySource.set(from.of, set)
  }
  return [...bySource].map(([of, targets]) => featureSet(columns.get(of) as Utf8Column, targets))
}

const featureOf = (field: DatasetField): { feature: FeatureName; of: string } | undefined =>
  field.from.kind === 'feature' ? field.from : undefined

function featureSet(source: Utf8Column, targets: readonly [FeatureName, Column][]): FeatureSet {
  const measured: TextFeatures = { words: 0, chars: 0, sentences: 0 }
  const counted = targets.some(([feature]) => feature !== 'content_sha256')
  const appenders = targets.map(([feature, column]): ((row: number) => void) => {
    if (feature === 'content_sha256') {
      return (row) => (column as Utf8Column).append(sha256Hex(source.bytes(row)))
    }
    const part = COUNT_OF[feature]
    return () => (column as Int32Column).append(measured[part])
  })
  return {
    append(row) {
      if (source.nulls.has(row)) {
        for (const [, column] of targets) appendCell(column, null)
        return
      }
      const start = source.startOf(row)
      if (counted) measureText(source.chunkOf(row), start, start + source.byteLength(row), measured)
      for (const append of appenders) append(row)
    },
  }
}

const COUNT_OF: Readonly<Record<Exclude<FeatureName, 'content_sha256'>, keyof TextFeatures>> = {
  word_count: 'words',
  char_count: 'chars',
  sentence_count: 'sentences',
}
