/** How many batches an epoch of a known number of rows has. */
import type { ResolvedOptions } from '../options.ts'
import { rankRange } from '../order/ranks.ts'

/** Over all ranks; undefined with token budgets, which lengths decide. */
export function globalBatches(rows: number | undefined, { batch, dropLast }: ResolvedOptions): number | undefined {
  if (rows === undefined || batch.kind !== 'rows') return undefined
  return Math[dropLast ? 'floor' : 'ceil'](rows / batch.size)
}

/** Of this rank: without the last one, when that has fewer rows than there are ranks and none is left for this one. */
export function rankBatches(rows: number | undefined, options: ResolvedOptions): number | undefined {
  const batches = globalBatches(rows, options)
  if (rows === undefined || batches === undefined || options.batch.kind !== 'rows') return undefined
  const rest = rows % options.batch.size
  if (rest === 0 || options.dropLast) return batches
  const [first, end] = rankRange(rest, options.shard.rank, options.shard.worldSize)
  return first === end ? batches - 1 : batches
}
