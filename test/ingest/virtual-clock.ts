import { createHash } from 'node:crypto'
import type { Clock } from '../../table/clock.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'

/** A clock whose sleeps take no real time: they only move it on. Random bytes are a stream fixed by the seed. */
export interface VirtualClock extends Clock {
  advance(millis: number): void
  /** Every pause asked for, in order. */
  readonly slept: number[]
}

export const virtualStart: EpochMillis = epochMillis(Date.parse('2026-03-01T12:00:00Z'))

export function virtualClock(seed = 1): VirtualClock {
  let now = virtualStart as number
  let drawn = 0
  const slept: number[] = []
  return {
    slept,
    advance: (millis) => {
      now += millis
    },
    nowMillis: () => epochMillis(now),
    monotonicMillis: () => now,
    randomBytes: (size) => {
      const digest = createHash('shake256', { outputLength: size }).update(`${seed}:${drawn++}`).digest()
      return new Uint8Array(digest)
    },
    sleep: async (millis, signal) => {
      signal?.throwIfAborted()
      slept.push(millis)
      now += millis
    },
  }
}
