/**
 * What a footer says about the values of a column chunk, as values of the table's type. A reader skips row groups by
 * it, so on any doubt there is no bound. Format: `Statistics` and `ColumnOrder` in parquet.thrift.
 */
import { decodeLowerBound, decodeUnscaled, decodeUpperBound } from '../manifest/bounds.ts'
import { decimalOf, isPrimitive, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'
import type { ColumnPlan, PhysicalValue } from './parquet-columns.ts'
import type { ColumnChunk, FileNode } from './parquet-footer.ts'
import type { ThriftStruct } from './thrift.ts'

/** What is known of a column in a row group. */
export interface ColumnRange {
  /** Rows, nulls and NaN included. */
  readonly values: number
  /** `undefined`: not known. */
  readonly nulls: number | undefined
  /** No value but null and NaN is outside; not always a value that occurs. `undefined`: not known, or no values. */
  readonly lower: PrimitiveValue | undefined
  readonly upper: PrimitiveValue | undefined
}

/** @param plan of a column outside lists and maps. @param ordered as `Footer.ordered` has it for the leaf. */
export function rangeOf(
  plan: Extract<ColumnPlan, { kind: 'leaf' }>,
  { statistics, numValues: values }: ColumnChunk,
  ordered: boolean,
): ColumnRange {
  const { type } = plan.field
  const nullCount = statistics?.field_3
  const nulls = typeof nullCount === 'bigint' && nullCount >= 0n ? Number(nullCount) : undefined
  if (statistics === undefined || !isPrimitive(type)) return { values, nulls, lower: undefined, upper: undefined }
  const [low, high] = rawBounds(statistics, plan.node, ordered)
  const lower = low && boundOf(plan, type, low, 'lower')
  const upper = high && boundOf(plan, type, high, 'upper')
  // Some writers took NaN for a bound: then the other one says nothing either.
  if (Number.isNaN(lower) || Number.isNaN(upper)) return { values, nulls, lower: undefined, upper: undefined }
  return { values, nulls, lower: lower === 0 ? -0 : lower, upper: Object.is(upper, -0) ? 0 : upper }
}

type Raw = Uint8Array | undefined

function rawBounds(statistics: ThriftStruct, node: FileNode, ordered: boolean): readonly [Raw, Raw] {
  const { physical } = node.leaf!
  const raw = (value: unknown): Raw => (value instanceof Uint8Array ? value : undefined)
  // Nobody defines an order of INT96.
  if (physical === 'INT96') return [undefined, undefined]
  const isDecimalBytes = node.annotation === 'decimal' && /BYTE/.test(physical)
  if (ordered && (statistics.field_5 !== undefined || statistics.field_6 !== undefined)) {
    // Cut short, the bytes of a number are another number.
    const max = isDecimalBytes && statistics.field_7 === false ? undefined : statistics.field_5
    const min = isDecimalBytes && statistics.field_8 === false ? undefined : statistics.field_6
    return [raw(min), raw(max)]
  }
  // `min` and `max` are from before the order was defined: right only where it was always the signed one.
  const isSigned = !/BYTE/.test(physical) && node.annotation !== 'uint32' && node.annotation !== 'uint64'
  return isSigned ? [raw(statistics.field_2), raw(statistics.field_1)] : [undefined, undefined]
}

function boundOf(
  { node, convert }: Extract<ColumnPlan, { kind: 'leaf' }>,
  type: PrimitiveType,
  bytes: Uint8Array,
  side: 'lower' | 'upper',
): PrimitiveValue | undefined {
  if (type === 'string') return side === 'lower' ? decodeLowerBound(type, bytes) : decodeUpperBound(type, bytes)
  const physical = physicalValue(node.leaf!.physical, bytes)
  if (physical === undefined) return undefined
  const value = convert === undefined ? physical : convert(physical)
  if (decimalOf(type) !== undefined) return value instanceof Uint8Array ? decodeUnscaled(value) : BigInt(value)
  return type === 'long' ? BigInt(value as number | bigint) : value
}

/** `undefined` when the width is wrong. */
function physicalValue(physical: string, bytes: Uint8Array): PhysicalValue | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (physical) {
    case 'BOOLEAN':
      return bytes.length === 1 ? bytes[0] === 1 : undefined
    case 'INT32':
      return bytes.length === 4 ? view.getInt32(0, true) : undefined
    case 'INT64':
      return bytes.length === 8 ? view.getBigInt64(0, true) : undefined
    case 'FLOAT':
      return bytes.length === 4 ? view.getFloat32(0, true) : undefined
    case 'DOUBLE':
      return bytes.length === 8 ? view.getFloat64(0, true) : undefined
    default:
      return bytes
  }
}
