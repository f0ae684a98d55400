/** One data or delete file of a table as its manifest entry describes it. Spec: "Manifests", `data_file`. */
import { FirnError } from '../errors.ts'
import type { PartitionTuple } from '../spec/partition.ts'
import type { PrimitiveValue } from '../spec/types.ts'

export type FileContent = 'data' | 'position-deletes' | 'equality-deletes'
export const FILE_CONTENTS: readonly FileContent[] = ['data', 'position-deletes', 'equality-deletes']

export interface DataFile {
  readonly content: FileContent
  /** Absolute URL. */
  readonly filePath: string
  /** Upper case: `PARQUET`, in foreign tables also `AVRO`, `ORC`. */
  readonly fileFormat: string
  readonly specId: number
  /** One value per field of the spec `specId`. */
  readonly partition: PartitionTuple
  readonly recordCount: number
  readonly fileSizeBytes: number
  /** By field id. Compressed bytes; values with nulls and NaN; nulls; NaN. */
  readonly columnSizes: ReadonlyMap<number, number>
  readonly valueCounts: ReadonlyMap<number, number>
  readonly nullValueCounts: ReadonlyMap<number, number>
  readonly nanValueCounts: ReadonlyMap<number, number>
  /** By field id, as `encodeBound` writes them. */
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>
  readonly upperBounds: ReadonlyMap<number, Uint8Array>
  /** Start of each row group, ascending. */
  readonly splitOffsets: readonly number[]
  readonly equalityIds: readonly number[]
  readonly sortOrderId?: number
  /** Of position deletes: the only data file that they are about. A deletion vector always has it. */
  readonly referencedDataFile?: string
  /** Format version 3: where a deletion vector lies in its Puffin file. */
  readonly contentOffset?: number
  readonly contentSizeBytes?: number
  /** Format version 3: row id of the first row. */
  readonly firstRowId?: number
  readonly keyMetadata?: Uint8Array
}

/** How JSON carries values that it has no type for. */
type JsonValue =
  | null
  | boolean
  | number
  | string
  | { readonly long: string }
  | { readonly number: string }
  | { readonly bytes: string }

function valueToJson(value: PrimitiveValue): JsonValue {
  if (typeof value === 'bigint') return { long: value.toString() }
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') }
  // JSON has no NaN, no infinity and no negative zero.
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) }
  return Object.is(value, -0) ? { number: '-0' } : value
}

function valueFromJson(value: JsonValue): PrimitiveValue {
  if (typeof value !== 'object' || value === null) return value
  if ('long' in value) return BigInt(value.long)
  return 'number' in value ? Number(value.number) : Uint8Array.from(Buffer.from(value.bytes, 'base64'))
}

/** A data file as plain JSON, for task results that travel between threads, processes and machines. */
export interface DataFileJson {
  readonly content: FileContent
  readonly filePath: string
  readonly fileFormat: string
  readonly specId: number
  readonly partition: readonly JsonValue[]
  readonly recordCount: number
  readonly fileSizeBytes: number
  readonly columnSizes: readonly (readonly [number, number])[]
  readonly valueCounts: readonly (readonly [number, number])[]
  readonly nullValueCounts: readonly (readonly [number, number])[]
  readonly nanValueCounts: readonly (readonly [number, number])[]
  readonly lowerBounds: readonly (readonly [number, string])[]
  readonly upperBounds: readonly (readonly [number, string])[]
  readonly splitOffsets: readonly number[]
  readonly equalityIds: readonly number[]
  readonly sortOrderId?: number
  readonly firstRowId?: number
}

/** @throws {FirnError} `FIRN_DATA_FILE_INVALID` for a file with members that only foreign delete files have. */
export function dataFileToJson(file: DataFile): DataFileJson {
  if (file.keyMetadata !== undefined || file.referencedDataFile !== undefined) {
    throw new FirnError('invalid', 'FIRN_DATA_FILE_INVALID', `${file.filePath} is encrypted or a delete file`)
  }
  const bytes = (bounds: ReadonlyMap<number, Uint8Array>): readonly (readonly [number, string])[] =>
    [...bounds].map(([id, value]) => [id, Buffer.from(value).toString('base64')] as const)
  return {
    content: file.content,
    filePath: file.filePath,
    fileFormat: file.fileFormat,
    specId: file.specId,
    partition: file.partition.map(valueToJson),
    recordCount: file.recordCount,
    fileSizeBytes: file.fileSizeBytes,
    columnSizes: [...file.columnSizes],
    valueCounts: [...file.valueCounts],
    nullValueCounts: [...file.nullValueCounts],
    nanValueCounts: [...file.nanValueCounts],
    lowerBounds: bytes(file.lowerBounds),
    upperBounds: bytes(file.upperBounds),
    splitOffsets: file.splitOffsets,
    equalityIds: file.equalityIds,
    ...(file.sortOrderId === undefined ? {} : { sortOrderId: file.sortOrderId }),
    ...(file.firstRowId === undefined ? {} : { firstRowId: file.firstRowId }),
  }
}

export function dataFileFromJson(json: DataFileJson): DataFile {
  const bytes = (bounds: readonly (readonly [number, string])[]): ReadonlyMap<number, Uint8Array> =>
    new Map(bounds.map(([id, value]) => [id, Uint8Array.from(Buffer.from(value, 'base64'))]))
  return {
    ...json,
    partition: json.partition.map(valueFromJson),
    columnSizes: new Map(json.columnSizes),
    valueCounts: new Map(json.valueCounts),
    nullValueCounts: new Map(json.nullValueCounts),
    nanValueCounts: new Map(json.nanValueCounts),
    lowerBounds: bytes(json.lowerBounds),
    upperBounds: bytes(json.upperBounds),
  }
}
