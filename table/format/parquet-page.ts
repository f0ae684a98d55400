/** Headers of Parquet's pages, and how large a page may claim to be. Format: `PageHeader` in parquet.thrift. */
import { readThriftStruct, type ThriftStruct } from './thrift.ts'

export interface PageHeader {
  readonly kind: 'data' | 'dictionary' | 'index'
  /** First byte behind the header, and first behind the page. */
  readonly start: number
  readonly end: number
  /** Bytes of the page when it is decompressed, levels included. */
  readonly fullSize: number
  /** CRC-32 of the bytes as they are stored; not every writer gives it. */
  readonly checksum: number | undefined
  /** Values of a dictionary; values, nulls and empty lists of a data page. */
  readonly count: number
  readonly encoding: string
  /** Version 1 of data pages: how levels are encoded. */
  readonly repetitionEncoding: string | undefined
  readonly definitionEncoding: string | undefined
  /** Version 2 of data pages: levels lie before the values, never compressed. */
  readonly levels:
    | { readonly repetition: number; readonly definition: number; readonly isCompressed: boolean }
    | undefined
}

/** A page that is no larger than this is taken for what it claims, whatever few bytes it is compressed to. */
const PLAIN_BYTES = 64 << 20
/** Above, no page that a writer makes of real values shrinks further than to this part. */
const MAX_RATIO = 256

/** Whether `compressed` bytes may claim to be `full` bytes: what is allocated follows from what is there. */
export const isPlausibleSize = (full: number, compressed: number): boolean =>
  full <= Math.max(PLAIN_BYTES, compressed * MAX_RATIO)

const KINDS: Readonly<Record<number, PageHeader['kind']>> = { 0: 'data', 1: 'index', 2: 'dictionary', 3: 'data' }
const ENCODINGS: Readonly<Record<number, string>> = {
  0: 'PLAIN',
  2: 'PLAIN_DICTIONARY',
  3: 'RLE',
  4: 'BIT_PACKED',
  5: 'DELTA_BINARY_PACKED',
  6: 'DELTA_LENGTH_BYTE_ARRAY',
  7: 'DELTA_BYTE_ARRAY',
  8: 'RLE_DICTIONARY',
  9: 'BYTE_STREAM_SPLIT',
}

/** @param bytes of the column chunk. @throws {Error} for bytes that are no header, or claim what cannot be. */
export function readPageHeader(bytes: Uint8Array, offset: number): PageHeader {
  const { value, end: start } = readThriftStruct(bytes, offset)
  const kind = KINDS[value.field_1 as number]
  if (kind === undefined) throw new Error(`a page of the type ${String(value.field_1)}`)
  const fullSize = size(value.field_2)
  const compressed = size(value.field_3)
  if (start + compressed > bytes.length) throw new Error('a page ends after its chunk')
  if (!isPlausibleSize(fullSize, compressed)) throw new Error(`a page of ${fullSize} bytes in ${compressed}`)
  const isSecond = value.field_8 !== undefined
  const body = (isSecond ? value.field_8 : (value.field_5 ?? value.field_7)) as ThriftStruct | undefined
  if (body === undefined && kind !== 'index') throw new Error('a page without its header')
  const checksum = value.field_4
  return {
    kind,
    start,
    end: start + compressed,
    fullSize,
    checksum: typeof checksum === 'number' ? checksum >>> 0 : undefined,
    count: kind === 'index' ? 0 : size(body?.field_1),
    encoding: encodingOf(isSecond ? body?.field_4 : body?.field_2),
    repetitionEncoding: isSecond ? undefined : encodingOf(body?.field_4),
    definitionEncoding: isSecond ? undefined : encodingOf(body?.field_3),
    levels: isSecond
      ? { repetition: size(body?.field_6), definition: size(body?.field_5), isCompressed: body?.field_7 !== false }
      : undefined,
  }
}

const encodingOf = (value: unknown): string => ENCODINGS[value as number] ?? `encoding ${String(value)}`

function size(value: unknown): number {
  if (typeof value === 'number' && value >= 0) return value
  throw new Error(`${String(value)} where a size belongs`)
}
