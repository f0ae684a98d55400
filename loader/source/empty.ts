/** Datasets without rows: an epoch of nothing is a mistake, and training would not notice it. */
import { FirnError } from '../../table/errors.ts'
import type { ResolvedOptions } from '../options.ts'
import type { LoaderPlan } from './plan.ts'

/** What an epoch fails with before it reads anything: metadata proves that no batch will come. */
export function provedEmpty(plan: LoaderPlan, options: ResolvedOptions): FirnError | undefined {
  const { units, rowCount } = plan
  if (units.length === 0 || rowCount === 0) return emptyDataset(plan, options, 0)
  const { batch, dropLast } = options
  if (rowCount === undefined || !dropLast || batch.kind === 'tokens' || rowCount >= batch.size) return undefined
  return emptyDataset(plan, options, rowCount)
}

/**
 * What an epoch fails with that has ended without a batch.
 * @param rows that there were, all left out by `dropLast`.
 */
export function emptyDataset({ origin }: LoaderPlan, { batch, delta }: ResolvedOptions, rows: number): FirnError {
  const { name, filter, split } = origin
  const detail = { table: name, rows, ...(filter === undefined ? {} : { filter }) }
  if (rows > 0) {
    const size = batch.kind === 'rows' ? `a batch of ${batch.size}` : 'a batch'
    return new FirnError('invalid', 'FIRN_DATASET_EMPTY', `${name}: its ${rows} rows do not fill ${size}`, {
      detail,
      help: 'Lower batch.size, or set dropLast: false to get one short batch.',
    })
  }
  const reasons = [
    ...(delta === undefined ? [] : ['no row came between the snapshots']),
    ...(filter === undefined ? [] : [`no row for which: ${filter}`]),
    ...(split === undefined
      ? []
      : [`no row whose bucket[${split.buckets}](${split.column}) is in [${split.from}, ${split.to})`]),
  ]
  const why = reasons.length === 0 ? 'it has no rows' : reasons.join(', or ')
  return new FirnError('invalid', 'FIRN_DATASET_EMPTY', `${name}: nothing to read: ${why}`, {
    detail,
    help: 'Look at the rows with: firn scan <table> --count --where "…"; then widen filter, split or snapshot.',
  })
}
