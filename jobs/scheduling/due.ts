/** What is due when a scheduler comes up. */

import type { JobSpec } from './job-spec.ts'
import type { Due } from './run-job.ts'

/**
 * Landing and compaction look at the data themselves: there are records to land or chunks to read, or there is nothing
 * to do. Maintenance is due when the newest slot of its schedule is not noted as done; `force`: in any case. Nobody
 * stands by: who holds the lease does the same.
 */
export const dueAtStart = (job: JobSpec, force: boolean): Due => ({
  unlessDone: job.kind === 'maintain' && !force,
  wait: false,
})

/**
 * Run every job: landings at once; what works on tables after the landings that it may read from, and maintenance after
 * compaction. A job that fails keeps no other from its turn.
 * @returns what `run` gave, in the order of the jobs.
 */
export async function runInOrder<T>(
  jobs: readonly JobSpec[],
  run: (job: JobSpec) => Promise<T>,
): Promise<readonly T[]> {
  const started: { readonly job: JobSpec; readonly result: Promise<T> }[] = []
  for (const job of jobs.toSorted((a, b) => RANK[a.kind] - RANK[b.kind])) {
    const before = started.filter((earlier) => comesBefore(earlier.job, job)).map(({ result }) => result)
    started.push({ job, result: Promise.allSettled(before).then(() => run(job)) })
  }
  const results = new Map(started.map(({ job, result }) => [job, result]))
  await Promise.allSettled(results.values())
  return await Promise.all(jobs.map((job) => results.get(job)!))
}

const RANK = { land: 0, compact: 1, maintain: 2 } as const

function comesBefore(earlier: JobSpec, job: JobSpec): boolean {
  if (job.kind === 'land') return false
  if (earlier.kind !== 'land') return earlier.table === job.table && RANK[earlier.kind] < RANK[job.kind]
  return job.kind === 'compact' && (job.streams === undefined || job.streams.includes(earlier.stream))
}
