/** Pruning as a piece of maintenance: the plan and the result for people and as a document. */
import { incarnationName } from '../../compaction/positions.ts'
import { formatBytes, plural, renderTable } from '../../render.ts'
import { documentOf } from '../document.ts'
import type { PreparedWork } from '../prepared.ts'
import { type PlannedStream, type PruneOptions, type PrunePlan, planPrune, runPrune, stoppedError } from './run.ts'

/**
 * Streams of which nothing can be told are its `failures`; the others are pruned all the same.
 * @param subject what the run record calls it: the table, or the streams.
 * @throws {FirnError} as `planPrune`.
 */
export async function preparePrune(options: PruneOptions, subject: string): Promise<PreparedWork> {
  const plan = await planPrune(options)
  return {
    schema: 'firn.staging-prune/1',
    table: subject,
    plan: planDocument(plan),
    text: planText(plan),
    nothingToDo: plan.totals.chunks === 0,
    question: 'Delete them?',
    failures: plan.streams.flatMap(({ stopped }) =>
      // a stream that nobody reads is no fault of pruning
      stopped === null || stopped.code === 'FIRN_NO_CONSUMER' ? [] : [stoppedError(stopped)],
    ),
    run: async () => {
      const result = await runPrune(options, plan)
      const { chunks, bytesFreed, chains, left } = result
      const gone = chains === 0 ? '' : `, with them ${plural(chains, 'whole chain')}`
      const stayed = left === 0 ? '' : `${plural(left, 'chunk')} left: needed or gone by now\n`
      return {
        result: documentOf(result),
        text: `deleted ${plural(chunks, 'chunk')} (${formatBytes(bytesFreed)})${gone}\n${stayed}`,
      }
    },
  }
}

function planDocument({ streams, totals, ...times }: PrunePlan): unknown {
  return documentOf({
    ...times,
    totals,
    streams: streams.map(({ stream, created, chains, ...rest }) => ({
      stream: incarnationName({ stream, created }),
      chains: chains.map(({ shardId, chunks, whole }) => ({
        shardId,
        chunks: chunks.length,
        bytes: bytesOf(chunks),
        from: chunks[0]!.after,
        whole,
      })),
      ...rest,
    })),
  })
}

const bytesOf = (chunks: readonly { readonly sizeBytes: number }[]): number =>
  chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

function planText({ streams, totals, olderThanMillis }: PrunePlan): string {
  const rows = streams.map(streamRow)
  const notes = streams.map(notesOf).join('')
  const head = rows.length === 0 ? '' : renderTable(rows)
  const before = new Date(olderThanMillis).toISOString()
  if (totals.chunks === 0) return `${head}${notes}nothing to do: no chunk of before ${before} is without need\n`
  const gone = totals.chains === 0 ? '' : `, with them ${plural(totals.chains, 'whole chain')}`
  return `${head}${notes}would delete ${plural(totals.chunks, 'chunk')} of staging (${formatBytes(totals.bytes)})${gone}\n`
}

function streamRow(stream: PlannedStream): Record<string, unknown> {
  const chunks = stream.chains.flatMap((chain) => chain.chunks)
  const [first] = stream.held
  const by = first === undefined ? null : `${first.table}${first.snapshotId === null ? '' : ` at ${first.snapshotId}`}`
  return {
    stream: incarnationName(stream),
    delete: chunks.length,
    size: formatBytes(bytesOf(chunks)),
    whole_chains: stream.chains.filter(({ whole }) => whole).length,
    kept: stream.held.reduce((sum, held) => sum + held.chunks, 0),
    first_kept_for: by,
  }
}

function notesOf({ stopped, shardsUnknown, stream, created }: PlannedStream): string {
  if (stopped !== null) return `not pruned: ${stopped.message}${stopped.help === null ? '' : ` (${stopped.help})`}\n`
  // of files it is the rule, and no news
  if (shardsUnknown === null || created === 0) return ''
  return `every chain of ${incarnationName({ stream, created })} keeps its last chunk: ${shardsUnknown}\n`
}
