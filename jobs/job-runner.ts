/** Scheduled jobs to the same work that `firn land` and `firn compact` do. */
import { compactionWork } from './compaction/index.ts'
import type { CommandContext } from './context.ts'
import { resolveDataset } from './datasets/index.ts'
import { executorFor } from './executor.ts'
import { landingWork, parseStart } from './landing.ts'
import type { JobRunner } from './schedule.ts'

export function jobRunner(ctx: CommandContext): JobRunner {
  const { clock, config, log, signal } = ctx
  const store = ctx.warehouse()
  return async (job) => {
    if (job.kind === 'land') {
      const target = { kind: 'stream', stream: job.stream, start: parseStart(job.start) } as const
      return await landingWork({ store, target, config, clock, log, signal })
    }
    return await compactionWork({
      store,
      catalog: ctx.catalog(),
      table: job.table,
      dataset: await resolveDataset(job.dataset ?? 'articles', { signal }),
      streams: job.streams,
      clock,
      executor: executorFor(store, ctx.storeOptions),
      maxBadRatio: config.maxBadRatio,
      log,
      signal,
    })
  }
}
