/**
 * Rows from anywhere in a few resident batches, as one new batch. Bytes move straight from source column to target
 * column: no row objects, no strings.
 */
import { type Schema as ArrowSchema, type Data, DataType, makeData, RecordBatch, Struct } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'

/** Row `rows[i]` of source `sources[i]`, for i in [0, length). */
export interface RowSelection {
  readonly sources: Uint32Array
  readonly rows: Uint32Array
  readonly length: number
}

/** Below this, a copying loop is faster than making a view for `set`. */
const SHORT_VALUE_BYTES = 48

/**
 * @param schema of every batch in `resident` and of the result.
 * @throws {FirnError} `FIRN_BATCH_TOO_LARGE` (invalid) when a text column of the result would exceed 2 GiB;
 *   `FIRN_TYPE_UNSUPPORTED` (invalid) for nested columns.
 */
export function gatherRows(
  schema: ArrowSchema,
  resident: readonly RecordBatch[],
  selection: RowSelection,
): RecordBatch {
  const children = schema.fields.map((field, column) => {
    const sources = resident.map((batch) => batch.data.children[column] as Data)
    return gatherColumn(field.name, sources, selection)
  })
  return batchOf(schema, children, selection.length)
}

export function batchOf(schema: ArrowSchema, children: readonly Data[], rowCount: number): RecordBatch {
  const type = new Struct(schema.fields)
  return new RecordBatch(schema, makeData({ type, length: rowCount, nullCount: 0, children: [...children] }))
}

function gatherColumn(name: string, sources: readonly Data[], selection: RowSelection): Data {
  const first = sources[0]!
  const validity = gatherValidity(sources, selection)
  const length = selection.length
  if (first.children.length > 0) throw unsupported(name, first)
  if (first.valueOffsets !== undefined) {
    return dataOf(first, { length, ...gatherBytes(name, sources, selection), ...validity })
  }
  if (first.values === undefined) throw unsupported(name, first)
  const data = DataType.isBool(first.type)
    ? gatherBits(sources, selection)
    : gatherFixed(sources, first.stride, selection)
  return dataOf(first, { length, data, ...validity })
}

function gatherBytes(
  name: string,
  sources: readonly Data[],
  { sources: from, rows, length }: RowSelection,
): { valueOffsets: Int32Array; data: Uint8Array } {
  const offsets = sources.map((source) => source.valueOffsets as Int32Array)
  const values = sources.map((source) => source.values as Uint8Array)
  const valueOffsets = new Int32Array(length + 1)
  let total = 0
  for (let index = 0; index < length; index++) {
    const starts = offsets[from[index]!]!
    const row = rows[index]!
    total += starts[row + 1]! - starts[row]!
    if (total > 0x7fff_ffff) throw tooLarge(name, length)
    valueOffsets[index + 1] = total
  }
  const data = new Uint8Array(total)
  for (let index = 0; index < length; index++) {
    const source = from[index]!
    const starts = offsets[source]!
    const start = starts[rows[index]!]!
    const end = starts[rows[index]! + 1]!
    const bytes = values[source]!
    let target = valueOffsets[index]!
    if (end - start < SHORT_VALUE_BYTES) for (let at = start; at < end; at++) data[target++] = bytes[at]!
    else data.set(bytes.subarray(start, end), target)
  }
  return { valueOffsets, data }
}

type FixedValues = Int32Array | Uint32Array | Float32Array | Float64Array | Uint8Array

/** @param stride elements of the typed array that make one value: 4 words of a decimal, the bytes of a fixed. */
function gatherFixed(
  sources: readonly Data[],
  stride: number,
  { sources: from, rows, length }: RowSelection,
): ArrayBufferView {
  // 64-bit columns are arrays of bigint, which this union leaves out: elements are only moved, never computed with.
  const values = sources.map((source) => source.values as FixedValues)
  const TypedArray = values[0]!.constructor as new (length: number) => FixedValues
  const data = new TypedArray(length * stride)
  if (stride === 1) {
    for (let index = 0; index < length; index++) data[index] = values[from[index]!]![rows[index]!]!
    return data
  }
  for (let index = 0; index < length; index++) {
    const source = values[from[index]!]!
    const start = rows[index]! * stride
    for (let part = 0; part < stride; part++) data[index * stride + part] = source[start + part]!
  }
  return data
}

function gatherBits(sources: readonly Data[], { sources: from, rows, length }: RowSelection): Uint8Array {
  const bits = new Uint8Array((length + 7) >> 3)
  for (let index = 0; index < length; index++) {
    const source = sources[from[index]!]!
    const bit = rows[index]! + source.offset
    if (((source.values as Uint8Array)[bit >> 3]! >> (bit & 7)) & 1) bits[index >> 3]! |= 1 << (index & 7)
  }
  return bits
}

function gatherValidity(
  sources: readonly Data[],
  { sources: from, rows, length }: RowSelection,
): { nullCount: number; nullBitmap?: Uint8Array } {
  if (sources.every((source) => source.nullCount === 0)) return { nullCount: 0 }
  const nullBitmap = new Uint8Array((length + 7) >> 3)
  let nullCount = 0
  for (let index = 0; index < length; index++) {
    const source = sources[from[index]!]!
    const bit = rows[index]! + source.offset
    const valid = source.nullCount === 0 || ((source.nullBitmap[bit >> 3]! >> (bit & 7)) & 1) === 1
    if (valid) nullBitmap[index >> 3]! |= 1 << (index & 7)
    else nullCount++
  }
  return nullCount === 0 ? { nullCount } : { nullCount, nullBitmap }
}

/** `makeData` picks its overload by a type that is only known at run time here. */
const dataOf = (like: Data, parts: object): Data => makeData({ type: like.type, ...parts } as never)

const unsupported = (name: string, data: Data): FirnError =>
  new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', `column ${name}: type ${String(data.type)} cannot be batched yet`, {
    detail: { column: name },
    help: 'Leave the column out of `columns`.',
  })

const tooLarge = (name: string, rows: number): FirnError =>
  new FirnError('invalid', 'FIRN_BATCH_TOO_LARGE', `column ${name}: ${rows} rows hold over 2 GiB of text`, {
    detail: { column: name, rows },
    help: 'Lower `batch.size`.',
  })
