/** Batches told of on `firn:loader`, with how long their consumer waited for each. */
import type { RecordBatch } from 'apache-arrow'
import type { Clock } from '../../table/clock.ts'
import { loaderChannel } from '../../table/diagnostics.ts'
import type { EpochIterator } from '../dataset.ts'

/** A table is read as a whole. */
const SPLIT = 'all'

/** @param table `namespace.table`, or where it lies. */
export function timedBatches(batches: EpochIterator, table: string, clock: Clock): EpochIterator {
  const timed: EpochIterator = {
    next: async (): Promise<IteratorResult<RecordBatch, void>> => {
      const started = clock.monotonicMillis()
      const result = await batches.next()
      if (result.done !== true) {
        const waitMillis = clock.monotonicMillis() - started
        loaderChannel.publish({ table, split: SPLIT, rows: result.value.numRows, waitMillis })
      }
      return result
    },
    return: () => batches.return(),
    [Symbol.asyncIterator]: () => timed,
  }
  return timed
}
