/** Settings of landing runs, for `firn land` and for the landing jobs of `firn run`; below `run.land`. */
import { InvalidArgumentError } from 'commander'
import * as z from 'zod'
import { sizeArgument } from '../sizes.ts'
import { durationArgument } from '../times.ts'

export interface LandingSettings {
  readonly failOnDataLoss: boolean
  readonly maxRecords?: number | undefined
  /** A size like `512MiB`. */
  readonly maxBytes?: string | undefined
  /** A duration like `10m`. */
  readonly maxDuration?: string | undefined
  /** Shards read at a time. */
  readonly shardConcurrency?: number | undefined
}

const reads =
  (parse: (text: string) => number) =>
  (text: string): boolean => {
    try {
      parse(text)
      return true
    } catch (error) {
      if (error instanceof InvalidArgumentError) return false
      throw error
    }
  }

/** Members of the strict object `run.land`. */
export const landingShape: {
  failOnDataLoss: z.ZodDefault<z.ZodBoolean>
  maxRecords: z.ZodOptional<z.ZodNumber>
  maxBytes: z.ZodOptional<z.ZodString>
  maxDuration: z.ZodOptional<z.ZodString>
  shardConcurrency: z.ZodOptional<z.ZodNumber>
} = {
  failOnDataLoss: z.boolean().default(false),
  maxRecords: z.number().int().min(1).optional(),
  maxBytes: z.string().refine(reads(sizeArgument), 'must be a size like 512MiB').optional(),
  maxDuration: z.string().refine(reads(durationArgument), 'must be a number and a unit, like 10m').optional(),
  shardConcurrency: z.number().int().min(1).max(64).optional(),
}

export const LANDING_LEAVES: Readonly<Record<string, 'string' | 'number' | 'boolean'>> = {
  'run.land.failOnDataLoss': 'boolean',
  'run.land.maxRecords': 'number',
  'run.land.maxBytes': 'string',
  'run.land.maxDuration': 'string',
  'run.land.shardConcurrency': 'number',
}
