import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeParquetFile, nameMappingFor, type ParquetDescription } from '../../../table/format/parquet-schema.ts'
import type { IcebergType, NestedField } from '../../../table/spec/types.ts'
import { isPrimitive } from '../../../table/spec/types.ts'
import { freshStore } from '../support.ts'

async function describeFixture(name: string): Promise<ParquetDescription> {
  const bytes = await readFile(join(import.meta.dirname, '../../fixtures/parquet', `${name}.parquet`))
  const store = freshStore()
  await store.put('file.parquet', bytes)
  return describeParquetFile(store, 'file.parquet', bytes.length)
}

const text = (type: IcebergType): string => {
  if (isPrimitive(type)) return type
  switch (type.type) {
    case 'struct':
      return `struct<${fields(type.fields)}>`
    case 'list':
      return `list<${type.elementId} ${text(type.element)}>`
    case 'map':
      return `map<${type.keyId} ${text(type.key)}, ${type.valueId} ${text(type.value)}>`
    case 'unsupported':
      return `unsupported ${type.name}`
  }
}
const fields = (all: readonly NestedField[]): string =>
  all.map(({ id, name, type }) => `${id} ${name} ${text(type)}`).join(', ')

describe('the columns of a file', () => {
  it.each([
    [
      'no-ids',
      false,
      '1 key long, 2 point struct<3 x int, 4 note string>, 5 lists list<6 list<7 string>>, 8 map map<9 string, 10 struct<11 v double>>',
    ],
    [
      'nested-v1',
      true,
      '1 key long, 2 point struct<3 x int, 4 note string>, 5 lists list<6 list<7 string>>, 8 map map<9 string, 10 struct<11 v double>>',
    ],
    [
      'units',
      true,
      '1 millis timestamptz, 2 nanos timestamp, 3 time_millis time, 4 time_nanos time, 5 u8 int, 6 u32 long, 7 small decimal(9, 2), 8 large decimal(30, 2), 9 day date, 10 id uuid, 11 single float, 12 whole int, 13 fixed fixed[3], 14 u64 unsupported uint64',
    ],
    ['half', false, '1 key long, 2 half unsupported annotated fixed[2]'],
    [
      'spark',
      false,
      '1 key long, 2 at timestamptz, 3 with_nulls list<4 string>, 5 no_nulls list<6 int>, 7 map map<8 string, 9 long>, 10 point struct<11 x int, 12 note string>, 13 structs list<14 struct<15 v double>>, 16 dec decimal(9, 2)',
    ],
    [
      'spark-legacy',
      false,
      '1 key long, 2 at timestamptz, 3 with_nulls list<4 string>, 5 no_nulls list<6 int>, 7 map map<8 string, 9 long>, 10 point struct<11 x int, 12 note string>, 13 structs list<14 struct<15 v double>>, 16 dec decimal(9, 2)',
    ],
  ])('%s', async (name, hasIds, expected) => {
    const described = await describeFixture(name)
    expect(described.hasIds).toBe(hasIds)
    expect(fields(described.fields)).toBe(expected)
    expect(described.rowGroups).toHaveLength(1)
  })

  it('are mapped by their names, those of lists and maps by their place', async () => {
    const { fields: found } = await describeFixture('no-ids')
    expect(nameMappingFor(found.slice(2))).toEqual([
      {
        fieldId: 5,
        names: ['lists'],
        fields: [{ fieldId: 6, names: ['element'], fields: [{ fieldId: 7, names: ['element'], fields: [] }] }],
      },
      {
        fieldId: 8,
        names: ['map'],
        fields: [
          { fieldId: 9, names: ['key'], fields: [] },
          { fieldId: 10, names: ['value'], fields: [{ fieldId: 11, names: ['v'], fields: [] }] },
        ],
      },
    ])
  })
})
