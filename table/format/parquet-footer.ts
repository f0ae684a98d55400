/**
 * Parquet footers: the schema as a tree with its levels, and where the column chunks are.
 * Format: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift (`FileMetaData`)
 */
import { corruptParquet } from './parquet-corrupt.ts'
import type { ChunkShape, LeafShape } from './parquet-pages.ts'
import { readThriftStruct, type ThriftStruct } from './thrift.ts'

/** A column, a group or a leaf, of the file. */
export interface FileNode {
  readonly name: string
  readonly fieldId: number | undefined
  readonly repetition: Repetition
  /** Definition level from which on it is there; repetition level of its nearest repeated node, itself included. */
  readonly maxDefinition: number
  readonly maxRepetition: number
  readonly children: readonly FileNode[]
  readonly annotation: Annotation
  /** Leaves only. */
  readonly leaf: (LeafShape & { readonly index: number }) | undefined
  readonly precision: number | undefined
  readonly scale: number | undefined
  /** A time of day, or a moment: an instant or what a clock on the wall showed. */
  readonly moment: 'time' | 'utc' | 'local' | undefined
}

type Repetition = 'REQUIRED' | 'OPTIONAL' | 'REPEATED'

/** What the file says its values mean; the old and the new way of saying it are one here. */
export type Annotation =
  | 'none'
  | 'other'
  | 'list'
  | 'map'
  | 'text'
  | 'uuid'
  | 'decimal'
  | 'millis'
  | 'micros'
  | 'nanos'
  | 'date'
  | 'uint32'
  | 'uint64'

export interface ColumnChunk extends ChunkShape {
  readonly offset: number
  readonly compressedBytes: number
  /** Why it cannot be read; a file may well have other columns that can. */
  readonly refused: string | undefined
  readonly statistics: ThriftStruct | undefined
}

export interface Footer {
  readonly rowCount: number
  readonly root: FileNode
  readonly leaves: readonly FileNode[]
  readonly rowGroups: readonly { readonly rows: number; readonly columns: readonly ColumnChunk[] }[]
  /** By leaf: whether `min_value` and `max_value` follow the order of the type. */
  readonly ordered: readonly boolean[]
}

/**
 * @param bytes of the file's end, at least the whole footer.
 * @throws {FirnError} `FIRN_PARQUET_CORRUPT` (corrupt).
 */
export function parseFooter(bytes: Uint8Array, where: string): Footer {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const magic = view.getUint32(bytes.length - 4, true)
    if (magic === 0x45524150) throw new Error('the footer is encrypted')
    if (magic !== 0x31524150) throw new Error('the file does not end in PAR1')
    return footerOf(readThriftStruct(bytes, bytes.length - 8 - view.getUint32(bytes.length - 8, true)).value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw corruptParquet(where, `the Parquet footer cannot be read: ${reason}`, cause)
  }
}

function footerOf(file: ThriftStruct): Footer {
  const leaves: FileNode[] = []
  const root = schemaTree(structs(file.field_2), leaves)
  const rowGroups = structs(file.field_4).map((group) => {
    const columns = structs(group.field_1).map(chunkOf)
    if (columns.length !== leaves.length) throw new Error(`a row group of ${columns.length} columns`)
    return { rows: count(group.field_3), columns }
  })
  const orders = file.field_7 === undefined ? [] : structs(file.field_7)
  const ordered = leaves.map((_leaf, index) => orders[index]?.field_1 !== undefined)
  return { rowCount: count(file.field_3), root, leaves, rowGroups, ordered }
}

const REPETITIONS: readonly Repetition[] = ['REQUIRED', 'OPTIONAL', 'REPEATED']
const PHYSICAL = ['BOOLEAN', 'INT32', 'INT64', 'INT96', 'FLOAT', 'DOUBLE', 'BYTE_ARRAY', 'FIXED_LEN_BYTE_ARRAY']
const CODECS = ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'LZO', 'BROTLI', 'LZ4', 'ZSTD', 'LZ4_RAW']
const MAX_DEPTH = 100

function schemaTree(elements: readonly ThriftStruct[], leaves: FileNode[]): FileNode {
  let next = 0
  const node = (path: readonly Repetition[]): FileNode => {
    const element = elements[next++]
    if (element === undefined) throw new Error('the schema is cut short')
    if (path.length > MAX_DEPTH) throw new Error(`columns nested deeper than ${MAX_DEPTH}`)
    const isRoot = next === 1
    const repetition = REPETITIONS[(element.field_3 as number | undefined) ?? 0] ?? 'REQUIRED'
    const here = isRoot ? [] : [...path, repetition]
    const maxDefinition = here.filter((level) => level !== 'REQUIRED').length
    const maxRepetition = here.filter((level) => level === 'REPEATED').length
    const shared = {
      name: text(element.field_4),
      fieldId: element.field_9 as number | undefined,
      repetition,
      maxDefinition,
      maxRepetition,
      annotation: annotationOf(element),
      precision: element.field_8 as number | undefined,
      scale: decimalScale(element),
      moment: momentOf(element),
    }
    const childCount = (element.field_5 as number | undefined) ?? 0
    if (isRoot || childCount > 0) {
      if (childCount > elements.length) throw new Error(`a group of ${childCount} columns`)
      return { ...shared, leaf: undefined, children: Array.from({ length: childCount }, () => node(here)) }
    }
    const physical = PHYSICAL[element.field_1 as number]
    if (physical === undefined) throw new Error(`column ${shared.name} has no type`)
    const typeLength = element.field_2 as number | undefined
    const shape = { physical, typeLength, path: here, maxDefinition, maxRepetition, index: leaves.length }
    const leaf: FileNode = { ...shared, leaf: shape, children: [] }
    leaves.push(leaf)
    return leaf
  }
  return node([])
}

const decimalScale = (element: ThriftStruct): number | undefined => {
  const logical = (element.field_10 as ThriftStruct | undefined)?.field_5 as ThriftStruct | undefined
  return ((logical?.field_1 ?? element.field_7) as number | undefined) ?? undefined
}

function momentOf(element: ThriftStruct): FileNode['moment'] {
  const logical = element.field_10 as ThriftStruct | undefined
  const converted = element.field_6 as number | undefined
  if (logical?.field_7 !== undefined || (logical === undefined && (converted === 7 || converted === 8))) return 'time'
  const timestamp = logical?.field_8 as ThriftStruct | undefined
  if (timestamp !== undefined) return timestamp.field_1 === true ? 'utc' : 'local'
  return logical === undefined && (converted === 9 || converted === 10) ? 'utc' : undefined
}

/** Positions in the enumeration `ConvertedType`. */
const CONVERTED: Readonly<Record<number, Annotation>> = {
  0: 'text',
  1: 'map',
  2: 'map',
  3: 'list',
  4: 'text',
  5: 'decimal',
  6: 'date',
  7: 'millis',
  8: 'micros',
  9: 'millis',
  10: 'micros',
  13: 'uint32',
  14: 'uint64',
  19: 'text',
}
const UNITS: readonly Annotation[] = ['millis', 'micros', 'nanos']

function annotationOf(element: ThriftStruct): Annotation {
  const logical = element.field_10 as ThriftStruct | undefined
  if (logical?.field_1 !== undefined || logical?.field_4 !== undefined || logical?.field_12 !== undefined) return 'text'
  if (logical?.field_14 !== undefined) return 'uuid'
  if (logical?.field_2 !== undefined) return 'map'
  if (logical?.field_3 !== undefined) return 'list'
  if (logical?.field_5 !== undefined) return 'decimal'
  if (logical?.field_6 !== undefined) return 'date'
  const time = (logical?.field_7 ?? logical?.field_8) as ThriftStruct | undefined
  if (time !== undefined) {
    const unit = time.field_2 as ThriftStruct | undefined
    return UNITS.find((_unit, index) => unit?.[`field_${index + 1}`] !== undefined) ?? 'other'
  }
  const integer = logical?.field_10 as ThriftStruct | undefined
  if (integer?.field_2 === false) {
    if (integer.field_1 === 64) return 'uint64'
    return integer.field_1 === 32 ? 'uint32' : 'other'
  }
  const converted = element.field_6 as number | undefined
  return CONVERTED[converted ?? -1] ?? (converted === undefined && logical === undefined ? 'none' : 'other')
}

function chunkOf(column: ThriftStruct): ColumnChunk {
  const meta = column.field_3 as ThriftStruct | undefined
  if (meta === undefined) throw new Error('a column chunk without metadata')
  const codec = CODECS[meta.field_4 as number] ?? `number ${String(meta.field_4)}`
  const refused =
    column.field_8 !== undefined
      ? 'is encrypted'
      : column.field_1 !== undefined
        ? 'is in another file'
        : codec === 'LZO' || codec.startsWith('number')
          ? `is compressed with ${codec}`
          : undefined
  return {
    codec,
    numValues: count(meta.field_5),
    uncompressedBytes: count(meta.field_6),
    compressedBytes: count(meta.field_7),
    // Some writers leave a zero where there is no dictionary.
    offset: count(meta.field_11 || meta.field_9),
    refused,
    statistics: meta.field_12 as ThriftStruct | undefined,
  }
}

/** A 64-bit integer that counts something. */
function count(value: unknown): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${String(value)} where a count belongs`)
  return number
}

function structs(value: unknown): readonly ThriftStruct[] {
  if (!Array.isArray(value)) throw new Error('a list is missing')
  return value as readonly ThriftStruct[]
}

const text = (value: unknown): string => {
  if (!(value instanceof Uint8Array)) throw new Error('a name is missing')
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')
}
