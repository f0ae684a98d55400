import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RecordBatch } from 'apache-arrow'
import { beforeAll, describe, expect, test } from 'vitest'
import { tokenizerOf } from '../../../loader/tokenizer/sample.ts'
import { type TokenizeColumn, tokenize } from '../../../loader/tokenizer/tokenize.ts'
import type { Tokenizer } from '../../../loader/tokenizer/tokenizer.ts'
import { trainTokenizer } from '../../../loader/tokenizer/train.ts'
import tokenizing from '../../../loader/tokenizer/transform.ts'
import { batchOf } from '../../table/support.ts'

type Ids = { values: Int32Array; width?: number; offsets?: Int32Array }

let tokenizer: Tokenizer
/** `id` is text without nulls; `text` is null in every third row. */
const batch: RecordBatch = batchOf(
  {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'id', required: true, type: 'string' },
      { id: 2, name: 'n', required: true, type: 'int' },
      { id: 3, name: 'text', required: false, type: 'string' },
    ],
  },
  [1, 2, 3, 4, 5, 6, 7, 8].map((n) => ({
    id: `row-${String(n).padStart(6, '0')}`,
    n,
    text: n % 3 === 0 ? null : n === 1 ? '' : `text of ${n} – ${'żółw '.repeat(n)}`,
  })),
)
const texts: (string | null)[] = [...batch.getChild('text')!]

beforeAll(async () => {
  tokenizer = await trainTokenizer(
    ['row- text of żółw żółw żółw text of row-00', ...texts.filter((text) => text !== null)],
    { vocabSize: 300 },
  )
})

async function run(
  columns: Record<string, TokenizeColumn | TokenizeColumn[]>,
  keep: string[] = [],
  rows = batch,
): Promise<Record<string, Ids | string>> {
  const { module, options } = tokenize({ tokenizer, columns, keep })
  const { default: load } = (await import(String(module))) as { default: typeof tokenizing }
  // as it arrives in a worker
  const transform = await load(structuredClone(options), { schema: batch.schema })
  return transform(rows) as Record<string, Ids | string>
}

const rowsOf = ({ values, width, offsets }: Ids): number[][] =>
  offsets === undefined
    ? Array.from({ length: values.length / width! }, (_, row) => [...values.subarray(row * width!, (row + 1) * width!)])
    : Array.from({ length: offsets.length - 1 }, (_, row) => [...values.subarray(offsets[row], offsets[row + 1])])

describe('the transform', () => {
  test('a leading space gives the first word the ids that it has elsewhere', async () => {
    const columns: TokenizeColumn[] = [
      { to: 'fixed', maxTokens: 12, eos: true, leadingSpace: true, nulls: 'empty' },
      { to: 'whole', leadingSpace: true, nulls: 'empty' },
    ]
    const { fixed, whole } = (await run({ text: columns })) as { fixed: Ids; whole: Ids }
    const expected = texts.map((text) => [...tokenizer.encode(text === null || text === '' ? '' : ` ${text}`)])
    expect(rowsOf(whole)).toEqual(expected)
    const cut = expected.map((ids) => [...ids.slice(0, 11), 2])
    expect(rowsOf(fixed)).toEqual(cut.map((ids) => [...ids, ...new Array<number>(12 - ids.length).fill(0)]))
    // one that has its space
    const own = batchOf(
      { schemaId: 0, identifierFieldIds: [], fields: [{ id: 1, name: 'text', required: true, type: 'string' }] },
      [{ text: ' of' }, { text: `of ${'żółw '.repeat(3000)}` }, { text: 'x' }],
    )
    const { module, options } = tokenize({ tokenizer, columns: { text: { leadingSpace: true } } })
    const { default: load } = (await import(String(module))) as { default: typeof tokenizing }
    const { text } = (await load(options, { schema: own.schema }))(own) as unknown as { text: Ids }
    const long = ` of ${'żółw '.repeat(3000)}`
    expect(rowsOf(text)).toEqual([' of', long, ' x'].map((each) => [...tokenizer.encode(each)]))
  })

  test('rows of fixed width: begun, cut, ended and filled', async () => {
    const { ids } = (await run({ text: { to: 'ids', maxTokens: 12, bos: true, eos: true, nulls: 'empty' } })) as {
      ids: Ids
    }
    expect(ids.width).toBe(12)
    rowsOf(ids).forEach((row, index) => {
      const text = [...tokenizer.encode(texts[index] ?? '')].slice(0, 10)
      const expected = [1, ...text, 2]
      expect(row).toEqual([...expected, ...new Array<number>(12 - expected.length).fill(0)])
    })
    expect(rowsOf(ids).some((row) => row.at(-1) === 2)).toBe(true)
    expect(rowsOf(ids).some((row) => row.at(-1) === 0)).toBe(true)
  })

  test('another token pads where it is named', async () => {
    const { ids } = (await run({ text: { to: 'ids', maxTokens: 200, pad: '<eos>', nulls: 'empty' } })) as { ids: Ids }
    for (const [index, row] of rowsOf(ids).entries()) {
      const text = [...tokenizer.encode(texts[index] ?? '')].slice(0, 200)
      expect(row).toEqual([...text, ...new Array<number>(200 - text.length).fill(2)])
    }
  })

  test('rows as long as their texts', async () => {
    const { id, cut } = (await run({ id: [{}, { to: 'cut', maxTokens: 3, pad: false, eos: true }] })) as {
      id: Ids
      cut: Ids
    }
    const whole = [...batch.getChild('id')!].map((text: string) => [...tokenizer.encode(text)])
    expect(rowsOf(id)).toEqual(whole)
    expect(rowsOf(cut)).toEqual(whole.map((ids) => [...ids.slice(0, 2), 2]))
    expect(id.values.length).toBe(id.offsets!.at(-1))
  })

  test('a row depends on that row only, and on nothing before it', async () => {
    const columns = { text: { to: 'ids', maxTokens: 20, nulls: 'empty' } as const, id: {} }
    const whole = await run(columns)
    const parts = [batch.slice(0, 3), batch.slice(3, 4), batch.slice(4)]
    for (const name of ['ids', 'id']) {
      const rows = []
      for (const part of parts) rows.push(...rowsOf((await run(columns, [], part))[name] as Ids))
      expect(rows).toEqual(rowsOf(whole[name] as Ids))
    }
  })

  test('a batch without rows tells the columns', async () => {
    const empty = await run({ id: { maxTokens: 5 }, text: { pad: false } }, ['n'], batch.slice(0, 0))
    expect(empty).toEqual({
      id: { values: new Int32Array(0), width: 5 },
      text: { values: new Int32Array(0), offsets: new Int32Array(1) },
      n: 'n',
    })
  })

  test('a null is an error that names the column, unless it is declared to be empty', async () => {
    await expect(run({ text: { maxTokens: 5 } })).rejects.toMatchObject({
      code: 'FIRN_TENSOR_NULL',
      detail: { column: 'text' },
    })
  })

  test('what cannot work is refused before a row is read', async () => {
    await expect(run({ nothing: {} })).rejects.toMatchObject({ code: 'FIRN_COLUMN_NOT_FOUND' })
    await expect(run({ id: {} }, ['nothing'])).rejects.toMatchObject({ code: 'FIRN_COLUMN_NOT_FOUND' })
    await expect(run({ n: {} })).rejects.toMatchObject({ code: 'FIRN_TENSOR_TYPE' })
    await expect(run({ id: { bos: '<s>' } })).rejects.toMatchObject({
      code: 'FIRN_INVALID_OPTION',
      detail: { token: '<s>' },
    })
  })

  test('the tokenizer may be a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'firn-tokenize-'))
    try {
      const path = join(folder, 'tokenizer.json')
      await writeFile(path, JSON.stringify(tokenizer))
      const { options } = tokenize({ tokenizer: path, columns: { id: {} } })
      const transform = await tokenizing(options, { schema: batch.schema })
      expect(transform(batch)).toEqual(await run({ id: {} }))
      const missing = tokenize({ tokenizer: join(folder, 'none'), columns: { id: {} } })
      await expect(tokenizing(missing.options, { schema: batch.schema })).rejects.toMatchObject({
        code: 'FIRN_TOKENIZER_NOT_FOUND',
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

test.each([
  [{}],
  [{ id: { maxTokens: 0 } }],
  [{ id: { pad: true } }],
  [{ id: { maxTokens: 1, bos: true, eos: true } }],
  [{ id: { nulls: 'skip' } }],
  [{ id: { size: 3 } }],
  [{ id: { to: 'x' }, text: { to: 'x' } }],
  [{ id: { to: 'n' } }],
])('tokenize refuses the columns %j', (columns) => {
  expect(() => tokenize({ tokenizer: 'x.json', columns: columns as never, keep: ['n'] })).toThrow(
    expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }),
  )
})

describe('a vocabulary of a dataset', () => {
  let asked: number[] = []
  const dataset = {
    schema: batch.schema,
    async *epoch(epoch: number): AsyncGenerator<RecordBatch> {
      for (let first = 0; first < batch.numRows; first += 3) {
        asked.push(epoch)
        yield batch.slice(first, first + 3)
      }
    },
  }

  test('is that of its text columns, without nulls, row by row', async () => {
    const all = [...batch.getChild('id')!]
      .flatMap((id: string, row) => [id, texts[row]])
      .filter((text) => text !== null && text !== undefined)
    const expected = await trainTokenizer(all, { vocabSize: 280 })
    const found = await tokenizerOf(dataset, { columns: ['id', 'text'], vocabSize: 280 })
    expect(found.toJSON()).toEqual(expected.toJSON())
  })

  test('sampleRows reads so many rows of the epoch and leaves it', async () => {
    asked = []
    const expected = await trainTokenizer([...batch.getChild('id')!].slice(0, 4) as string[], { vocabSize: 280 })
    const found = await tokenizerOf(dataset, { columns: ['id'], sampleRows: 4, epoch: 2, vocabSize: 280 })
    expect(found.toJSON()).toEqual(expected.toJSON())
    expect(asked).toEqual([2, 2])
  })

  test('refuses columns that are no text', () => {
    expect(() => tokenizerOf(dataset, { columns: ['n'], vocabSize: 280 })).toThrow(
      expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }),
    )
    expect(() => tokenizerOf(dataset, { columns: [], vocabSize: 280 })).toThrow(
      expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }),
    )
    expect(() => tokenizerOf(dataset, { columns: ['id'], sampleRows: 0, vocabSize: 280 })).toThrow(
      expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }),
    )
  })
})
