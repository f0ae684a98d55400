/** The chunk format: what goes in comes out, other Arrow readers read it, and damage is named. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { tableFromIPC } from 'apache-arrow'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { chunkKey, readChunk, readChunkMeta } from '../../../ingest/index.ts'
import { type ChunkMeta, decodeChunk, decodeChunkMeta, encodeChunk } from '../../../ingest/staging/chunk.ts'
import { emptyRows, RowBuilder, recordAt } from '../../../ingest/staging/chunk-rows.ts'
import { comparePositions, padPosition, unpadPosition } from '../../../ingest/staging/positions.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import { unsteady } from '../unsteady-store.ts'
import { virtualClock } from '../virtual-clock.ts'

const base: ChunkMeta = {
  stream: 's',
  created: 12,
  shardId: 'shardId-000000000001',
  parents: ['shardId-000000000000'],
  after: '5',
  last: '9',
  count: 0,
  gap: false,
  ended: false,
  lander: '00',
}

const positionArb = fc.bigInt({ min: 1n, max: 10n ** 56n }).map(String)
const recordArb = fc.record({
  partitionKey: fc.string({ unit: 'grapheme', maxLength: 20 }),
  arrivalMillis: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  data: fc.uint8Array({ maxLength: 300 }),
})

test('rows and metadata survive a round trip (fast-check)', async () => {
  const property = fc.asyncProperty(
    fc.uniqueArray(positionArb, { minLength: 1, maxLength: 40 }),
    fc.array(recordArb, { minLength: 40, maxLength: 40 }),
    fc.record({
      gap: fc.boolean(),
      parents: fc.array(fc.string()),
      file: fc.option(fc.constant({ byteOffset: 2 ** 40, sha256: 'ab' })),
    }),
    async (positions, values, { gap, parents, file }) => {
      const records = positions
        .toSorted(comparePositions)
        .map((sequenceNumber, i) => ({ sequenceNumber, ...(values[i] as (typeof values)[0]) }))
      const builder = new RowBuilder()
      for (const record of records) builder.append(record)
      const arrivals = records.map(({ arrivalMillis }) => arrivalMillis)
      const meta: ChunkMeta = {
        ...base,
        after: '0',
        last: records.at(-1)?.sequenceNumber as string,
        count: records.length,
        minArrivalMillis: Math.min(...arrivals),
        maxArrivalMillis: Math.max(...arrivals),
        gap,
        parents,
        ...(file === null ? {} : { file }),
      }
      const bytes = await encodeChunk(meta, builder.view())
      const decoded = await decodeChunk(bytes, 'x')
      expect(decoded.meta).toEqual(meta)
      expect(records.map((_, row) => recordAt(decoded.rows, row))).toEqual(
        records.map((record) => ({ ...record, data: expect.anything() })),
      )
      for (const [row, { data }] of records.entries()) {
        expect(Buffer.compare(recordAt(decoded.rows, row).data, data)).toBe(0)
      }
      expect(decodeChunkMeta(bytes.subarray(0, 200_000), 'x')).toEqual(meta)
    },
  )
  await fc.assert(property, { numRuns: 60 })
})

test('any Arrow library reads a chunk after zstd', async () => {
  const builder = new RowBuilder()
  builder.append({ sequenceNumber: '7', partitionKey: 'clé', arrivalMillis: 1_700_000_000_123, data: Buffer.from('a') })
  builder.append({ sequenceNumber: '9', partitionKey: '', arrivalMillis: 1_700_000_000_124, data: Buffer.alloc(0) })
  const table = tableFromIPC(zstdDecompressSync(await encodeChunk({ ...base, count: 2 }, builder.view())))
  expect(table.schema.fields.map(({ name, type, nullable }) => [name, String(type), nullable])).toEqual([
    ['sequence_number', 'Utf8', false],
    ['partition_key', 'Utf8', false],
    ['approximate_arrival_timestamp', 'Timestamp<MILLISECOND, UTC>', false],
    ['data', 'Binary', false],
  ])
  expect(table.schema.metadata.get('shard')).toBe('shardId-000000000001')
  expect(table.schema.metadata.get('after')).toBe('5')
  expect(table.getChild('partition_key')?.toArray()).toEqual(['clé', ''])
  expect(table.getChild('approximate_arrival_timestamp')?.get(1)).toBe(1_700_000_000_124)
})

test('the data of a chunk is one buffer, seen through views', async () => {
  const builder = new RowBuilder()
  for (let i = 1; i <= 3; i++) {
    builder.append({
      sequenceNumber: String(5 + i),
      partitionKey: '',
      arrivalMillis: 0,
      data: Buffer.from(`record ${i}`),
    })
  }
  const meta = { ...base, last: '8', count: 3 }
  const store = openMemoryStore('chunk-views')
  const key = chunkKey(meta, meta.shardId, meta.after)
  await store.put(key, await encodeChunk(meta, builder.view()))
  const chunk = await readChunk(store, { ...meta, key, sizeBytes: 1 })
  expect(chunk.data(2).buffer).toBe(chunk.data(0).buffer)
  expect(Buffer.from(chunk.data(1)).toString()).toBe('record 2')
  expect(Buffer.from(chunk.rows.data.values).toString()).toBe('record 1record 2record 3')
})

test('an end marker has no rows and does not move the position', async () => {
  const meta = { ...base, after: '9', ended: true, gap: true }
  const decoded = await decodeChunk(await encodeChunk(meta, emptyRows), 'x')
  expect(decoded.meta).toEqual(meta)
  expect(decoded.rows.count).toBe(0)
})

async function goodChunk(meta: Partial<ChunkMeta> = {}): Promise<Uint8Array> {
  const builder = new RowBuilder()
  for (let i = 0; i < 4; i++) {
    builder.append({ sequenceNumber: String(6 + i), partitionKey: 'k', arrivalMillis: 1, data: Buffer.alloc(100, i) })
  }
  return encodeChunk({ ...base, count: 4, ...meta }, builder.view())
}

test('every cut and every flipped byte is a corrupt chunk, named; never another error', async () => {
  const good = await goodChunk()
  const corrupt = { kind: 'corrupt', code: 'FIRN_CHUNK_CORRUPT', message: expect.stringContaining('the/key') }
  for (let length = 0; length < good.length; length += 13) {
    await expect(decodeChunk(good.subarray(0, length), 'the/key')).rejects.toMatchObject(corrupt)
  }
  for (let at = 0; at < good.length; at++) {
    const bad = Uint8Array.from(good)
    bad[at] = (bad[at] as number) ^ 0x10
    // A few bits of a zstd frame carry no meaning; then the content has to be the same.
    const outcome = await decodeChunk(bad, 'the/key').catch((error: unknown) => error)
    if (outcome instanceof Error) expect(outcome).toMatchObject(corrupt)
    else expect(outcome).toMatchObject({ meta: { count: 4, last: '9' } })
  }
})

test.each([
  ['other bytes', Buffer.from('hello')],
  ['an Arrow stream without our metadata', zstdCompressSync(Buffer.from(new Uint8Array(16)))],
])('%s are a corrupt chunk', async (_what, bytes) => {
  await expect(decodeChunk(bytes, 'k')).rejects.toMatchObject({ code: 'FIRN_CHUNK_CORRUPT' })
})

test.each([
  ['fewer records than promised', { count: 5 }],
  ['another last position', { last: '10' }],
  ['records that the chain already has', { after: '6' }],
  ['a position that is no number', { after: '-1' }],
] as const)('metadata that promises %s is corrupt', async (_what, meta) => {
  await expect(goodChunk(meta).then((bytes) => decodeChunk(bytes, 'k'))).rejects.toMatchObject({
    code: 'FIRN_CHUNK_CORRUPT',
  })
})

test('a chunk under the key of another one is refused', async () => {
  const store = openMemoryStore('misplaced')
  const key = chunkKey(base, base.shardId, '4')
  await store.put(key, await goodChunk())
  const ref = { stream: 's', created: 12, shardId: base.shardId, after: '4', key, sizeBytes: 1 }
  const refused = { code: 'FIRN_CHUNK_CORRUPT', detail: { key } }
  await expect(readChunk(store, ref)).rejects.toMatchObject(refused)
  await expect(readChunkMeta(store, ref)).rejects.toMatchObject(refused)
})

test('metadata is read from the head of a large chunk', async () => {
  const builder = new RowBuilder()
  const noise = virtualClock().randomBytes(3_000_000)
  builder.append({ sequenceNumber: '9', partitionKey: '', arrivalMillis: 1, data: noise })
  const bytes = await encodeChunk({ ...base, count: 1 }, builder.view())
  expect(bytes.length).toBeGreaterThan(1_000_000)
  const store = openMemoryStore('large')
  const key = chunkKey(base, base.shardId, base.after)
  await store.put(key, bytes)
  let fetched = 0
  const counting = unsteady(store, async (_operation, call) => {
    const result = await call()
    fetched += (result as { bytes: Uint8Array }).bytes.length
    return result
  })
  expect(await readChunkMeta(counting, { ...base, key, sizeBytes: bytes.length })).toMatchObject({ last: '9' })
  expect(fetched).toBeLessThan(200_000)
})

test('positions compare as numbers and keep their order as keys (fast-check)', () => {
  fc.assert(
    fc.property(positionArb, positionArb, (a, b) => {
      const order = Math.sign(comparePositions(a, b))
      expect(order).toBe(BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0)
      expect(padPosition(a) < padPosition(b) ? -1 : padPosition(a) > padPosition(b) ? 1 : 0).toBe(order)
      expect(unpadPosition(padPosition(a))).toBe(a)
    }),
  )
  expect(unpadPosition(padPosition('0'))).toBe('0')
})
