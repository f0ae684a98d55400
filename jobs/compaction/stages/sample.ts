/**
 * Before the first stage of a run of several tasks: the keys of a few records of evenly spread objects, from which
 * ranges are made. A bad sample makes ranges uneven, nothing else.
 */
import { parseDataset } from '../../datasets/index.ts'
import { type Gap, readInputs } from '../inputs.ts'
import { objectsBetween } from '../shares.ts'
import type { CompactionTask, TaskContext } from '../task.ts'
import { hasOrigin, openCollector } from './read.ts'
import { boundaryKey, sortCollected } from './spill-rows.ts'

/** Records of one object that are decoded. */
const RECORDS_PER_OBJECT = 256
/** Of all records of the sample together, so that giant ones do not add up. */
const MAX_BYTES = 32 * 1024 * 1024

/** @returns keys in order, base64. */
export async function sampleStage(
  task: CompactionTask,
  context: TaskContext,
  objects: readonly number[],
): Promise<readonly string[]> {
  const { store, signal } = context
  const dataset = parseDataset(task.dataset, `of run ${task.runId}`)
  const collector = await openCollector(task, dataset)
  const withOrigin = hasOrigin(dataset)
  for (const object of objects) {
    if (collector.heldBytes > MAX_BYTES) break
    const inputs = objectsBetween(task.inputs, object, object + 1)
    const counts = { kinesisRecords: 0, bytes: 0, gaps: [] as Gap[] }
    let left = RECORDS_PER_OBJECT
    for await (const batch of readInputs(inputs, { store, signal, counts, withOrigin, firstObject: object })) {
      const step = Math.max(1, Math.ceil(batch.records.length / (RECORDS_PER_OBJECT / 8)))
      const picked = batch.records.flatMap((record, index) => (index % step === 0 ? [{ record, index }] : []))
      const outcomes = await collector.enricher.addBatch(
        picked.map(({ record }) => record),
        { signal },
      )
      for (const [at, refusal] of outcomes.entries()) {
        const { record, index } = picked[at]!
        if (refusal === undefined) collector.placed(object, batch.firstRecord + index, record.origin)
      }
      left -= picked.length
      if (left <= 0) break
    }
  }
  const collected = collector.take()
  const sorted = sortCollected(task, collected.rows)
  return Array.from(sorted.order, (_row, at) => Buffer.from(boundaryKey(sorted, collected, at)).toString('base64'))
}
