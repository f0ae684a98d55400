/** Articles into a stream in memory at a steady rate, while its shards are split and merged. */
import { articleAt } from '../../jobs/demo/articles.ts'
import { systemClock } from '../../table/clock.ts'
import { MemoryKinesis } from '../contract/memory-kinesis.ts'

export const STREAM = 'MyStream'
const NEWEST_MILLIS = Date.parse('2026-11-20T12:00:00Z')
const PUT_MILLIS = 250
const FIRST_SHARDS = 2
const MOST_SHARDS = 6
/** Of an article's text: records of about half a kB, so that two ends of the stream fit in memory for hours. */
const CONTENT_CHARACTERS = 300

export interface Producer {
  readonly kinesis: MemoryKinesis
  /** Records that are in the stream; their keys are `keyOf(0)` up to `keyOf(produced - 1)`. */
  readonly produced: number
  readonly splits: number
  readonly merges: number
  stop(): Promise<void>
}

export const keyOf = (index: number): string => `soak-${String(index).padStart(9, '0')}`

/** Begins at once. @param reshardMillis between a split or merge and the next. */
export function startProducer(perSecond: number, reshardMillis: number): Producer {
  // with the limits of the real one: two schedulers must not read a shard at once all the time
  const kinesis = new MemoryKinesis({ clock: systemClock, limits: true })
  kinesis.createStream(STREAM, FIRST_SHARDS)
  const control = kinesis.control(STREAM)
  const started = performance.now()
  let [produced, splits, merges] = [0, 0, 0]
  let growing = true

  const put = async (): Promise<void> => {
    const due = Math.floor(((performance.now() - started) / 1000) * perSecond)
    const entries = Array.from({ length: due - produced }, (_, offset) => entryAt(produced + offset))
    await kinesis.putRecords(STREAM, entries)
    produced = due
  }
  const reshard = (): void => {
    const open = control.openShards()
    if (open.length >= MOST_SHARDS) growing = false
    if (open.length <= FIRST_SHARDS) growing = true
    if (growing) {
      control.split(open[splits % open.length]!)
      splits++
    } else {
      control.merge(open[0]!, open[1]!)
      merges++
    }
  }
  const ended = new AbortController()
  const every = async (millis: number, work: () => unknown): Promise<void> => {
    while (!ended.signal.aborted) {
      await systemClock.sleep(millis, ended.signal).catch(() => {})
      if (!ended.signal.aborted) await work()
    }
  }
  const loops = Promise.all([every(PUT_MILLIS, put), every(reshardMillis, reshard)])
  return {
    kinesis,
    get produced() {
      return produced
    },
    get splits() {
      return splits
    },
    get merges() {
      return merges
    },
    stop: async () => {
      ended.abort()
      await loops
    },
  }
}

function entryAt(index: number): { partitionKey: string; data: Uint8Array } {
  const article = articleAt({ seed: 1, index, newestMillis: NEWEST_MILLIS })
  const record = { ...article, article_id: keyOf(index), content: article.content.slice(0, CONTENT_CHARACTERS) }
  return { partitionKey: record.article_id, data: Buffer.from(JSON.stringify(record)) }
}
