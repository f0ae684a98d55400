/**
 * Rows of several batches, in any order, as one batch: what a merge and a sorted run are made of. Buffers are copied
 * once; no value becomes an object. Arrow: https://arrow.apache.org/docs/format/Columnar.html
 */
import { type Data, DataType, makeData, RecordBatch, Struct } from 'apache-arrow'
import { FirnError } from '../errors.ts'
import { isValidAt } from '../format/arrow-values.ts'

/** Row `i` is row `rows[i]` of source `sources[i]`. */
export interface Picks {
  readonly sources: Int32Array
  readonly rows: Int32Array
  readonly count: number
}

/** @param batches all of one schema, at least one. */
export function pickRows(batches: readonly RecordBatch[], picks: Picks): RecordBatch {
  const { schema } = batches[0]!
  const children = schema.fields.map((_field, index) =>
    pickData(
      batches.map((batch) => batch.data.children[index] as Data),
      picks,
    ),
  )
  const type = new Struct(schema.fields)
  return new RecordBatch(schema, makeData({ type, length: picks.count, nullCount: 0, children }))
}

/** Bytes that the values of a batch take in memory. */
export function batchBytes(batch: RecordBatch): number {
  return batch.data.children.reduce((sum, data) => sum + dataBytes(data as Data), 0)
}

function dataBytes(data: Data): number {
  const { type, length } = data
  const children = data.children.reduce((sum, child) => sum + dataBytes(child as Data), 0)
  const validity = length / 8
  if (DataType.isStruct(type)) return validity + children
  const offsets = data.valueOffsets as Int32Array | undefined
  if (offsets !== undefined && offsets.length > 0) {
    const nested = DataType.isList(type) || DataType.isMap(type)
    return validity + 4 * length + (nested ? children : offsets[length]! - offsets[0]!)
  }
  if (DataType.isBool(type)) return validity * 2
  const values = data.values as Uint8Array | undefined
  return validity + (values === undefined ? 0 : length * data.stride * values.BYTES_PER_ELEMENT)
}

function pickData(sources: readonly Data[], picks: Picks): Data {
  const { type } = sources[0]!
  const validity = pickValidity(sources, picks)
  const common = { type, length: picks.count, ...validity }
  if (DataType.isStruct(type)) {
    const children = type.children.map((_child, index) =>
      pickData(
        sources.map((data) => data.children[index] as Data),
        picks,
      ),
    )
    return makeData({ ...common, children } as never)
  }
  if (DataType.isList(type) || DataType.isMap(type)) {
    const { valueOffsets, elements } = pickElements(sources, picks)
    const child = pickData(
      sources.map((data) => data.children[0] as Data),
      elements,
    )
    return makeData({ ...common, valueOffsets, child } as never)
  }
  if (DataType.isUtf8(type) || DataType.isBinary(type))
    return makeData({ ...common, ...pickBytes(sources, picks) } as never)
  if (DataType.isBool(type)) return makeData({ ...common, data: pickBits(sources, picks) } as never)
  return makeData({ ...common, data: pickFixed(sources, picks) } as never)
}

function pickValidity(sources: readonly Data[], picks: Picks): { nullCount: number; nullBitmap?: Uint8Array } {
  if (sources.every((data) => data.nullCount === 0)) return { nullCount: 0 }
  const nullBitmap = new Uint8Array((picks.count + 7) >> 3)
  let nullCount = picks.count
  for (let index = 0; index < picks.count; index++) {
    if (!isValidAt(sources[picks.sources[index]!]!, picks.rows[index]!)) continue
    nullBitmap[index >> 3] = nullBitmap[index >> 3]! | (1 << (index & 7))
    nullCount--
  }
  return nullCount === 0 ? { nullCount } : { nullCount, nullBitmap }
}

function pickBits(sources: readonly Data[], picks: Picks): Uint8Array {
  const bits = new Uint8Array((picks.count + 7) >> 3)
  for (let index = 0; index < picks.count; index++) {
    const data = sources[picks.sources[index]!]!
    const at = picks.rows[index]! + data.offset
    if ((((data.values as Uint8Array)[at >> 3]! >> (at & 7)) & 1) === 1)
      bits[index >> 3] = bits[index >> 3]! | (1 << (index & 7))
  }
  return bits
}

type FixedArray = Int32Array & { readonly constructor: new (length: number) => Int32Array }

function pickFixed(sources: readonly Data[], picks: Picks): Int32Array {
  const arrays = sources.map((data) => data.values as FixedArray)
  const { stride } = sources[0]!
  const Values = arrays[0]!.constructor
  const out = new Values(picks.count * stride)
  for (let index = 0; index < picks.count; index++) {
    const from = arrays[picks.sources[index]!]!
    const at = picks.rows[index]! * stride
    for (let lane = 0; lane < stride; lane++) out[index * stride + lane] = from[at + lane]!
  }
  return out
}

function pickBytes(sources: readonly Data[], picks: Picks): { valueOffsets: Int32Array; data: Uint8Array } {
  const offsets = sources.map((data) => data.valueOffsets as Int32Array)
  const values = sources.map((data) => data.values as Uint8Array)
  const valueOffsets = offsetsOf(offsets, picks)
  const data = new Uint8Array(valueOffsets[picks.count]!)
  for (let index = 0; index < picks.count; index++) {
    const source = picks.sources[index]!
    const row = picks.rows[index]!
    const from = offsets[source]!
    const start = from[row]!
    const end = from[row + 1]!
    if (end > start) data.set(values[source]!.subarray(start, end), valueOffsets[index]!)
  }
  return { valueOffsets, data }
}

function offsetsOf(offsets: readonly Int32Array[], picks: Picks): Int32Array {
  const valueOffsets = new Int32Array(picks.count + 1)
  let total = 0
  for (let index = 0; index < picks.count; index++) {
    const from = offsets[picks.sources[index]!]!
    const row = picks.rows[index]!
    total += from[row + 1]! - from[row]!
    if (total > 0x7fff_ffff) {
      throw new FirnError('failed', 'FIRN_BATCH_TOO_LARGE', `${picks.count} rows hold over 2 GiB in one column`)
    }
    valueOffsets[index + 1] = total
  }
  return valueOffsets
}

/** The elements of the picked lists, as picks of the child column. */
function pickElements(sources: readonly Data[], picks: Picks): { valueOffsets: Int32Array; elements: Picks } {
  const offsets = sources.map((data) => data.valueOffsets as Int32Array)
  const valueOffsets = offsetsOf(offsets, picks)
  const count = valueOffsets[picks.count]!
  const elements = { sources: new Int32Array(count), rows: new Int32Array(count), count }
  let at = 0
  for (let index = 0; index < picks.count; index++) {
    const source = picks.sources[index]!
    const row = picks.rows[index]!
    const end = offsets[source]![row + 1]!
    for (let element = offsets[source]![row]!; element < end; element++, at++) {
      elements.sources[at] = source
      elements.rows[at] = element
    }
  }
  return { valueOffsets, elements }
}
