/**
 * Columns in any row order to Arrow batches: the second and last copy of the text.
 * The only file of this folder that builds Arrow arrays.
 */
import {
  type Schema as ArrowSchema,
  type Data,
  DataType,
  type Field,
  makeBuilder,
  makeData,
  RecordBatch,
  Struct,
} from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import type { EpochMicros } from '../../table/ids.ts'
import { arrowSchema } from '../../table/index.ts'
import { type DatasetDefinition, layoutOf } from '../datasets/index.ts'
import {
  BooleanColumn,
  type Column,
  type Float64Column,
  Int32Column,
  Int64Column,
  Utf8Column,
} from './enrich/columns.ts'
import type { EnrichedRows } from './enrich/enrich.ts'

/** Rows `order[start, end)` as one batch of `schema`, whose fields are found by name. */
export type Gatherer = (order: Uint32Array, start: number, end: number) => RecordBatch

/**
 * @param schema of the table; an optional column that the dataset does not know is null.
 * @throws {FirnError} `FIRN_DATASET_MISMATCH` (invalid) when a required column is unknown to the dataset, or a column has
 *   another type than the dataset's values fit into.
 */
export function gatherer(rows: EnrichedRows, schema: ArrowSchema, compactedAt: EpochMicros): Gatherer {
  const constants = new Set(
    rows.dataset.fields.filter((field) => field.from.kind === 'compacted_at').map((field) => field.name),
  )
  const checkType = typeCheck(rows.dataset)
  const makers = schema.fields.map((field): ((order: Uint32Array, start: number, end: number) => Data) => {
    checkType(field)
    if (constants.has(field.name)) {
      return (_order, start, end) => fixed(field.type, new BigInt64Array(end - start).fill(compactedAt), undefined)
    }
    const column = rows.columns.get(field.name)
    if (column !== undefined) return (order, start, end) => gatherColumn(column, field.type, order, start, end)
    if (field.nullable) return (_order, start, end) => allNull(field.type, end - start)
    throw new FirnError(
      'invalid',
      'FIRN_DATASET_MISMATCH',
      `the table requires column ${field.name}, which dataset ${rows.dataset.name} does not have`,
    )
  })
  const struct = new Struct(schema.fields)
  return (order, start, end) => {
    const children = makers.map((make) => make(order, start, end))
    return new RecordBatch(schema, makeData({ type: struct, length: end - start, nullCount: 0, children }))
  }
}

/** The buffers of one type written as those of another would be values that nobody sent. */
function typeCheck(dataset: DatasetDefinition): (field: Field) => void {
  const made = new Map(arrowSchema(layoutOf(dataset).schema).fields.map(({ name, type }) => [name, type]))
  return ({ name, type }) => {
    const own = made.get(name)
    if (own === undefined || String(own) === String(type) || isWidened(own, type)) return
    throw new FirnError(
      'invalid',
      'FIRN_DATASET_MISMATCH',
      `column ${name} of the table is ${type}, dataset ${dataset.name} makes ${own} of it`,
      {
        detail: { column: name, tableType: String(type), datasetType: String(own) },
        help: 'rename the column, or drop it: values of another type cannot go there',
      },
    )
  }
}

/** The one promotion of Iceberg's that concerns types of datasets: int to long. */
const isWidened = (from: DataType, to: DataType): boolean =>
  DataType.isInt(from) && from.bitWidth === 32 && DataType.isInt(to) && to.bitWidth === 64

function gatherColumn(column: Column, type: DataType, order: Uint32Array, start: number, end: number): Data {
  const nulls = nullsOf(column, order, start, end)
  if (column instanceof Utf8Column) return gatherText(column, type, order, start, end, nulls)
  const length = end - start
  if (column instanceof BooleanColumn) {
    const bits = new Uint8Array((length + 7) >> 3)
    for (let i = 0; i < length; i++) if (column.at(order[start + i]!)) bits[i >> 3]! |= 1 << (i & 7)
    return fixed(type, bits, nulls, length)
  }
  if (column instanceof Int32Column && DataType.isInt(type) && type.bitWidth === 64) {
    const widened = BigInt64Array.from({ length }, (_, i) => BigInt(column.at(order[start + i]!)))
    return fixed(type, widened, nulls)
  }
  return fixed(type, gatherNumbers(column, order, start, end), nulls)
}

/** Values at null rows are zero. */
function gatherNumbers(
  column: Int32Column | Int64Column | Float64Column,
  order: Uint32Array,
  start: number,
  end: number,
): Int32Array | BigInt64Array | Float64Array {
  if (column instanceof Int64Column) {
    const values = new BigInt64Array(end - start)
    for (let i = 0; i < values.length; i++) values[i] = column.at(order[start + i]!)
    return values
  }
  const values = column instanceof Int32Column ? new Int32Array(end - start) : new Float64Array(end - start)
  for (let i = 0; i < values.length; i++) values[i] = column.at(order[start + i]!)
  return values
}

function gatherText(
  column: Utf8Column,
  type: DataType,
  order: Uint32Array,
  start: number,
  end: number,
  nulls: Nulls | undefined,
): Data {
  const length = end - start
  const valueOffsets = new Int32Array(length + 1)
  let total = 0
  for (let i = 0; i < length; i++) {
    total += column.byteLength(order[start + i]!)
    if (total > 0x7fff_ffff) {
      throw new FirnError(
        'failed',
        'FIRN_BATCH_TOO_LARGE',
        `${length} rows hold more than 2 GiB of text in one column`,
        {
          help: 'lower maxRecordBytes of the dataset',
        },
      )
    }
    valueOffsets[i + 1] = total
  }
  const data = Buffer.allocUnsafeSlow(total)
  for (let i = 0; i < length; i++) {
    const row = order[start + i]!
    const from = column.startOf(row)
    data.set(column.chunkOf(row).subarray(from, from + column.byteLength(row)), valueOffsets[i]!)
  }
  return dataOf(type, { length, valueOffsets, data }, nulls)
}

interface Nulls {
  readonly count: number
  /** One bit per row, set where there is a value. */
  readonly valid: Uint8Array
}

function nullsOf(column: Column, order: Uint32Array, start: number, end: number): Nulls | undefined {
  const valid = new Uint8Array((end - start + 7) >> 3)
  let count = 0
  for (let i = 0; i < end - start; i++) {
    if (column.nulls.has(order[start + i]!)) count++
    else valid[i >> 3]! |= 1 << (i & 7)
  }
  return count === 0 ? undefined : { count, valid }
}

function fixed(type: DataType, data: ArrayBufferView & { length: number }, nulls?: Nulls, length?: number): Data {
  return dataOf(type, { length: length ?? data.length, data }, nulls)
}

function allNull(type: DataType, length: number): Data {
  const builder = makeBuilder({ type, nullValues: [null] })
  for (let i = 0; i < length; i++) builder.append(null)
  return builder.flush()
}

/** `makeData` picks its overload by a type that is only known at run time here. */
function dataOf(type: DataType, parts: object, nulls: Nulls | undefined): Data {
  const validity = nulls === undefined ? { nullCount: 0 } : { nullCount: nulls.count, nullBitmap: nulls.valid }
  return makeData({ type, ...parts, ...validity } as never)
}
