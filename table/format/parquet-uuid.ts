/**
 * The logical type UUID for columns of a finished Parquet file. The encoder knows no way to say it, and readers that go
 * by the annotation need it. Only the footer changes: Thrift structures have no lengths, so what is missing is put in.
 * Format: Thrift compact protocol; `SchemaElement` in parquet.thrift.
 */
import { FirnError } from '../errors.ts'

/** Numbers of the fields that matter. */
const SCHEMA_FIELD = 2
const FIELD_ID_FIELD = 9
/** Field 10 of the element, a struct: the union `LogicalType`; in it field 14, the empty struct `UUIDType`. */
const UUID_ANNOTATION = [0x1c, 0xec, 0x00, 0x00]

/**
 * @param file as the encoder wrote it. @param fieldIds of the leaf columns to annotate.
 * @throws {FirnError} `FIRN_PARQUET_WRITE_FAILED` (failed) when the footer does not look as expected.
 */
export function annotateUuids(file: Buffer, fieldIds: ReadonlySet<number>): Buffer {
  const footerEnd = file.length - 8
  const footerStart = footerEnd - file.readUInt32LE(footerEnd)
  const ends = elementEnds(file.subarray(footerStart, footerEnd), fieldIds)
  if (ends.length !== fieldIds.size) {
    const message = `expected ${fieldIds.size} uuid columns in the footer, found ${ends.length}`
    throw new FirnError('failed', 'FIRN_PARQUET_WRITE_FAILED', message)
  }
  const parts: Uint8Array[] = []
  let from = 0
  for (const end of ends.map((offset) => footerStart + offset)) {
    parts.push(file.subarray(from, end), Uint8Array.from(UUID_ANNOTATION))
    from = end
  }
  const length = Buffer.alloc(4)
  length.writeUInt32LE(footerEnd - footerStart + ends.length * UUID_ANNOTATION.length)
  return Buffer.concat([...parts, file.subarray(from, footerEnd), length, file.subarray(footerEnd + 4)])
}

/** Where the schema elements of the fields end, before their stop byte. */
function elementEnds(footer: Uint8Array, fieldIds: ReadonlySet<number>): readonly number[] {
  const reader = new CompactReader(footer)
  const ends: number[] = []
  reader.struct((field, type) => {
    if (field !== SCHEMA_FIELD) return reader.skip(type)
    reader.list(() => {
      let id: number | undefined
      let last = 0
      reader.struct((elementField, elementType) => {
        last = elementField
        if (elementField === FIELD_ID_FIELD) id = reader.zigzag()
        else reader.skip(elementType)
      })
      // The annotation is field 10, said as one more than the field before it.
      if (id !== undefined && fieldIds.has(id) && last === FIELD_ID_FIELD) ends.push(reader.offset - 1)
    })
  })
  return ends
}

class CompactReader {
  readonly #bytes: Uint8Array
  offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  struct(visit: (field: number, type: number) => void): void {
    let field = 0
    for (let header = this.#byte(); header !== 0; header = this.#byte()) {
      field = header >> 4 === 0 ? this.zigzag() : field + (header >> 4)
      visit(field, header & 15)
    }
  }

  list(visit: (type: number) => void): void {
    const header = this.#byte()
    const size = header >> 4 === 15 ? this.#varint() : header >> 4
    for (let item = 0; item < size; item++) visit(header & 15)
  }

  zigzag(): number {
    const value = this.#varint()
    return (value >>> 1) ^ -(value & 1)
  }

  /** @param inList booleans are a byte there and part of the header elsewhere. */
  skip(type: number, inList = false): void {
    if (type === 1 || type === 2) this.offset += inList ? 1 : 0
    else if (type === 3) this.offset++
    else if (type <= 6) this.#varint()
    else if (type === 7) this.offset += 8
    else if (type === 8) {
      const length = this.#varint()
      this.offset += length
    } else if (type === 9 || type === 10) this.list((item) => this.skip(item, true))
    else this.struct((_field, inner) => this.skip(inner))
  }

  #byte(): number {
    const byte = this.#bytes[this.offset++]
    if (byte === undefined) throw new FirnError('failed', 'FIRN_PARQUET_WRITE_FAILED', 'the footer is cut short')
    return byte
  }

  /** Bits beyond 32 are lost; only lengths, ids and counts are looked at. */
  #varint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#byte()
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
}
