/**
 * Settings of `firn maintain`: which parts run on a table, and what each may take away. From the settings file only:
 * a variable that was set for one command must not decide what another deletes.
 */
import * as z from 'zod'
import { sizeArgument } from '../sizes.ts'
import { durationArgument } from '../times.ts'

/** In the order in which they run. */
export const MAINTAIN_PARTS = ['rewrite', 'manifests', 'expire', 'orphans', 'prune', 'leftovers'] as const
export type MaintainPart = (typeof MAINTAIN_PARTS)[number]

/** Durations are texts like `5d`, sizes like `128MiB`. What is left out is as the part's own command has it. */
export interface MaintainPolicy {
  readonly rewrite: {
    readonly enabled: boolean
    readonly strategy?: 'binpack' | 'sort' | 'zorder' | undefined
    readonly sortBy?: string | undefined
    readonly targetFileSize?: string | undefined
    readonly minInputFiles?: number | undefined
    readonly maxFiles?: number | undefined
    readonly memoryLimit?: string | undefined
  }
  readonly manifests: { readonly enabled: boolean }
  readonly expire: {
    readonly enabled: boolean
    /** Default: the table's property, else 5 days. */
    readonly olderThan?: string | undefined
    /** Default: the table's property, else 10. */
    readonly retainLast?: number | undefined
    readonly cleanMetadata: boolean
  }
  readonly orphans: { readonly enabled: boolean; readonly olderThan: string }
  readonly prune: { readonly enabled: boolean; readonly olderThan: string }
  readonly leftovers: { readonly enabled: boolean; readonly spillOlderThan: string; readonly runsOlderThan: string }
}

type Loose<T> = { readonly [Name in keyof T]?: T[Name] | undefined }
type Overrides = { readonly [Part in MaintainPart]?: Loose<MaintainPolicy[Part]> | undefined }

/** The section `maintain`: for every table, and by `namespace.name` what is different for one. */
export type MaintainConfig = Overrides & { readonly tables?: Readonly<Record<string, Overrides>> | undefined }

const DEFAULTS: MaintainPolicy = {
  rewrite: { enabled: true },
  manifests: { enabled: true },
  expire: { enabled: true, cleanMetadata: false },
  orphans: { enabled: true, olderThan: '3d' },
  prune: { enabled: true, olderThan: '3d' },
  leftovers: { enabled: true, spillOlderThan: '3d', runsOlderThan: '90d' },
}

/** The defaults, what the settings say for all tables, what they say for this one: the later wins, value by value. */
export function policyOf(config: MaintainConfig | undefined, table: string): MaintainPolicy {
  const own = config?.tables !== undefined && Object.hasOwn(config.tables, table) ? config.tables[table] : undefined
  const parts = MAINTAIN_PARTS.map((part) => [part, { ...DEFAULTS[part], ...config?.[part], ...own?.[part] }])
  return Object.fromEntries(parts) as unknown as MaintainPolicy
}

export function maintainSchema(): z.ZodType<MaintainConfig | undefined> {
  const parts = overridesShape()
  const tables = z.record(z.string().min(1), z.strictObject(parts))
  return z.strictObject({ ...parts, tables: tables.optional() }).optional()
}

/** Below this, what looks left over may be in use. */
const LEAST_MILLIS = 3 * 86_400_000

function overridesShape() {
  const readable = (parse: (text: string) => number, least: number) => (text: string) => {
    try {
      return parse(text) >= least
    } catch {
      return false
    }
  }
  const enabled = z.boolean().optional()
  const age = z
    .string()
    .refine(readable(durationArgument, 1), 'must be a number and a unit, like 5d, 36500d at most')
    .optional()
  const safeAge = z
    .string()
    .refine(readable(durationArgument, LEAST_MILLIS), 'must be 3d or more, 36500d at most')
    .optional()
  const size = z.string().refine(readable(sizeArgument, 1), 'must be a size like 128MiB').optional()
  const count = z.number().int().min(1).optional()
  return {
    rewrite: z
      .strictObject({
        enabled,
        strategy: z.enum(['binpack', 'sort', 'zorder']).optional(),
        sortBy: z.string().min(1).optional(),
        targetFileSize: size,
        minInputFiles: count,
        maxFiles: count,
        memoryLimit: size,
      })
      .optional(),
    manifests: z.strictObject({ enabled }).optional(),
    expire: z
      .strictObject({ enabled, olderThan: age, retainLast: count, cleanMetadata: z.boolean().optional() })
      .optional(),
    orphans: z.strictObject({ enabled, olderThan: safeAge }).optional(),
    prune: z.strictObject({ enabled, olderThan: safeAge }).optional(),
    leftovers: z.strictObject({ enabled, spillOlderThan: safeAge, runsOlderThan: safeAge }).optional(),
  }
}
