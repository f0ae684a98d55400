/** Rows of a run in the making: columns, and the features that are computed as each row comes in. */
import { FirnError } from '../../table/errors.ts'
import { columnsOf, type DatasetColumn, type DatasetDefinition, type FeatureName } from '../datasets/index.ts'
import {
  appendCell,
  type Column,
  columnFor,
  copyCell,
  type Int32Column,
  Int64Column,
  type Utf8Column,
} from './columns.ts'
import { measureText, sha256Hex, type TextFeatures } from './features.ts'
import { type CellValue, recordFields } from './validate.ts'

/** The accepted records of a run as columns, in the order in which they were added. */
export interface EnrichedRows {
  readonly dataset: DatasetDefinition
  /** By column name; all but `compacted_at`, which is one value for the whole run. */
  readonly columns: ReadonlyMap<string, Column>
  /** Arrival time in milliseconds, whether or not the dataset has a column for it. */
  readonly arrivals: Int64Column
  readonly rowCount: number
}

/** Where a record came from, as far as columns say it. */
export interface RowOrigin {
  readonly arrivalMillis: number
  readonly origin?: string | undefined
}

export interface RowBuilder {
  readonly rows: EnrichedRows
  readonly heldBytes: number
  /** `cells` as the record validator fills them. Columns of the user's enrichment get no value here. */
  append(cells: readonly CellValue[], from: RowOrigin): void
  /** A row of another builder of the same dataset, with the values of its enrichment columns. */
  appendRow(from: EnrichedRows, row: number, enriched: readonly CellValue[]): void
}

/** Columns that the user's module fills, in the definition's order. */
export const enrichmentFields = (dataset: DatasetDefinition): readonly DatasetColumn[] =>
  columnsOf(dataset).filter((column) => column.from.kind === 'enrichment')

export function rowBuilder(dataset: DatasetDefinition): RowBuilder {
  const declared = columnsOf(dataset)
  const columns = new Map<string, Column>()
  for (const { name, type, from } of declared) if (from.kind !== 'compacted_at') columns.set(name, columnFor(type))
  const named = <T extends Column>(kind: DatasetColumn['from']['kind']): readonly T[] =>
    declared.filter(({ from }) => from.kind === kind).map(({ name }) => columns.get(name) as T)
  const recordColumns = recordFields(dataset).map(({ name }) => columns.get(name)!)
  const featureSets = featureSetsOf(declared, columns)
  const arrivedColumns = named<Int64Column>('arrived_at')
  const originColumns = named<Utf8Column>('origin')
  const enrichmentColumns = named<Column>('enrichment')
  const copied = [...columns.values()].filter((column) => !enrichmentColumns.includes(column))
  const names = [...columns].filter(([, column]) => copied.includes(column)).map(([name]) => name)
  const arrivals = new Int64Column()
  let rowCount = 0
  return {
    append(cells, { arrivalMillis, origin }) {
      const row = rowCount++
      for (let index = 0; index < recordColumns.length; index++) appendCell(recordColumns[index]!, cells[index]!)
      for (const features of featureSets) features.append(row)
      arrivals.append(BigInt(arrivalMillis))
      for (const column of arrivedColumns) column.append(BigInt(arrivalMillis) * 1000n)
      for (const column of originColumns) column.append(origin ?? missingOrigin(dataset))
    },
    appendRow(from, row, enriched) {
      rowCount++
      for (const [index, name] of names.entries()) copyCell(from.columns.get(name)!, row, copied[index]!)
      for (const [index, column] of enrichmentColumns.entries()) appendCell(column, enriched[index]!)
      arrivals.append(from.arrivals.at(row))
    },
    get heldBytes() {
      if (rowCount === 0) return 0
      let bytes = arrivals.heldBytes
      for (const column of columns.values()) bytes += column.heldBytes
      return bytes
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

function missingOrigin({ name }: DatasetDefinition): never {
  throw new FirnError('failed', 'FIRN_INTERNAL', `dataset ${name} has a column from origin, a record came without one`)
}

/** Features of one text column, computed together: the counts share one pass. */
interface FeatureSet {
  append(row: number): void
}

function featureSetsOf(
  declared: readonly DatasetColumn[],
  columns: ReadonlyMap<string, Column>,
): readonly FeatureSet[] {
  const bySource = new Map<string, [FeatureName, Column][]>()
  for (const { name, from } of declared) {
    if (from.kind !== 'feature') continue
    const set = bySource.get(from.of) ?? []
    set.push([from.feature, columns.get(name)!])
    bySource.set(from.of, set)
  }
  return [...bySource].map(([of, targets]) => featureSet(columns.get(of) as Utf8Column, targets))
}

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
