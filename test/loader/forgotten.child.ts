/** Reads a dataset to its end, drops it without closing it, and waits for its worker to be gone. */
import { setTimeout } from 'node:timers/promises'
import { openDataset } from '../../loader/index.ts'
import { countWorkers } from './support-workers.ts'

const workers = countWorkers()

async function readAndForget(): Promise<number> {
  const dataset = await openDataset({
    warehouse: process.argv[2]!,
    table: 't.rows',
    batch: { size: 32 },
    numWorkers: 1,
  })
  let rows = 0
  for await (const batch of dataset.epoch(0)) rows += batch.numRows
  return rows
}

console.log(`${await readAndForget()} rows, ${workers.alive} alive`)
for (let tries = 0; workers.alive > 0 && tries < 500; tries++) {
  globalThis.gc?.()
  await setTimeout(20)
}
console.log(`${workers.alive} alive`)
