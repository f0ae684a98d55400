/** What producers published: each record can be told by its content, so that a lost or a doubled one has a name. */
import { comparePositions } from '../../../ingest/index.ts'
import type { MemoryKinesis } from '../../contract/memory-kinesis.ts'
import { aggregate } from '../../ingest/kpl-encoder.ts'

export interface Published {
  /** Unique; in the title of an article, in the text of what is no article. */
  readonly uid: string
  /** `article_id`; undefined where no rule will ever accept the record. */
  readonly key: string | undefined
  readonly bytes: number
  readonly stream: string
  readonly shardId: string
  readonly sequence: string
  /** Place in an aggregate. */
  readonly sub: number
  readonly arrivalMillis: number
}

/** Records larger than this are refused by the rule that the tables begin with. */
export const SMALL_RULE = 500
export const WIDE_RULE = 5_000
const KEYS = 12

export interface Producer {
  /** Publish about `count` records to the open shards: versions of few keys, some in aggregates, some bad. */
  publish(stream: string, count: number): void
  /** Split or merge shards, by chance. */
  reshard(stream: string): void
}

export class Ledger {
  readonly records: Published[] = []
  /** `<stream>/<shard>` and the last sequence number in it. */
  readonly last: Map<string, string> = new Map()
  /** When each closed shard was closed. */
  readonly closed: Map<string, number> = new Map()
  /** Parents of each shard that has any, by `<stream>/<shard>`. */
  readonly parents: Map<string, readonly string[]> = new Map()
  #count = 0

  nextUid(): string {
    return `u${String(++this.#count).padStart(5, '0')}`
  }

  /** Records of a shard in `(after, through]`; positions as in table properties, `undefined` for its beginning. */
  between(stream: string, shardId: string, after: string | undefined, through: string): readonly Published[] {
    return this.records.filter(
      (record) =>
        record.stream === stream &&
        record.shardId === shardId &&
        (after === undefined || comparePositions(record.sequence, bare(after)) > 0) &&
        comparePositions(record.sequence, bare(through)) <= 0,
    )
  }
}

export const bare = (position: string): string => position.replace('!', '')

/** @param nowMillis of the stream's server, which stamps arrivals. */
export function producer(
  ledger: Ledger,
  kinesis: MemoryKinesis,
  random: () => number,
  nowMillis: () => number,
): Producer {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const note = (stream: string, shardId: string, made: readonly Made[], data: Uint8Array): void => {
    const sequence = kinesis.putInto(stream, shardId, data)
    ledger.last.set(`${stream}/${shardId}`, sequence)
    const arrivalMillis = Math.floor(nowMillis())
    for (const [sub, { uid, key, data: own }] of made.entries()) {
      ledger.records.push({ uid, key, bytes: own.byteLength, stream, shardId, sequence, sub, arrivalMillis })
    }
  }
  return {
    publish: (stream, count) => {
      for (let left = count; left > 0; ) {
        const shardId = pick(kinesis.control(stream).openShards())
        const size = random() < 0.15 ? 2 + Math.floor(random() * 3) : 1
        const made = Array.from({ length: size }, () => make(ledger, random))
        const data =
          size === 1 ? made[0]!.data : aggregate(made.map((each) => ({ partitionKey: each.uid, data: each.data })))
        note(stream, shardId, made, data)
        left -= size
      }
    },
    reshard: (stream) => {
      const control = kinesis.control(stream)
      const open = control.openShards()
      const close = (shardId: string): void => void ledger.closed.set(`${stream}/${shardId}`, nowMillis())
      if (open.length > 1 && random() < 0.5) {
        const at = Math.floor(random() * (open.length - 1))
        const child = control.merge(open[at]!, open[at + 1]!)
        ledger.parents.set(`${stream}/${child}`, [open[at]!, open[at + 1]!])
        close(open[at]!)
        close(open[at + 1]!)
      } else {
        const parent = pick(open)
        for (const child of control.split(parent)) ledger.parents.set(`${stream}/${child}`, [parent])
        close(parent)
      }
    },
  }
}

interface Made {
  readonly uid: string
  readonly key: string | undefined
  readonly data: Uint8Array
}

function make(ledger: Ledger, random: () => number): Made {
  const uid = ledger.nextUid()
  const drawn = random()
  if (drawn < 0.06) return { uid, key: undefined, data: Buffer.from(`{"title": "${uid}", broken`) }
  const key = `article-${Math.floor(random() * KEYS)}`
  const article = {
    article_id: key,
    title: uid,
    author: null,
    publish_date: new Date(Date.UTC(2026, 0, 1, Math.floor(random() * 1000))).toISOString(),
    content: drawn < 0.18 ? 'large '.repeat(SMALL_RULE / 5) : `Text of ${uid}.`,
  }
  return { uid, key, data: Buffer.from(JSON.stringify(article)) }
}
