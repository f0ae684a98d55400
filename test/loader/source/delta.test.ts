import { describe, expect, it } from 'vitest'
import { type DatasetOptions, openDataset } from '../../../loader/index.ts'
import {
  type Clock,
  type DataFile,
  openCatalog,
  openStore,
  parseWhere,
  planExpire,
  runExpire,
  type Schema,
  type SnapshotId,
  type Table,
} from '../../../table/index.ts'
import { commitFiles, positionDeletes, setClock } from '../../table/scan/delete-tables.ts'
import { readRows, type TestRow, testClock, writeRows } from '../../table/support.ts'
import { memoryUrl, numbersOf, withDataset } from '../support.ts'
import { planOf } from './support.ts'

const STAMPED: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'n', required: true, type: 'int' },
    { id: 2, name: 'compacted_at', required: false, type: 'timestamptz' },
  ],
}
const DAY = 86_400_000

interface Lab {
  readonly url: string
  readonly clock: Clock
  table: Table
}

async function lab(properties: Record<string, string> = {}, schema: Schema = STAMPED): Promise<Lab> {
  const url = memoryUrl()
  const clock = testClock()
  setClock(clock)
  const table = await openCatalog(openStore(url, { clock }), { clock }).createTable('t.rows', {
    schema,
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties,
  })
  return { url, clock, table }
}

const stampOf = (run: number): bigint => 1_700_000_000_000_000n + BigInt(run)
const rowsOf = (run: number, stamped = true): TestRow[] =>
  Array.from({ length: 10 }, (_, index) => ({
    n: run * 100 + index,
    compacted_at: stamped ? stampOf(run) : null,
    added: stampOf(run),
  }))
const numbers = (...runs: readonly number[]): number[] => runs.flatMap((run) => rowsOf(run).map(({ n }) => n as number))

/** A run that adds ten rows and stamps them. */
async function run(at: Lab, number: number): Promise<SnapshotId> {
  await at.clock.sleep(1000)
  const files = await writeRows(at.table, rowsOf(number), [])
  const summary = { 'firn.compacted-at': String(stampOf(number)) }
  const { table, snapshot } = await at.table.append(files, { summary })
  at.table = table
  return snapshot!.snapshotId
}

/** Ten rows without a stamp, as another engine appends them. */
async function append(at: Lab, number: number): Promise<SnapshotId> {
  await at.clock.sleep(1000)
  const { table, snapshot } = await at.table.append(await writeRows(at.table, rowsOf(number, false), []))
  at.table = table
  return snapshot!.snapshotId
}

/** All rows in one file. */
async function rewrite(at: Lab): Promise<SnapshotId> {
  await at.clock.sleep(1000)
  const removed: DataFile[] = (await at.table.scan().planFiles()).map(({ file }) => file)
  const added = await writeRows(at.table, await readRows(at.table.scan()), [])
  const startSnapshotId = at.table.currentSnapshot()!.snapshotId
  const { table, snapshot } = await at.table.replaceFiles(removed, added, { startSnapshotId })
  at.table = table
  return snapshot!.snapshotId
}

async function expireAll(at: Lab): Promise<void> {
  await at.clock.sleep(30 * DAY)
  const plan = planExpire(at.table, {}, at.clock)
  await runExpire(at.table, plan, {}, at.clock)
  at.table = await at.table.refresh()
}

const options = (at: Lab, snapshot: DatasetOptions['snapshot']): DatasetOptions => ({
  warehouse: at.url,
  table: 't.rows',
  snapshot,
  pin: false,
  batch: { size: 7 },
})
const read = (at: Lab, snapshot: DatasetOptions['snapshot']): Promise<number[]> =>
  withDataset(options(at, snapshot), async (dataset) =>
    (await numbersOf(dataset.epoch(0))).flat().toSorted((a, b) => a - b),
  )

describe('the delta of a table whose runs stamp their rows', () => {
  it('is what the runs between two snapshots added, however it was rewritten since', async () => {
    const at = await lab()
    const first = await run(at, 1)
    const second = await run(at, 2)
    const third = await run(at, 3)
    const rewritten = await rewrite(at)
    const fourth = await run(at, 4)
    expect(await read(at, { after: first, upTo: third })).toEqual(numbers(2, 3))
    expect(await read(at, { after: second })).toEqual(numbers(3, 4))
    // A rewrite has no stamp of its own: it counts as the run before it.
    expect(await read(at, { after: rewritten, upTo: fourth })).toEqual(numbers(4))
    expect(await read(at, { after: first, upTo: rewritten })).toEqual(numbers(2, 3))
    const plan = await planOf(at.table, { snapshot: { after: second } })
    expect(plan.origin.filter).toContain('compacted_at > ')
  })

  it('is the same once the runs themselves have expired', async () => {
    const at = await lab()
    const first = await run(at, 1)
    at.table = await at.table.createTag('trained', first)
    await run(at, 2)
    await run(at, 3)
    await rewrite(at)
    await run(at, 4)
    await expireAll(at)
    expect(at.table.metadata.snapshots.map(({ snapshotId }) => snapshotId)).toEqual([
      first,
      at.table.currentSnapshot()!.snapshotId,
    ])
    expect(await read(at, { after: { tag: 'trained' } })).toEqual(numbers(2, 3, 4))
  })

  it('goes by the rows themselves where the run that a rewrite stands on has expired', async () => {
    const at = await lab()
    await run(at, 1)
    await run(at, 2)
    const rewritten = await rewrite(at)
    at.table = await at.table.createTag('trained', rewritten)
    await run(at, 3)
    await expireAll(at)
    expect(at.table.metadata.snapshots).toHaveLength(2)
    expect(await read(at, { after: { tag: 'trained' } })).toEqual(numbers(3))
  })

  it('has no row that was deleted since, and none before the first run', async () => {
    const at = await lab()
    const first = await run(at, 1)
    await run(at, 2)
    const { table } = await at.table.deleteWhere(parseWhere('n = 204', STAMPED))
    at.table = table
    expect(await read(at, { after: first })).toEqual(numbers(2).filter((n) => n !== 204))
  })

  it('is empty between a snapshot and itself, which is told at open, and refused backwards', async () => {
    const at = await lab()
    const first = await run(at, 1)
    const second = await run(at, 2)
    await withDataset(options(at, { after: second, upTo: second }), async (dataset) => {
      await expect(numbersOf(dataset.epoch(0))).rejects.toMatchObject({ code: 'FIRN_DATASET_EMPTY', kind: 'invalid' })
    })
    await expect(openDataset(options(at, { after: second, upTo: first }))).rejects.toMatchObject({
      code: 'FIRN_INVALID_OPTION',
    })
  })

  it('refuses rows that somebody else appended between without a stamp', async () => {
    const at = await lab()
    const first = await run(at, 1)
    await append(at, 2)
    const third = await run(at, 3)
    await expect(openDataset(options(at, { after: first, upTo: third }))).rejects.toMatchObject({
      code: 'FIRN_DELTA_HIDDEN',
      kind: 'invalid',
    })
  })

  it('finds the column by the definition of the dataset when it has another name', async () => {
    const dataset = { fields: [{ name: 'added', from: { kind: 'compacted_at' } }] }
    const added = { id: 3, name: 'added', required: false, type: 'timestamptz' } as const
    const at = await lab(
      { 'firn.dataset': JSON.stringify(dataset) },
      { ...STAMPED, fields: [STAMPED.fields[0]!, added] },
    )
    const first = await run(at, 1)
    await run(at, 2)
    await rewrite(at)
    expect(await read(at, { after: first })).toEqual(numbers(2))
  })

  it('refuses an overwrite that brought rows without a stamp, and takes one that kept old rows', async () => {
    const at = await lab()
    const first = await run(at, 1)
    const second = await run(at, 2)
    at.table = (await at.table.deleteWhere(parseWhere('n = 104 or n = 204', STAMPED))).table
    expect(at.table.currentSnapshot()!.summary['operation']).toBe('overwrite')
    const third = await run(at, 3)
    expect(await read(at, { after: first })).toEqual(numbers(2, 3).filter((n) => n !== 204))
    const filter = parseWhere('n = 304', STAMPED)
    at.table = (await at.table.overwrite(await writeRows(at.table, rowsOf(4, false), []), { filter })).table
    const overwritten = at.table.currentSnapshot()!.snapshotId
    await run(at, 5)
    for (const after of [first, second, third]) {
      await expect(openDataset(options(at, { after }))).rejects.toMatchObject({ code: 'FIRN_DELTA_HIDDEN' })
    }
    expect(await read(at, { after: first, upTo: third })).toEqual(numbers(2, 3).filter((n) => n !== 204))
    expect(await read(at, { after: overwritten })).toEqual(numbers(5))
  })

  it('is told by the ids of its snapshots, which tags may leave', async () => {
    const at = await lab()
    const first = await run(at, 1)
    at.table = await at.table.createTag('trained', first)
    const second = await run(at, 2)
    const between = { after: String(first), upTo: String(second) }
    for (const snapshot of [{ after: { tag: 'trained' } }, { after: first, upTo: second }]) {
      await withDataset(options(at, snapshot), async (dataset) => {
        expect(dataset.provenance()).toMatchObject({ snapshotId: String(second), delta: between })
      })
    }
  })

  it('needs both snapshots', async () => {
    const at = await lab()
    await run(at, 1)
    await expect(openDataset(options(at, { after: 5n }))).rejects.toMatchObject({ code: 'FIRN_SNAPSHOT_NOT_FOUND' })
    await expect(openDataset(options(at, { after: { tag: 'gone' } }))).rejects.toMatchObject({
      code: 'FIRN_REF_NOT_FOUND',
    })
  })
})

describe('the delta of another table', () => {
  it('is what append snapshots added, without what was deleted since', async () => {
    const at = await lab()
    const first = await append(at, 1)
    await append(at, 2)
    const third = await append(at, 3)
    const files = (await at.table.scan().planFiles()).map(({ file }) => file.filePath)
    at.table = await commitFiles(at.table, [
      await positionDeletes(
        at.table,
        files.map((path) => [path, 0] as const),
      ),
    ])
    expect(await read(at, { after: first, upTo: third })).toEqual(numbers(2, 3))
    expect(await read(at, { after: first })).toEqual(numbers(2, 3).filter((n) => n % 100 !== 0))
  })

  it('takes a rewrite of what was there before, and refuses one of the new rows', async () => {
    const at = await lab()
    await append(at, 1)
    const second = await append(at, 2)
    await rewrite(at)
    await append(at, 3)
    expect(await read(at, { after: second })).toEqual(numbers(3))
    await rewrite(at)
    await expect(openDataset(options(at, { after: second }))).rejects.toMatchObject({ code: 'FIRN_DELTA_HIDDEN' })
  })

  it('refuses rows that were written together with old ones', async () => {
    const at = await lab()
    const first = await append(at, 1)
    const { table } = await at.table.deleteWhere(parseWhere('n = 104', STAMPED))
    at.table = table
    await append(at, 2)
    await expect(openDataset(options(at, { after: first }))).rejects.toMatchObject({ code: 'FIRN_DELTA_HIDDEN' })
  })

  it('refuses snapshots that are not on one line', async () => {
    const at = await lab()
    const first = await append(at, 1)
    const second = await append(at, 2)
    await expect(openDataset(options(at, { after: second, upTo: first }))).rejects.toMatchObject({
      code: 'FIRN_SNAPSHOT_NOT_ANCESTOR',
    })
  })
})
