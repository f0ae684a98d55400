/**
 * A start that Kinesis takes. It refuses AT_TIMESTAMP later than its own time, which is not this machine's: so it is
 * asked, by a shard iterator that nobody reads, before the start is stored for good.
 */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import { patientRetries, withRetries } from '../retry.ts'
import type { RequestedStart, StreamStart } from '../source.ts'
import { startInvalid } from '../staging/stream-start.ts'
import type { KinesisApi, KinesisShard } from './api.ts'

export interface AskedShard {
  readonly api: KinesisApi
  readonly stream: string
  /** Any shard; none: there is nobody to ask. */
  readonly shard: KinesisShard | undefined
  readonly clock: Clock
}

/**
 * How far LATEST is moved back, step by step, while Kinesis says that it is still to come: what this machine's clock is
 * ahead. Some records from just before the run may then land; none is left out. AWS refuses the signature of a clock
 * that is off by more than five minutes, emulators do not look.
 */
const EARLIER_MILLIS = [0, 1_000, 5_000, 30_000, 120_000, 600_000, 3_600_000] as const

/** @throws {FirnError} `FIRN_START_INVALID` (invalid) when Kinesis refuses it; what the calls throw. */
export async function acceptedStart(
  asked: AskedShard,
  wanted: Exclude<RequestedStart, { type: 'TRIM_HORIZON' }>,
  options: AbortableOptions & { readonly nowMillis: EpochMillis },
): Promise<StreamStart> {
  const { nowMillis, signal } = options
  let refusal: unknown
  for (const earlierMillis of wanted.type === 'LATEST' ? EARLIER_MILLIS : [0]) {
    const timestampMillis = wanted.type === 'LATEST' ? epochMillis(nowMillis - earlierMillis) : wanted.timestampMillis
    refusal = await refusalOf(asked, timestampMillis, { signal })
    if (refusal === undefined) return { type: 'AT_TIMESTAMP', timestampMillis }
  }
  const what = wanted.type === 'LATEST' ? 'now' : new Date(wanted.timestampMillis).toISOString()
  throw startInvalid(asked.stream, `Kinesis does not accept ${what}`, { nowMillis, cause: refusal })
}

/** `undefined` when an iterator can begin there. */
async function refusalOf(
  { api, stream, shard, clock }: AskedShard,
  timestampMillis: EpochMillis,
  { signal }: AbortableOptions,
): Promise<FirnError | undefined> {
  if (shard === undefined) return undefined
  const position = { type: 'AT_TIMESTAMP', timestampMillis } as const
  try {
    await withRetries(clock, patientRetries, { signal }, () =>
      api.getShardIterator(stream, shard.shardId, position, { signal }),
    )
    return undefined
  } catch (error) {
    if (FirnError.is(error, 'FIRN_STREAM_REQUEST_INVALID')) return error
    throw error
  }
}
