/**
 * A training program that only reads: `node training-victim.ts <options as JSON> [token]` writes a line for each batch
 * of one epoch: a hash of its rows, and the token to go on behind it. The parent kills it.
 */
import { createHash } from 'node:crypto'
import type { DatasetOptions } from '../../loader/index.ts'
import { openDataset } from '../../loader/index.ts'

export interface VictimLine {
  readonly hash: string
  readonly rows: number
  readonly token: string
}

const [json = '{}', token] = process.argv.slice(2)
const dataset = await openDataset(JSON.parse(json) as DatasetOptions)
if (token !== undefined) await dataset.loadStateDict(token)
for await (const batch of dataset.epoch(0)) {
  const hash = createHash('sha256')
  for (const row of batch) hash.update(`${JSON.stringify(row.toJSON(), (_key, value) => String(value))}\n`)
  const line: VictimLine = { hash: hash.digest('hex'), rows: batch.numRows, token: dataset.stateDict() }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
await dataset[Symbol.asyncDispose]()
