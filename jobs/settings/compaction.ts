/** Settings of the work of a compaction: memory, tasks, the user's module. For `firn compact`, `replay` and `run`. */
import { InvalidArgumentError } from 'commander'
import * as z from 'zod'
import { sizeArgument } from '../sizes.ts'

export interface CompactionSettings {
  /** A size like `1GiB`: what a process of a run takes, about. */
  readonly memoryLimit?: string | undefined
  /** Tasks that share the work of a run. */
  readonly tasks?: number | undefined
  /** Where tasks run. */
  readonly executor?: 'inline' | 'threads' | 'processes' | undefined
  /** Folder for rows that memory does not hold. */
  readonly spillFolder?: string | undefined
  /** File of the module that fills the columns of the user's enrichment. */
  readonly enrichment?: string | undefined
}

function isSize(text: string): boolean {
  try {
    return sizeArgument(text) > 0
  } catch (error) {
    if (error instanceof InvalidArgumentError) return false
    throw error
  }
}

/** Members of the configuration. */
export const compactionShape: {
  memoryLimit: z.ZodOptional<z.ZodString>
  tasks: z.ZodOptional<z.ZodNumber>
  executor: z.ZodOptional<z.ZodEnum<{ inline: 'inline'; threads: 'threads'; processes: 'processes' }>>
  spillFolder: z.ZodOptional<z.ZodString>
  enrichment: z.ZodOptional<z.ZodString>
} = {
  memoryLimit: z.string().refine(isSize, 'must be a size like 1GiB').optional(),
  tasks: z.number().int().min(1).max(64).optional(),
  executor: z.enum(['inline', 'threads', 'processes']).optional(),
  spillFolder: z.string().min(1).optional(),
  enrichment: z.string().min(1).optional(),
}

export const COMPACTION_LEAVES: Readonly<Record<keyof CompactionSettings, 'string' | 'number'>> = {
  memoryLimit: 'string',
  tasks: 'number',
  executor: 'string',
  spillFolder: 'string',
  enrichment: 'string',
}
