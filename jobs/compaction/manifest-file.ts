/** One data file as a JSON manifest describes it. */
import {
  currentSchema,
  type DataFile,
  decodeBound,
  isoMicros,
  isPrimitive,
  type PrimitiveType,
  type Schema,
  type TableMetadata,
} from '../../table/index.ts'
import type { ManifestFile } from './manifest.ts'

/** `2026-11-21T13:45:10.123456Z`. */
export const utcMicros = (micros: bigint): string => `${isoMicros(micros)}Z`

/** What only the writer of a file knows. */
export interface WrittenDetails {
  readonly sha256: string | null
  readonly rowGroups: readonly { readonly rows: number; readonly bytes: number }[]
}

/** @param metadata of the file's table; its current schema gives the columns their names. */
export function manifestFile(dataFile: DataFile, written: WrittenDetails, metadata: TableMetadata): ManifestFile {
  const schema = currentSchema(metadata)
  const order = metadata.sortOrders.find((each) => each.orderId === dataFile.sortOrderId)
  const nameOf = (id: number): string => schema.fields.find((field) => field.id === id)?.name ?? String(id)
  // a spec that came since `metadata` was read has no name here
  const spec = metadata.partitionSpecs.find(({ specId }) => specId === dataFile.specId)
  const partition = (spec?.fields ?? []).map((field, index) => {
    const value = dataFile.partition[index] ?? null
    return [field.name, field.transform === 'day' ? boundText('date', value) : jsonValue(value)] as const
  })
  return {
    path: dataFile.filePath,
    rows: dataFile.recordCount,
    bytes: dataFile.fileSizeBytes,
    sha256: written.sha256,
    partition: Object.fromEntries(partition),
    sort_order_id: dataFile.sortOrderId ?? null,
    sort: order?.fields.map((field) => `${nameOf(field.sourceId)} ${field.direction} ${field.nullOrder}`) ?? [],
    column_bounds: columnBounds(dataFile, schema),
    row_groups: written.rowGroups,
  }
}

function columnBounds(file: DataFile, schema: Schema): ManifestFile['column_bounds'] {
  const bounds = schema.fields.flatMap(({ id, name, type }) => {
    const lower = file.lowerBounds.get(id)
    const upper = file.upperBounds.get(id)
    if ((lower === undefined && upper === undefined) || !isPrimitive(type)) return []
    const text = (bytes: Uint8Array | undefined): string | null =>
      bytes === undefined ? null : boundText(type, decodeBound(type, bytes))
    return [[name, { lower: text(lower), upper: text(upper) }] as const]
  })
  return Object.fromEntries(bounds)
}

function boundText(type: PrimitiveType, value: unknown): string | null {
  if (value === null) return null
  if (type === 'timestamptz') return utcMicros(value as bigint)
  if (type === 'date') return new Date((value as number) * 86_400_000).toISOString().replace(/T.*$/, '')
  return value instanceof Uint8Array ? base64(value) : String(value)
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

function jsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Uint8Array ? base64(value) : value
}
