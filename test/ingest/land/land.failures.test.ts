/** Shards that fail: what becomes of the others, what is thrown, and what the next run finds. */
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import {
  fileSource,
  incarnationPrefix,
  type KinesisApi,
  kinesisSource,
  land,
  listChunks,
} from '../../../ingest/index.ts'
import { readCaughtUp } from '../../../ingest/staging/stream-state.ts'
import { type ErrorCode, type ErrorKind, FirnError } from '../../../table/errors.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { stagedRecords } from '../staged-records.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { unavailable, unsteady } from '../unsteady-store.ts'
import { virtualClock } from '../virtual-clock.ts'

const folder = temporaryFolder()
afterAll(() => folder.remove())

let store: ObjectStore
let stores = 0
beforeEach(() => {
  store = openMemoryStore(`failures-${++stores}`)
})
const texts = async (stream: string): Promise<string[]> =>
  (await stagedRecords(store, stream)).map(({ text }) => text).toSorted()
const failureOf = (run: Promise<unknown>): Promise<unknown> =>
  run.then(
    () => expect.fail('it should have failed'),
    (error: unknown) => error,
  )

describe('files', () => {
  const landFiles = (paths: readonly string[], shardConcurrency = 1) => {
    const clock = virtualClock()
    return land({ store, source: fileSource({ paths, clock }), clock, shardConcurrency })
  }
  const write = (name: string, ...values: number[]): string =>
    folder.write(name, values.map((value) => `{"v":${value}}\n`).join(''))

  test.each([1, 8])('a file that changed does not keep the others from landing (%i at a time)', async (concurrency) => {
    const [a, b, c] = [write('a.ndjson', 1), write('b.ndjson', 2), write('c.ndjson', 3)] as const
    await landFiles([a, b, c])
    write('a.ndjson', 9)
    folder.append('b.ndjson', '{"v":4}\n')
    folder.append('c.ndjson', '{"v":5}\n')
    const changed = { code: 'FIRN_FILE_CHANGED', message: expect.stringMatching(/a\.ndjson changed since/) }
    await expect(landFiles([a, b, c], concurrency)).rejects.toMatchObject(changed)
    expect(await texts('files')).toEqual([1, 2, 3, 4, 5].map((v) => `{"v":${v}}`))
  })

  test('of several failures the most severe is thrown, with their number and names', async () => {
    const [a, b, c] = [write('one.ndjson', 1), write('two.ndjson', 2), write('three.ndjson', 3)] as const
    await landFiles([a, b])
    write('one.ndjson', 9)
    const noise = folder.write('noise.ndjson.gz', 'not compressed')
    const error = await failureOf(landFiles([a, b, noise, c]))
    expect(error).toMatchObject({
      code: 'FIRN_FILE_CORRUPT', // before FIRN_FILE_CHANGED, which came first
      kind: 'corrupt',
      message: expect.stringMatching(/^2 shards failed: .*noise\.ndjson\.gz.*one\.ndjson \(FIRN_FILE_CHANGED\)$/),
      detail: { failed: 2, failedShards: expect.stringMatching(/noise\.ndjson\.gz .*one\.ndjson$/) },
      help: expect.stringContaining('repair'),
    })
    expect(await texts('files')).toContain('{"v":3}')
  })

  test('a link that leads nowhere fails alone', async () => {
    const good = write('linked/good.ndjson', 1)
    folder.link('linked/dangling.ndjson', `${good}.gone`)
    await expect(landFiles([`${folder.path}/linked`])).rejects.toMatchObject({
      code: 'FIRN_FILE_UNREADABLE',
      message: expect.stringContaining('dangling.ndjson'),
    })
    expect(await texts('files')).toEqual(['{"v":1}'])
  })
})

describe('shards', () => {
  const STREAM = 'clicks'
  const SHARD = (index: number): string => `shardId-${String(index).padStart(12, '0')}`
  const fail = (kind: ErrorKind, code: ErrorCode): FirnError => new FirnError(kind, code, `injected ${code}`)

  function world(shards: number) {
    const clock = virtualClock()
    const kinesis = new MemoryKinesis({ clock })
    kinesis.createStream(STREAM, shards)
    for (let i = 0; i < shards; i++) kinesis.putInto(STREAM, SHARD(i), `r${i}`)
    clock.advance(10)
    /** A landing run to which `broken` says what is wrong with a shard. */
    const run = (broken: (shard: number) => unknown = () => undefined, target = store, shardConcurrency = 1) => {
      const client: KinesisApi = new Proxy(kinesis, {
        get: (object, name) => {
          const member = Reflect.get(object, name)
          if (name !== 'getShardIterator') return typeof member === 'function' ? member.bind(object) : member
          return async (...args: unknown[]) => {
            const error = broken(Number(String(args[1]).slice(-3)))
            if (error !== undefined) throw error
            return Reflect.apply(member, object, args)
          }
        },
      })
      return land({ store: target, source: kinesisSource({ stream: STREAM, client, clock }), clock, shardConcurrency })
    }
    const incarnation = async () => ({
      stream: STREAM,
      created: (await kinesis.describeStream(STREAM)).createdMillis / 1000,
    })
    return { clock, kinesis, run, incarnation }
  }
  const numbered = (...shards: number[]): string[] => shards.map((shard) => `r${shard}`)

  test.each([
    ['is refused', fail('invalid', 'FIRN_STREAM_REQUEST_INVALID')],
    ['gets no answer', fail('unavailable', 'FIRN_STREAM_UNAVAILABLE')],
    ['is throttled', fail('unavailable', 'FIRN_STREAM_THROTTLED')],
    ['meets a bug', new TypeError('injected')],
  ])('a shard that %s does not keep the others from landing, nor from being at their tip', async (_what, error) => {
    const { run, incarnation } = world(4)
    expect(await failureOf(run((shard) => (shard === 1 ? error : undefined)))).toBe(error)
    expect(await texts(STREAM)).toEqual(numbered(0, 2, 3))
    const caughtUp = await readCaughtUp(store, await incarnation())
    expect([...caughtUp.keys()]).toEqual([SHARD(0), SHARD(2), SHARD(3)])
    expect(await run()).toMatchObject({ records: 1 })
    expect(await texts(STREAM)).toEqual(numbered(0, 1, 2, 3))
  })

  test('a chunk that cannot be read stops its shard and the children that wait for it, nothing else', async () => {
    const { run, kinesis, incarnation, clock } = world(2)
    await run()
    kinesis.splitShard(STREAM, SHARD(0)) // 2, 3
    kinesis.putInto(STREAM, SHARD(2), 'child')
    kinesis.putInto(STREAM, SHARD(1), 'more')
    clock.advance(10)
    const [chunk] = await listChunks(store, await incarnation())
    await store.put(chunk?.key as string, Buffer.from('noise'))
    const corrupt = { code: 'FIRN_CHUNK_CORRUPT', kind: 'corrupt', message: expect.stringContaining(SHARD(0)) }
    await expect(run()).rejects.toMatchObject(corrupt)
    const found = (await listChunks(store, await incarnation())).map(({ shardId }) => shardId)
    expect(found).toEqual([SHARD(0), SHARD(1), SHARD(1)])
  })

  test('a vanished shard whose chain cannot be closed does not keep the others from landing', async () => {
    const { run, kinesis, incarnation, clock } = world(2)
    await run()
    kinesis.dropShard(STREAM, SHARD(0))
    kinesis.putInto(STREAM, SHARD(1), 'more')
    clock.advance(10)
    const [chunk] = await listChunks(store, await incarnation())
    await store.put(chunk?.key as string, Buffer.from('noise'))
    await expect(run()).rejects.toMatchObject({ code: 'FIRN_CHUNK_CORRUPT' })
    expect(await listChunks(store, await incarnation())).toHaveLength(3)
  })

  test('what nobody foresaw is told before what somebody has to correct, and that before what passes', async () => {
    const { run } = world(4)
    const errors = [
      fail('unavailable', 'FIRN_STREAM_UNAVAILABLE'),
      fail('invalid', 'FIRN_STREAM_REQUEST_INVALID'),
      new TypeError('a bug'),
    ]
    const first = await failureOf(run((shard) => errors[shard]))
    expect(first).toBeInstanceOf(AggregateError)
    expect((first as AggregateError).message).toMatch(/^3 shards failed: shardId-0+2: a bug; also /)
    const second = await failureOf(run((shard) => (shard < 2 ? errors[shard] : undefined)))
    expect(second).toMatchObject({
      code: 'FIRN_STREAM_REQUEST_INVALID',
      message: `2 shards failed: ${SHARD(1)}: injected FIRN_STREAM_REQUEST_INVALID; also ${SHARD(0)} (FIRN_STREAM_UNAVAILABLE)`,
      detail: { failed: 2, failedShards: `${SHARD(1)} ${SHARD(0)}` },
      cause: errors[1],
    })
    expect(await texts(STREAM)).toEqual(numbered(2, 3))
  })

  test('a stream that stopped answering is not asked for every shard', async () => {
    const { run, kinesis } = world(40)
    const error = await failureOf(
      run((shard) => (shard < 2 ? undefined : fail('unavailable', 'FIRN_STREAM_UNAVAILABLE'))),
    )
    expect(error).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/^3 shards failed, 35 were not tried: /),
    })
    expect(kinesis.calls('getRecords')).toBe(4)
    expect(await texts(STREAM)).toEqual(numbered(0, 1))
  })

  test('single shards without an answer, between others that have one, end nothing early', async () => {
    const { run } = world(10)
    await failureOf(run((shard) => (shard % 2 === 0 ? fail('unavailable', 'FIRN_STREAM_UNAVAILABLE') : undefined)))
    expect(await texts(STREAM)).toEqual(numbered(1, 3, 5, 7, 9))
  })

  test.each(['FIRN_STREAM_DENIED', 'FIRN_NO_CREDENTIALS'] as const)('%s ends the run at once', async (code) => {
    const { run } = world(5)
    let asked = 0
    const denied = run((shard) => {
      asked++
      return shard === 1 ? fail('invalid', code) : undefined
    })
    await expect(denied).rejects.toMatchObject({ code, message: `injected ${code}` })
    expect(asked).toBe(2)
  })

  test('a store that is away ends the run: no other shard is read for nothing', async () => {
    const { run, kinesis, incarnation } = world(5)
    const prefix = `${incarnationPrefix(await incarnation())}start.json`
    const away = unsteady(store, async (operation, call) => {
      const started = (await store.head(prefix)) !== undefined
      return operation === 'put' && started ? Promise.reject(unavailable()) : call()
    })
    await expect(run(undefined, away)).rejects.toMatchObject({ code: 'FIRN_STORE_UNAVAILABLE' })
    expect(kinesis.calls('getRecords')).toBe(2)
  })

  test('an abort after a failure is still the reason that is thrown, at once', async () => {
    const { run: _run, kinesis, clock } = world(4)
    const stop = new AbortController()
    const reason = new Error('SIGTERM')
    let asked = 0
    const client: KinesisApi = new Proxy(kinesis, {
      get: (object, name) => {
        const member = Reflect.get(object, name)
        if (name !== 'getShardIterator') return typeof member === 'function' ? member.bind(object) : member
        return async () => {
          if (++asked === 2) stop.abort(reason)
          throw fail('invalid', 'FIRN_STREAM_REQUEST_INVALID')
        }
      },
    })
    const source = kinesisSource({ stream: STREAM, client, clock })
    await expect(land({ store, source, clock, signal: stop.signal, shardConcurrency: 1 })).rejects.toBe(reason)
    expect(asked).toBe(2)
  })
})
