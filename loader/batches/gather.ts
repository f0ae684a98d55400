/**
 * Rows from anywhere in a few segments, as one new batch. Bytes move straight from source column to target column: no
 * row objects, no strings.
 */
import { type Schema as ArrowSchema, type Data, DataType, makeData, RecordBatch, Struct } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import type { ColumnView, Segment } from './segments.ts'

/** Below this, a copying loop is faster than making a view for `set`. */
const SHORT_VALUE_BYTES = 48
const SHORT_VALUE_ELEMENTS = 16

/**
 * Row `rows[i]` of `segments[i]`, for i in [start, end), as a batch with buffers of its own.
 * @throws {FirnError} `FIRN_BATCH_TOO_LARGE` (invalid) when a text column of the result would exceed 2 GiB.
 */
export type Gather = (segments: readonly Segment[], rows: Uint32Array, start: number, end: number) => RecordBatch

/**
 * @param schema of every segment and of the result.
 * @throws {FirnError} `FIRN_TYPE_UNSUPPORTED` (invalid) for columns that cannot be batched.
 */
export function gatherer(schema: ArrowSchema): Gather {
  for (const field of schema.fields) checkType(field.name, field.type)
  return (segments, rows, start, end) => {
    const length = end - start
    const picked = start === 0 ? rows : rows.subarray(start, end)
    const views = new Array<ColumnView>(length)
    const children = schema.fields.map((field, column) => {
      for (let index = 0; index < length; index++) views[index] = segments[start + index]!.columns[column]!
      return gatherColumn(field.name, field.type, { views, rows: picked, length })
    })
    return batchOf(schema, children, length)
  }
}

export function batchOf(schema: ArrowSchema, children: readonly Data[], rowCount: number): RecordBatch {
  const type = new Struct(schema.fields)
  return new RecordBatch(schema, makeData({ type, length: rowCount, nullCount: 0, children: [...children] }))
}

/** Value `rows[i]` of `views[i]`, for i in [0, length). */
interface Picks {
  readonly views: readonly ColumnView[]
  readonly rows: Uint32Array
  readonly length: number
}

function gatherColumn(name: string, type: DataType, picks: Picks): Data {
  const parts = { length: picks.length, ...gatherValidity(picks) }
  if (DataType.isStruct(type)) return dataOf(type, { ...parts, children: gatherFields(name, type, picks) })
  if (DataType.isList(type) || DataType.isMap(type)) {
    return dataOf(type, { ...parts, ...gatherList(name, elementOf(type), picks) })
  }
  if (DataType.isFixedSizeList(type)) {
    const child = gatherElements(name, elementOf(type), fixedRanges(picks, type.listSize))
    return dataOf(type, { ...parts, child })
  }
  if (DataType.isUtf8(type) || DataType.isBinary(type)) return dataOf(type, { ...parts, ...gatherBytes(name, picks) })
  const data = DataType.isBool(type) ? gatherBits(picks) : gatherFixed(type, picks)
  return dataOf(type, { ...parts, data })
}

/** A struct's rows are its fields' rows, those of null structs included. */
function gatherFields(name: string, type: Struct, picks: Picks): readonly Data[] {
  return type.children.map((field, index) => {
    const views = picks.views.map(({ children }) => children[index]!)
    return gatherColumn(`${name}.${field.name}`, field.type, { ...picks, views })
  })
}

function gatherBytes(name: string, { views, rows, length }: Picks): { valueOffsets: Int32Array; data: Uint8Array } {
  const valueOffsets = new Int32Array(length + 1)
  let total = 0
  for (let index = 0; index < length; index++) {
    const starts = views[index]!.offsets!
    const row = rows[index]!
    total += starts[row + 1]! - starts[row]!
    if (total > 0x7fff_ffff) throw tooLarge(name, length)
    valueOffsets[index + 1] = total
  }
  const data = new Uint8Array(total)
  const targets = Buffer.from(data.buffer)
  for (let index = 0; index < length; index++) {
    const view = views[index]!
    const starts = view.offsets!
    const start = starts[rows[index]!]!
    const end = starts[rows[index]! + 1]!
    const bytes = view.values as Buffer
    let target = valueOffsets[index]!
    if (end - start < SHORT_VALUE_BYTES) for (let at = start; at < end; at++) data[target++] = bytes[at]!
    else bytes.copy(targets, target, start, end)
  }
  return { valueOffsets, data }
}

// 64-bit columns are arrays of bigint, which this union leaves out: elements are only moved, never computed with.
type FixedValues = Int32Array | Uint32Array | Float32Array | Float64Array | Uint8Array

function gatherFixed(type: DataType, { views, rows, length }: Picks): ArrayBufferView {
  if (length === 0) return new (type.ArrayType as new (length: number) => FixedValues)(0)
  const { stride } = views[0]!
  const data = sameArray(views[0]!, length * stride)
  for (let index = 0; index < length; index++) {
    const source = views[index]!.values as FixedValues
    const start = rows[index]! * stride
    if (stride === 1) data[index] = source[start]!
    else for (let part = 0; part < stride; part++) data[index * stride + part] = source[start + part]!
  }
  return data
}

function gatherBits({ views, rows, length }: Picks): Uint8Array {
  const bits = new Uint8Array((length + 7) >> 3)
  for (let index = 0; index < length; index++) {
    const view = views[index]!
    const bit = rows[index]! + view.firstBit
    if (((view.values as Uint8Array)[bit >> 3]! >> (bit & 7)) & 1) bits[index >> 3]! |= 1 << (index & 7)
  }
  return bits
}

function gatherValidity({ views, rows, length }: Picks): { nullCount: number; nullBitmap?: Uint8Array } {
  let nullBitmap: Uint8Array | undefined
  let nullCount = 0
  for (let index = 0; index < length; index++) {
    const { bitmap, firstBit } = views[index]!
    const bit = rows[index]! + firstBit
    if (bitmap === undefined || (bitmap[bit >> 3]! >> (bit & 7)) & 1) continue
    nullBitmap ??= new Uint8Array((length + 7) >> 3).fill(0xff)
    nullBitmap[index >> 3]! &= ~(1 << (index & 7))
    nullCount++
  }
  return nullBitmap === undefined ? { nullCount } : { nullCount, nullBitmap }
}

/** Elements [starts[i], starts[i] + sizes[i]) of the child of `views[i]`, laid end to end. */
interface Ranges {
  readonly views: readonly ColumnView[]
  readonly starts: Uint32Array
  readonly sizes: Uint32Array
  readonly total: number
}

function gatherList(name: string, type: DataType, picks: Picks): { valueOffsets: Int32Array; child: Data } {
  const { views, rows, length } = picks
  const starts = new Uint32Array(length)
  const sizes = new Uint32Array(length)
  const valueOffsets = new Int32Array(length + 1)
  let total = 0
  for (let index = 0; index < length; index++) {
    const offsets = views[index]!.offsets!
    const row = rows[index]!
    starts[index] = offsets[row]!
    sizes[index] = offsets[row + 1]! - offsets[row]!
    total += sizes[index]!
    if (total > 0x7fff_ffff) throw tooLarge(name, length)
    valueOffsets[index + 1] = total
  }
  return { valueOffsets, child: gatherElements(name, type, { views, starts, sizes, total }) }
}

function fixedRanges({ views, rows, length }: Picks, size: number): Ranges {
  const starts = new Uint32Array(length)
  for (let index = 0; index < length; index++) starts[index] = rows[index]! * size
  return { views, starts, sizes: new Uint32Array(length).fill(size), total: length * size }
}

function gatherElements(name: string, type: DataType, ranges: Ranges): Data {
  const { views, starts, sizes, total } = ranges
  const isPlain = views.every(({ children: [child] }) => child!.bitmap === undefined && child!.offsets === undefined)
  // Without any list there is no child to look at either: of lists of lists, where no row has one.
  const byValue = views.length === 0 || !isPlain || type.children?.length > 0 || DataType.isBool(type)
  if (byValue) return gatherColumn(name, type, expanded(ranges))
  const { stride } = views[0]!.children[0]!
  const data = sameArray(views[0]!.children[0]!, total * stride)
  let target = 0
  for (let index = 0; index < views.length; index++) {
    const source = views[index]!.children[0]!.values as FixedValues
    const start = starts[index]! * stride
    const end = start + sizes[index]! * stride
    if (end - start >= SHORT_VALUE_ELEMENTS) data.set(source.subarray(start, end), target)
    else for (let at = start; at < end; at++) data[target + at - start] = source[at]!
    target += end - start
  }
  return dataOf(type, { length: total, nullCount: 0, data })
}

/** Each element as a pick of its own. */
function expanded({ views, starts, sizes, total }: Ranges): Picks {
  const rows = new Uint32Array(total)
  const children = new Array<ColumnView>(total)
  let target = 0
  for (let index = 0; index < views.length; index++) {
    for (let part = 0; part < sizes[index]!; part++, target++) {
      rows[target] = starts[index]! + part
      children[target] = views[index]!.children[0]!
    }
  }
  return { views: children, rows, length: total }
}

const sameArray = (view: ColumnView, length: number): FixedValues =>
  new (view.values!.constructor as new (length: number) => FixedValues)(length)

/** Of a list; of a map, the struct of key and value. */
const elementOf = (type: DataType): DataType => type.children[0]!.type as DataType

/** `makeData` picks its overload by a type that is only known at run time here. */
const dataOf = (type: DataType, parts: object): Data => makeData({ type, ...parts } as never)

function checkType(column: string, type: DataType): void {
  const isNested = DataType.isList(type) || DataType.isFixedSizeList(type) || DataType.isMap(type)
  if (isNested || DataType.isStruct(type)) {
    for (const child of type.children) checkType(`${column}.${child.name}`, child.type as DataType)
  } else if ((type.children ?? []).length > 0 || DataType.isDictionary(type) || DataType.isNull(type)) {
    const message = `column ${column}: type ${String(type)} cannot be batched`
    throw new FirnError('invalid', 'FIRN_TYPE_UNSUPPORTED', message, {
      detail: { column },
      help: 'Leave the column out of `columns`.',
    })
  }
}

const tooLarge = (name: string, rows: number): FirnError =>
  new FirnError('invalid', 'FIRN_BATCH_TOO_LARGE', `column ${name}: ${rows} rows hold over 2 GiB`, {
    detail: { column: name, rows },
    help: 'Lower `batch.size`.',
  })
