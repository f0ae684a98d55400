/** Files read under a later schema: fields renamed, dropped, added again under an old name, reordered, promoted. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { IcebergValue } from '../../../table/format/arrow-values.ts'
import { openParquet } from '../../../table/format/parquet-reader.ts'
import { createParquetFile } from '../../../table/format/parquet-writer.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { type IcebergType, isPrimitive, type NestedField } from '../../../table/spec/types.ts'
import { canonical, memoryStore, type NestedRow, nestedBatch, nestedRows, randomTable } from './random-types.ts'

const PROMOTED: Readonly<Record<string, IcebergType>> = {
  int: 'long',
  float: 'double',
  'decimal(9, 2)': 'decimal(20, 2)',
}

/** What happens to a field: kept under another name, or dropped and another one added under its name. */
type Fate = 'keep' | 'rename' | 'replace'
interface Change {
  readonly fates: readonly Fate[]
  readonly reversed: boolean
}

/** Fates are dealt to the fields in the order of their ids. */
function evolve(fields: readonly NestedField[], change: Change): readonly NestedField[] {
  const later = fields.map((field): NestedField => {
    const fate = change.fates[field.id % change.fates.length]!
    if (fate === 'replace') return { id: field.id + 10_000, name: field.name, required: false, type: 'string' }
    return {
      ...field,
      name: fate === 'rename' ? `was_${field.name}` : field.name,
      type: evolveType(field.type, change),
    }
  })
  return change.reversed ? later.toReversed() : later
}

function evolveType(type: IcebergType, change: Change): IcebergType {
  if (isPrimitive(type)) return PROMOTED[type] ?? type
  if (type.type === 'struct') return { ...type, fields: evolve(type.fields, change) }
  if (type.type === 'list') return { ...type, element: evolveType(type.element, change) }
  if (type.type === 'map') return { ...type, value: evolveType(type.value, change) }
  return type
}

/** The same change done to a value. */
function evolved(type: IcebergType, value: IcebergValue, change: Change): IcebergValue {
  if (value === null) return null
  if (isPrimitive(type)) return type === 'int' ? BigInt(value as number) : value
  if (type.type === 'list') return (value as IcebergValue[]).map((item) => evolved(type.element, item, change))
  if (type.type === 'map') {
    return (value as [IcebergValue, IcebergValue][]).map(([key, item]) => [key, evolved(type.value, item, change)])
  }
  return type.type === 'struct' ? evolvedRow(type.fields, value as NestedRow, change) : value
}

function evolvedRow(fields: readonly NestedField[], row: NestedRow, change: Change): NestedRow {
  const entries = fields.map(({ id, name, type }): [string, IcebergValue] => {
    const fate = change.fates[id % change.fates.length]!
    if (fate === 'replace') return [name, null]
    return [fate === 'rename' ? `was_${name}` : name, evolved(type, row[name]!, change)]
  })
  return Object.fromEntries(entries)
}

const change: fc.Arbitrary<Change> = fc.record({
  fates: fc.array(fc.constantFrom<Fate>('keep', 'rename', 'replace'), { minLength: 3, maxLength: 7 }),
  reversed: fc.boolean(),
})

test('a file reads under a later schema as its rows would have changed', async () => {
  await fc.assert(
    fc.asyncProperty(randomTable(3, 15), change, async ({ schema, rows }, later) => {
      // The bare encoder: its uuids carry no annotation, and read all the same.
      const parts: Uint8Array[] = []
      const writer = createParquetFile({ rowGroupRows: 6, plainColumns: [] }, (bytes) => parts.push(bytes.slice()))
      await writer.write(nestedBatch(schema, rows))
      await writer.close()
      const bytes = Buffer.concat(parts)
      const store = memoryStore()
      await store.put('f.parquet', bytes)
      const file = await openParquet(store, 'f.parquet', bytes.length)
      const now: Schema = { ...schema, fields: evolve(schema.fields, later) }
      const back: NestedRow[] = []
      for (let group = 0; group < file.rowGroups.length; group++) {
        back.push(...nestedRows(now, await file.read(group, now)))
      }
      expect(back.map(canonical)).toEqual(rows.map((row) => canonical(evolvedRow(schema.fields, row, later))))
    }),
    { numRuns: 120 },
  )
})
