/**
 * Rows of Arrow batches by number, and batches behind one another, over every type. Buffers are copied, values are
 * never looked at: rewriting a table and applying deletes spend their time here.
 */
import { type Data, makeData, RecordBatch, Struct, Type } from 'apache-arrow'
import type { Schema } from '../spec/schema.ts'
import { columnFromValues, MAX_OFFSET, tooLarge, Validity } from './arrow-columns.ts'
import { arrowSchema } from './arrow-schema.ts'
import { isValidAt } from './arrow-values.ts'

/**
 * The rows `rows` of `batch`, in that order; a row may come more than once.
 * @param schema whose columns the batch has, in the same order.
 * @throws {FirnError} `FIRN_BATCH_TOO_LARGE` (failed).
 */
export function takeRows(batch: RecordBatch, schema: Schema, rows: Int32Array): RecordBatch {
  const columns = batch.data.children.map((column, index) =>
    takeColumn(column as Data, rows, schema.fields[index]?.name ?? ''),
  )
  return batchOfColumns(schema, columns, rows.length)
}

/**
 * The rows of `batches` in one batch.
 * @throws {FirnError} `FIRN_BATCH_TOO_LARGE` (failed) when a column would hold 2 GiB or more.
 */
export function concatBatches(schema: Schema, batches: readonly RecordBatch[]): RecordBatch {
  const length = batches.reduce((sum, batch) => sum + batch.numRows, 0)
  if (batches.length === 1) return batches[0]!
  if (batches.length === 0) {
    const empty = schema.fields.map(({ type, name }) => columnFromValues(type, [], name))
    return batchOfColumns(schema, empty, 0)
  }
  const columns = schema.fields.map((field, index) =>
    concatData(
      batches.map((batch) => batch.data.children[index] as Data),
      field.name,
    ),
  )
  return batchOfColumns(schema, columns, length)
}

/** Columns as a batch under the table's own Arrow schema. */
export function batchOfColumns(schema: Schema, children: readonly Data[], length: number): RecordBatch {
  const arrow = arrowSchema(schema)
  const data = makeData({ type: new Struct(arrow.fields), length, nullCount: 0, children: [...children] })
  return new RecordBatch(arrow, data)
}

type Values = Int32Array | Float64Array | BigInt64Array | Uint8Array | Uint32Array
const allocateLike = (values: Values, length: number): Values =>
  new (values.constructor as new (length: number) => Values)(length)

/** Rows of one column, in buffers of its own. @throws {FirnError} as `takeRows`. */
export function takeColumn(data: Data, rows: Int32Array, column: string): Data {
  const shared = { type: data.type, length: rows.length, ...takeValidity(data, rows) }
  switch (data.typeId) {
    case Type.Struct: {
      const children = data.children.map((child) => takeColumn(child as Data, rows, column))
      return makeData({ ...shared, children } as never)
    }
    case Type.List:
    case Type.Map: {
      const valueOffsets = takeOffsets(data, rows, column)
      const items = new Int32Array(valueOffsets[rows.length]!)
      const from = data.valueOffsets as Int32Array
      for (let row = 0; row < rows.length; row++) {
        const start = from[rows[row]!]! - valueOffsets[row]!
        for (let item = valueOffsets[row]!; item < valueOffsets[row + 1]!; item++) items[item] = start + item
      }
      return makeData({ ...shared, valueOffsets, child: takeColumn(data.children[0] as Data, items, column) } as never)
    }
    case Type.Utf8:
    case Type.Binary:
      return makeData({ ...shared, ...takeBytes(data, rows, column) } as never)
    case Type.Bool:
      return makeData({ ...shared, data: takeBits(data.values as Uint8Array, data.offset, rows) } as never)
    default:
      return makeData({ ...shared, data: takeFixed(data, rows) } as never)
  }
}

function takeValidity(data: Data, rows: Int32Array): ReturnType<Validity['done']> {
  if (data.nullCount === 0) return { nullCount: 0 }
  const validity = new Validity(rows.length)
  for (let row = 0; row < rows.length; row++) if (!isValidAt(data, rows[row]!)) validity.setNull(row)
  return validity.done()
}

function takeBits(bits: Uint8Array, offset: number, rows: Int32Array): Uint8Array {
  const taken = new Uint8Array((rows.length + 7) >> 3)
  for (let row = 0; row < rows.length; row++) {
    const bit = rows[row]! + offset
    if (((bits[bit >> 3]! >> (bit & 7)) & 1) === 1) taken[row >> 3] = taken[row >> 3]! | (1 << (row & 7))
  }
  return taken
}

function takeFixed(data: Data, rows: Int32Array): Values {
  const { stride } = data
  const values = data.values as Values
  const taken = allocateLike(values, rows.length * stride) as Int32Array
  if (stride === 1) {
    for (let row = 0; row < rows.length; row++) taken[row] = (values as Int32Array)[rows[row]!]!
    return taken
  }
  for (let row = 0; row < rows.length; row++) {
    const start = rows[row]! * stride
    for (let part = 0; part < stride; part++) taken[row * stride + part] = (values as Int32Array)[start + part]!
  }
  return taken
}

function takeOffsets(data: Data, rows: Int32Array, column: string): Int32Array {
  const from = data.valueOffsets as Int32Array
  const offsets = new Int32Array(rows.length + 1)
  let total = 0
  for (let row = 0; row < rows.length; row++) {
    // A null slot of a foreign batch may span bytes; they go with it.
    total += from[rows[row]! + 1]! - from[rows[row]!]!
    if (total > MAX_OFFSET) throw tooLarge(column)
    offsets[row + 1] = total
  }
  return offsets
}

/** Runs of rows that follow one another are one copy. */
function takeBytes(data: Data, rows: Int32Array, column: string): { valueOffsets: Int32Array; data: Uint8Array } {
  const valueOffsets = takeOffsets(data, rows, column)
  const from = data.valueOffsets as Int32Array
  const values = data.values as Uint8Array
  const bytes = new Uint8Array(valueOffsets[rows.length]!)
  for (let row = 0; row < rows.length; ) {
    let end = row + 1
    while (end < rows.length && rows[end] === rows[end - 1]! + 1) end++
    bytes.set(values.subarray(from[rows[row]!], from[rows[end - 1]! + 1]), valueOffsets[row])
    row = end
  }
  return { valueOffsets, data: bytes }
}

function concatData(parts: readonly Data[], column: string): Data {
  const first = parts[0]!
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const shared = { type: first.type, length, ...concatValidity(parts, length) }
  switch (first.typeId) {
    case Type.Struct: {
      const children = first.children.map((_child, index) =>
        concatData(
          parts.map((part) => part.children[index] as Data),
          column,
        ),
      )
      return makeData({ ...shared, children } as never)
    }
    case Type.List:
    case Type.Map: {
      const items = parts.map((part) => {
        const [start, end] = extentOf(part)
        return (part.children[0] as Data).slice(start, end - start)
      })
      return makeData({
        ...shared,
        valueOffsets: concatOffsets(parts, length, column),
        child: concatData(items, column),
      } as never)
    }
    case Type.Utf8:
    case Type.Binary: {
      const valueOffsets = concatOffsets(parts, length, column)
      const data = new Uint8Array(valueOffsets[length]!)
      let at = 0
      for (const part of parts) {
        const [start, end] = extentOf(part)
        data.set((part.values as Uint8Array).subarray(start, end), at)
        at += end - start
      }
      return makeData({ ...shared, valueOffsets, data } as never)
    }
    case Type.Bool: {
      const data = new Uint8Array((length + 7) >> 3)
      let at = 0
      for (const part of parts) at = copyBits(part.values as Uint8Array, part.offset, part.length, data, at)
      return makeData({ ...shared, data } as never)
    }
    default: {
      const data = allocateLike(first.values as Values, length * first.stride) as Int32Array
      let at = 0
      for (const part of parts) {
        const size = part.length * part.stride
        data.set((part.values as Int32Array).subarray(0, size), at)
        at += size
      }
      return makeData({ ...shared, data } as never)
    }
  }
}

/** `[start, end)` of the values or items that a column's slots point to. */
function extentOf(data: Data): readonly [number, number] {
  const offsets = data.valueOffsets as Int32Array
  return data.length === 0 ? [0, 0] : [offsets[0]!, offsets[data.length]!]
}

function concatOffsets(parts: readonly Data[], length: number, column: string): Int32Array {
  const offsets = new Int32Array(length + 1)
  let row = 0
  let total = 0
  for (const part of parts) {
    const [start, end] = extentOf(part)
    const from = part.valueOffsets as Int32Array
    if (total + end - start > MAX_OFFSET) throw tooLarge(column)
    for (let index = 0; index < part.length; index++) offsets[++row] = total + from[index + 1]! - start
    total += end - start
  }
  return offsets
}

function concatValidity(parts: readonly Data[], length: number): ReturnType<Validity['done']> {
  if (parts.every((part) => part.nullCount === 0)) return { nullCount: 0 }
  const validity = new Validity(length)
  let row = 0
  for (const part of parts) {
    if (part.nullCount === 0) row += part.length
    else for (let index = 0; index < part.length; index++, row++) if (!isValidAt(part, index)) validity.setNull(row)
  }
  return validity.done()
}

function copyBits(from: Uint8Array, offset: number, length: number, to: Uint8Array, at: number): number {
  for (let index = 0; index < length; index++) {
    const bit = index + offset
    if (((from[bit >> 3]! >> (bit & 7)) & 1) === 1) {
      to[(at + index) >> 3] = to[(at + index) >> 3]! | (1 << ((at + index) & 7))
    }
  }
  return at + length
}
