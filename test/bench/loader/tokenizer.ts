/** `node tokenizer.ts <warehouse> <file>`: the vocabulary of the benchmark, trained once from the table itself. */
import { existsSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { openDataset, tokenizerOf } from '../../../loader/index.ts'
import { TABLE } from './tables.ts'

const [warehouse = '', path = ''] = process.argv.slice(2)
if (!existsSync(path)) {
  const columns = ['title', 'content']
  const dataset = await openDataset({ warehouse, table: TABLE, columns, batch: { size: 64 }, pin: false })
  const tokenizer = await tokenizerOf(dataset, { columns, sampleRows: 2_000, vocabSize: 8_192 })
  await dataset[Symbol.asyncDispose]()
  await writeFile(`${path}.part`, JSON.stringify(tokenizer.toJSON()))
  await rename(`${path}.part`, path)
}
