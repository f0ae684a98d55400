/** The tokenizer inside of a dataset: the same ids in this thread and in workers, learned from the snapshot itself. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RecordBatch, Vector } from 'apache-arrow'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DatasetOptions, loadTokenizer, type Tokenizer, tokenize, tokenizerOf } from '../../../loader/index.ts'
import { folderWarehouse, numbersOf, rowAt, rowsTable, withDataset } from '../support.ts'

const ROWS = 300
let url: string
let remove: () => Promise<void>
let folder: string
let path: string
let tokenizer: Tokenizer

const open = (more: Partial<DatasetOptions>): DatasetOptions => ({
  warehouse: url,
  table: 't.rows',
  shuffle: { seed: 1 },
  batch: { size: 32 },
  ...more,
})

beforeAll(async () => {
  ;({ url, remove } = await folderWarehouse())
  await rowsTable(url, { rows: ROWS })
  tokenizer = await withDataset(open({ columns: ['text'], numWorkers: 0 }), (dataset) =>
    tokenizerOf(dataset, { columns: ['text'], sampleRows: 200, vocabSize: 400 }),
  )
  folder = await mkdtemp(join(tmpdir(), 'firn-tokenizer-'))
  path = join(folder, 'tokenizer.json')
  await writeFile(path, JSON.stringify(tokenizer))
})
afterAll(async () => {
  await remove()
  await rm(folder, { recursive: true })
})

const listsOf = (batch: RecordBatch, column: string): number[][] =>
  Array.from({ length: batch.numRows }, (_, row) => [...(batch.getChild(column)!.get(row) as Vector)])

describe('a tokenized dataset', () => {
  test.each([
    ['in this thread, the tokenizer sent', 0, () => tokenizer],
    ['in two workers, the tokenizer from its file', 2, () => path],
  ])('has the ids of every row: %s', async (_where, numWorkers, source) => {
    const transform = tokenize({
      tokenizer: source(),
      columns: {
        text: [
          { to: 'ids', maxTokens: 24, eos: true, nulls: 'empty' },
          { to: 'all', nulls: 'empty' },
        ],
      },
      keep: ['n'],
    })
    const seen = new Set<number>()
    await withDataset(open({ numWorkers, transform }), async (dataset) => {
      expect(dataset.schema.fields.map(({ name }) => name)).toEqual(['ids', 'all', 'n'])
      for await (const batch of dataset.epoch(0)) {
        const numbers = [...batch.getChild('n')!] as number[]
        const ids = listsOf(batch, 'ids')
        const all = listsOf(batch, 'all')
        numbers.forEach((n, row) => {
          seen.add(n)
          const expected = [...tokenizer.encode((rowAt(n)['text'] as string | null) ?? '')]
          expect(all[row]).toEqual(expected)
          const cut = [...expected.slice(0, 23), tokenizer.idOf('<eos>')!]
          expect(ids[row]).toEqual([...cut, ...new Array<number>(24 - cut.length).fill(0)])
        })
      }
    })
    expect(seen.size).toBe(ROWS)
  })

  test('the same snapshot, seed and sample give the same vocabulary, with another number of workers too', async () => {
    const again = await withDataset(open({ columns: ['text'], numWorkers: 2, batch: { size: 7 } }), (dataset) =>
      tokenizerOf(dataset, { columns: ['text'], sampleRows: 200, vocabSize: 400 }),
    )
    expect(again.toJSON()).toEqual(tokenizer.toJSON())
    expect((await loadTokenizer(path)).toJSON()).toEqual(tokenizer.toJSON())
  })

  test('a null that was not declared ends the epoch with an error that names the column', async () => {
    const transform = tokenize({ tokenizer: path, columns: { text: { maxTokens: 8 } } })
    await withDataset(open({ numWorkers: 1, transform }), async (dataset) => {
      await expect(numbersOf(dataset.epoch(0))).rejects.toMatchObject({ code: 'FIRN_TENSOR_NULL' })
    })
  })

  test('a column that is not there is refused when the dataset opens', async () => {
    const transform = tokenize({ tokenizer: path, columns: { body: {} } })
    await expect(withDataset(open({ transform }), async () => {})).rejects.toMatchObject({
      code: 'FIRN_COLUMN_NOT_FOUND',
    })
  })
})
