import { describe, expect, it } from 'vitest'
import { type DatasetOptions, openDataset } from '../../loader/index.ts'
import { openCatalog, openStore, systemClock, Table } from '../../table/index.ts'
import { appendRows, digestOf, memoryUrl, numbersOf, ROWS, rowsTable, withDataset } from './support.ts'

const LAYOUT = { fileRows: 50, rowGroupRows: 16 }
const options = (warehouse: string, more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  warehouse,
  table: 't.rows',
  shuffle: { seed: 1, blockBytes: 10_000 },
  batch: { size: 20 },
  ...more,
})
const countOf = (more: DatasetOptions): Promise<number> =>
  withDataset(more, async (dataset) => {
    expect((await numbersOf(dataset.epoch(0))).flat()).toHaveLength(dataset.length!)
    return dataset.length!
  })

describe('a pinned snapshot', () => {
  it('stays what it was while rows are appended, within an epoch and for later ones', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 100 })
    await withDataset(options(url), async (dataset) => {
      const before = await digestOf(dataset.epoch(5))
      const running = dataset.epoch(0)
      const first = await running.next()
      const grown = await appendRows(table, 100, 300, LAYOUT)
      const rest = await numbersOf(running)
      expect(first.done).toBe(false)
      expect(rest.flat()).toHaveLength(80)
      expect(await digestOf(dataset.epoch(5))).toBe(before)
      expect(dataset.length).toBe(100)
      expect(dataset.snapshotId).not.toBe(grown.currentSnapshot()?.snapshotId)
    })
  })

  it('is found by its id as bigint or digits, by a tag and by a time; the default is the current one', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 100 })
    const old = table.currentSnapshot()!
    const tagged = await table.createTag('v1')
    while (systemClock.nowMillis() <= old.timestampMillis) await systemClock.sleep(1)
    await appendRows(tagged, 100, 150, LAYOUT)
    expect(await countOf(options(url))).toBe(150)
    expect(await countOf(options(url, { snapshot: { id: old.snapshotId } }))).toBe(100)
    expect(await countOf(options(url, { snapshot: { id: String(old.snapshotId) } }))).toBe(100)
    expect(await countOf(options(url, { snapshot: { tag: 'v1' } }))).toBe(100)
    expect(await countOf(options(url, { snapshot: { asOf: old.timestampMillis } }))).toBe(100)
    expect(await countOf(options(url, { snapshot: { asOf: new Date(old.timestampMillis) } }))).toBe(100)
  })

  it('decides the order together with seed and epoch: an append of other rows makes another order', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 100 })
    const old = table.currentSnapshot()!.snapshotId
    // A commit without files: the same rows under another snapshot id.
    await table.append([])
    const order = (more: Partial<DatasetOptions>): Promise<number[]> =>
      withDataset(options(url, more), async (dataset) => (await numbersOf(dataset.epoch(0))).flat())
    const [before, after] = [await order({ snapshot: { id: old } }), await order({})]
    expect(after).not.toEqual(before)
    expect(after.toSorted()).toEqual(before.toSorted())
  })

  it('is told by provenance, in plain JSON', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 30 })
    await withDataset(options(url, { columns: ['n', 'id'] }), async (dataset) => {
      const provenance = dataset.provenance()
      expect(JSON.parse(JSON.stringify(provenance))).toEqual(provenance)
      expect(provenance).toMatchObject({
        tableUuid: table.metadata.tableUuid,
        snapshotId: String(table.currentSnapshot()?.snapshotId),
        columns: ['id', 'n'],
        rows: 30,
        shuffle: { algorithm: 'block-v1', seed: 1, blockBytes: 10_000 },
      })
    })
  })
})

describe('a table', () => {
  it('is opened by its folder and by one of its metadata files, without a warehouse', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 60 })
    const file = table.metadataLocation
    await appendRows(table, 60, 90, LAYOUT)
    const { warehouse: _none, ...rest } = options(url)
    expect(await countOf({ ...rest, table: `${url}/t/rows/` })).toBe(90)
    expect(await countOf({ ...rest, table: file })).toBe(60)
  })

  it('may come from an opened store', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 10 })
    expect(await countOf({ ...options(url), warehouse: openStore(url) })).toBe(10)
  })
})

describe('columns', () => {
  it('are the only ones that are read, in the order of the schema', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 40 })
    await withDataset(options(url, { columns: ['text', 'n'] }), async (dataset) => {
      expect(dataset.schema.fields.map((field) => field.name)).toEqual(['n', 'text'])
      for await (const batch of dataset.epoch(0)) {
        expect(batch.schema.fields.map((field) => field.name)).toEqual(['n', 'text'])
        expect(batch.numCols).toBe(2)
      }
    })
  })

  it('do not change the order of rows', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 100 })
    const order = (more: Partial<DatasetOptions>): Promise<number[]> =>
      withDataset(options(url, more), async (dataset) => (await numbersOf(dataset.epoch(0))).flat())
    expect(await order({ columns: ['n'] })).toEqual(await order({}))
  })
})

describe('openDataset refuses', () => {
  const refused = async (more: DatasetOptions): Promise<unknown> => openDataset(more).catch((error: unknown) => error)

  it('what does not exist', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 10 })
    expect(await refused(options(url, { table: 't.none' }))).toMatchObject({ code: 'FIRN_TABLE_NOT_FOUND' })
    expect(await refused(options(url, { snapshot: { id: 12n } }))).toMatchObject({
      kind: 'not-found',
      code: 'FIRN_SNAPSHOT_NOT_FOUND',
    })
    expect(await refused(options(url, { snapshot: { tag: 'v9' } }))).toMatchObject({ code: 'FIRN_REF_NOT_FOUND' })
    expect(await refused(options(url, { snapshot: { asOf: 1 } }))).toMatchObject({ code: 'FIRN_SNAPSHOT_NOT_FOUND' })
    expect(await refused(options(url, { columns: ['n', 'm'] }))).toMatchObject({
      code: 'FIRN_COLUMN_NOT_FOUND',
      help: expect.stringContaining('id, n, text') as string,
    })
  })

  it('a table without a snapshot', async () => {
    const url = memoryUrl()
    await openCatalog(openStore(url), { clock: systemClock }).createTable('t.rows', {
      schema: ROWS,
      partitionSpec: { specId: 0, fields: [] },
      sortOrder: { orderId: 0, fields: [] },
      properties: {},
    })
    expect(await refused(options(url))).toMatchObject({
      code: 'FIRN_SNAPSHOT_NOT_FOUND',
      help: expect.stringContaining('firn compact') as string,
    })
  })

  it('an aborted signal, with its reason', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 10 })
    const reason = new Error('enough')
    expect(await refused(options(url, { signal: AbortSignal.abort(reason) }))).toBe(reason)
  })
})

it('a snapshot without rows has epochs that say so', async () => {
  const { url, table } = await rowsTable(memoryUrl(), { rows: 0 })
  expect(table).toBeInstanceOf(Table)
  await withDataset(options(url), async (dataset) => {
    expect(dataset).toMatchObject({ length: 0, numBatches: 0 })
    await expect(numbersOf(dataset.epoch(0))).rejects.toMatchObject({ kind: 'invalid', code: 'FIRN_DATASET_EMPTY' })
  })
})
