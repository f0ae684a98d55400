/** Units of a table as a decoder is asked for them, and what came out, as plain values. */
import type { RecordBatch } from 'apache-arrow'
import type { DecodedUnit, Decoder, UnitRequest } from '../../../loader/read/decoder.ts'
import type { FileRef, ReadSetup } from '../../../loader/source/plan.ts'
import { openFileTask, printSchema, type Schema, type Table } from '../../../table/index.ts'

export const never: AbortSignal = new AbortController().signal

export function setupOf(table: Table, schema: Schema, more: Partial<ReadSetup> = {}): ReadSetup {
  return {
    storeUrl: table.store.url,
    storeOptions: {},
    location: table.location,
    schema: printSchema(schema),
    columns: schema.fields.map(({ name }) => name),
    retry: { attempts: 5 },
    ...more,
  }
}

export async function filesOf(table: Table): Promise<readonly FileRef[]> {
  const tasks = await table.scan().planFiles()
  const refs = tasks.map(({ file, deletes, spec, nameMapping }): FileRef => {
    const { filePath, fileFormat, fileSizeBytes, recordCount, partition } = file
    return {
      ...{ filePath, fileFormat, fileSizeBytes, recordCount, partition, deletes },
      ...(spec === undefined ? {} : { spec }),
      ...(nameMapping === undefined ? {} : { nameMapping }),
    }
  })
  return refs.toSorted((a, b) => (a.filePath < b.filePath ? -1 : 1))
}

/** Units of `groups` row groups each, with a key of their own when they are shuffled. */
export async function unitsOf(
  table: Table,
  schema: Schema,
  { groups = 1, shuffled = true }: { groups?: number; shuffled?: boolean } = {},
): Promise<readonly UnitRequest[]> {
  const units: UnitRequest[] = []
  for (const file of await filesOf(table)) {
    const { rowGroups } = await openFileTask(table.store, table.location, { file, deletes: [] }, schema)
    for (let group = 0; group < rowGroups.length; group += groups) {
      const start = group === 0 ? 0 : rowGroups[group]!.offset
      const end = rowGroups[group + groups]?.offset ?? Number.POSITIVE_INFINITY
      units.push({ file, start, end, key: shuffled ? `key/${units.length}` : undefined })
    }
  }
  return units
}

export const decodeAll = (decoder: Decoder, units: readonly UnitRequest[]): Promise<readonly DecodedUnit[]> =>
  Promise.all(units.map((unit) => decoder.decode(unit, never)))

/** Everything about a unit but what reading it took. */
export const shown = ({ rows, draws, segments, skipped }: DecodedUnit): unknown => ({
  rows,
  draws: draws && [...draws],
  segments: segments.map(valuesOf),
  ...(skipped && { skipped: { rows: skipped.rows, code: skipped.error.code } }),
})

export function valuesOf(batch: RecordBatch): unknown {
  return batch.schema.fields.map(({ name, type, nullable }, column) => {
    const vector = batch.getChildAt(column)!
    const values = Array.from({ length: batch.numRows }, (_, row) => plain(vector.get(row)))
    return { name, type: String(type), nullable, values }
  })
}

function plain(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return typeof value === 'bigint' ? `${value}n` : value
  if (ArrayBuffer.isView(value)) return [...(value as Uint8Array)].map(plain)
  return Symbol.iterator in value ? [...(value as Iterable<unknown>)].map(plain) : value
}

/** The values of column `n`, in drawing order. */
export const numbersOf = ({ segments }: DecodedUnit): number[] =>
  segments.flatMap((segment) => [...(segment.getChild('n')!.toArray() as Int32Array)])
