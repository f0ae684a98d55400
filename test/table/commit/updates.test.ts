/** Updates and requirements as pure functions of table metadata. */
import { describe, expect, test } from 'vitest'
import { checkRequirement, type TableRequirement } from '../../../table/commit/requirements.ts'
import { applyUpdate, applyUpdates, type TableUpdate } from '../../../table/commit/updates.ts'
import { type EpochMillis, epochMillis, type SnapshotId, snapshotId } from '../../../table/ids.ts'
import { parseMetadata, printMetadata, type TableMetadata } from '../../../table/spec/metadata.ts'
import type { Snapshot } from '../../../table/spec/snapshot.ts'
import { eventsTable, freshStore, testClock } from '../support.ts'

const ids = [1n, 2n, 3n, 4n].map(snapshotId) as [SnapshotId, SnapshotId, SnapshotId, SnapshotId]
const time = (n: number): EpochMillis => epochMillis(2_000_000_000_000 + n)
const snapshot = (id: SnapshotId, sequenceNumber: number): Snapshot => ({
  snapshotId: id,
  sequenceNumber,
  timestampMillis: time(sequenceNumber),
  manifestList: 'x',
  summary: { operation: 'append' },
})
const commit = (id: SnapshotId, sequenceNumber: number): readonly TableUpdate[] => [
  { action: 'add-snapshot', snapshot: snapshot(id, sequenceNumber) },
  { action: 'set-snapshot-ref', name: 'main', ref: { snapshotId: id, type: 'branch' } },
]
const empty = async (): Promise<TableMetadata> => (await eventsTable(freshStore(), testClock())).table.metadata
const apply = (base: TableMetadata, updates: readonly TableUpdate[], at = time(50)): TableMetadata => {
  const next = applyUpdates(base, 'v1', updates, at)
  // What is made must be readable.
  return parseMetadata(printMetadata(next), 'next')
}
const three = async (): Promise<TableMetadata> => {
  let metadata = await empty()
  for (const n of [0, 1, 2]) metadata = apply(metadata, commit(ids[n]!, n + 1), time(n + 1))
  return metadata
}
const log = (metadata: TableMetadata): bigint[] => metadata.snapshotLog.map((entry) => entry.snapshotId)

describe('updates', () => {
  test('removed snapshots take their log entries, all older ones and their statistics with them', async () => {
    const base = await three()
    const statistics = ids.slice(0, 3).map((id) => ({ 'snapshot-id': id, 'statistics-path': `s${id}` }))
    const with3 = { ...base, unknown: { statistics, 'partition-statistics': statistics } }
    const next = apply(with3, [{ action: 'remove-snapshots', snapshotIds: [ids[1]] }])
    expect(next.snapshots.map((each) => each.snapshotId)).toEqual([1n, 3n])
    expect(log(next)).toEqual([3n])
    expect((next.unknown['statistics'] as unknown[]).length).toBe(2)
    expect(next.currentSnapshotId).toBe(3n)
  })

  test('a snapshot that a ref stands for is not removed', async () => {
    const tagged = apply(await three(), [
      { action: 'set-snapshot-ref', name: 'v1', ref: { snapshotId: ids[0], type: 'tag' } },
    ])
    for (const id of [ids[0], ids[2]]) {
      expect(() => apply(tagged, [{ action: 'remove-snapshots', snapshotIds: [id] }])).toThrow(
        expect.objectContaining({ code: 'FIRN_UPDATE_INVALID' }),
      )
    }
  })

  test('a snapshot that was current only inside the commit is not in the log', async () => {
    const next = apply(await three(), [...commit(ids[3], 4), ...commit(snapshotId(5n), 5)])
    expect(log(next)).toEqual([1n, 2n, 3n, 5n])
    expect(next.lastSequenceNumber).toBe(5)
  })

  test('main that moves to an older snapshot is logged with the time of the commit', async () => {
    const main = { action: 'set-snapshot-ref', name: 'main' } as const
    const next = apply(await three(), [{ ...main, ref: { snapshotId: ids[0], type: 'branch' } }], time(99))
    expect(next.snapshotLog.at(-1)).toEqual({ snapshotId: 1n, timestampMillis: time(99) })
    expect(next.currentSnapshotId).toBe(1n)
  })

  test('schemas, specs and orders are added, made current and removed by id', async () => {
    const base = await empty()
    const schema = { ...base.schemas[0]!, schemaId: 1, fields: base.schemas[0]!.fields.slice(0, 3) }
    const spec = { specId: 1, fields: [{ sourceId: 3, fieldId: 1001, name: 'n', transform: 'identity' }] }
    const next = apply(base, [
      { action: 'add-schema', schema, lastColumnId: 9 },
      { action: 'set-current-schema', schemaId: 1 },
      { action: 'add-spec', spec },
      { action: 'set-default-spec', specId: 1 },
      { action: 'add-sort-order', sortOrder: { orderId: 2, fields: [] } },
      { action: 'set-default-sort-order', sortOrderId: 2 },
      { action: 'remove-partition-specs', specIds: [0] },
      { action: 'remove-schemas', schemaIds: [0] },
    ])
    expect(next).toMatchObject({
      currentSchemaId: 1,
      lastColumnId: 9,
      defaultSpecId: 1,
      lastPartitionId: 1001,
      defaultSortOrderId: 2,
    })
    expect([next.schemas.length, next.partitionSpecs.length]).toEqual([1, 1])
  })

  const invalid: readonly (readonly [string, TableUpdate])[] = [
    [
      'a schema that is there',
      { action: 'add-schema', schema: { schemaId: 0, fields: [], identifierFieldIds: [] }, lastColumnId: 9 },
    ],
    [
      'a lower last column',
      { action: 'add-schema', schema: { schemaId: 7, fields: [], identifierFieldIds: [] }, lastColumnId: 1 },
    ],
    ['a current schema that is not there', { action: 'set-current-schema', schemaId: 7 }],
    ['removing the current schema', { action: 'remove-schemas', schemaIds: [0] }],
    ['a spec that is there', { action: 'add-spec', spec: { specId: 0, fields: [] } }],
    ['a default spec that is not there', { action: 'set-default-spec', specId: 7 }],
    ['removing the default spec', { action: 'remove-partition-specs', specIds: [0] }],
    ['an order that is there', { action: 'add-sort-order', sortOrder: { orderId: 1, fields: [] } }],
    ['a default order that is not there', { action: 'set-default-sort-order', sortOrderId: 7 }],
    ['another uuid', { action: 'assign-uuid', uuid: 'x' }],
    ['a ref to no snapshot', { action: 'set-snapshot-ref', name: 'x', ref: { snapshotId: ids[3], type: 'tag' } }],
    ['main as a tag', { action: 'set-snapshot-ref', name: 'main', ref: { snapshotId: ids[0], type: 'tag' } }],
    ['a snapshot twice', { action: 'add-snapshot', snapshot: snapshot(ids[0], 9) }],
  ]
  test.each(invalid)('%s is refused', async (_what, update) => {
    const base = await three()
    expect(() => applyUpdate(base, update)).toThrow(expect.objectContaining({ code: 'FIRN_UPDATE_INVALID' }))
  })
})

describe('requirements', () => {
  const cases: readonly (readonly [TableRequirement, TableRequirement])[] = [
    [
      { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: ids[2] },
      { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: undefined },
    ],
    [
      { type: 'assert-ref-snapshot-id', ref: 'toString', snapshotId: undefined },
      { type: 'assert-ref-snapshot-id', ref: 'toString', snapshotId: ids[0] },
    ],
    [
      { type: 'assert-last-assigned-field-id', lastAssignedFieldId: 6 },
      { type: 'assert-last-assigned-field-id', lastAssignedFieldId: 5 },
    ],
    [
      { type: 'assert-current-schema-id', currentSchemaId: 0 },
      { type: 'assert-current-schema-id', currentSchemaId: 1 },
    ],
    [
      { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: 1000 },
      { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: 999 },
    ],
    [
      { type: 'assert-default-spec-id', defaultSpecId: 0 },
      { type: 'assert-default-spec-id', defaultSpecId: 1 },
    ],
    [
      { type: 'assert-default-sort-order-id', defaultSortOrderId: 1 },
      { type: 'assert-default-sort-order-id', defaultSortOrderId: 0 },
    ],
    [
      { type: 'assert-property', key: 'constructor', value: undefined },
      { type: 'assert-property', key: 'commit.retry.min-wait-ms', value: undefined },
    ],
  ]
  test.each(cases.map((pair) => [pair[0].type, ...pair] as const))('%s', async (_type, holds, fails) => {
    const metadata = await three()
    expect(() => checkRequirement(metadata, holds)).not.toThrow()
    expect(() => checkRequirement(metadata, fails)).toThrow(
      expect.objectContaining({ code: 'FIRN_REQUIREMENT_FAILED', kind: 'conflict' }),
    )
  })

  test('a table that is there fails assert-create', async () => {
    const metadata = await empty()
    expect(() => checkRequirement(metadata, { type: 'assert-create' })).toThrow()
    expect(() => checkRequirement(metadata, { type: 'assert-table-uuid', uuid: metadata.tableUuid })).not.toThrow()
    expect(() => checkRequirement(metadata, { type: 'assert-table-uuid', uuid: 'other' })).toThrow()
  })
})
