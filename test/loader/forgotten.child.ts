/**
 * Reads datasets to their end, drops them without closing them, and waits for their workers to be gone: one without a
 * signal, then two with a signal that lives on.
 */
import { setTimeout } from 'node:timers/promises'
import { openDataset } from '../../loader/index.ts'
import { countWorkers } from './support-workers.ts'

const workers = countWorkers()
const controller = new AbortController()

async function readAndForget(signal?: AbortSignal): Promise<number> {
  const dataset = await openDataset({
    warehouse: process.argv[2]!,
    table: 't.rows',
    batch: { size: 32 },
    numWorkers: 1,
    signal,
  })
  let rows = 0
  for await (const batch of dataset.epoch(0)) rows += batch.numRows
  return rows
}

for (const signal of [undefined, controller.signal, controller.signal]) {
  console.log(`${await readAndForget(signal)} rows, ${workers.alive} alive`)
  for (let tries = 0; workers.alive > 0 && tries < 500; tries++) {
    globalThis.gc?.()
    await setTimeout(20)
  }
  console.log(`${workers.alive} alive`)
}
controller.abort()
