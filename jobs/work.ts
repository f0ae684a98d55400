/** How the work of a compaction or a replay is done: flags, then settings, then defaults. */
import { enrichmentUrl } from './compaction/enrich/enrichment.ts'
import type { CommandContext } from './context.ts'
import { type Executor, type ExecutorKind, executorFor } from './executors/executor.ts'
import { sizeArgument } from './sizes.ts'

export interface WorkOptions {
  readonly memoryLimit?: number
  readonly tasks?: number
  readonly executor?: ExecutorKind
  readonly spillFolder?: string
  readonly enrichment?: string
}

/** As `compact` and `processInputs` take them. */
export interface Work {
  readonly executor: Executor
  readonly memoryLimitBytes: number | undefined
  readonly tasks: number | undefined
  readonly spillFolder: string | undefined
  /** File URL. */
  readonly enrichment: string | undefined
}

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid); `FIRN_ENRICHMENT_NOT_FOUND` (not-found). */
export async function workOf(ctx: CommandContext, flags: WorkOptions = {}): Promise<Work> {
  const { config } = ctx
  const tasks = flags.tasks ?? config.tasks
  const kind = flags.executor ?? config.executor
  const enrichment = flags.enrichment ?? config.enrichment
  const limit = config.memoryLimit === undefined ? undefined : sizeArgument(config.memoryLimit)
  return {
    executor: executorFor(ctx.warehouse(), ctx.storeOptions, { kind, tasks }),
    memoryLimitBytes: flags.memoryLimit ?? limit,
    tasks,
    spillFolder: flags.spillFolder ?? config.spillFolder,
    enrichment: enrichment === undefined ? undefined : await enrichmentUrl(enrichment),
  }
}
