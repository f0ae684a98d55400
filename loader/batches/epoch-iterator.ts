/**
 * The batches of an epoch for their consumer: some made ahead, handed over without a turn of the event loop when they
 * are ready, and counted when they are delivered.
 *
 * Not a generator: those queue every call behind a promise, and training leaves the event loop little time.
 */
import type { RecordBatch } from 'apache-arrow'
import type { BatchMaker, MadeBatch, Position } from './made-batch.ts'

/** Global batches delivered in the epoch, and what comes next. */
export interface Progress {
  readonly batches: number
  readonly next: Position
  /** The epoch is over: what comes next is the following one. */
  readonly ended: boolean
}

/** `return()`, which leaving a `for await` calls, stops what still runs. */
export interface EpochIterator extends AsyncIterableIterator<RecordBatch, void, undefined> {
  return(): Promise<IteratorResult<RecordBatch, void>>
  /** A token for `loadStateDict`: goes on behind the last batch that this iteration delivered. */
  stateDict(): string
}

export interface EpochRun {
  readonly maker: BatchMaker
  /** Take over what threads have finished. */
  collect(): void
  /** What is needed before the first batch may go out; undefined: nothing. */
  readonly ready: Promise<unknown> | undefined
  /** Frees the memory and stops what is under way. Called once. @param isLeft the consumer left early. */
  close(isLeft: boolean): Promise<void>
}

export interface EpochIteratorOptions {
  /** Batches made ahead. */
  readonly depth: number
  readonly start: Progress
  /** Ends the iteration with its reason. */
  readonly signal: AbortSignal
  /** Global batches of the epoch, where known. */
  readonly lastBatch: number | undefined
  /** Called with the first `next()`. @param onChange makes the iterator look again. */
  open(onChange: () => void): EpochRun
  onDelivered(made: MadeBatch, waitMillis: number): void
  /**
   * No batch is left.
   * @param batches of the whole epoch. @param rowsLeft that made no batch. @throws when there should have been some.
   */
  onEnd(batches: number, rowsLeft: number): void
  monotonicMillis(): number
  token(progress: Progress): string
}

interface Waiter {
  readonly resolve: (result: IteratorResult<RecordBatch, void>) => void
  readonly reject: (error: unknown) => void
  readonly since: number
}

interface Queued {
  readonly made: MadeBatch & { readonly batch: RecordBatch }
  readonly progress: Progress
}

type Phase = 'idle' | 'waiting' | 'running' | 'over'

export function epochIterator(options: EpochIteratorOptions): EpochIterator {
  const { signal, lastBatch } = options
  const queue: Queued[] = []
  const waiters: Waiter[] = []
  let phase: Phase = 'idle'
  let run: EpochRun | undefined
  let progress = options.start
  let made = options.start.batches
  let finish: { readonly error: unknown } | 'end' | undefined
  let closing: Promise<void> | undefined
  let isRefilling = false

  const close = (isLeft: boolean): Promise<void> => {
    phase = 'over'
    signal.removeEventListener('abort', aborted)
    closing ??= run?.close(isLeft) ?? Promise.resolve()
    return closing
  }
  const stop = (error: unknown): void => {
    if (phase === 'over') return
    finish = { error }
    queue.length = 0
    close(false).catch(() => {}) // the first error is the one to tell
    settle()
  }
  const aborted = (): void => stop(signal.reason)

  /** Makes batches until enough are ahead, or something is missing. */
  const fill = (): void => {
    if (phase !== 'running' || run === undefined) return
    try {
      while (finish === undefined && queue.length < options.depth + waiters.length) {
        const step = run.maker.make()
        if (step === 'waiting') break
        if (step === 'end') {
          options.onEnd(made, run.maker.rowsLeft())
          finish = 'end'
          break
        }
        made++
        // A rank without rows of it takes note of it with the batch behind it.
        if (step.batch === undefined) continue
        const state = { batches: made, next: step.after, ended: made === lastBatch }
        queue.push({ made: { ...step, batch: step.batch }, progress: state })
      }
    } catch (error) {
      finish = { error }
    }
    settle()
  }
  const deliver = ({ made: item, progress: after }: Queued, since: number): IteratorResult<RecordBatch, void> => {
    progress = after
    options.onDelivered(item, options.monotonicMillis() - since)
    return { done: false, value: item.batch }
  }
  /** Waiters get what is there, in their order; behind the last batch, the error once, then the end. */
  const settle = (): void => {
    while (waiters.length > 0) {
      const item = queue.shift()
      if (item !== undefined) {
        const waiter = waiters.shift()!
        waiter.resolve(deliver(item, waiter.since))
      } else if (finish !== undefined) {
        over(waiters.shift()!)
      } else return
    }
  }
  const over = ({ resolve, reject }: Waiter): void => {
    if (finish !== undefined && finish !== 'end') {
      const { error } = finish
      finish = 'end'
      if (phase !== 'over') close(false).catch(() => {})
      reject(error)
      return
    }
    if (phase === 'over') {
      resolve({ done: true, value: undefined })
      return
    }
    progress = { ...progress, ended: true }
    close(false).then(() => resolve({ done: true, value: undefined }), reject)
  }
  const start = (): void => {
    phase = 'waiting'
    try {
      signal.throwIfAborted()
      run = options.open(fill)
    } catch (error) {
      stop(error)
      return
    }
    signal.addEventListener('abort', aborted, { once: true })
    const go = (): void => {
      if (phase !== 'waiting') return
      phase = 'running'
      fill()
    }
    if (run.ready === undefined) go()
    else run.ready.then(go, stop)
  }
  /** In the consumer's own time, while it waits for something else; the next call does it, if that comes first. */
  const refill = (): void => {
    if (options.depth === 0 || isRefilling) return
    isRefilling = true
    setImmediate(() => {
      isRefilling = false
      fill()
    })
  }

  const iterator: EpochIterator = {
    next() {
      const since = options.monotonicMillis()
      if (phase === 'running') run!.collect()
      const item = waiters.length === 0 ? queue.shift() : undefined
      if (item !== undefined) {
        refill()
        return Promise.resolve(deliver(item, since))
      }
      const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<RecordBatch, void>>()
      waiters.push({ resolve, reject, since })
      if (phase === 'idle') start()
      else if (phase === 'running') fill()
      else if (phase === 'over') settle()
      return promise
    },
    async return() {
      if (phase !== 'over') {
        queue.length = 0
        finish = 'end'
        close(true).catch(() => {}) // awaited below
        for (const { reject } of waiters.splice(0)) reject(new DOMException('the iteration was left', 'AbortError'))
      }
      await closing
      return { done: true, value: undefined }
    },
    stateDict: () => options.token(progress),
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}
