/** Manifests as foreign writers of every format version make them: members missing, in any order, under any name. */
import fc from 'fast-check'
import { type AvroRecord, type AvroSchema, writeAvro } from '../../../table/format/avro.ts'

interface Member {
  readonly id: number
  readonly type: AvroSchema
  readonly value: fc.Arbitrary<unknown>
  /** Never left out, never null. */
  readonly required: boolean
}

const anyLong = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)
const anyInt = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const anyBytes = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))
const anyText = fc.oneof(fc.string(), fc.string({ unit: 'grapheme', maxLength: 40 }))

const stats = (id: number, keyId: number, value: AvroSchema, items: fc.Arbitrary<unknown>): Member => ({
  id,
  required: false,
  type: {
    type: 'array',
    logicalType: 'map',
    items: {
      type: 'record',
      name: `k${keyId}_v${keyId + 1}`,
      fields: [
        { name: 'key', type: 'int', 'field-id': keyId },
        { name: 'value', type: value, 'field-id': keyId + 1 },
      ],
    },
  },
  value: fc.array(fc.record({ key: fc.integer({ min: 0, max: 300 }), value: items }), { maxLength: 6 }),
})

const FILE_MEMBERS: readonly Member[] = [
  { id: 134, type: 'int', value: fc.integer({ min: 0, max: 2 }), required: false },
  { id: 100, type: 'string', value: anyText, required: true },
  { id: 101, type: 'string', value: fc.constantFrom('PARQUET', 'parquet', 'avro'), required: true },
  { id: 103, type: 'long', value: anyLong, required: true },
  { id: 104, type: 'long', value: anyLong, required: true },
  // of format version 1, and one that nobody knows
  { id: 105, type: 'long', value: anyLong, required: false },
  {
    id: 9000,
    type: { type: 'map', values: ['null', 'double'] },
    value: fc.constant({ a: 1.5, b: null }),
    required: false,
  },
  {
    id: 9001,
    type: { type: 'enum', name: 'e', symbols: ['A', 'B'] },
    value: fc.constantFrom('A', 'B'),
    required: false,
  },
  { id: 9002, type: 'boolean', value: fc.boolean(), required: false },
  stats(108, 117, 'long', anyLong),
  stats(109, 119, 'long', anyLong),
  stats(110, 121, 'long', anyLong),
  stats(137, 138, 'long', anyLong),
  stats(125, 126, 'bytes', anyBytes),
  stats(128, 129, 'bytes', anyBytes),
  { id: 131, type: 'bytes', value: anyBytes, required: false },
  { id: 132, type: { type: 'array', items: 'long' }, value: fc.array(anyLong, { maxLength: 3 }), required: false },
  { id: 135, type: { type: 'array', items: 'int' }, value: fc.array(anyInt, { maxLength: 3 }), required: false },
  { id: 140, type: 'int', value: anyInt, required: false },
  { id: 142, type: 'long', value: anyLong, required: false },
  { id: 143, type: 'string', value: anyText, required: false },
  { id: 144, type: 'long', value: anyLong, required: false },
  { id: 145, type: 'long', value: anyLong, required: false },
]

const ENTRY_MEMBERS: readonly Member[] = [
  { id: 0, type: 'int', value: fc.integer({ min: 0, max: 2 }), required: true },
  { id: 1, type: 'long', value: anyLong, required: false },
  { id: 3, type: 'long', value: anyLong, required: false },
  { id: 4, type: 'long', value: anyLong, required: false },
]

/** A record schema of some of the members, with values for it. */
function recordOf(
  name: string,
  members: readonly Member[],
): fc.Arbitrary<{ readonly schema: AvroSchema; readonly record: fc.Arbitrary<AvroRecord> }> {
  const shape = fc.record({
    order: fc.shuffledSubarray([...members], { minLength: members.length }),
    left: fc.array(fc.boolean(), { minLength: members.length, maxLength: members.length }),
    union: fc.array(fc.constantFrom('none', 'first', 'last'), { minLength: members.length, maxLength: members.length }),
  })
  return shape.map(({ order, left, union }) => {
    const kept = order.filter((member, index) => member.required || !left[index])
    const fields = kept.map((member, index) => {
      const how = member.required ? 'none' : union[index]
      const type = how === 'first' ? ['null', member.type] : how === 'last' ? [member.type, 'null'] : member.type
      const value = how === 'none' ? member.value : fc.option(member.value, { nil: null })
      return { field: { name: `x${member.id}`, 'field-id': member.id, type }, value }
    })
    return {
      schema: { type: 'record', name, fields: fields.map(({ field }) => field) },
      record: fc.record(
        Object.fromEntries(fields.map(({ field, value }) => [field.name, value])),
      ) as fc.Arbitrary<AvroRecord>,
    }
  })
}

/** The partition as int, long or date by whoever wrote it; a second field that the spec does not have. */
const partitionMember: fc.Arbitrary<Member> = fc
  .constantFrom<readonly AvroSchema[]>(['int', 'long'], [{ type: 'int', logicalType: 'date' }, 'int'])
  .map(([day, bucket]) => ({
    id: 102,
    required: true,
    type: {
      type: 'record',
      name: 'r102',
      fields: [
        { name: 'gone', 'field-id': 1009, type: ['null', 'string'] },
        { name: 'some_day', 'field-id': 1000, type: ['null', day!] },
        { name: 'n', 'field-id': 1001, type: [bucket!, 'null'] },
      ],
    },
    value: fc.record({
      gone: fc.option(fc.string()),
      some_day: fc.option(fc.integer({ min: -5, max: 5 })),
      n: fc.option(fc.integer({ min: -3, max: 3 }).map((n) => (bucket === 'long' ? BigInt(n) : n))),
    }),
  }))

export const foreignManifest: fc.Arbitrary<Promise<Uint8Array>> = partitionMember
  .chain((partition) => fc.tuple(recordOf('r2', [...FILE_MEMBERS, partition]), fc.constant(null)))
  .chain(([file]) =>
    recordOf('manifest_entry', [...ENTRY_MEMBERS, { id: 2, type: file.schema, value: file.record, required: true }]),
  )
  .chain((entry) => fc.tuple(fc.constant(entry.schema), fc.array(entry.record, { minLength: 1, maxLength: 8 })))
  .map(([schema, records]) => writeAvro(schema as never, { 'format-version': '2' }, records))
