/** Objects that others staged, as the writers name and fill them. */
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { type LandResult, land, objectSource } from '../../../ingest/index.ts'
import { splitObjectUrl } from '../../../ingest/objects/source.ts'
import { dropMemoryStore, openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectInfo, ObjectStore } from '../../../table/io/object-store.ts'
import { stagedMetas, stagedRecords } from '../staged-records.ts'
import { unsteady } from '../unsteady-store.ts'
import { virtualClock } from '../virtual-clock.ts'

const STREAM = 'foreign'

interface Fixture {
  readonly warehouse: ObjectStore
  readonly bucket: ObjectStore
  put(key: string, body: Uint8Array | string): Promise<unknown>
  land(options?: {
    name?: string
    store?: ObjectStore
    warehouse?: ObjectStore
    maxTextBytes?: number
  }): Promise<LandResult>
  /** `key number text` of every staged record, sorted. */
  staged(): Promise<string[]>
}

let fixtures = 0

async function withBucket(work: (fixture: Fixture) => Promise<void>): Promise<void> {
  const clock = virtualClock()
  const names = [`objects-warehouse-${fixtures}`, `objects-bucket-${fixtures++}`]
  const [warehouse, bucket] = names.map((name) => openMemoryStore(name, { clock })) as [ObjectStore, ObjectStore]
  try {
    await work({
      warehouse,
      bucket,
      put: (key, body) => bucket.put(key, Buffer.from(body)),
      land: ({ name = '', store = bucket, warehouse: target = warehouse, ...more } = {}) =>
        land({
          store: target,
          source: objectSource({ places: [{ store, name }], as: STREAM, ...more }),
          clock,
          chunkLimits: { maxBytes: 1_000, maxRecords: 4 },
        }),
      staged: async () =>
        (await stagedRecords(warehouse, STREAM))
          .map(({ shardId, sequence, text }) => {
            const key = decodeURIComponent(shardId).slice(bucket.url.length + 1)
            return `${key} ${sequence} ${text}`
          })
          .toSorted(),
    })
  } finally {
    for (const name of names) dropMemoryStore(name)
  }
}

const texts = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `{"n":${from + index}}`)

test('the layouts of Firehose, Kafka Connect and Vector are read, whatever their names say of compression', async () => {
  await withBucket(async ({ put, land: run, staged, warehouse }) => {
    const firehose = 'firehose/2026/11/21/12/stream-1-2026-11-21-12-00-00-8f1b2c'
    const connect = 'topics/news/partition=0/news+0+0000000000.json'
    const vector = 'date=2026-11-21/1795262400-3f2a.log'
    await put(firehose, texts(0, 3).join(''))
    await put(`${firehose}.gz`, gzipSync(texts(3, 5).join('')))
    await put(`${firehose}-plain.gz`, texts(5, 7).join('\n'))
    await put(connect, `${texts(7, 9).join('\n')}\n`)
    await put(`${connect}.gz`, gzipSync(`${texts(9, 11).join('\n')}\n`))
    await put(`${vector}.gz`, Buffer.concat([gzipSync(`${texts(11, 12)[0]}\n`), gzipSync(`${texts(12, 13)[0]}\n`)]))
    await put(`${vector}.zst`, zstdCompressSync(texts(13, 15).join('\n')))
    await put(`${vector}.zz`, deflateSync(texts(15, 16).join('\n')))
    expect(await run()).toMatchObject({ records: 16, endedBy: 'tip' })
    const all = await staged()
    expect(all.map((line) => line.split(' ')[2]).toSorted()).toEqual(texts(0, 16).toSorted())
    expect(all).toContain(`${firehose} 3 {"n":2}`)
    expect(all).toContain(`${vector}.gz 2 {"n":12}`)
    const metas = await stagedMetas(warehouse, STREAM)
    expect(metas.filter(({ ended }) => ended).length).toBe(8)
    expect(await run()).toMatchObject({ records: 0, chunks: 0 })
  })
})

test('what comes later is added, what was landed is not read again', async () => {
  await withBucket(async ({ put, land: run, staged, bucket }) => {
    await put('a', texts(0, 10).join(''))
    await run()
    await put('b', texts(10, 12).join(''))
    let reads = 0
    const store = unsteady(bucket, (operation, call) => {
      if (operation === 'get') reads++
      return call()
    })
    expect(await run({ store })).toMatchObject({ records: 2 })
    expect(reads).toBe(1)
    expect((await staged()).length).toBe(12)
  })
})

test('empty objects end at once, folders of consoles are no objects, a prefix without objects is not found', async () => {
  await withBucket(async ({ put, land: run, warehouse, bucket }) => {
    await expect(run()).rejects.toMatchObject({ code: 'FIRN_FILE_NOT_FOUND' })
    await put('empty', '')
    expect(await run()).toMatchObject({ records: 0, chunks: 1, shards: [{ ended: true }] })
    expect(await stagedMetas(warehouse, STREAM)).toMatchObject([{ ended: true, count: 0 }])
    await expect(run({ name: 'other' })).rejects.toMatchObject({ code: 'FIRN_FILE_NOT_FOUND' })
    const consoleFolder: ObjectInfo = { key: 'folder/', sizeBytes: 0, etag: 'x', lastModifiedMillis: 1 }
    const store = new Proxy(bucket, {
      get: (target, member) => {
        if (member === 'url') return target.url
        if (member !== 'list') return Reflect.get(target, member).bind(target)
        return async function* (...args: Parameters<ObjectStore['list']>) {
          yield consoleFolder
          yield* target.list(...args)
        }
      },
    })
    expect((await run({ store })).shards.length).toBe(1)
  })
})

test('a name is an object or a folder; with an asterisk it is the beginning of keys', async () => {
  await withBucket(async ({ put, land: run, staged }) => {
    for (const key of ['day=1/a', 'day=1/b/c', 'day=10/d', 'day=1', 'e']) await put(key, '{}')
    const keys = async (): Promise<string[]> => (await staged()).map((line) => line.split(' ')[0]!)
    await run({ name: 'e' })
    expect(await keys()).toEqual(['e'])
    await run({ name: 'day=1' })
    expect(await keys()).toEqual(['day=1', 'day=1/a', 'day=1/b/c', 'e'])
    await run({ name: 'day=1*' })
    expect(await keys()).toEqual(['day=1', 'day=1/a', 'day=1/b/c', 'day=10/d', 'e'])
  })
})

test.each([
  ['s3://bucket', 's3://bucket', ''],
  ['s3://bucket/', 's3://bucket', ''],
  ['s3://bucket/a', 's3://bucket', 'a'],
  ['s3://bucket/a/b', 's3://bucket/a', 'b'],
  ['s3://bucket/a/b/', 's3://bucket/a/b', ''],
  ['s3://bucket/a/b*', 's3://bucket/a', 'b*'],
  ['file:///a/b/', 'file:///a/b', ''],
])('%s is looked for in %s as "%s"', (url, root, name) => {
  expect(splitObjectUrl(url)).toEqual({ root, name })
})

test('an object that was replaced is refused, before and after its end, and keeps no other from landing', async () => {
  await withBucket(async ({ put, land: run, staged, warehouse }) => {
    await put('a', texts(0, 10).join(''))
    await put('b', texts(10, 20).join(''))
    const died = unsteady(warehouse, async (operation, call) => {
      if (operation === 'put' && (await stagedMetas(warehouse, STREAM)).length >= 2) throw new Error('killed')
      return call()
    })
    await expect(run({ warehouse: died })).rejects.toThrow('killed')
    const before = await staged()
    expect(before.length).toBeGreaterThan(0)
    expect(before.length).toBeLessThan(20)
    const [half] = before[0]!.split(' ') as [string]
    const landed = await stagedMetas(warehouse, STREAM)
    expect(landed.every(({ ended }) => !ended)).toBe(true)
    await put(half, texts(50, 70).join(''))
    await put('c', '{"n":99}')
    await expect(run()).rejects.toMatchObject({ code: 'FIRN_FILE_CHANGED' })
    expect((await staged()).some((line) => line.startsWith('c 1'))).toBe(true)
    expect((await staged()).filter((line) => /"n":[56]\d/.test(line))).toEqual([])
    await put('c', '{"n":100}')
    const failure = await run().catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'FIRN_FILE_CHANGED' })
    expect((await staged()).filter((line) => line.startsWith('c '))).toEqual(['c 1 {"n":99}'])
  })
})

test('an object that is replaced while it is read is noticed', async () => {
  await withBucket(async ({ put, land: run, bucket, staged }) => {
    await put('a', texts(0, 4).join(''))
    const store = unsteady(bucket, async (operation, call) => {
      if (operation === 'get') await put('a', texts(4, 8).join(''))
      return call()
    })
    await expect(run({ store })).rejects.toMatchObject({ code: 'FIRN_FILE_CHANGED' })
    expect(await staged()).toEqual([])
  })
})

test('a run whose object was replaced does not continue the records of another run that saw the new one', async () => {
  await withBucket(async ({ put, land: run, staged, warehouse }) => {
    await put('a', texts(0, 12).join(''))
    let puts = 0
    const slow = unsteady(warehouse, async (operation, call) => {
      if (operation === 'put' && ++puts === 2) {
        await put('a', texts(20, 26).join(''))
        await run()
      }
      return call()
    })
    await expect(run({ warehouse: slow })).rejects.toMatchObject({ code: 'FIRN_FILE_CHANGED' })
    expect((await staged()).map((line) => line.split(' ')[2])).toEqual(texts(20, 26))
  })
})

test.each<[string, string, string | Buffer]>([
  ['Parquet', 'x.parquet', 'PAR1....'],
  ['ORC', 'x.orc', 'ORC.....'],
  ['Avro', 'x.avro', 'Obj\x01....'],
  ['ZIP', 'x.zip', 'PK\x03\x04....'],
  ['snappy', 'x', Buffer.from('ff060000734e61507059aa', 'hex')],
  ['snappy', 'x.snappy', Buffer.from('0000000a0000000b', 'hex')],
  ['LZ4', 'x', Buffer.from('04224d18aa', 'hex')],
  ['XZ', 'x', Buffer.from('fd377a585a00', 'hex')],
  ['bzip2', 'x', 'BZh9'],
])('an object of %s (%s) says so, and the others land', async (format, key, body) => {
  await withBucket(async ({ put, land: run, staged }) => {
    await put(key, body)
    await put('good', '{"n":1}')
    const failure = (await run().catch((error: unknown) => error)) as { code: string; message: string }
    expect(failure).toMatchObject({ code: 'FIRN_FILE_FORMAT' })
    expect(failure.message).toContain(format)
    expect(await staged()).toEqual(['good 1 {"n":1}'])
  })
})

test.each([
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
  ['zlib', deflateSync],
])('of cut %s the whole texts land, and the damage is told', async (_name, compress) => {
  await withBucket(async ({ put, land: run, staged }) => {
    const noise = (n: number): string =>
      Array.from({ length: 900 }, (_, i) => ((n * 7919 + i * 104729) % 9973).toString(36)).join('')
    const lines = Array.from({ length: 600 }, (_, n) => `{"n":${n},"x":"${noise(n)}"}`)
    const whole = compress(Buffer.from(lines.join('\n')))
    await put('a', whole.subarray(0, whole.length - 20))
    await expect(run()).rejects.toMatchObject({ code: 'FIRN_FILE_CORRUPT' })
    const landed = (await staged()).map((line) => line.replace(/^\S+ \d+ /, ''))
    expect(landed.length).toBeGreaterThan(0)
    expect(landed.filter((line) => !lines.includes(line))).toEqual([])
    await expect(run()).rejects.toMatchObject({ code: 'FIRN_FILE_CORRUPT' })
  })
})

test.each([
  ['two zlib streams', [deflateSync(texts(0, 2).join('')), deflateSync(texts(2, 4).join(''))], false],
  ['text behind zlib', [deflateSync(texts(0, 2).join('')), texts(2, 4).join('')], false],
  ['text behind a zstd frame', [zstdCompressSync(texts(0, 2).join('')), texts(2, 4).join('')], false],
  ['zeros behind a zstd frame', [zstdCompressSync(texts(0, 2).join('')), Buffer.alloc(9_000_000)], false],
  ['text behind gzip', [gzipSync(texts(0, 2).join('')), texts(2, 4).join('')], false],
  ['a gzip member behind zeros', [gzipSync(texts(0, 2).join('')), Buffer.alloc(9e6), gzipSync('{"n":3}')], false],
  ['zeros behind gzip, which pad it', [gzipSync(texts(0, 2).join('')), Buffer.alloc(17_000_000)], true],
])('%s: nothing behind the end is left out without a word', async (_name, parts, fine) => {
  await withBucket(async ({ put, land: run, staged }) => {
    await put('a', Buffer.concat(parts.map((part) => Buffer.from(part))))
    if (!fine) await expect(run()).rejects.toMatchObject({ code: 'FIRN_FILE_CORRUPT' })
    else expect(await run()).toMatchObject({ records: 2, shards: [{ ended: true }] })
    expect(await staged()).toEqual(fine ? ['a 1 {"n":0}', 'a 2 {"n":1}'] : [])
  })
})

test('an object of several parts and many inflated blocks is numbered as a whole', async () => {
  await withBucket(async ({ bucket, put, warehouse }) => {
    const long = Array.from({ length: 9 }, (_, n) => JSON.stringify({ n, x: String(n).repeat(1_200_000) }))
    await put('plain', long.join(''))
    await put('gz', gzipSync(long.join('\n')))
    const source = objectSource({ places: [{ store: bucket, name: '' }], as: STREAM })
    await land({ store: warehouse, source, clock: virtualClock() })
    const records = await stagedRecords(warehouse, STREAM)
    for (const key of ['plain', 'gz']) {
      const own = records.filter(({ shardId }) => shardId.endsWith(`%2F${key}`))
      expect(own.map(({ text }) => text)).toEqual(long)
      expect(own.map(({ sequence }) => sequence)).toEqual(long.map((_, n) => String(n + 1)))
    }
  })
})

test('a text over the limit stops its object', async () => {
  await withBucket(async ({ put, land: run }) => {
    await put('a', `{"x":"${'y'.repeat(500)}"}`)
    await expect(run({ maxTextBytes: 100 })).rejects.toMatchObject({ code: 'FIRN_LINE_TOO_LONG' })
  })
})

test('the arrival of a record is the time when the store got its object', async () => {
  await withBucket(async ({ put, land: run, bucket, warehouse }) => {
    await put('a', '{"n":1}')
    const { lastModifiedMillis } = (await bucket.head('a'))!
    await run()
    expect(await stagedMetas(warehouse, STREAM)).toMatchObject([
      { minArrivalMillis: lastModifiedMillis, maxArrivalMillis: lastModifiedMillis },
      { ended: true },
    ])
  })
})

test('a name that files were landed under by lines is refused', async () => {
  await withBucket(async ({ put, land: run, bucket, warehouse }) => {
    await put('a', '{"n":1}\n{"n":2}')
    await run()
    const metas = await stagedMetas(warehouse, STREAM)
    expect(metas.every(({ etag }) => etag !== undefined)).toBe(true)
    const source = objectSource({ places: [{ store: bucket, name: '' }], as: STREAM })
    const [shard] = await source.listShards()
    const { etag: _etag, ...byLines } = metas.at(-1)!
    expect(() => source.checkEnded!(shard!, byLines)).toThrow(/by lines/)
  })
})

test('killed before or after any operation, a run is completed by the next one', async () => {
  let operations = 0
  const prepare = async ({ put }: Fixture): Promise<void> => {
    await put('a', texts(0, 10).join(''))
    await put('b', gzipSync(texts(10, 15).join('\n')))
    await put('c', '')
  }
  await withBucket(async (fixture) => {
    await prepare(fixture)
    const counting = unsteady(fixture.warehouse, (_operation, call) => {
      operations++
      return call()
    })
    await fixture.land({ warehouse: counting })
  })
  expect(operations).toBeGreaterThan(8)
  for (let at = 1; at <= operations; at++) {
    for (const when of ['before', 'after'] as const) {
      await withBucket(async (fixture) => {
        await prepare(fixture)
        let operation = 0
        const dying = unsteady(fixture.warehouse, async (_name, call) => {
          operation++
          if (operation > at || (operation === at && when === 'before')) throw new Error('killed')
          const result = await call()
          if (operation >= at) throw new Error('killed')
          return result
        })
        await expect(fixture.land({ warehouse: dying }), `${at} ${when}`).rejects.toThrow('killed')
        await fixture.land()
        expect((await fixture.staged()).map((line) => line.split(' ')[2]).toSorted()).toEqual(texts(0, 15).toSorted())
        expect(await fixture.land()).toMatchObject({ records: 0, chunks: 0 })
      })
    }
  }
})
