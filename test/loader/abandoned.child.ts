/** Leaves datasets behind as users do: stopped in the middle without `return()`, read to the end, never closed. */
import { openDataset } from '../../loader/index.ts'

const options = { warehouse: process.argv[2]!, table: 't.rows', batch: { size: 32 }, numWorkers: 2 }

const stopped = (await openDataset(options)).epoch(0)
const first = await stopped.next()
console.log(`${first.value?.numRows} rows`)

let rows = 0
for await (const batch of (await openDataset(options)).epoch(0)) rows += batch.numRows
console.log(`${rows} rows`)

for await (const batch of (await openDataset(options)).epoch(1)) {
  console.log(`${batch.numRows} rows`)
  break
}
