/** The time that a run puts on its rows. */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type EpochMicros, epochMicros } from '../../table/ids.ts'
import { utcMicros } from './manifest-file.ts'
import { ACCEPTED_TIME_PROPERTY, COMPACTED_AT_PROPERTY } from './positions.ts'

/** How far the table's newest run may be ahead of this clock before the clock is not believed. */
const MAX_CLOCK_LAG_MICROS = 3_600_000_000n

/**
 * The planned time of a run on `table`: now, but after every earlier run, so that a range of `compacted_at` between
 * two snapshots is exactly what was added between them.
 * @param acceptClock this clock is right, and an earlier run was made with a wrong one: go on from its time. Later
 *   runs may too, see `acceptedTime`.
 * @throws {FirnError} `FIRN_CLOCK_BEHIND` (failed).
 */
export function plannedTime(
  properties: Readonly<Record<string, string>>,
  clock: Clock,
  acceptClock = false,
): EpochMicros {
  const now = BigInt(clock.nowMillis()) * 1000n
  const last = microsOf(properties, COMPACTED_AT_PROPERTY)
  if (last === undefined) return epochMicros(now)
  const accepted = microsOf(properties, ACCEPTED_TIME_PROPERTY) ?? now
  const believed = accepted > now ? accepted : now
  if (!acceptClock && last - believed > MAX_CLOCK_LAG_MICROS) {
    throw new FirnError(
      'failed',
      'FIRN_CLOCK_BEHIND',
      `the table's newest run was planned at ${utcMicros(last)}, this machine's clock says ${utcMicros(now)}`,
      {
        help: 'set the clock of this machine; if it is right, an earlier run was made with a wrong one: firn compact --accept-clock goes on from its time',
      },
    )
  }
  return epochMicros(now > last ? now : last + 1n)
}

/** The property that lets runs go on in a time to come, once somebody has accepted it. */
export function acceptedTime(compactedAt: EpochMicros, clock: Clock): Readonly<Record<string, string>> {
  const isAhead = compactedAt - BigInt(clock.nowMillis()) * 1000n > MAX_CLOCK_LAG_MICROS
  return isAhead ? { [ACCEPTED_TIME_PROPERTY]: String(compactedAt) } : {}
}

function microsOf(properties: Readonly<Record<string, string>>, name: string): bigint | undefined {
  const text = properties[name]
  if (text === undefined || /^\d+$/.test(text)) return text === undefined ? undefined : BigInt(text)
  throw new FirnError('corrupt', 'FIRN_PROPERTY_INVALID', `table property ${name} is "${text}", expected microseconds`)
}
