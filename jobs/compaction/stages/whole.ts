/**
 * A whole run in one task. What fits into memory is deduplicated, sorted and written from there; what does not goes
 * through the same stages as a run of many tasks, by way of the local disk.
 */
import { openExchange, removeExchange } from '../exchange/exchange.ts'
import { BUCKETS } from '../exchange/key-entries.ts'
import { latestOfEachKey } from '../order.ts'
import { type CompactionTask, type CompactionTaskResult, EMPTY_RESULT, type TaskContext } from '../task.ts'
import { dedupStage } from './dedup.ts'
import { readStage } from './read.ts'
import { createSpiller } from './spill-rows.ts'
import { writeStage } from './write.ts'
import { averageRows, writeRows } from './write-rows.ts'

export async function runWhole(task: CompactionTask, context: TaskContext): Promise<CompactionTaskResult> {
  const { budget } = task
  const exchange = openExchange(task.exchange, context.store)
  const spiller = createSpiller(task, { exchange, number: 0, boundaries: [], signal: context.signal })
  let hasSpilled = false
  try {
    const read = await readStage(task, context, {
      limitBytes: () => (hasSpilled ? budget.runBytes : budget.residentBytes),
      take: async (rows) => {
        hasSpilled = true
        await spiller.spill(rows)
      },
    })
    const { kinesisRecords, records, accepted, gaps, quarantined } = read
    const refused = task.maxBadRatio !== null && records - accepted > task.maxBadRatio * records
    const common = { ...EMPTY_RESULT, kinesisRecords, recordsRead: records, gaps, quarantined, refused }
    if (!hasSpilled) {
      const { rows, origins } = read.rest
      const survivors = latestOfEachKey(rows, origins)
      const duplicates = rows.rowCount - survivors.length
      const files = refused ? [] : await writeRows(task, rows, survivors, context)
      return { ...common, rowsAdded: survivors.length, duplicates, averages: averageRows(rows, survivors), files }
    }
    if (refused) return { ...common, rowsAdded: accepted }
    await spiller.spill(read.rest)
    const { runs, keys } = spiller.share
    const { signal } = context
    const dedup = await dedupStage(task, { exchange, number: 0, keys, buckets: [0, BUCKETS], ranges: 1, signal })
    const write = { exchange, range: 0, runs, losers: dedup.losers, prefix: task.filePrefix, signal }
    const { rows, averages, files } = await writeStage(task, context, write)
    return { ...common, rowsAdded: rows, duplicates: dedup.duplicates, averages, files }
  } finally {
    await removeExchange(task.exchange, context.store)
  }
}
