/** What a commit says on the wire, member by member, and when an earlier try is ruled out. */
import { describe, expect, test } from 'vitest'
import { assertionsOf, isRuledOut } from '../../../table/catalog/rest/requirements.ts'
import { parseTableState, printCommit } from '../../../table/catalog/rest/wire.ts'
import type { TableRequirement } from '../../../table/commit/requirements.ts'
import type { TableUpdate } from '../../../table/commit/updates.ts'
import { parseJson, printJson } from '../../../table/format/json.ts'
import { epochMillis, snapshotId } from '../../../table/ids.ts'
import { printMetadata, type TableMetadata } from '../../../table/spec/metadata.ts'
import type { Snapshot } from '../../../table/spec/snapshot.ts'
import { EVENTS, eventsTable, freshStore } from '../support.ts'

const BIG = snapshotId(9_007_199_254_740_993n)
const SNAPSHOT: Snapshot = {
  snapshotId: BIG,
  parentSnapshotId: snapshotId(7n),
  sequenceNumber: 3,
  timestampMillis: epochMillis(5),
  manifestList: 's3://b/m',
  summary: { operation: 'append' },
}
const base = async (more: Partial<TableMetadata> = {}): Promise<TableMetadata> => ({
  ...(await eventsTable(freshStore())).table.metadata,
  ...more,
})
const onTheWire = (requirements: readonly TableRequirement[], updates: readonly TableUpdate[]): string =>
  printJson(printCommit(requirements, updates))

describe('updates', () => {
  const expected: readonly (readonly [TableUpdate, string])[] = [
    [{ action: 'assign-uuid', uuid: 'u' }, '{"action":"assign-uuid","uuid":"u"}'],
    [{ action: 'upgrade-format-version', formatVersion: 2 }, '{"action":"upgrade-format-version","format-version":2}'],
    [{ action: 'set-current-schema', schemaId: 3 }, '{"action":"set-current-schema","schema-id":3}'],
    [
      {
        action: 'add-spec',
        spec: { specId: 1, fields: [{ sourceId: 2, fieldId: 1000, name: 'd', transform: 'day' }] },
      },
      '{"action":"add-spec","spec":{"spec-id":1,"fields":[{"source-id":2,"field-id":1000,"name":"d","transform":"day"}]}}',
    ],
    [{ action: 'set-default-spec', specId: 1 }, '{"action":"set-default-spec","spec-id":1}'],
    [
      { action: 'add-sort-order', sortOrder: { orderId: 0, fields: [] } },
      '{"action":"add-sort-order","sort-order":{"order-id":0,"fields":[]}}',
    ],
    [{ action: 'set-default-sort-order', sortOrderId: 2 }, '{"action":"set-default-sort-order","sort-order-id":2}'],
    [
      { action: 'add-snapshot', snapshot: SNAPSHOT },
      '{"action":"add-snapshot","snapshot":{"sequence-number":3,"snapshot-id":9007199254740993,"parent-snapshot-id":7,"timestamp-ms":5,"summary":{"operation":"append"},"manifest-list":"s3://b/m"}}',
    ],
    [
      { action: 'set-snapshot-ref', name: 'v', ref: { snapshotId: BIG, type: 'tag', maxRefAgeMillis: 9 } },
      '{"action":"set-snapshot-ref","ref-name":"v","type":"tag","snapshot-id":9007199254740993,"max-ref-age-ms":9}',
    ],
    [{ action: 'remove-snapshot-ref', name: 'v' }, '{"action":"remove-snapshot-ref","ref-name":"v"}'],
    [
      { action: 'remove-snapshots', snapshotIds: [BIG, snapshotId(7n)] },
      '{"action":"remove-snapshots","snapshot-ids":[9007199254740993]},{"action":"remove-snapshots","snapshot-ids":[7]}',
    ],
    [{ action: 'set-location', location: 's3://b' }, '{"action":"set-location","location":"s3://b"}'],
    [{ action: 'set-properties', updates: { a: 'b' } }, '{"action":"set-properties","updates":{"a":"b"}}'],
    [{ action: 'remove-properties', removals: ['a'] }, '{"action":"remove-properties","removals":["a"]}'],
    [{ action: 'remove-partition-specs', specIds: [1] }, '{"action":"remove-partition-specs","spec-ids":[1]}'],
    [{ action: 'remove-schemas', schemaIds: [1] }, '{"action":"remove-schemas","schema-ids":[1]}'],
  ]
  test.each(expected)('$action', (update, text) => {
    expect(onTheWire([], [update])).toBe(`{"requirements":[],"updates":[${text}]}`)
  })

  test('add-schema', () => {
    const { updates } = parseJson(onTheWire([], [{ action: 'add-schema', schema: EVENTS, lastColumnId: 6 }])) as {
      updates: [{ schema: object; 'last-column-id': number }]
    }
    expect(updates[0]).toMatchObject({ 'last-column-id': 6, schema: { type: 'struct', 'schema-id': 0 } })
  })
})

describe('requirements', () => {
  const expected: readonly (readonly [TableRequirement, string])[] = [
    [{ type: 'assert-create' }, '{"type":"assert-create"}'],
    [{ type: 'assert-table-uuid', uuid: 'u' }, '{"type":"assert-table-uuid","uuid":"u"}'],
    [
      { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: BIG },
      '{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":9007199254740993}',
    ],
    [
      { type: 'assert-ref-snapshot-id', ref: 'new', snapshotId: undefined },
      '{"type":"assert-ref-snapshot-id","ref":"new","snapshot-id":null}',
    ],
    [
      { type: 'assert-last-assigned-field-id', lastAssignedFieldId: 1 },
      '{"type":"assert-last-assigned-field-id","last-assigned-field-id":1}',
    ],
    [
      { type: 'assert-current-schema-id', currentSchemaId: 1 },
      '{"type":"assert-current-schema-id","current-schema-id":1}',
    ],
    [
      { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: 1 },
      '{"type":"assert-last-assigned-partition-id","last-assigned-partition-id":1}',
    ],
    [{ type: 'assert-default-spec-id', defaultSpecId: 1 }, '{"type":"assert-default-spec-id","default-spec-id":1}'],
    [
      { type: 'assert-default-sort-order-id', defaultSortOrderId: 1 },
      '{"type":"assert-default-sort-order-id","default-sort-order-id":1}',
    ],
    [{ type: 'assert-property', key: 'k', value: 'v' }, ''],
  ]
  test.each(expected)('$type', (requirement, text) => {
    expect(onTheWire([requirement], [])).toBe(`{"requirements":[${text}],"updates":[]}`)
  })

  test('what an update was computed from is asserted, once', async () => {
    const metadata = await base({
      refs: { main: { snapshotId: BIG, type: 'branch' }, v: { snapshotId: BIG, type: 'tag' } },
    })
    const types = (update: TableUpdate): string[] =>
      assertionsOf(metadata, [], [update, update])
        .map((each) => (each.type === 'assert-ref-snapshot-id' ? `ref ${each.ref} ${each.snapshotId}` : each.type))
        .slice(1)
    expect(types({ action: 'add-schema', schema: EVENTS, lastColumnId: 9 })).toEqual(['assert-last-assigned-field-id'])
    expect(types({ action: 'set-current-schema', schemaId: 1 })).toEqual(['assert-current-schema-id'])
    expect(types({ action: 'set-default-spec', specId: 1 })).toEqual(['assert-default-spec-id'])
    expect(types({ action: 'set-default-sort-order', sortOrderId: 1 })).toEqual(['assert-default-sort-order-id'])
    expect(types({ action: 'remove-snapshot-ref', name: 'v' })).toEqual([`ref v ${BIG}`])
    expect(types({ action: 'set-snapshot-ref', name: 'x', ref: { snapshotId: BIG, type: 'tag' } })).toEqual([
      'ref x undefined',
    ])
    expect(types({ action: 'remove-snapshots', snapshotIds: [] })).toEqual([`ref main ${BIG}`, `ref v ${BIG}`])
    expect(types({ action: 'remove-schemas', schemaIds: [] })).toContain('assert-current-schema-id')
    expect(types({ action: 'set-properties', updates: {} })).toEqual([])
  })
})

describe('an earlier try', () => {
  const updates: readonly TableUpdate[] = [{ action: 'add-snapshot', snapshot: SNAPSHOT }]
  const main = (id: bigint): TableMetadata['refs'] => ({ main: { snapshotId: snapshotId(id), type: 'branch' } })
  const assertion: TableRequirement = { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: snapshotId(7n) }

  test('is open while everything is as it was', async () => {
    expect(isRuledOut(await base({ refs: main(7n), lastSequenceNumber: 2 }), [assertion], updates)).toBe(false)
  })
  test('is ruled out when the ref has moved', async () => {
    expect(isRuledOut(await base({ refs: main(8n), lastSequenceNumber: 2 }), [assertion], updates)).toBe(true)
  })
  test('is ruled out when the ref has moved and come back: its sequence number is taken', async () => {
    expect(isRuledOut(await base({ refs: main(7n), lastSequenceNumber: 3 }), [assertion], updates)).toBe(true)
  })
})

test('a document is read as it was sent, ids beyond 2^53 and unknown members included', async () => {
  const metadata = await base({
    unknown: { statistics: [], 'partition-statistics': [], novelty: { id: 9_007_199_254_740_993n } },
  })
  const json = parseJson(
    `{"metadata-location":"s3://b/metadata/00012-x.metadata.json","metadata":${printMetadata(metadata)}}`,
  )
  expect(parseTableState(json, 'table t')).toEqual({
    metadata,
    metadataLocation: 's3://b/metadata/00012-x.metadata.json',
    version: 12,
  })
})
