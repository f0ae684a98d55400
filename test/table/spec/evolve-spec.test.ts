import { describe, expect, test } from 'vitest'
import { evolveSort } from '../../../table/spec/evolve-sort.ts'
import { evolveSpec, type SpecChange } from '../../../table/spec/evolve-spec.ts'
import type { PartitionSpec } from '../../../table/spec/partition.ts'
import { tableWith } from './evolve.ts'

const evolve = (...changes: SpecChange[]) => evolveSpec(tableWith(), changes)
const names = ({ spec }: { spec: PartitionSpec }): string[] => spec.fields.map((field) => field.name)

describe('a partition change', () => {
  test.each([
    ['id', 'bucket[16]', 'id_bucket_16'],
    ['name', 'truncate[4]', 'name_trunc_4'],
    ['name', 'identity', 'name'],
    ['ts', 'hour', 'ts_hour'],
    ['ts', 'YEAR', 'ts_year'],
    ['place.city', 'bucket[2]', 'place.city_bucket_2'],
  ])('%s by %s is called %s, as in Java', (source, transform, name) => {
    const { spec, lastPartitionId } = evolve({ add: { source, transform } })
    expect(spec).toMatchObject({
      specId: 1,
      fields: [{ fieldId: 1000 }, { fieldId: 1001, name, transform: transform.toLowerCase() }],
    })
    expect(lastPartitionId).toBe(1001)
  })

  test('drops and renames, and keeps ids', () => {
    expect(evolve({ drop: 'ts_day' }).spec).toEqual({ specId: 1, fields: [] })
    expect(evolve({ rename: 'ts_day', to: 'day' }).spec.fields).toEqual([
      { sourceId: 2, fieldId: 1000, name: 'day', transform: 'day' },
    ])
  })

  test('gives a field that any spec had its old id and name back', () => {
    const metadata = tableWith({
      partitionSpecs: [
        ...tableWith().partitionSpecs,
        { specId: 1, fields: [{ sourceId: 1, fieldId: 1005, name: 'shard', transform: 'bucket[8]' }] },
      ],
      lastPartitionId: 1005,
    })
    const back = evolveSpec(metadata, [{ add: { source: 'id', transform: 'bucket[8]' } }])
    expect(back.spec.fields[1]).toEqual({ sourceId: 1, fieldId: 1005, name: 'shard', transform: 'bucket[8]' })
    expect(back.lastPartitionId).toBe(1005)
    // Under another name it is another field.
    const other = evolveSpec(metadata, [{ add: { source: 'id', transform: 'bucket[8]', name: 'b' } }])
    expect(other.spec.fields[1]).toMatchObject({ fieldId: 1006, name: 'b' })
  })

  test('uses an equal spec again', () => {
    const first = evolve({ drop: 'ts_day' })
    const metadata = tableWith({ partitionSpecs: [...tableWith().partitionSpecs, first.spec], defaultSpecId: 1 })
    expect(evolveSpec(metadata, [{ add: { source: 'ts', transform: 'day' } }]).spec.specId).toBe(0)
    expect(evolve({ drop: 'ts_day' }, { add: { source: 'ts', transform: 'day' } }).spec.specId).toBe(0)
    expect(names(evolve({ drop: 'ts_day' }, { add: { source: 'ts', transform: 'day', name: 'd' } }))).toEqual(['d'])
  })

  test('changes granularity beside the older field, but adds no two of one column at once', () => {
    expect(names(evolve({ add: { source: 'ts', transform: 'hour' } }))).toEqual(['ts_day', 'ts_hour'])
    expect(() =>
      evolve({ add: { source: 'ts', transform: 'hour' } }, { add: { source: 'ts', transform: 'month' } }),
    ).toThrow(/redundant/)
  })

  test('counts on from the highest id of any spec, also where last-partition-id lags behind', () => {
    const metadata = tableWith({ lastPartitionId: 999 })
    expect(evolveSpec(metadata, [{ add: { source: 'id', transform: 'bucket[4]' } }])).toMatchObject({
      spec: { fields: [{ fieldId: 1000 }, { fieldId: 1001 }] },
      lastPartitionId: 1001,
    })
  })

  test('in format version 1 gives no id back: ids there are places in a spec', () => {
    const older = { specId: 1, fields: [{ sourceId: 1, fieldId: 1000, name: 'shard', transform: 'bucket[8]' }] }
    const metadata = tableWith({ formatVersion: 1, partitionSpecs: [...tableWith().partitionSpecs, older] })
    const { spec } = evolveSpec(metadata, [{ add: { source: 'id', transform: 'bucket[8]' } }])
    expect(spec.fields[1]).toMatchObject({ fieldId: 1001, name: 'id_bucket_8' })
  })

  test('in format version 1 a dropped field stays as void and gives up its name', () => {
    const metadata = tableWith({ formatVersion: 1 })
    expect(evolveSpec(metadata, [{ drop: 'ts_day' }]).spec.fields).toEqual([
      { sourceId: 2, fieldId: 1000, name: 'ts_day', transform: 'void' },
    ])
    const { spec } = evolveSpec(metadata, [
      { drop: 'ts_day' },
      { add: { source: 'ts', transform: 'hour', name: 'ts_day' } },
    ])
    expect(spec.fields).toMatchObject([
      { fieldId: 1000, name: 'ts_day_1000', transform: 'void' },
      { fieldId: 1001, name: 'ts_day', transform: 'hour' },
    ])
  })

  test.each<[SpecChange, RegExp]>([
    [{ add: { source: 'ts', transform: 'day', name: 'again' } }, /there already, as ts_day/],
    [{ add: { source: 'id', transform: 'bucket[4]', name: 'ts_day' } }, /partition field ts_day already/],
    [{ add: { source: 'id', transform: 'bucket[4]', name: 'name' } }, /name of a column/],
    [{ add: { source: 'id', transform: 'identity', name: 'place' } }, /name of a column/],
    [{ add: { source: 'name', transform: 'day' } }, /does not apply to name, which is string/],
    [{ add: { source: 'place.at', transform: 'bucket[4]' } }, /does not apply/],
    [{ add: { source: 'id', transform: 'bucket[0]' } }, /no transform bucket\[0\]/],
    [{ add: { source: 'place', transform: 'identity' } }, /nested/],
    [{ add: { source: 'tags.element.word', transform: 'identity' } }, /inside a list or map/],
    [{ drop: 'nope' }, /no partition field nope/],
    [{ rename: 'nope', to: 'x' }, /no partition field nope/],
    [{ rename: 'ts_day', to: 'name' }, /name of a column/],
  ])('%o is refused with the reason', (change, reason) => {
    expect(() => evolve(change)).toThrow(
      expect.objectContaining({ code: 'FIRN_SPEC_CHANGE_INVALID', message: expect.stringMatching(reason) }),
    )
  })

  test('an identity of a fixed column is refused, for Java misreads it', () => {
    const schema = {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [{ id: 1, name: 'f', required: false, type: 'fixed[4]' as const }],
    }
    const metadata = tableWith({ schemas: [schema], partitionSpecs: [{ specId: 0, fields: [] }] })
    expect(() => evolveSpec(metadata, [{ add: { source: 'f', transform: 'identity' } }])).toThrow(
      /cannot be partitioned by/,
    )
    expect(names(evolveSpec(metadata, [{ add: { source: 'f', transform: 'bucket[4]' } }]))).toEqual(['f_bucket_4'])
  })

  test('a spec with an unknown transform is not changed', () => {
    const field = { sourceId: 1, fieldId: 1000, name: 'z', transform: 'zorder' }
    const metadata = tableWith({ partitionSpecs: [{ specId: 0, fields: [field] }] })
    expect(() => evolveSpec(metadata, [{ drop: 'z' }])).toThrow(/unknown transform zorder/)
  })
})

describe('a sort order', () => {
  test('gets the next id, and nulls go where Java puts them', () => {
    const { sortOrder } = evolveSort(tableWith(), [
      { column: 'ts', transform: 'day', direction: 'desc' },
      { column: 'place.city' },
    ])
    expect(sortOrder).toEqual({
      orderId: 2,
      fields: [
        { sourceId: 2, transform: 'day', direction: 'desc', nullOrder: 'nulls-last' },
        { sourceId: 5, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' },
      ],
    })
  })

  test('that the table has is used again; none is order 0', () => {
    expect(evolveSort(tableWith(), [{ column: 'name' }]).sortOrder.orderId).toBe(1)
    expect(evolveSort(tableWith(), []).sortOrder).toEqual({ orderId: 0, fields: [] })
    const never = tableWith({ sortOrders: [{ orderId: 0, fields: [] }], defaultSortOrderId: 0 })
    expect(evolveSort(never, [{ column: 'name' }]).sortOrder.orderId).toBe(1)
  })

  test.each([
    [[{ column: 'tags' }], /nested/],
    [[{ column: 'name' }, { column: 'name', direction: 'desc' }], /twice/],
    [[{ column: 'name', transform: 'hour' }], /does not apply/],
  ] as const)('%o is refused', (fields, reason) => {
    expect(() => evolveSort(tableWith(), fields)).toThrow(
      expect.objectContaining({ code: 'FIRN_SORT_ORDER_INVALID', message: expect.stringMatching(reason) }),
    )
  })
})
