/**
 * The rows of a run, column by column, in plain memory.
 *
 * Text lives as UTF-8 in chunks outside the JavaScript heap: one copy in while records are read, one copy out into the
 * sorted batch. No row exists as an object longer than it takes to append it.
 */
import { FirnError } from '../../../table/errors.ts'
import type { FieldType } from '../../datasets/index.ts'
import type { CellValue } from './validate.ts'

/** Chunks double up to this size: columns that are taken away early stay small. */
const CHUNK_BYTES = 8 * 1024 * 1024
const FIRST_CHUNK_BYTES = 64 * 1024
const FIRST_ROWS = 1024

/** What a value's bytes can grow to: UTF-8 needs at most three bytes a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3

const encoder = new TextEncoder()

/** Strings of one column. */
export class Utf8Column {
  readonly #chunks: Uint8Array[] = []
  #used = 0
  #chunkOf: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_ROWS)
  #starts: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_ROWS)
  #lengths: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_ROWS)
  readonly nulls: NullSet = new NullSet()
  #rows = 0
  #textBytes = 0

  get rows(): number {
    return this.#rows
  }

  /** Bytes of memory that hold values, about: what a chunk has left over was never touched. */
  get heldBytes(): number {
    return this.#textBytes + 3 * this.#starts.byteLength
  }

  append(value: string | null): void {
    const row = this.#newRow()
    if (value === null) {
      this.nulls.add(row)
      return
    }
    const chunk = this.#room(value.length * MAX_BYTES_PER_UNIT)
    const { written, read } = encoder.encodeInto(value, chunk.subarray(this.#used))
    if (read !== value.length) {
      throw new FirnError('failed', 'FIRN_INTERNAL', `only ${read} of ${value.length} characters fitted their buffer`)
    }
    this.#place(row, written)
  }

  /** A value that is UTF-8 already; the bytes are copied. */
  appendBytes(value: Uint8Array): void {
    const row = this.#newRow()
    this.#room(value.byteLength).set(value, this.#used)
    this.#place(row, value.byteLength)
  }

  #newRow(): number {
    const row = this.#rows++
    if (row === this.#starts.length) {
      this.#chunkOf = grown(this.#chunkOf, (size) => new Uint32Array(size))
      this.#starts = grown(this.#starts, (size) => new Uint32Array(size))
      this.#lengths = grown(this.#lengths, (size) => new Uint32Array(size))
    }
    return row
  }

  #place(row: number, byteLength: number): void {
    this.#chunkOf[row] = this.#chunks.length - 1
    this.#starts[row] = this.#used
    this.#lengths[row] = byteLength
    this.#used += byteLength
    this.#textBytes += byteLength
  }

  #room(bytes: number): Uint8Array {
    const last = this.#chunks.at(-1)
    if (last !== undefined && this.#used + bytes <= last.length) return last
    const size = Math.min(FIRST_CHUNK_BYTES * 2 ** this.#chunks.length, CHUNK_BYTES)
    const chunk = Buffer.allocUnsafeSlow(Math.max(size, bytes))
    this.#chunks.push(chunk)
    this.#used = 0
    return chunk
  }

  /** The chunk that holds the value of `row`; the value is `[startOf, startOf + byteLength)` of it. */
  chunkOf(row: number): Uint8Array {
    return this.#chunks[this.#chunkOf[row]!] ?? EMPTY
  }
  startOf(row: number): number {
    return this.#starts[row]!
  }
  /** 0 for null. */
  byteLength(row: number): number {
    return this.#lengths[row]!
  }
  /** A view, not a copy. */
  bytes(row: number): Uint8Array {
    const start = this.#starts[row]!
    return this.chunkOf(row).subarray(start, start + this.#lengths[row]!)
  }
  text(row: number): string | null {
    return this.nulls.has(row) ? null : Buffer.from(this.bytes(row)).toString('utf8')
  }

  /** Order of two values that are not null: by UTF-8 bytes, which is by code points. */
  compare(a: number, b: number): number {
    const left = this.chunkOf(a)
    const right = this.chunkOf(b)
    const leftStart = this.#starts[a]!
    const rightStart = this.#starts[b]!
    const leftLength = this.#lengths[a]!
    const rightLength = this.#lengths[b]!
    const common = Math.min(leftLength, rightLength)
    for (let i = 0; i < common; i++) {
      const difference = left[leftStart + i]! - right[rightStart + i]!
      if (difference !== 0) return difference
    }
    return leftLength - rightLength
  }
}

/** int and date. */
export class Int32Column {
  #values: Int32Array<ArrayBuffer> = new Int32Array(FIRST_ROWS)
  readonly nulls: NullSet = new NullSet()
  #rows = 0

  append(value: number | null): void {
    const row = this.#rows++
    if (row === this.#values.length) this.#values = grown(this.#values, (size) => new Int32Array(size))
    if (value === null) this.nulls.add(row)
    else this.#values[row] = value
  }
  get heldBytes(): number {
    return this.#values.byteLength
  }
  at(row: number): number {
    return this.#values[row]!
  }
  compare(a: number, b: number): number {
    return this.#values[a]! - this.#values[b]!
  }
}

/** long and timestamptz. */
export class Int64Column {
  #values: BigInt64Array<ArrayBuffer> = new BigInt64Array(FIRST_ROWS)
  readonly nulls: NullSet = new NullSet()
  #rows = 0

  append(value: bigint | null): void {
    const row = this.#rows++
    if (row === this.#values.length) this.#values = grown(this.#values, (size) => new BigInt64Array(size))
    if (value === null) this.nulls.add(row)
    else this.#values[row] = value
  }
  get heldBytes(): number {
    return this.#values.byteLength
  }
  at(row: number): bigint {
    return this.#values[row]!
  }
  compare(a: number, b: number): number {
    const left = this.#values[a]!
    const right = this.#values[b]!
    return left < right ? -1 : left > right ? 1 : 0
  }
}

export class Float64Column {
  #values: Float64Array<ArrayBuffer> = new Float64Array(FIRST_ROWS)
  readonly nulls: NullSet = new NullSet()
  #rows = 0

  append(value: number | null): void {
    const row = this.#rows++
    if (row === this.#values.length) this.#values = grown(this.#values, (size) => new Float64Array(size))
    if (value === null) this.nulls.add(row)
    else this.#values[row] = value
  }
  get heldBytes(): number {
    return this.#values.byteLength
  }
  at(row: number): number {
    return this.#values[row]!
  }
  /** Values are finite; -0 sorts before 0, as Iceberg orders them. */
  compare(a: number, b: number): number {
    const left = this.#values[a]!
    const right = this.#values[b]!
    if (left === 0 && right === 0) return Number(Object.is(right, -0)) - Number(Object.is(left, -0))
    return left - right
  }
}

export class BooleanColumn {
  #values: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_ROWS)
  readonly nulls: NullSet = new NullSet()
  #rows = 0

  append(value: boolean | null): void {
    const row = this.#rows++
    if (row === this.#values.length) this.#values = grown(this.#values, (size) => new Uint8Array(size))
    if (value === null) this.nulls.add(row)
    else this.#values[row] = Number(value)
  }
  get heldBytes(): number {
    return this.#values.byteLength
  }
  at(row: number): boolean {
    return this.#values[row] === 1
  }
  compare(a: number, b: number): number {
    return this.#values[a]! - this.#values[b]!
  }
}

export type Column = Utf8Column | Int32Column | Int64Column | Float64Column | BooleanColumn

export function columnFor(type: FieldType): Column {
  if (type === 'string') return new Utf8Column()
  if (type === 'int' || type === 'date') return new Int32Column()
  if (type === 'double') return new Float64Column()
  if (type === 'boolean') return new BooleanColumn()
  return new Int64Column()
}

/** Append the value of `row` of another column of the same type. */
export function copyCell(from: Column, row: number, to: Column): void {
  if (from instanceof Utf8Column && !from.nulls.has(row)) (to as Utf8Column).appendBytes(from.bytes(row))
  else appendCell(to, cellAt(from, row))
}

/** The caller has seen to it that the cell has the column's type. */
export function appendCell(column: Column, cell: CellValue): void {
  ;(column as { append(cell: CellValue): void }).append(cell)
}

/** The value of `row` as the table layer takes it in partition tuples. */
export function cellAt(column: Column, row: number): CellValue {
  if (column.nulls.has(row)) return null
  return column instanceof Utf8Column ? column.text(row) : column.at(row)
}

/** Rows that hold null, one bit each. */
export class NullSet {
  #bits: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_ROWS / 8)
  /** Most columns never hold one. */
  #any = false

  add(row: number): void {
    while (row >> 3 >= this.#bits.length) this.#bits = grown(this.#bits, (size) => new Uint8Array(size))
    this.#bits[row >> 3]! |= 1 << (row & 7)
    this.#any = true
  }
  has(row: number): boolean {
    return this.#any && ((this.#bits[row >> 3] ?? 0) & (1 << (row & 7))) !== 0
  }
}

const EMPTY = new Uint8Array(0)

function grown<T extends { readonly length: number; set(from: T): void }>(old: T, make: (size: number) => T): T {
  const next = make(old.length * 2)
  next.set(old)
  return next
}
