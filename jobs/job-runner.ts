/** Scheduled jobs to the same work that `firn land`, `firn compact` and `firn maintain` do. */
import { compactionWork } from './compaction/index.ts'
import type { CommandContext } from './context.ts'
import { articles, resolveDataset } from './datasets/index.ts'
import { landingWork, parseStart } from './landing/landing.ts'
import { maintainWork } from './maintenance/maintain.ts'
import type { JobRunner } from './schedule.ts'
import { type WorkOptions, workOf } from './work.ts'

/** @param work flags that beat the settings of how compactions work. */
export function jobRunner(ctx: CommandContext, work: WorkOptions = {}): JobRunner {
  const { clock, config, log } = ctx
  return async (job, { store, begun, signal, last, runId }) => {
    switch (job.kind) {
      case 'land': {
        const target = { kind: 'stream', stream: job.stream, start: parseStart(job.start) } as const
        return await landingWork({ store, target, config, clock, log, signal })
      }
      case 'compact':
        return await compactionWork({
          store,
          catalog: ctx.catalog(),
          table: job.table,
          dataset: job.dataset === undefined ? undefined : await resolveDataset(job.dataset, { signal }),
          fallbackDataset: articles,
          streams: job.streams,
          clock,
          ...(await workOf(ctx, work)),
          maxBadRatio: config.maxBadRatio,
          log,
          signal,
          commitSignal: last,
          onBegin: begun,
          runId,
        })
      case 'maintain': {
        const { table } = job
        const ends = { signal, commitSignal: last, onBegin: begun }
        return await maintainWork({ store, catalog: ctx.catalog(), table, config, clock, log, ...ends })
      }
    }
  }
}
