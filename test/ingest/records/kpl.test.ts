import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { userRecords } from '../../../ingest/index.ts'
import {
  type AggregatedInput,
  aggregate,
  bytesField,
  KPL_MAGIC,
  recordField,
  sealed,
  varint,
  varintField,
} from '../kpl-encoder.ts'

interface Opened {
  partitionKey: string
  subSequenceNumber: number
  data: string
}

const open = (data: Uint8Array): Opened[] =>
  userRecords(data, 'outer').map((record) => ({
    partitionKey: record.partitionKey,
    subSequenceNumber: record.subSequenceNumber,
    data: Buffer.from(record.data).toString('base64'),
  }))

const plain = (data: Uint8Array): Opened[] => [
  { partitionKey: 'outer', subSequenceNumber: 0, data: Buffer.from(data).toString('base64') },
]

const FIXTURES = new URL('../../fixtures/kpl/', import.meta.url)

test.each(readdirSync(FIXTURES))("opens another implementation's aggregate as its own reader does: %s", (name) => {
  const fixture = JSON.parse(readFileSync(new URL(name, FIXTURES), 'utf8')) as {
    aggregate: string
    deaggregated: Opened[]
  }
  expect(fixture.deaggregated.length).toBeGreaterThan(0)
  expect(open(Buffer.from(fixture.aggregate, 'base64'))).toEqual(fixture.deaggregated)
})

const input: fc.Arbitrary<AggregatedInput> = fc.record({
  partitionKey: fc.string({ unit: 'grapheme', maxLength: 8 }),
  data: fc.uint8Array({ maxLength: 200 }),
})
const inputs = fc.array(input, { minLength: 1, maxLength: 40 })

test('what was aggregated comes out as it was, in order (fast-check)', () => {
  fc.assert(
    fc.property(inputs, (records) => {
      expect(open(aggregate(records))).toEqual(
        records.map(({ partitionKey, data }, index) => ({
          partitionKey,
          subSequenceNumber: index,
          data: Buffer.from(data).toString('base64'),
        })),
      )
    }),
  )
})

test('bytes that changed on the way make one plain record (fast-check)', () => {
  const change = fc.record({ at: fc.nat(), flip: fc.integer({ min: 1, max: 255 }), cut: fc.option(fc.nat()) })
  fc.assert(
    fc.property(inputs, change, (records, { at, flip, cut }) => {
      const whole = aggregate(records)
      const damaged = cut === null ? Buffer.from(whole) : whole.subarray(0, cut % whole.length)
      if (cut === null) damaged[at % damaged.length]! ^= flip
      expect(open(damaged)).toEqual(plain(damaged))
    }),
  )
})

test('any message under a right digest is opened inside its bounds or is one plain record (fast-check)', () => {
  const wild = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(inputs, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([records, at, flip]) => {
      const message = Buffer.from(aggregate(records).subarray(4, -16))
      message[at % message.length]! ^= flip
      return message
    }),
  )
  fc.assert(
    fc.property(wild, (message) => {
      const data = sealed(message)
      const records = userRecords(data, 'outer')
      expect(records.length).toBeGreaterThan(0)
      if (records.length === 1 && records[0]!.data === data) return
      let bytes = 0
      for (const [index, record] of records.entries()) {
        expect(record.subSequenceNumber).toBe(index)
        bytes += record.data.byteLength
      }
      expect(bytes).toBeLessThan(message.length)
    }),
    { numRuns: 2_000 },
  )
})

const key = bytesField(1, Buffer.from('k'))
const good = recordField(0, Buffer.from('x'))
const opened: Opened[] = [{ partitionKey: 'k', subSequenceNumber: 0, data: Buffer.from('x').toString('base64') }]
const message = (...parts: Uint8Array[]): Buffer => sealed(Buffer.concat(parts))

test.each<[string, Buffer]>([
  ['a table behind the records', message(good, key)],
  ['an explicit hash key that does not exist', message(key, recordWith(varintField(2, 99)))],
  ['tags', message(key, recordWith(bytesField(4, bytesField(1, Buffer.from('t')))))],
  ['fields that nobody knows', message(key, varintField(9, 1), bytesField(8, Buffer.from('?')), good)],
  ['fixed-width fields', message(key, tagged(7, 1, 8), tagged(7, 5, 4), good)],
  ['a group', message(key, varint(7 * 8 + 3), varintField(1, 5), varint(7 * 8 + 4), good)],
  ['a key index of two values, the last counts', message(key, recordWith(varintField(1, 7), varintField(1, 0)))],
  ['a known field in another form', message(key, varintField(3, 1), varintField(1, 1), good)],
])('%s does not matter', (_what, data) => {
  expect(open(data)).toEqual(opened)
})

test.each<[string, Buffer]>([
  ['no data', message(key, bytesField(3, varintField(1, 0)))],
  ['no key index', message(key, bytesField(3, bytesField(3, Buffer.from('x'))))],
  ['a key index out of range', message(key, good, recordField(1, Buffer.from('y')))],
  ['a key index of 2^64 - 1', message(key, recordField(2n ** 64n - 1n, Buffer.from('y')))],
  ['a key index that wraps to 0 in 32 bits', message(key, recordField(2n ** 32n, Buffer.from('y')))],
  ['no key table', message(good)],
  ['no records', message(key)],
  ['a field number 0', message(key, good, Buffer.of(2, 0))],
  ['wire type 6', message(key, good, Buffer.of(7 * 8 + 6))],
  ['a varint of eleven bytes', message(key, good, Buffer.of(8), Buffer.alloc(10, 0xff), Buffer.of(1))],
  ['a length past the end', message(key, good, Buffer.of(26, 200))],
  ['a length of 2^63', message(key, good, Buffer.of(26), varint(2n ** 63n))],
  [
    'a length past the end of the record, not of the message',
    message(key, bytesField(3, Buffer.of(8, 0, 26, 5)), good),
  ],
  ['half a tag', message(key, good, Buffer.of(0x80))],
  ['a group without an end', message(key, good, varint(7 * 8 + 3), varintField(1, 1))],
  ['an end without a group', message(key, good, varint(7 * 8 + 4))],
  ['groups a thousand deep', message(key, good, ...Array.from({ length: 1000 }, () => varint(7 * 8 + 3)))],
  ['nothing but the magic', KPL_MAGIC],
  ['an empty message', sealed(Buffer.alloc(0))],
  ['a digest of something else', Buffer.concat([KPL_MAGIC, key, good, Buffer.alloc(16)])],
  ['another magic', Buffer.concat([Buffer.of(0xf3, 0x89, 0x9a, 0xc3), message(key, good).subarray(4)])],
])('%s makes one plain record', (_what, data) => {
  expect(open(data)).toEqual(plain(data))
})

test('an aggregate inside an aggregate is data of a user record', () => {
  const inner = aggregate([{ partitionKey: 'a', data: Buffer.from('1') }])
  expect(open(aggregate([{ partitionKey: 'b', data: inner }]))).toEqual([
    { partitionKey: 'b', subSequenceNumber: 0, data: inner.toString('base64') },
  ])
})

test('a key that is no UTF-8 keeps what can be read of it', () => {
  const data = message(bytesField(1, Buffer.of(0x61, 0xff)), good)
  expect(open(data)[0]).toMatchObject({ partitionKey: 'a\ufffd' })
})

test('ten megabytes of empty user records are opened without a view for each', () => {
  const one = recordField(0, Buffer.alloc(0))
  const count = Math.floor((10 * 1024 * 1024) / one.length)
  const data = message(key, Buffer.concat(new Array<Buffer>(count).fill(one)))
  const before = process.memoryUsage()
  const records = userRecords(data, 'outer')
  const after = process.memoryUsage()
  expect(records.length).toBe(count)
  expect(records.at(-1)).toMatchObject({ partitionKey: 'k', subSequenceNumber: count - 1 })
  const grown = after.heapUsed + after.external - before.heapUsed - before.external
  expect(grown).toBeLessThan(16 * data.length)
})

function recordWith(...fields: Uint8Array[]): Buffer {
  return bytesField(3, Buffer.concat([varintField(1, 0), ...fields, bytesField(3, Buffer.from('x'))]))
}

function tagged(field: number, wireType: number, bytes: number): Buffer {
  return Buffer.concat([varint(field * 8 + wireType), Buffer.alloc(bytes)])
}
