/**
 * How old the oldest chunk is that a table has not consumed, as far as this process can know: what the table's last
 * plan left, and what this process has landed since.
 */
import type { StagingMessage } from '../../table/diagnostics.ts'

export interface StagingAge {
  told(message: StagingMessage): void
  landed(stream: string, nowMillis: number): void
  /** Milliseconds by table; 0 when nothing is left. Tables without a plan so far are unknown. */
  ages(nowMillis: number): Iterable<readonly [table: string, ageMillis: number]>
}

interface Known {
  readonly streams: ReadonlySet<string>
  oldestMillis: number | undefined
  /** The first chunk that landed since the plan: the run does not read it. */
  sincePlanMillis: number | undefined
}

export function stagingAge(): StagingAge {
  const tables = new Map<string, Known>()
  return {
    told: ({ when, table, streams, oldestMillis }) => {
      const since = when === 'planned' ? undefined : tables.get(table)?.sincePlanMillis
      tables.set(table, {
        streams: new Set(streams),
        oldestMillis: oldestMillis ?? since,
        sincePlanMillis: since,
      })
    },
    landed: (stream, nowMillis) => {
      for (const known of tables.values()) {
        if (!known.streams.has(stream)) continue
        known.oldestMillis ??= nowMillis
        known.sincePlanMillis ??= nowMillis
      }
    },
    ages: function* (nowMillis) {
      for (const [table, { oldestMillis }] of tables) {
        yield [table, oldestMillis === undefined ? 0 : Math.max(0, nowMillis - oldestMillis)]
      }
    },
  }
}
