/** Rows in memory to data files, partition by partition. */
import { epochMicros } from '../../../table/ids.ts'
import {
  arrowSchema,
  createDataFileWriter,
  dataFileToJson,
  type PrimitiveValue,
  type WrittenFile,
} from '../../../table/index.ts'
import { AveragesBuilder, type AveragesState } from '../averages.ts'
import type { Int32Column, Int64Column } from '../columns.ts'
import type { EnrichedRows } from '../enrich.ts'
import { gatherer } from '../gather.ts'
import { layoutOf, partitionKeys, sortKeys, storeOf } from '../layout.ts'
import { partitionAndSort } from '../order.ts'
import type { CompactionTask, TaskContext, WrittenFileJson } from '../task.ts'

export const writtenFileJson = (file: WrittenFile): WrittenFileJson => ({
  dataFile: dataFileToJson(file.dataFile),
  sha256: file.sha256,
  rowGroups: file.rowGroups,
})

export async function writeRows(
  task: CompactionTask,
  rows: EnrichedRows,
  survivors: Uint32Array,
  context: TaskContext,
): Promise<readonly WrittenFileJson[]> {
  const layout = layoutOf(task)
  const { schema, spec, sortOrder } = layout
  const store = storeOf(task, context)
  const compactedAt = BigInt(task.compactedAt)
  const gather = gatherer(rows, arrowSchema(schema), epochMicros(compactedAt))
  const keys = partitionKeys(rows, layout, compactedAt)
  const partitions = partitionAndSort(survivors, keys, sortKeys(rows, layout))
  const written: WrittenFileJson[] = []
  for (const [index, { tuple, rows: order }] of partitions.entries()) {
    const writer = createDataFileWriter({
      store,
      location: task.location,
      schema,
      spec,
      partition: tuple as readonly PrimitiveValue[],
      sortOrderId: sortOrder.orderId,
      sortOrder,
      properties: task.metricsProperties,
      fileNamePrefix: `${task.filePrefix}-${index}`,
      targetFileSizeBytes: task.targetFileSizeBytes,
      rowGroupRows: task.rowGroupRows,
    })
    for (let start = 0; start < order.length; start += task.rowGroupRows) {
      const batch = gather(order, start, Math.min(start + task.rowGroupRows, order.length))
      await writer.write(batch, { signal: context.signal })
    }
    for (const file of await writer.close({ signal: context.signal })) written.push(writtenFileJson(file))
  }
  return written
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
