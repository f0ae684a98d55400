/**
 * Records as columns. A chunk is gathered straight into Arrow's layout (offsets beside one block of bytes), so that
 * neither landing nor reading makes an object per record.
 */
import { comparePositions } from './positions.ts'

/** Value `i` is `values[offsets[i], offsets[i + 1])`. */
export interface VarBytes {
  readonly offsets: Int32Array
  readonly values: Uint8Array
}

export interface ChunkRows {
  readonly count: number
  readonly sequenceNumbers: VarBytes
  readonly partitionKeys: VarBytes
  /** Milliseconds since the epoch. */
  readonly arrivals: BigInt64Array
  readonly data: VarBytes
}

/** One record as a source hands it over. `data` may be a view of a buffer that the source uses again. */
export interface SourceRecord {
  readonly sequenceNumber: string
  readonly partitionKey: string
  readonly arrivalMillis: number
  readonly data: Uint8Array
}

const emptyBytes: VarBytes = { offsets: new Int32Array(1), values: new Uint8Array(0) }
export const emptyRows: ChunkRows = {
  count: 0,
  sequenceNumbers: emptyBytes,
  partitionKeys: emptyBytes,
  arrivals: new BigInt64Array(0),
  data: emptyBytes,
}

/** Gathers records; `take()` hands out the columns and starts anew. Bytes are copied in. */
export class RowBuilder {
  #count = 0
  #sequenceNumbers = new BytesBuilder(64 * 1024)
  #partitionKeys = new BytesBuilder(64 * 1024)
  #arrivals = new BigInt64Array(1024)
  #data = new BytesBuilder(1024 * 1024)
  #last: string | undefined

  get count(): number {
    return this.#count
  }

  /** Bytes of record data gathered so far. */
  get dataBytes(): number {
    return this.#data.byteLength
  }

  /** Position of the newest record. */
  get last(): string | undefined {
    return this.#last
  }

  append(record: SourceRecord): void {
    if (this.#count === this.#arrivals.length) {
      const grown = new BigInt64Array(this.#arrivals.length * 2)
      grown.set(this.#arrivals)
      this.#arrivals = grown
    }
    this.#arrivals[this.#count++] = BigInt(record.arrivalMillis)
    this.#sequenceNumbers.appendText(record.sequenceNumber)
    this.#partitionKeys.appendText(record.partitionKey)
    this.#data.append(record.data)
    this.#last = record.sequenceNumber
  }

  /** The rows gathered so far, as views: valid until the next `append` or `clear`. */
  view(): ChunkRows {
    return {
      count: this.#count,
      sequenceNumbers: this.#sequenceNumbers.view(),
      partitionKeys: this.#partitionKeys.view(),
      arrivals: this.#arrivals.subarray(0, this.#count),
      data: this.#data.view(),
    }
  }

  clear(): void {
    this.#count = 0
    this.#last = undefined
    this.#sequenceNumbers.clear()
    this.#partitionKeys.clear()
    this.#data.clear()
  }

  /** Forget the records at or below `position`. Rare: only after another lander was faster. */
  dropThrough(position: string): void {
    const rows = copyRows(this.view())
    this.clear()
    for (let row = 0; row < rows.count; row++) {
      const record = recordAt(rows, row)
      if (comparePositions(record.sequenceNumber, position) > 0) this.append(record)
    }
  }
}

/** Record `row` of `rows`; its data is a view. */
export function recordAt(rows: ChunkRows, row: number): SourceRecord {
  return {
    sequenceNumber: textAt(rows.sequenceNumbers, row),
    partitionKey: textAt(rows.partitionKeys, row),
    arrivalMillis: Number(rows.arrivals[row]),
    data: bytesAt(rows.data, row),
  }
}

export const bytesAt = (column: VarBytes, row: number): Uint8Array =>
  column.values.subarray(column.offsets[row], column.offsets[row + 1])

export function textAt(column: VarBytes, row: number): string {
  const { buffer, byteOffset } = column.values
  const start = column.offsets[row] as number
  return Buffer.from(buffer, byteOffset + start, (column.offsets[row + 1] as number) - start).toString('utf8')
}

const copyBytes = (column: VarBytes): VarBytes => ({ offsets: column.offsets.slice(), values: column.values.slice() })

const copyRows = (rows: ChunkRows): ChunkRows => ({
  count: rows.count,
  sequenceNumbers: copyBytes(rows.sequenceNumbers),
  partitionKeys: copyBytes(rows.partitionKeys),
  arrivals: rows.arrivals.slice(),
  data: copyBytes(rows.data),
})

/** A growing block of bytes with Arrow offsets. */
class BytesBuilder {
  #offsets = new Int32Array(1025)
  #count = 0
  #bytes: Buffer

  constructor(initialBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(initialBytes)
  }

  get byteLength(): number {
    return this.#offsets[this.#count] as number
  }

  append(value: Uint8Array): void {
    const start = this.#reserve(value.byteLength)
    this.#bytes.set(value, start)
    this.#close(start + value.byteLength)
  }

  appendText(value: string): void {
    const start = this.#reserve(value.length * 3) // the most UTF-8 bytes that UTF-16 units can need
    this.#close(start + this.#bytes.write(value, start, 'utf8'))
  }

  view(): VarBytes {
    return { offsets: this.#offsets.subarray(0, this.#count + 1), values: this.#bytes.subarray(0, this.byteLength) }
  }

  clear(): void {
    this.#count = 0
  }

  #reserve(extraBytes: number): number {
    const start = this.byteLength
    if (start + extraBytes > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, start + extraBytes))
      grown.set(this.#bytes.subarray(0, start))
      this.#bytes = grown
    }
    return start
  }

  #close(end: number): void {
    if (this.#count + 2 > this.#offsets.length) {
      const grown = new Int32Array(this.#offsets.length * 2)
      grown.set(this.#offsets)
      this.#offsets = grown
    }
    this.#offsets[++this.#count] = end
  }
}
