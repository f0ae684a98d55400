/** Settings of `firn run`: what it does, and when. */
import * as z from 'zod'
import { LANDING_LEAVES, type LandingSettings, landingShape } from './landing.ts'

/** A table that `firn run` compacts into. */
export interface TableConfig {
  readonly table: string
  readonly dataset?: string | undefined
  readonly streams?: readonly string[] | undefined
}

export interface RunConfig {
  readonly land: LandingSettings & {
    readonly cron: string
    readonly streams: readonly string[]
    readonly start?: string | undefined
  }
  readonly compact: { readonly cron: string; readonly tables: readonly TableConfig[] }
  /** Maintenance deletes, so that it has no schedule unless one is given. Without tables: those that are compacted. */
  readonly maintain: { readonly cron?: string | undefined; readonly tables: readonly string[] }
  /** How long a lease that is not renewed keeps other processes away, like `60s`. */
  readonly leaseTtl: string
}

const text = z.string().min(1)
const UNIT_MILLIS = { s: 1000, m: 60_000 } as const
const TTL_MILLIS = [2000, 900_000] as const

/** `60s`, `5m` to milliseconds. */
export function leaseTtlMillis(ttl: string): number | undefined {
  const match = /^(\d{1,4})([sm])$/.exec(ttl)
  if (match === null) return undefined
  const millis = Number(match[1]) * UNIT_MILLIS[match[2] as keyof typeof UNIT_MILLIS]
  return millis >= TTL_MILLIS[0] && millis <= TTL_MILLIS[1] ? millis : undefined
}

export function runSchema(): z.ZodType<RunConfig> {
  const table = z.strictObject({ table: text, dataset: text.optional(), streams: z.array(text).optional() })
  return z
    .strictObject({
      land: z
        .strictObject({
          cron: text.default('*/5 * * * *'),
          streams: z.array(text).default([]),
          start: text.optional(),
          ...landingShape,
        })
        .prefault({}),
      compact: z.strictObject({ cron: text.default('7 * * * *'), tables: z.array(table).default([]) }).prefault({}),
      maintain: z.strictObject({ cron: text.optional(), tables: z.array(text).default([]) }).prefault({}),
      leaseTtl: text
        .refine((ttl) => leaseTtlMillis(ttl) !== undefined, 'must be 2s to 15m, like 60s or 5m')
        .default('60s'),
    })
    .prefault({})
}

export const RUN_LEAVES: Readonly<Record<string, 'string' | 'number' | 'boolean' | 'list' | 'json'>> = {
  'run.land.cron': 'string',
  'run.land.streams': 'list',
  'run.land.start': 'string',
  ...LANDING_LEAVES,
  'run.compact.cron': 'string',
  'run.compact.tables': 'json',
  'run.maintain.cron': 'string',
  'run.maintain.tables': 'list',
  'run.leaseTtl': 'string',
}
