import { expect, test } from 'vitest'
import type { KinesisApi, PutEntry } from '../../../ingest/index.ts'
import { articleAt } from '../../../jobs/demo/articles.ts'
import { publishArticles } from '../../../jobs/demo/publish.ts'
import { FirnError } from '../../../table/errors.ts'
import { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { virtualClock } from '../../ingest/virtual-clock.ts'

function world() {
  const clock = virtualClock()
  const kinesis = new MemoryKinesis({ clock })
  kinesis.createStream('news', 1)
  const published = async (): Promise<unknown[]> => {
    const iterator = await kinesis.getShardIterator('news', 'shardId-000000000000', { type: 'TRIM_HORIZON' })
    return (await kinesis.getRecords(iterator)).records.map(({ data }) => JSON.parse(Buffer.from(data).toString()))
  }
  return { clock, kinesis, published }
}

/** A client whose `putRecords` is `put`. */
const withPut = (client: KinesisApi, put: KinesisApi['putRecords']): KinesisApi =>
  new Proxy(client, {
    get: (target, name) => {
      const member = name === 'putRecords' ? put : Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })

test('publishes the asked-for articles in order, and the next batch goes on', async () => {
  const { clock, kinesis, published } = world()
  const newestMillis = clock.nowMillis()
  const options = { client: kinesis, stream: 'news', seed: 7, clock }
  expect(await publishArticles({ ...options, count: 30, startIndex: 0 })).toEqual({ published: 30 })
  await publishArticles({ ...options, count: 5, startIndex: 30 })
  const expected = Array.from({ length: 35 }, (_, index) => articleAt({ seed: 7, index, newestMillis }))
  expect(await published()).toEqual(expected)
})

test('entries that Kinesis refuses are put again, and only those', async () => {
  const { clock, kinesis, published } = world()
  let calls = 0
  const picky = withPut(kinesis, async (stream, entries: readonly PutEntry[]) => {
    if (++calls % 3 === 0) throw new FirnError('unavailable', 'FIRN_STREAM_THROTTLED', 'injected')
    const refused = (index: number): boolean => calls % 2 === 1 && index % 2 === 1
    const accepted = await kinesis.putRecords(
      stream,
      entries.filter((_, index) => !refused(index)),
    )
    let next = 0
    return entries.map((_, index) =>
      refused(index)
        ? { ok: false as const, code: 'ProvisionedThroughputExceededException', message: 'slow down' }
        : (accepted[next++] as (typeof accepted)[0]),
    )
  })
  await publishArticles({ client: picky, stream: 'news', count: 40, seed: 7, startIndex: 0, clock })
  const ids = (await published()).map((article) => (article as { article_id: string }).article_id)
  expect(ids).toHaveLength(40)
  expect(new Set(ids).size).toBe(40)
})

test('a stream that refuses for ever is reported, with its reason', async () => {
  const { clock, kinesis } = world()
  const closed = withPut(kinesis, async (_stream, entries) =>
    entries.map(() => ({ ok: false, code: 'InternalFailure', message: 'no' }) as const),
  )
  const publishing = publishArticles({ client: closed, stream: 'news', count: 3, seed: 7, startIndex: 0, clock })
  await expect(publishing).rejects.toMatchObject({
    code: 'FIRN_STREAM_UNAVAILABLE',
    message: expect.stringContaining('InternalFailure'),
  })
})

test('a lost answer is not repeated: the records may be there', async () => {
  const { clock, kinesis, published } = world()
  const lossy = withPut(kinesis, async (stream, entries) => {
    await kinesis.putRecords(stream, entries)
    throw new FirnError('unavailable', 'FIRN_STREAM_UNAVAILABLE', 'injected')
  })
  const publishing = publishArticles({ client: lossy, stream: 'news', count: 3, seed: 7, startIndex: 0, clock })
  await expect(publishing).rejects.toMatchObject({ code: 'FIRN_STREAM_UNAVAILABLE' })
  expect(await published()).toHaveLength(3)
})
