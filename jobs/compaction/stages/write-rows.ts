/** Rows in memory to data files, partition by partition. */
import { epochMicros } from '../../../table/ids.ts'
import { arrowSchema, type PartitionTuple } from '../../../table/index.ts'
import { AveragesBuilder, type AveragesState } from '../averages.ts'
import type { Int32Column, Int64Column } from '../enrich/columns.ts'
import type { EnrichedRows } from '../enrich/enrich.ts'
import { gatherer } from '../gather.ts'
import { layoutOf, partitionKeys, sortKeys } from '../layout.ts'
import { partitionAndSort } from '../order.ts'
import type { CompactionTask, TaskContext, WrittenFileJson } from '../task.ts'
import { MAX_BATCH_BYTES, openOutput } from './output.ts'
import { pieces } from './spill-rows.ts'

export async function writeRows(
  task: CompactionTask,
  rows: EnrichedRows,
  survivors: Uint32Array,
  context: TaskContext,
): Promise<readonly WrittenFileJson[]> {
  const { signal, onProgress } = context
  const layout = layoutOf(task)
  const compactedAt = BigInt(task.compactedAt)
  const gather = gatherer(rows, arrowSchema(layout.schema), epochMicros(compactedAt))
  const keys = partitionKeys(rows, layout, compactedAt)
  const output = openOutput(task, context, task.filePrefix)
  let written = 0
  for (const { tuple, rows: order } of partitionAndSort(survivors, keys, sortKeys(rows, layout))) {
    for (const [start, end] of pieces(rows, order, 0, order.length, MAX_BATCH_BYTES, task.rowGroupRows)) {
      await output.writePart(tuple as PartitionTuple, gather(order, start, end), { signal })
      written += end - start
      onProgress?.({ stage: 'write', records: 0, bytes: 0, rows: written })
    }
  }
  return await output.close({ signal })
}

export function averageRows(rows: EnrichedRows, survivors: Uint32Array): AveragesState {
  const values = rows.columns.get(rows.dataset.averageOf) as Int32Column
  const { eventTime } = rows.dataset
  const times = eventTime === undefined ? undefined : (rows.columns.get(eventTime) as Int64Column)
  const builder = new AveragesBuilder()
  for (const row of survivors) {
    if (values.nulls.has(row)) continue
    builder.add(values.at(row), times === undefined || times.nulls.has(row) ? null : times.at(row))
  }
  return builder.state()
}
