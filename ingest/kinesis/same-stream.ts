/**
 * Whether an iterator belongs to the stream that the run opened. A stream can be deleted and made again under its name
 * while a run reads it, with the same shard ids: its records belong to chains of their own, and would land twice.
 */
import { FirnError } from '../../table/errors.ts'

/** Rejects with `FIRN_STREAM_RECREATED` unless the stream is, after the call, still the one that was opened. */
export type SameStream = (stream: string, signal: AbortSignal | undefined) => Promise<void>

/**
 * Creation times only move on, so a stream that is the same after an iterator was made was the same then. One question
 * is asked at a time: shards that come while it is under way share the next one, since their iterators may be younger.
 * @param opened creation time of the stream that the run opened, epoch seconds.
 * @param ask the same of the stream as it is now.
 */
export function sameStreamGuard(
  opened: () => number,
  ask: (signal: AbortSignal | undefined) => Promise<number>,
): SameStream {
  let underWay: Promise<void> | undefined
  let next: Promise<void> | undefined
  return async (stream, signal) => {
    const question = async (): Promise<void> => {
      const now = await ask(signal)
      if (now !== opened()) throw recreated(stream, { opened: opened(), now })
    }
    const begin = (): Promise<void> => {
      next = undefined
      const asked = question().finally(() => {
        if (underWay === asked) underWay = undefined
      })
      underWay = asked
      return asked
    }
    next ??= underWay === undefined ? undefined : underWay.then(begin, begin)
    await (next ?? begin())
  }
}

function recreated(stream: string, { opened, now }: { opened: number; now: number }): FirnError {
  const time = (seconds: number): string => new Date(seconds * 1000).toISOString()
  const message = `stream ${stream} was deleted and made again while it was read: created ${time(opened)}, now ${time(now)}`
  return new FirnError('unavailable', 'FIRN_STREAM_RECREATED', message, {
    detail: { stream, opened, now },
    help: 'Run land again: the new stream has chains of its own, and what was landed of the old one stays.',
  })
}
