/** Cron expressions and ticks; the adapter of node-cron. All schedules are in UTC. */
import { createTask, parse, validate } from 'node-cron'
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'

/** @throws {FirnError} `FIRN_CRON_INVALID` (invalid). */
export function checkedCron(job: string, expression: string): string {
  if (validate(expression)) return expression
  throw new FirnError(
    'invalid',
    'FIRN_CRON_INVALID',
    `the schedule of ${job} is not a cron expression: ${JSON.stringify(expression)}`,
    {
      help: 'use five fields, like "*/5 * * * *" (minute hour day-of-month month day-of-week, UTC)',
    },
  )
}

const DAY_MILLIS = 86_400_000
/** A 29th of February on a given weekday comes once in 40 years at the most. */
const MAX_DAYS = 366 * 41

/**
 * The newest time at or before `at` that `expression` names: what a tick at `at` is for, however late it came. A slot has
 * the same name in every process. `undefined` for an expression that never comes true, like the 30th of February.
 */
export function previousSlot(expression: string, at: EpochMillis): EpochMillis | undefined {
  const { hour, minute, second } = parse(expression)
  const [hours = [], minutes = [], seconds = []] = [hour, minute, second].map((field) =>
    field.toSorted((a, b) => b - a),
  )
  const newestIn = (day: number): number | undefined => {
    for (const h of hours) {
      for (const m of minutes) {
        for (const s of seconds) {
          const millis = day + ((h * 60 + m) * 60 + s) * 1000
          if (millis <= at) return millis
        }
      }
    }
    return undefined
  }
  const matcher = createTask(expression, () => {}, { timezone: 'UTC' })
  try {
    for (let back = 0, day = at - (at % DAY_MILLIS); back < MAX_DAYS; back++, day -= DAY_MILLIS) {
      const millis = newestIn(day)
      // the time of day is right, so that only the day is asked for
      if (millis !== undefined && matcher.match(new Date(millis))) return epochMillis(millis)
    }
    return undefined
  } finally {
    void matcher.destroy() // the library keeps a list of all tasks
  }
}

export interface TickOptions {
  readonly name: string
  readonly cron: string
  readonly clock: Clock
  /** For the slot `slot`; until it resolves no other tick of the job comes. */
  readonly onTick: (slot: EpochMillis) => Promise<void>
  /** A tick came while `onTick` was at work. */
  readonly onOverlap: (slot: EpochMillis) => void
  /** Nobody was there at `slot`: the machine slept, or the process was stopped. Not made up for. */
  readonly onMissed: (slot: EpochMillis) => void
  readonly onWarning: (text: string) => void
}

export interface Ticking {
  nextMillis(): EpochMillis | undefined
  stop(): Promise<void>
}

/** Begins to tick. */
export type Ticker = (options: TickOptions & AbortableOptions) => Promise<Ticking>

export const cronTicker: Ticker = async (options) => {
  const { name, cron, onTick, onOverlap, onMissed, onWarning } = options
  const task = createTask(cron, ({ date }) => onTick(slotOf(cron, date)), {
    name,
    timezone: 'UTC',
    noOverlap: true,
    // A long garbage collection or a suspended laptop must not cost an hour's run.
    missedExecutionTolerance: 60_000,
    logger: { info: () => {}, debug: () => {}, warn: onWarning, error: (text) => onWarning(String(text)) },
  })
  task.on('execution:overlap', ({ date }) => onOverlap(slotOf(cron, date)))
  task.on('execution:missed', ({ date }) => onMissed(slotOf(cron, date)))
  await task.start()
  return {
    nextMillis: () => {
      const next = task.getNextRun()
      return next === null ? undefined : epochMillis(next.getTime())
    },
    stop: async () => {
      await task.destroy()
    },
  }
}

function slotOf(cron: string, date: Date): EpochMillis {
  const at = epochMillis(date.getTime())
  return previousSlot(cron, at) ?? at
}
