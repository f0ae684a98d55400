/**
 * The only place that reads the time or makes randomness. Everything else takes a `Clock`, so that tests and
 * simulations can repeat a run exactly. `test/architecture.test.ts` greps for what slips past.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleepTimer } from 'node:timers/promises'
import { type EpochMillis, epochMillis, type RunId, runId, type SnapshotId, snapshotId } from './ids.ts'

export interface Clock {
  /** Wall time. */
  nowMillis(): EpochMillis
  /** Monotonic milliseconds, for durations and time-outs only. */
  monotonicMillis(): number
  /** `size` random bytes. */
  randomBytes(size: number): Uint8Array
  /** Resolves after `millis`; rejects with `signal.reason` on abort. */
  sleep(millis: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  nowMillis: () => epochMillis(Date.now()),
  monotonicMillis: () => performance.now(),
  randomBytes: (size) => randomBytes(size),
  sleep: async (millis, signal) => {
    try {
      await sleepTimer(millis, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
}

/** Uniform in [0, 1), 32 bits. */
export function randomFraction(clock: Clock): number {
  const bytes = clock.randomBytes(4)
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 0x1_0000_0000
}

/** RFC 4122 version 4. */
export function newUuid(clock: Clock): string {
  const bytes = Uint8Array.from(clock.randomBytes(16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A run's id: 16 hexadecimal digits. */
export const newRunId = (clock: Clock): RunId => runId(Buffer.from(clock.randomBytes(8)).toString('hex'))

/** Positive 63-bit id, as Java makes them: high and low half of a UUID, exclusive or. */
export function newSnapshotId(clock: Clock): SnapshotId {
  const bytes = Buffer.from(clock.randomBytes(16))
  const id = (bytes.readBigUInt64BE(0) ^ bytes.readBigUInt64BE(8)) & 0x7fff_ffff_ffff_ffffn
  return id === 0n ? newSnapshotId(clock) : snapshotId(id)
}

/** Full-jitter back-off: uniform in [0, min(cap, base * 2^attempt)), attempt counted from 0. */
export function fullJitterMillis(clock: Clock, attempt: number, baseMillis: number, capMillis: number): number {
  return randomFraction(clock) * Math.min(capMillis, baseMillis * 2 ** attempt)
}
