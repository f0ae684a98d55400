/** A whole run in one task: read, enrich, deduplicate, sort, write. */
import { parseDataset } from '../../datasets/index.ts'
import { createEnricher } from '../enrich.ts'
import { readInputs } from '../inputs.ts'
import { latestOfEachKey } from '../order.ts'
import { quarantineWriter } from '../quarantine.ts'
import { type CompactionTask, type CompactionTaskResult, EMPTY_RESULT, type Gap, type TaskContext } from '../task.ts'
import { averageRows, writeRows } from './write-rows.ts'

export async function runWhole(task: CompactionTask, context: TaskContext): Promise<CompactionTaskResult> {
  const { signal, store } = context
  const dataset = parseDataset(task.dataset, `of run ${task.runId}`)
  const enricher = createEnricher(dataset)
  const quarantine = quarantineWriter({
    store,
    table: task.table,
    runId: task.runId,
    firstNumber: task.firstQuarantine,
    plannedMillis: Number(BigInt(task.compactedAt) / 1000n),
    signal,
  })
  const counts = { kinesisRecords: 0, bytes: 0, gaps: [] as Gap[] }
  const withOrigin = dataset.fields.some(({ from }) => from.kind === 'origin')
  const isReplay = task.inputs.some(({ kind }) => kind === 'quarantine')
  const origins: string[] = []
  let records = 0
  for await (const batch of readInputs(task.inputs, { store, signal, counts, withOrigin })) {
    records += batch.records.length
    for (const [index, refusal] of (await enricher.addBatch(batch.records, { signal })).entries()) {
      const { bytes, origin } = batch.records[index]!
      if (refusal !== undefined) await quarantine.add(bytes, batch.originOf(index), refusal)
      else if (isReplay) origins.push(origin!)
    }
  }
  const quarantined = await quarantine.close()
  const rows = enricher.take()
  const bad = records - rows.rowCount
  const refused = task.maxBadRatio !== null && bad > task.maxBadRatio * records
  const survivors = latestOfEachKey(rows, isReplay ? origins : undefined)
  return {
    ...EMPTY_RESULT,
    kinesisRecords: counts.kinesisRecords,
    recordsRead: records,
    rowsAdded: survivors.length,
    duplicates: rows.rowCount - survivors.length,
    quarantined,
    gaps: counts.gaps,
    averages: averageRows(rows, survivors),
    files: refused ? [] : await writeRows(task, rows, survivors, context),
    refused,
  }
}
