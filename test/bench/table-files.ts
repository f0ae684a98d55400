/** Data files that exist in metadata alone: what commits and plans cost does not depend on their bytes. */
import type { TableDefinition } from '../../table/catalog/definition.ts'
import type { DataFile } from '../../table/index.ts'
import { encodeBound } from '../../table/manifest/bounds.ts'
import type { NestedField } from '../../table/spec/types.ts'

const TEXT_COLUMNS = 8

const FIELDS: readonly NestedField[] = [
  { id: 1, name: 'at', required: true, type: 'timestamptz' },
  { id: 2, name: 'n', required: false, type: 'long' },
  ...Array.from({ length: TEXT_COLUMNS }, (_, index) => ({
    id: 3 + index,
    name: `text${index}`,
    required: false,
    type: 'string' as const,
  })),
]

/** Ten columns, by day. */
export const definition = (properties: Readonly<Record<string, string>> = {}): TableDefinition => ({
  schema: { schemaId: 0, fields: FIELDS, identifierFieldIds: [] },
  partitionSpec: { specId: 0, fields: [{ sourceId: 1, fieldId: 1000, name: 'at_day', transform: 'day' }] },
  sortOrder: { orderId: 0, fields: [] },
  properties,
})

const FIRST_DAY = 20_000
const HOUR_MICROS = 3_600_000_000n

/** The date of an hour. */
export const dayOf = (hour: number): string =>
  new Date((FIRST_DAY + Math.floor(hour / 24)) * 86_400_000).toISOString().slice(0, 10)

/** The file of one hour; `copy` tells several of one hour apart. Statistics for every column. */
export function hourlyFile(location: string, hour: number, copy = 0): DataFile {
  const day = FIRST_DAY + Math.floor(hour / 24)
  const start = BigInt(FIRST_DAY) * 24n * HOUR_MICROS + BigInt(hour) * HOUR_MICROS
  const rows = 100_000 + (hour % 977)
  const each = <T>(value: (id: number) => T): ReadonlyMap<number, T> =>
    new Map(FIELDS.map(({ id }) => [id, value(id)] as const))
  const bound = (id: number, side: 'a' | 'z'): Uint8Array => {
    if (id === 1) return encodeBound('timestamptz', side === 'a' ? start : start + HOUR_MICROS - 1n)
    if (id === 2) return encodeBound('long', BigInt(hour * 1000 + copy + (side === 'a' ? 0 : 999)))
    return Buffer.from(`${side}${id}-${hour}-${copy}`.padEnd(16, side))
  }
  const name = `${String(copy).padStart(5, '0')}-${hour}-6f9619ff-8b86-d011-b42d-00c04fc964ff.parquet`
  return {
    content: 'data',
    filePath: `${location}/data/at_day=${dayOf(hour)}/${name}`,
    fileFormat: 'PARQUET',
    specId: 0,
    partition: [day],
    recordCount: rows,
    fileSizeBytes: 60_000_000 + ((hour * 7919 + copy) % 1_000_000),
    columnSizes: each((id) => 5_000_000 + id * 100 + (hour % 100)),
    valueCounts: each(() => rows),
    nullValueCounts: each((id) => (id === 1 ? 0 : (hour + id) % 50)),
    nanValueCounts: new Map(),
    lowerBounds: each((id) => bound(id, 'a')),
    upperBounds: each((id) => bound(id, 'z')),
    splitOffsets: [4],
    equalityIds: [],
    sortOrderId: 0,
  }
}
