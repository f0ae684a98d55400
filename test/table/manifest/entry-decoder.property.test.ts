/** The reader of manifest entries agrees with avsc on everything that any writer makes, and survives what none makes. */
import { crc32, deflateRawSync, inflateRawSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { AvroCursor } from '../../../table/format/avro-cursor.ts'
import { readManifest } from '../../../table/manifest/manifest.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { oracleEntries, plain } from './avsc-oracle.ts'
import { foreignManifest } from './foreign-manifest.ts'

const SPEC = {
  specId: 4,
  fields: [
    { sourceId: 2, fieldId: 1001, name: 'renamed', transform: 'identity' },
    { sourceId: 1, fieldId: 1000, name: 'at_day', transform: 'day' },
  ],
}
/** `n` was an int when some of the manifests were written. */
const SCHEMA: Schema = {
  schemaId: 1,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'at', required: false, type: 'timestamptz' },
    { id: 2, name: 'n', required: false, type: 'long' },
  ],
}
const read = (bytes: Uint8Array) => readManifest(bytes, 'm.avro', 4, SPEC, SCHEMA)

describe('entries of foreign manifests', () => {
  test('are what avsc reads, whatever order, union, name or missing member their schema has', async () => {
    await fc.assert(
      fc.asyncProperty(foreignManifest, async (written) => {
        const bytes = await written
        const entries = await read(bytes)
        const expected = await oracleEntries(bytes, SPEC, SCHEMA)
        expect(plain(entries)).toEqual(expected)
        for (const [index, { dataFile }] of entries.entries()) {
          for (const member of ['valueCounts', 'lowerBounds'] as const) {
            const wanted = expected[index]!.dataFile[member]
            for (const id of [...wanted.keys(), 301]) expect(dataFile[member].get(id)).toEqual(wanted.get(id))
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  test('are the same in every codec', async () => {
    await fc.assert(
      fc.asyncProperty(foreignManifest, fc.constantFrom('null', 'zstandard', 'snappy'), async (written, codec) => {
        const bytes = await written
        expect(plain(await read(recode(bytes, codec)))).toEqual(plain(await read(bytes)))
      }),
      { numRuns: 40 },
    )
  })
})

describe('damage', () => {
  test('in any place is named, or changes values only: never a hang, never another error', async () => {
    await fc.assert(
      fc.asyncProperty(
        foreignManifest,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        async (written, changes) => {
          const bytes = recode(await written, 'null')
          for (const [at, value] of changes) bytes[at % bytes.length] = value
          await expectNamed(bytes)
        },
      ),
      { numRuns: 250 },
    )
  })

  test('by cutting is named at every length', async () => {
    const bytes = recode(await fc.sample(foreignManifest, { numRuns: 1, seed: 7 })[0]!, 'null')
    const header = bytes.indexOf(SYNC) + SYNC.length
    for (let length = 0; length < bytes.length; length++) {
      // Right behind its header it is a complete file without records: the list says how long it should be.
      if (length === header) continue
      await expect(read(bytes.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({
        code: 'FIRN_AVRO_CORRUPT',
        message: expect.stringContaining('m.avro'),
      })
    }
  })

  test.each([
    ['a count of records that no file can hold', (block: Buffer) => [2 ** 52, block] as const],
    ['records that are not there', (block: Buffer) => [50, block] as const],
    ['fewer records than there are bytes for', (block: Buffer) => [1, block] as const],
    ['no number but continuation bytes', () => [1, Buffer.alloc(64, 0xff)] as const],
    ['an array of 2^56 items', () => [1, Buffer.concat([varint(2n ** 56n), Buffer.alloc(40)])] as const],
    [
      'a string of 2^40 bytes',
      () => [1, Buffer.concat([Buffer.of(0, 0), varint(2n ** 40n), Buffer.alloc(40)])] as const,
    ],
  ])('%s', async (_name, damage) => {
    const schema = {
      type: 'record',
      name: 'manifest_entry',
      fields: [
        { name: 'unknown', type: { type: 'array', items: 'null' } },
        { name: 'status', 'field-id': 0, type: 'int' },
        {
          name: 'data_file',
          'field-id': 2,
          type: { type: 'record', name: 'r2', fields: [{ name: 'p', 'field-id': 100, type: 'string' }] },
        },
      ],
    }
    const one = Buffer.from([0, 2, 2, 97])
    const [count, block] = damage(Buffer.concat([one, one]))
    await expect(read(container(schema, 'null', count, block))).rejects.toMatchObject({ code: 'FIRN_AVRO_CORRUPT' })
  })

  test('a block that would inflate to more than any writer makes', async () => {
    const bomb = deflateRawSync(Buffer.alloc(257 << 20), { level: 1 })
    const schema = { type: 'record', name: 'manifest_entry', fields: [{ name: 'status', 'field-id': 0, type: 'int' }] }
    await expect(read(container(schema, 'deflate', 1, bomb))).rejects.toMatchObject({ code: 'FIRN_AVRO_CORRUPT' })
  })

  test('a snappy block with another checksum, and one that promises more than it can hold', async () => {
    const bytes = await fc.sample(foreignManifest, { numRuns: 1, seed: 7 })[0]!
    const damaged = Buffer.from(recode(bytes, 'snappy'))
    damaged[damaged.length - 17]! ^= 1
    await expect(read(damaged)).rejects.toMatchObject({ message: expect.stringContaining('checksum') })
    const schema = { type: 'record', name: 'manifest_entry', fields: [{ name: 'status', 'field-id': 0, type: 'int' }] }
    const huge = Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), Buffer.alloc(8)])
    await expect(read(container(schema, 'snappy', 1, huge))).rejects.toMatchObject({ code: 'FIRN_AVRO_CORRUPT' })
  })

  test('a schema with a member in a type that it cannot have', async () => {
    const schema = { type: 'record', name: 'manifest_entry', fields: [{ name: 's', 'field-id': 0, type: 'string' }] }
    await expect(read(container(schema, 'null', 1, Buffer.of(0)))).rejects.toMatchObject({
      code: 'FIRN_AVRO_CORRUPT',
      message: expect.stringContaining('field id 0'),
    })
  })
})

async function expectNamed(bytes: Uint8Array): Promise<void> {
  const outcome = await read(bytes).then(plain, (error: unknown) => error)
  if (Array.isArray(outcome)) return
  expect(outcome).toBeInstanceOf(FirnError)
  expect((outcome as FirnError).code).toMatch(/^FIRN_AVRO_(CORRUPT|CODEC_UNSUPPORTED)$/)
  expect((outcome as FirnError).message).toContain('m.avro')
}

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

const lengthed = (bytes: Uint8Array): Buffer => Buffer.concat([varint(BigInt(bytes.length)), bytes])
const SYNC = Buffer.from('0123456789abcdef')

function container(schema: unknown, codec: string, count: number, block: Buffer): Buffer {
  const meta = Object.entries({ 'avro.schema': JSON.stringify(schema), 'avro.codec': codec })
  const header = [Buffer.from('Obj\u0001'), varint(BigInt(meta.length))]
  for (const [key, value] of meta) header.push(lengthed(Buffer.from(key)), lengthed(Buffer.from(value)))
  return Buffer.concat([...header, Buffer.of(0), SYNC, varint(BigInt(count)), lengthed(block), SYNC])
}

/** Literals only: valid snappy that no compressor would make. */
function snappy(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  let length = bytes.length
  for (; length >= 128; length >>>= 7) parts.push(Buffer.of((length & 127) | 128))
  parts.push(Buffer.of(length))
  for (let at = 0; at < bytes.length; at += 60) {
    const literal = bytes.subarray(at, at + 60)
    parts.push(Buffer.of((literal.length - 1) << 2), literal)
  }
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  return Buffer.concat([...parts, sum])
}

const COMPRESS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  null: (bytes) => bytes,
  zstandard: zstdCompressSync,
  snappy,
}

/** The same file, of one block, with another codec. */
function recode(bytes: Uint8Array, codec: string): Buffer {
  const cursor = new AvroCursor(bytes, 4)
  const meta = new Map<string, string>()
  for (let count = cursor.blockCount(); count > 0; count = cursor.blockCount()) {
    for (let index = 0; index < count; index++) meta.set(cursor.string(), cursor.string())
  }
  cursor.skip(16)
  const count = cursor.number()
  const data = inflateRawSync(cursor.take(cursor.length()))
  return container(JSON.parse(meta.get('avro.schema')!), codec, count, COMPRESS[codec]!(data))
}
