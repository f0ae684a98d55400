/** Several processes on one virtual time: each has its own monotonic clock, may be stopped for a while, and may die. */
import { createHash } from 'node:crypto'
import type { Clock } from '../../../table/clock.ts'
import { epochMillis } from '../../../table/ids.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'

export interface Process {
  readonly clock: Clock
  /** The shared store as this process reaches it; `answerMillis`: how long an answer is on its way. */
  reach(store: ObjectStore, answerMillis?: () => number): ObjectStore
  /** From now on nothing that it waits for comes, and nothing that it sends arrives. */
  kill(): void
  /** Like SIGSTOP: whatever would wake it up before `untilMillis` of the world does so then. */
  stopUntil(untilMillis: number): void
}

export interface World {
  nowMillis(): number
  process(seed: number): Process
  /** Let time pass until `done`, or `untilMillis`. `everyStep` is called whenever something happened. */
  run(options: { done: () => boolean; untilMillis: number; everyStep?: () => void }): Promise<void>
}

interface Timer {
  at: number
  readonly wake: () => void
  readonly process: ProcessState
}

interface ProcessState {
  dead: boolean
  stoppedUntil: number
}

export const worldStart: number = Date.parse('2026-03-01T12:00:00Z')

export function createWorld(): World {
  let now = worldStart
  let requests = 0
  const timers = new Set<Timer>()
  /** Every promise that can go on without time has done so. */
  const quiet = async (): Promise<void> => {
    for (let rounds = 0; rounds < 3; rounds++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (requests > 0) rounds = -1
    }
  }
  const track = async <T>(work: () => Promise<T>): Promise<T> => {
    requests++
    try {
      return await work()
    } finally {
      requests--
    }
  }
  return {
    nowMillis: () => now,
    process: (seed) => {
      const state: ProcessState = { dead: false, stoppedUntil: 0 }
      const clock = processClock(seed, state, timers, () => now)
      return {
        clock,
        reach: (store, answerMillis = () => 0) => {
          const arrives = async (): Promise<void> => {
            const millis = answerMillis()
            if (millis > 0) await clock.sleep(millis)
          }
          return reached(store, state, track, arrives)
        },
        kill: () => {
          state.dead = true
        },
        stopUntil: (untilMillis) => {
          state.stoppedUntil = untilMillis
        },
      }
    },
    run: async ({ done, untilMillis, everyStep = () => {} }) => {
      for (;;) {
        await quiet()
        everyStep()
        if (done()) return
        const next = nextTimer(timers)
        if (next === undefined || next.at > untilMillis) {
          now = untilMillis
          everyStep()
          return
        }
        timers.delete(next)
        now = Math.max(now, next.at)
        next.wake()
      }
    },
  }
}

function nextTimer(timers: Set<Timer>): Timer | undefined {
  let first: Timer | undefined
  for (const timer of timers) {
    if (timer.process.dead) timers.delete(timer)
    else {
      timer.at = Math.max(timer.at, timer.process.stoppedUntil)
      if (first === undefined || timer.at < first.at) first = timer
    }
  }
  return first
}

function processClock(seed: number, process: ProcessState, timers: Set<Timer>, now: () => number): Clock {
  let drawn = 0
  return {
    nowMillis: () => epochMillis(now()),
    // no two processes count from the same moment
    monotonicMillis: () => now() - worldStart + seed * 1_000_003,
    randomBytes: (size) =>
      new Uint8Array(createHash('shake256', { outputLength: size }).update(`${seed}:${drawn++}`).digest()),
    sleep: (millis, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason as Error)
          return
        }
        const give = (): void => {
          timers.delete(timer)
          reject(signal?.reason as Error)
        }
        const wake = (): void => {
          signal?.removeEventListener('abort', give)
          resolve()
        }
        const timer: Timer = { at: now() + millis, wake, process }
        signal?.addEventListener('abort', give, { once: true })
        timers.add(timer)
      }),
  }
}

function reached(
  store: ObjectStore,
  process: ProcessState,
  track: <T>(work: () => Promise<T>) => Promise<T>,
  arrives: () => Promise<void>,
): ObjectStore {
  const never = new Promise<never>(() => {})
  const request = async <T>(work: () => Promise<T>): Promise<T> => {
    if (process.dead) return await never
    try {
      return await track(work)
    } finally {
      await arrives()
      if (process.dead) await never
    }
  }
  return {
    url: store.url,
    put: (key, body, options) => request(() => store.put(key, body, options)),
    get: (key, options) => request(() => store.get(key, options)),
    head: (key, options) => request(() => store.head(key, options)),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => request(() => store.delete(key, options)),
  }
}
