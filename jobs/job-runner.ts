/** Scheduled jobs to the same work that `firn land` and `firn compact` do. */
import { compactionWork } from './compaction/index.ts'
import type { CommandContext } from './context.ts'
import { articles, resolveDataset } from './datasets/index.ts'
import { executorFor } from './executor.ts'
import { landingWork, parseStart } from './landing.ts'
import type { JobRunner } from './schedule.ts'

export function jobRunner(ctx: CommandContext): JobRunner {
  const { clock, config, log, signal } = ctx
  return async (job, store, begun) => {
    if (job.kind === 'land') {
      const target = { kind: 'stream', stream: job.stream, start: parseStart(job.start) } as const
      return await landingWork({ store, target, config, clock, log, signal })
    }
    return await compactionWork({
      store,
      catalog: ctx.catalog(),
      table: job.table,
      dataset: job.dataset === undefined ? undefined : await resolveDataset(job.dataset, { signal }),
      fallbackDataset: articles,
      streams: job.streams,
      clock,
      executor: executorFor(store, ctx.storeOptions),
      maxBadRatio: config.maxBadRatio,
      log,
      signal,
      onBegin: begun,
    })
  }
}
