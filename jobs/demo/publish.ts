/** Puts generated articles into a stream, as a news feed would. */
import type { KinesisApi, PutEntry } from '../../ingest/index.ts'
import { type Clock, fullJitterMillis } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { articleAt } from './articles.ts'

export interface PublishOptions {
  readonly client: KinesisApi
  readonly stream: string
  readonly count: number
  readonly seed: number
  /** Index of the first article; the same seed and index always make the same article id and text. */
  readonly startIndex: number
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
  /** Articles published so far. */
  readonly onProgress?: (published: number) => void
}

/**
 * Kinesis allows 500 entries and 5 MiB a call. kinesis-local sometimes waits for ever for the rest of a large request
 * (1 of 6 at 2 MB), so a call stays small enough to arrive in one piece.
 */
const BATCH_BYTES = 32 * 1024
const MAX_TRIES = 12

/**
 * Every article exactly once unless a call's answer is lost; entries that Kinesis refuses are put again.
 * @throws {FirnError} `FIRN_STREAM_UNAVAILABLE` when entries are still refused after 12 tries; what the client throws.
 */
export async function publishArticles(options: PublishOptions): Promise<{ readonly published: number }> {
  const { client, stream, count, seed, startIndex, clock, signal, onProgress } = options
  const newestMillis = clock.nowMillis()
  let batch: PutEntry[] = []
  let batchBytes = 0
  for (let offset = 0; offset < count; offset++) {
    const article = articleAt({ seed, index: startIndex + offset, newestMillis })
    const data = Buffer.from(JSON.stringify(article))
    batch.push({ partitionKey: article.article_id, data })
    batchBytes += data.byteLength
    if (batchBytes < BATCH_BYTES && offset + 1 < count) continue
    await putAll(client, stream, batch, clock, signal)
    onProgress?.(offset + 1)
    batch = []
    batchBytes = 0
  }
  return { published: count }
}

async function putAll(
  client: KinesisApi,
  stream: string,
  entries: readonly PutEntry[],
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<void> {
  let left = entries
  for (let attempt = 0; ; attempt++) {
    let refusal = ''
    try {
      const outcomes = await client.putRecords(stream, left, { signal })
      left = left.filter((_, index) => {
        const outcome = outcomes[index]
        if (outcome?.ok) return false
        refusal = outcome === undefined ? 'no outcome' : `${outcome.code} ${outcome.message}`
        return true
      })
      if (left.length === 0) return
    } catch (error) {
      // Only a refusal is surely not stored; after a lost answer a second put would publish everything twice.
      if (!FirnError.is(error, 'FIRN_STREAM_THROTTLED') || attempt + 1 >= MAX_TRIES) throw error
    }
    if (attempt + 1 >= MAX_TRIES) {
      throw new FirnError(
        'unavailable',
        'FIRN_STREAM_UNAVAILABLE',
        `${stream} refused ${left.length} records: ${refusal}`,
      )
    }
    await clock.sleep(fullJitterMillis(clock, attempt, 200, 5_000), signal)
  }
}
