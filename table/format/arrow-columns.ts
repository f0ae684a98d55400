/**
 * Arrow columns from values. Two ways in: `PrimitiveBuilder`, which the Parquet reader fills page by page, and
 * `columnFromValues` for values of any type, nested ones included.
 */
import { type Data, makeData } from 'apache-arrow'
import { assertNever, FirnError } from '../errors.ts'
import {
  decimalOf,
  fixedLengthOf,
  type IcebergType,
  isPrimitive,
  type PrimitiveType,
  type PrimitiveValue,
} from '../spec/types.ts'
import { arrowType, elementField, entryFields, unsupported } from './arrow-schema.ts'
import type { IcebergValue } from './arrow-values.ts'

/** What a Parquet page decodes to: typed arrays, or arrays; with gaps for nulls where a caller says so. */
export type DecodedValues = ArrayLike<number | bigint | boolean | Uint8Array | null | undefined>

/** A column of nulls: what a file written before the column existed holds. */
export const nullColumn = (type: IcebergType, rowCount: number, column: string): Data =>
  columnFromValues(type, new Array<null>(rowCount).fill(null), column)

/** The same value in every row. */
export const constantColumn = (type: PrimitiveType, value: PrimitiveValue, rowCount: number, column: string): Data =>
  columnFromValues(type, new Array<PrimitiveValue>(rowCount).fill(value), column)

/**
 * A column of any type from values as `valueAt` gives them. A missing member of a struct is null.
 * @throws {FirnError} `FIRN_BATCH_TOO_LARGE` (failed).
 */
export function columnFromValues(type: IcebergType, values: readonly IcebergValue[], column: string): Data {
  if (isPrimitive(type)) {
    const builder = new PrimitiveBuilder(type, values.length, column)
    const validity = new Validity(values.length)
    for (const value of values as readonly PrimitiveValue[]) {
      if (value === null || value === undefined) validity.setNull(builder.skip())
      else builder.add(typeof value === 'string' ? Buffer.from(value, 'utf8') : value)
    }
    return builder.done(validity)
  }
  const validity = new Validity(values.length)
  values.forEach((value, row) => {
    if (value === null) validity.setNull(row)
  })
  const shared = { type: arrowType(type, column), length: values.length, ...validity.done() }
  switch (type.type) {
    case 'struct': {
      const rows = values as readonly ({ readonly [field: string]: IcebergValue } | null)[]
      const children = type.fields.map((field) => {
        const members = rows.map((row) => (row !== null && Object.hasOwn(row, field.name) ? row[field.name]! : null))
        return columnFromValues(field.type, members, `${column}.${field.name}`)
      })
      return makeData({ ...shared, children } as never)
    }
    case 'list': {
      const lists = values as readonly (readonly IcebergValue[] | null)[]
      const { name, type: itemType } = elementField(type)
      const child = columnFromValues(
        itemType,
        lists.flatMap((list) => list ?? []),
        `${column}.${name}`,
      )
      return makeData({ ...shared, valueOffsets: offsetsOf(lists), child } as never)
    }
    case 'map': {
      const maps = values as readonly (readonly (readonly [IcebergValue, IcebergValue])[] | null)[]
      const fields = entryFields(type)
      const entries = maps
        .flatMap((map) => map ?? [])
        .map(([key, value]) => ({ key, value }) as { readonly [field: string]: IcebergValue })
      const child = columnFromValues({ type: 'struct', fields }, entries, column)
      return makeData({ ...shared, valueOffsets: offsetsOf(maps), child } as never)
    }
    case 'unsupported':
      throw unsupported(type.name, column)
    default:
      return assertNever(type)
  }
}

function offsetsOf(lists: readonly (readonly unknown[] | null)[]): Int32Array {
  const offsets = new Int32Array(lists.length + 1)
  lists.forEach((list, row) => {
    offsets[row + 1] = offsets[row]! + (list?.length ?? 0)
  })
  return offsets
}

type FixedValues = Int32Array | Float32Array | Float64Array | BigInt64Array | Uint8Array | Uint32Array

/** One column of a flat type, filled from its first slot on. */
export class PrimitiveBuilder {
  readonly #type: PrimitiveType
  readonly #column: string
  readonly #length: number
  /** `undefined` for string and binary: their bytes are copied when all are known. */
  readonly #values: FixedValues | undefined
  readonly #width: number
  readonly #bytes: Uint8Array[] = []
  readonly #offsets: Int32Array
  #next = 0
  #total = 0

  /** @param length slots of the column. */
  constructor(type: PrimitiveType, length: number, column: string) {
    this.#type = type
    this.#column = column
    this.#length = length
    const isVariable = type === 'string' || type === 'binary'
    this.#width = fixedLengthOf(type) ?? 16
    if (!isVariable && length * this.#width > MAX_OFFSET) throw tooLarge(column)
    this.#values = isVariable ? undefined : allocate(type, length, this.#width)
    this.#offsets = new Int32Array(isVariable ? length + 1 : 0)
  }

  /** Leaves the next slot empty; returns it. */
  skip(): number {
    const slot = this.#next++
    if (this.#values === undefined) this.#offsets[slot + 1] = this.#total
    return slot
  }

  add(value: NonNullable<DecodedValues[number]>): void {
    const slot = this.#next++
    const values = this.#values
    if (values === undefined) {
      this.#bytes.push(value as Uint8Array)
      this.#total += (value as Uint8Array).length
      this.#offsets[slot + 1] = this.#total
    } else if (values instanceof BigInt64Array) {
      values[slot] = typeof value === 'bigint' ? value : BigInt(value as number)
    } else if (this.#type === 'boolean') {
      if (value === true) values[slot >> 3] = (values[slot >> 3] as number) | (1 << (slot & 7))
    } else if (values instanceof Uint32Array) {
      let rest = BigInt.asUintN(128, unscaled(value))
      for (let word = 0; word < 4; word++, rest >>= 32n) values[slot * 4 + word] = Number(rest & 0xffff_ffffn)
    } else if (values instanceof Uint8Array) {
      values.set(value as Uint8Array, slot * this.#width)
    } else {
      values[slot] = Number(value)
    }
  }

  /** Many values at once, none of them null. */
  addAll(chunk: DecodedValues): void {
    const values = this.#values
    const sameKind = values !== undefined && this.#type !== 'boolean' && chunk.constructor === values.constructor
    if (sameKind && !(values instanceof Uint8Array) && !(values instanceof Uint32Array)) {
      values.set(chunk as never, this.#next)
      this.#next += chunk.length
    } else if (values === undefined) {
      for (let index = 0; index < chunk.length; index++) {
        const bytes = chunk[index] as Uint8Array
        this.#bytes.push(bytes)
        this.#total += bytes.length
        this.#offsets[++this.#next] = this.#total
      }
    } else {
      for (let index = 0; index < chunk.length; index++) this.add(chunk[index]!)
    }
  }

  /** @throws {FirnError} `FIRN_BATCH_TOO_LARGE` (failed) beyond what 32-bit offsets reach. */
  done(validity: Validity): Data {
    const shared = { type: arrowType(this.#type, this.#column), length: this.#length, ...validity.done() }
    if (this.#values !== undefined) return makeData({ ...shared, data: this.#values } as never)
    if (this.#total > MAX_OFFSET) throw tooLarge(this.#column)
    const data = new Uint8Array(this.#total)
    let at = 0
    for (const bytes of this.#bytes) {
      data.set(bytes, at)
      at += bytes.length
    }
    return makeData({ ...shared, valueOffsets: this.#offsets, data } as never)
  }
}

/** Arrow's offsets are signed 32-bit integers. */
export const MAX_OFFSET = 0x7fff_ffff
export const tooLarge = (column: string): FirnError =>
  new FirnError('failed', 'FIRN_BATCH_TOO_LARGE', `column ${column}: one batch would hold over 2 GiB`)

function allocate(type: PrimitiveType, rowCount: number, width: number): FixedValues {
  switch (type) {
    case 'boolean':
      return new Uint8Array((rowCount + 7) >> 3)
    case 'int':
    case 'date':
      return new Int32Array(rowCount)
    case 'float':
      return new Float32Array(rowCount)
    case 'double':
      return new Float64Array(rowCount)
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return new BigInt64Array(rowCount)
    default:
      return decimalOf(type) ? new Uint32Array(rowCount * 4) : new Uint8Array(rowCount * width)
  }
}

/** Parquet stores a decimal as int32, int64 or big-endian bytes. */
function unscaled(value: NonNullable<DecodedValues[number]>): bigint {
  if (!(value instanceof Uint8Array)) return BigInt(value as number | bigint)
  let number = 0n
  for (const byte of value) number = (number << 8n) | BigInt(byte)
  return BigInt.asIntN(8 * value.length, number)
}

/** Which slots are null; a column without nulls gets no bitmap. */
export class Validity {
  readonly #bits: Uint8Array
  #nullCount = 0

  constructor(rowCount: number) {
    this.#bits = new Uint8Array((rowCount + 7) >> 3).fill(0xff)
  }

  setNull(row: number): void {
    this.#bits[row >> 3] = this.#bits[row >> 3]! & ~(1 << (row & 7))
    this.#nullCount++
  }

  done(): { nullCount: number; nullBitmap?: Uint8Array } {
    return this.#nullCount === 0 ? { nullCount: 0 } : { nullCount: this.#nullCount, nullBitmap: this.#bits }
  }
}
