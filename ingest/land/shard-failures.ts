/**
 * Failures of single shards in a landing run. One bad file or broken shard must not keep the others from landing, run
 * after run; but when store, stream or credentials are of no use at all, the rest is not tried either.
 */
import { type ErrorCode, type ErrorKind, FirnError } from '../../table/errors.ts'
import type { Consequence } from './for-each-bounded.ts'

/** These are true of every shard. */
const EVERYWHERE: readonly ErrorCode[] = [
  'FIRN_ACCESS_DENIED',
  'FIRN_BUCKET_NOT_FOUND',
  'FIRN_NO_CREDENTIALS',
  'FIRN_NO_REGION',
  'FIRN_STORE_UNAVAILABLE',
  'FIRN_STORE_UNSUPPORTED',
  'FIRN_STREAM_DENIED',
  'FIRN_STREAM_RECREATED',
  'FIRN_WRONG_REGION',
]
/** As many shards in a row without an answer: the stream is away. Each took its time to be tried again and again. */
const MAX_UNAVAILABLE_IN_A_ROW = 3
/** Repeating the run can help with the last ones; whoever has to act is told first. */
const SEVERITY: readonly ErrorKind[] = ['corrupt', 'failed', 'unknown-commit', 'invalid', 'not-found', 'conflict']
const MAX_NAMED = 20

export const isEverywhere = (error: unknown): boolean => FirnError.is(error) && EVERYWHERE.includes(error.code)

interface ShardFailure {
  readonly shardId: string
  readonly error: unknown
}

export class ShardFailures {
  readonly #failures: ShardFailure[] = []
  #unavailableInARow = 0
  #consequence: Consequence = 'go-on'

  /** The gravest so far. */
  get consequence(): Consequence {
    return this.#consequence
  }

  readonly add = (shardId: string, error: unknown): Consequence => {
    this.#failures.push({ shardId, error })
    const unavailable = FirnError.is(error) && error.kind === 'unavailable'
    this.#unavailableInARow = unavailable ? this.#unavailableInARow + 1 : 0
    if (isEverywhere(error)) this.#consequence = 'stop'
    else if (this.#unavailableInARow >= MAX_UNAVAILABLE_IN_A_ROW && this.#consequence === 'go-on') {
      this.#consequence = 'begin-no-more'
    }
    return this.#consequence
  }

  /** A shard was read as far as it should: somebody answers. */
  succeeded(): void {
    this.#unavailableInARow = 0
  }

  /**
   * What the run throws: the error itself when there is one; of several the most severe, with a message that counts
   * them and names the shards. `undefined` without a failure.
   * @param rest.notTried shards whose turn did not come: the run ended early, or their parents failed.
   */
  combined({ notTried }: { readonly notTried: number }): unknown {
    const ranked = this.#failures.toSorted((a, b) => severity(a.error) - severity(b.error))
    const [worst, ...others] = ranked
    if (worst === undefined || others.length === 0) return worst?.error
    const named = others.slice(0, MAX_NAMED).map(({ shardId, error }) => `${readable(shardId)} (${labelOf(error)})`)
    const more = others.length > named.length ? [`${others.length - named.length} more`] : []
    const text = worst.error instanceof Error ? worst.error.message : String(worst.error)
    const also = [...named, ...more].join(', ')
    const count = `${ranked.length} shards failed${notTried > 0 ? `, ${notTried} were not tried` : ''}`
    const message = `${count}: ${readable(worst.shardId)}: ${text}; also ${also}`
    if (!FirnError.is(worst.error))
      return new AggregateError(
        ranked.map(({ error }) => error),
        message,
      )
    const { kind, code, help } = worst.error
    const failedShards = ranked.slice(0, MAX_NAMED).map(({ shardId }) => shardId)
    return new FirnError(kind, code, message, {
      detail: { ...worst.error.detail, failed: ranked.length, failedShards: failedShards.join(' ') },
      cause: worst.error,
      ...(help === undefined ? {} : { help }),
    })
  }
}

/** Lower is worse; what nobody foresaw is worst, `unavailable` the least. */
function severity(error: unknown): number {
  if (!FirnError.is(error)) return -1
  const at = SEVERITY.indexOf(error.kind)
  return at < 0 ? SEVERITY.length : at
}

const labelOf = (error: unknown): string =>
  FirnError.is(error) ? error.code : error instanceof Error ? error.name : typeof error

/** The shard of a file is its percent-encoded URL. */
function readable(shardId: string): string {
  if (!shardId.startsWith('file%3A')) return shardId
  try {
    return decodeURIComponent(shardId)
  } catch {
    return shardId
  }
}
