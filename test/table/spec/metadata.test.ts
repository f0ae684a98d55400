import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { parseJson, printJson } from '../../../table/format/json.ts'
import { parseMetadata, printMetadata } from '../../../table/spec/metadata.ts'

/** As another engine writes it: statistics, a tag with ages, an unknown member, int64 ids. */
const FOREIGN = `{
  "format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": "s3://bucket/wh/ns/t",
  "last-sequence-number": 34, "last-updated-ms": 1602638573590, "last-column-id": 3, "current-schema-id": 1,
  "schemas": [
    {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "x", "required": true, "type": "long"}]},
    {"type": "struct", "schema-id": 1, "identifier-field-ids": [1], "fields": [
      {"id": 1, "name": "x", "required": true, "type": "long", "doc": "key"},
      {"id": 2, "name": "d", "required": false, "type": "decimal(9,2)"},
      {"id": 3, "name": "l", "required": false, "type": {"type": "list", "element-id": 4, "element": "string", "element-required": false}}]}],
  "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": [{"name": "x_b", "transform": "bucket[4]", "source-id": 1, "field-id": 1000}]}],
  "last-partition-id": 1000, "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}],
  "properties": {"commit.retry.num-retries": "1"}, "current-snapshot-id": 9223372036854775806,
  "snapshots": [{"snapshot-id": 9223372036854775806, "sequence-number": 34, "timestamp-ms": 1555100955770,
    "summary": {"operation": "append"}, "manifest-list": "s3://bucket/wh/ns/t/metadata/1.avro", "schema-id": 1, "first-row-id": 7}],
  "snapshot-log": [{"snapshot-id": 9223372036854775806, "timestamp-ms": 1555100955770}], "metadata-log": [],
  "refs": {"main": {"snapshot-id": 9223372036854775806, "type": "branch"},
    "audit": {"snapshot-id": 9223372036854775806, "type": "tag", "max-ref-age-ms": 10000000}},
  "statistics": [{"snapshot-id": 9223372036854775806, "statistics-path": "s3://a/b.puffin"}], "future-member": {"a": 9007199254740993}
}`

describe('metadata', () => {
  test('what another engine wrote is written back with nothing lost, int64 digit for digit', () => {
    const before = parseJson(FOREIGN) as Record<string, unknown>
    const after = parseJson(printMetadata(parseMetadata(FOREIGN, 'v1.metadata.json'))) as Record<string, unknown>
    // Spelling of a type is the only thing that may differ.
    const text = (value: unknown): string => printJson(value).replace('decimal(9,2)', 'decimal(9, 2)')
    for (const key of Object.keys(before)) expect(JSON.parse(text(after[key]))).toEqual(JSON.parse(text(before[key])))
    expect(printJson(after['future-member'])).toBe('{"a":9007199254740993}')
    expect(printJson(after['current-snapshot-id'])).toBe('9223372036854775806')
  })

  test('a parsed document prints to itself', () => {
    const once = printMetadata(parseMetadata(FOREIGN, 'x'))
    expect(printMetadata(parseMetadata(once, 'x'))).toBe(once)
  })

  test.each([
    ['not JSON at all', 'nonsense', 'FIRN_METADATA_CORRUPT'],
    ['a truncated file', FOREIGN.slice(0, 500), 'FIRN_METADATA_CORRUPT'],
    [
      'a later format version',
      FOREIGN.replace('"format-version": 2', '"format-version": 4'),
      'FIRN_FORMAT_VERSION_UNSUPPORTED',
    ],
    [
      'a schema id that dangles',
      FOREIGN.replace('"current-schema-id": 1', '"current-schema-id": 9'),
      'FIRN_METADATA_CORRUPT',
    ],
    ['a location of the wrong type', FOREIGN.replace('"s3://bucket/wh/ns/t"', '7'), 'FIRN_METADATA_CORRUPT'],
    [
      'a current snapshot that main does not name',
      FOREIGN.replace('"main": {"snapshot-id": 9223372036854775806', '"main": {"snapshot-id": 5'),
      'FIRN_METADATA_CORRUPT',
    ],
  ])('%s is a typed error that names the file', (_name, text, code) => {
    const error = (() => {
      try {
        parseMetadata(text, 'metadata/v7.metadata.json')
      } catch (caught) {
        return caught
      }
    })()
    expect(FirnError.is(error, code as 'FIRN_METADATA_CORRUPT')).toBe(true)
    expect((error as FirnError).message).toContain('metadata/v7.metadata.json')
  })

  test.each(['-1', 'null'])('current-snapshot-id %s means that there is none', (value) => {
    const text = FOREIGN.replace(
      '"current-snapshot-id": 9223372036854775806',
      `"current-snapshot-id": ${value}`,
    ).replace(/"refs": \{[\s\S]*?\}\},/, '"refs": {},')
    expect(parseMetadata(text, 'x').currentSnapshotId).toBeUndefined()
  })
})
