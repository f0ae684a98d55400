import { describe, expect, it } from 'vitest'
import { type DatasetOptions, openDataset } from '../../../loader/index.ts'
import { openCatalog, openStore, parseWhere, printWhere, systemClock } from '../../../table/index.ts'
import { column, commitFiles, equalityDeletes, positionDeletes } from '../../table/scan/delete-tables.ts'
import { memoryUrl, numbersOf, ROWS, rowsTable, withDataset } from '../support.ts'
import { type Choices, planOf } from './support.ts'

const options = (warehouse: string, more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse,
  table: 't.rows',
  batch: { size: 16 },
  ...more,
})
const rowsOf = (warehouse: string, more: Partial<DatasetOptions>): Promise<number[]> =>
  withDataset(options(warehouse, more), async (dataset) => (await numbersOf(dataset.epoch(0))).flat())
const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)
const upTo = (end: number, keep: (n: number) => boolean = () => true): number[] =>
  Array.from({ length: end }, (_, n) => n).filter(keep)

describe('a filter', () => {
  it('leaves out files by their metadata, and tests no row where the others match as a whole', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 500, fileRows: 100 })
    const plan = await planOf(table, { filter: 'n < 200' })
    expect(plan).toMatchObject({ rowCount: 200, origin: { filesSkipped: 3, filter: 'n < 200' } })
    expect(plan.files).toHaveLength(2)
    expect(plan.read.where).toBeUndefined()
    expect(sorted(await rowsOf(url, { filter: 'n < 200' }))).toEqual(upTo(200))
  })

  it('goes down to the rows where a file matches in part', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 500, fileRows: 100 })
    const filter = 'n >= 150 and (flag = true or text is null) and n not in (160, 162)'
    const plan = await planOf(table, { filter })
    expect(plan.rowCount).toBeUndefined()
    expect(plan.read.where).toEqual(parseWhere(filter, ROWS))
    const expected = upTo(500, (n) => n >= 150 && (n % 3 === 0 || n % 2 === 0) && n !== 160 && n !== 162)
    expect(sorted(await rowsOf(url, { filter }))).toEqual(expected)
    expect(sorted(await rowsOf(url, { filter: parseWhere(filter, ROWS), columns: ['n'] }))).toEqual(expected)
  })

  it.each([
    ['article_tokens > 3', 'FIRN_COLUMN_NOT_FOUND'],
    ['n >', 'FIRN_WHERE_INVALID'],
    ["n = 'seven'", 'FIRN_WHERE_INVALID'],
  ])('%s is refused: %s', async (filter, code) => {
    const { url } = await rowsTable(memoryUrl(), { rows: 3 })
    await expect(openDataset(options(url, { filter }))).rejects.toMatchObject({ kind: 'invalid', code })
  })

  it('of a column that the table does not have is refused in its parsed form too', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 3 })
    const filter = { kind: 'is-null', column: { fieldId: 99, name: 'gone', type: 'int' } } as const
    await expect(openDataset(options(url, { filter }))).rejects.toMatchObject({ code: 'FIRN_COLUMN_NOT_FOUND' })
  })
})

describe('the hash of a plan', () => {
  it('stays for what changes no batch', async () => {
    const { table } = await rowsTable(memoryUrl(), { rows: 100 })
    const base = { filter: "n > 5 and text starts with 'text'" }
    const { hash } = await planOf(table, base)
    const same: Choices[] = [
      { filter: "  n>5   AND text STARTS WITH 'text'" },
      { filter: parseWhere(base.filter, ROWS) },
      { ...base, columns: ['id'] },
      { ...base, memoryLimit: '1GB', prefetchBatches: 9, cache: { dir: '/tmp/never' } },
      { ...base, shard: { rank: 1, worldSize: 4 } },
      { ...base, shuffle: { seed: 77 } },
      { ...base, transform: '/lib/tokenize.js', onError: 'skip', pin: false },
    ]
    for (const choices of same) expect((await planOf(table, choices)).hash).toBe(hash)
  })

  it('is another one for whatever changes a batch', async () => {
    const { table } = await rowsTable(memoryUrl(), { rows: 100 })
    const other = await rowsTable(memoryUrl(), { rows: 100 })
    const id = { column: 'id', buckets: 10 } as const
    const different: Choices[] = [
      {},
      { filter: 'n > 5' },
      { filter: 'n > 6' },
      { split: { ...id, include: [0, 5] } },
      { split: { ...id, include: [0, 6] } },
      { split: { ...id, buckets: 20, include: [0, 5] } },
      { batch: { size: 65 } },
      { batch: { maxTokens: 64, lengthColumn: 'n' } },
      { batch: { maxTokens: 65, lengthColumn: 'n' } },
      { batch: { maxTokens: 64, lengthColumn: 'n', padToMultipleOf: 8 } },
      { batch: { maxTokens: 64, lengthColumn: 'n', bucketBoundaries: [8] } },
      { dropLast: true },
      { shuffle: false },
      { shuffle: { seed: 0, blockBytes: 1000 } },
    ]
    const hashes = new Set([(await planOf(other.table)).hash])
    for (const choices of different) hashes.add((await planOf(table, choices)).hash)
    expect(hashes.size).toBe(different.length + 1)
    for (const hash of hashes) expect(hash >= 0n && hash < 2n ** 64n).toBe(true)
  })
})

describe('columns', () => {
  it('that the table does not have are refused', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 3 })
    const more = { columns: ['id', 'article'] }
    await expect(openDataset(options(url, more))).rejects.toMatchObject({ code: 'FIRN_COLUMN_NOT_FOUND' })
  })

  it('have the one of lengths among them for token budgets', async () => {
    const { table } = await rowsTable(memoryUrl(), { rows: 3 })
    const plan = await planOf(table, { columns: ['text'], batch: { maxTokens: 100, lengthColumn: 'n' } })
    expect(plan.read.columns).toEqual(['n', 'text'])
    expect(plan.arrow.fields.map(({ name }) => name)).toEqual(['n', 'text'])
  })

  it('of lengths must be there and be numbers, unless a transform makes them', async () => {
    const { table } = await rowsTable(memoryUrl(), { rows: 3 })
    const lengths = (lengthColumn: string): Choices => ({ batch: { maxTokens: 100, lengthColumn } })
    await expect(planOf(table, lengths('word_count'))).rejects.toMatchObject({ code: 'FIRN_COLUMN_NOT_FOUND' })
    await expect(planOf(table, lengths('text'))).rejects.toMatchObject({ code: 'FIRN_LENGTH_COLUMN' })
    const plan = await planOf(table, { ...lengths('input_ids'), columns: ['text'], transform: '/lib/tokenize.js' })
    expect(plan.read.columns).toEqual(['text'])
  })
})

describe('deletes of other engines', () => {
  it.each([
    ['position', false],
    ['equality', false],
    ['position', true],
    ['equality', true],
  ] as const)(
    '%s deletes are applied, with a filter: %s; what they leave is not counted beforehand',
    async (kind, filtered) => {
      const { url, table } = await rowsTable(memoryUrl(), { rows: 60, fileRows: 30 })
      const [task] = (await table.scan().planFiles()).filter(({ file }) => file.lowerBounds.get(2)?.[0] === 0)
      const deletes =
        kind === 'position'
          ? await positionDeletes(table, [
              [task!.file.filePath, 3],
              [task!.file.filePath, 3],
              [task!.file.filePath, 17],
            ])
          : await equalityDeletes(table, column(ROWS, 'n'), [{ n: 3 }, { n: 17 }])
      const deleted = await commitFiles(table, [deletes])
      const choices = filtered ? { filter: 'n >= 3' } : {}
      expect((await planOf(deleted, choices)).rowCount).toBeUndefined()
      expect((await planOf(deleted, choices)).origin.deleteFiles).toBe(1)
      const expected = upTo(60, (n) => n !== 3 && n !== 17 && (!filtered || n >= 3))
      expect(sorted(await rowsOf(url, choices))).toEqual(expected)
      const { snapshotId } = table.currentSnapshot()!
      expect((await planOf(deleted, { snapshot: { id: snapshotId } })).rowCount).toBe(60)
    },
  )
})

describe('a catalog', () => {
  it('opens the table by its name, and has no workers where they could not see it', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 40 })
    const catalog = openCatalog(openStore(url), { clock: systemClock })
    const read = async (numWorkers?: number): Promise<number[]> =>
      withDataset(
        { catalog, table: 't.rows', batch: { size: 16 }, ...(numWorkers === undefined ? {} : { numWorkers }) },
        async (dataset) => (await numbersOf(dataset.epoch(0))).flat(),
      )
    expect(sorted(await read())).toEqual(upTo(40))
    await expect(read(2)).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    await expect(openDataset({ catalog, table: 't.gone', batch: { size: 16 } })).rejects.toMatchObject({
      code: 'FIRN_TABLE_NOT_FOUND',
    })
  })
})

describe('the text of a filter', () => {
  it('is the same however it was written', () => {
    const text = 'n > 5 and (flag = true or text is null)'
    expect(printWhere(parseWhere('( n>5 ) AND ((flag=TRUE) or text IS NULL)', ROWS), ROWS)).toBe(text)
  })
})
