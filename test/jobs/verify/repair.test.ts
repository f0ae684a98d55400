/** Damage, found, mended and found no more; what readers of the table see stays as it was. */
import { describe, expect, it } from 'vitest'
import { dropFiles, planDrops } from '../../../jobs/verify/drop-files.ts'
import { verifyTable } from '../../../jobs/verify/index.ts'
import { planRepair, type RepairPlan, runRepair, stillLeft } from '../../../jobs/verify/repair.ts'
import { type FirnError, keyOfPath, type Table } from '../../../table/index.ts'
import {
  articleRecords,
  loadTable,
  memoryWarehouse,
  NOON,
  rowsOf,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../compaction/fixture.ts'

type Json = Record<string, unknown>

/** Two runs, the second with a refused record. */
async function intactTable(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  const bad = { sequence: '999', arrivalMillis: NOON, data: 'bad' }
  await stage(warehouse, { a: { records: articleRecords(0, 60) } }, { recordsPerChunk: 25 })
  await runCompaction(warehouse)
  await stage(warehouse, {
    a: { records: articleRecords(0, 60), ended: true },
    b: { records: [...articleRecords(60, 120), bad] },
  })
  await runCompaction(warehouse)
  return warehouse
}

const HINT = 'news/articles/metadata/version-hint.text'

async function keys({ store }: Warehouse, prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.list(prefix)) found.push(key)
  return found
}

const textOf = async ({ store }: Warehouse, key: string): Promise<string> =>
  Buffer.from((await store.get(key)).bytes).toString('utf8')

/** Every object of the table's folder but the hint. */
async function folder(warehouse: Warehouse): Promise<Readonly<Record<string, string>>> {
  const objects: Record<string, string> = {}
  for (const key of await keys(warehouse, 'news/articles/')) {
    if (key !== HINT) objects[key] = Buffer.from((await warehouse.store.get(key)).bytes).toString('base64')
  }
  return objects
}

async function problemsOf(warehouse: Warehouse): Promise<Awaited<ReturnType<typeof verifyTable>>['problems']> {
  return (await verifyTable({ table: await loadTable(warehouse), warehouse: warehouse.store })).problems
}

async function planFor(warehouse: Warehouse): Promise<RepairPlan> {
  const { store, clock } = warehouse
  const table = await loadTable(warehouse)
  const { problems } = await verifyTable({ table, warehouse: store })
  return planRepair(problems, { table, warehouse: store, clock })
}

/** Plan and repair; the table's own files are the same before and after, and so are its rows. */
async function repaired(warehouse: Warehouse): Promise<RepairPlan> {
  const [before, rows] = [await folder(warehouse), await rowsOf(await loadTable(warehouse))]
  const plan = await planFor(warehouse)
  await runRepair(plan)
  expect(await folder(warehouse)).toEqual(before)
  expect(await rowsOf(await loadTable(warehouse))).toEqual(rows)
  return plan
}

async function newestManifest(warehouse: Warehouse): Promise<string> {
  return `_manifests/${TABLE}/${(await loadTable(warehouse)).currentSnapshot()!.snapshotId}.json`
}

describe('the version hint', () => {
  it.each([
    ['behind', '1'],
    ['ahead', '7'],
    ['with a newline', '3\n'],
    ['no number', 'three'],
    ['missing', undefined],
  ])('%s is written anew', async (_what, wrong) => {
    const warehouse = await intactTable()
    const right = await textOf(warehouse, HINT)
    if (wrong === undefined) await warehouse.store.delete(HINT)
    else await warehouse.store.put(HINT, Buffer.from(wrong))
    const plan = await repaired(warehouse)
    expect(plan).toMatchObject({ steps: [{ code: 'version-hint-stale', lost: [] }], left: [] })
    expect(await textOf(warehouse, HINT)).toBe(right)
    expect(await problemsOf(warehouse)).toEqual([])
  })

  it('is not lowered under a commit that came between the plan and the repair', async () => {
    const warehouse = await intactTable()
    await warehouse.store.put(HINT, Buffer.from('1'))
    const plan = await planFor(warehouse)
    await stage(warehouse, { c: { records: articleRecords(200, 210) } })
    await runCompaction(warehouse)
    const right = await textOf(warehouse, HINT)
    await runRepair(plan)
    expect(await textOf(warehouse, HINT)).toBe(right)
  })

  it('names compressed metadata too', async () => {
    const { gzipSync } = await import('node:zlib')
    const warehouse = await intactTable()
    const [newest] = (await keys(warehouse, 'news/articles/metadata/v')).filter((key) => key.includes('v3.'))
    const { bytes } = await warehouse.store.get(newest!)
    await warehouse.store.delete(newest!)
    await warehouse.store.put(`${newest}.gz`, gzipSync(bytes))
    expect(await problemsOf(warehouse)).toEqual([])
  })
})

describe('a JSON manifest', () => {
  it('that is gone is made again: all but averages, Kinesis records and the first digests comes back', async () => {
    const warehouse = await intactTable()
    const all = await keys(warehouse, '_manifests/')
    for (const key of all.filter((each) => each.endsWith('.json'))) {
      const original = JSON.parse(await textOf(warehouse, key)) as Json
      await warehouse.store.delete(key)
      expect((await problemsOf(warehouse)).map(({ code }) => code)).toEqual(['json-manifest-missing'])
      const plan = await repaired(warehouse)
      expect(plan.left).toEqual([])
      expect(plan.steps).toMatchObject([{ code: 'json-manifest-missing', object: `${warehouse.store.url}/${key}` }])
      expect(plan.steps[0]!.lost.join('\n')).toMatch(/SHA-256[\s\S]*averages[\s\S]*Kinesis/)
      const { averages: _averages, records, ...rest } = original
      expect(JSON.parse(await textOf(warehouse, key))).toEqual({
        ...rest,
        records: { ...(records as Json), kinesis_records: null },
        averages: null,
        rebuilt: { lost: plan.steps[0]!.lost },
      })
      expect(await problemsOf(warehouse)).toEqual([])
    }
  })

  it('keeps its refused records from being taken for left-overs', async () => {
    const warehouse = await intactTable()
    const key = await newestManifest(warehouse)
    await warehouse.store.delete(key)
    await repaired(warehouse)
    const [object] = await keys(warehouse, '_quarantine/')
    expect((JSON.parse(await textOf(warehouse, key)) as Json)['quarantined']).toMatchObject([{ path: object, rows: 1 }])
  })

  it('that cannot be read is made again, and kept beside', async () => {
    const warehouse = await intactTable()
    const key = await newestManifest(warehouse)
    await warehouse.store.put(key, Buffer.from('{"schema": "firn.manifest/1", '))
    await repaired(warehouse)
    const kept = (await keys(warehouse, '_manifests/')).filter((each) => each.startsWith(`${key}.damaged-`))
    expect(kept.length).toBe(1)
    expect(await textOf(warehouse, kept[0]!)).toBe('{"schema": "firn.manifest/1", ')
    expect(await problemsOf(warehouse)).toEqual([])
  })

  it.each<[string, (manifest: Json) => void]>([
    ['another run', (manifest) => void Object.assign(manifest, { run_id: 'other' })],
    ['another time', (manifest) => void Object.assign(manifest, { compacted_at_micros: '1' })],
    [
      'a file too many',
      (manifest) =>
        void (manifest['added'] as Json[]).push({
          path: 'memory://x/y',
          rows: 0,
          bytes: 0,
          sha256: '',
          row_groups: [],
        }),
    ],
    ['a file too few', (manifest) => void (manifest['added'] as Json[]).pop()],
    ['another number of rows', (manifest) => void Object.assign((manifest['added'] as Json[])[0]!, { rows: 61 })],
    [
      'a removed file that is there',
      (manifest) => void Object.assign(manifest, { removed: [(manifest['added'] as Json[])[0]!['path']] }),
    ],
    ['other sums', (manifest) => void Object.assign(manifest['records'] as Json, { read: 1 })],
  ])('with %s is put right, and keeps what nothing else has', async (_what, change) => {
    const warehouse = await intactTable()
    const key = await newestManifest(warehouse)
    const original = JSON.parse(await textOf(warehouse, key)) as Json
    const wrong = structuredClone(original)
    change(wrong)
    await warehouse.store.put(key, Buffer.from(JSON.stringify(wrong)))
    expect(new Set((await problemsOf(warehouse)).map(({ code }) => code))).toEqual(new Set(['json-manifest-mismatch']))
    const plan = await repaired(warehouse)
    const { rebuilt: _rebuilt, ...mended } = JSON.parse(await textOf(warehouse, key)) as Json
    expect(mended).toEqual(original)
    expect(plan.steps.length).toBe(1)
    expect(await problemsOf(warehouse)).toEqual([])
  })

  it('of a run whose metadata was trimmed comes back without positions, and says so', async () => {
    const warehouse = await intactTable()
    const key = await newestManifest(warehouse)
    await warehouse.store.delete(key)
    await warehouse.store.delete('news/articles/metadata/v2.metadata.json')
    const plan = await repaired(warehouse)
    expect(plan.steps[0]!.lost).toContainEqual(expect.stringContaining('positions'))
    expect((JSON.parse(await textOf(warehouse, key)) as Json)['positions']).toBeNull()
    expect(await problemsOf(warehouse)).toEqual([])
  })

  it('of a snapshot whose manifests are damaged waits for them', async () => {
    const warehouse = await intactTable()
    await warehouse.store.delete(await newestManifest(warehouse))
    const { location, ...table } = await loadTable(warehouse).then((loaded) => ({
      location: loaded.location,
      list: loaded.currentSnapshot()!.manifestList!,
    }))
    await warehouse.store.delete(`news/articles/${keyOfPath(location, table.list)}`)
    const plan = await planFor(warehouse)
    expect(plan.steps).toEqual([])
    expect(plan.left.map(({ code }) => code)).toContain('manifest-unreadable')
  })

  it('that changed after the plan is not written over', async () => {
    const warehouse = await intactTable()
    const key = await newestManifest(warehouse)
    const original = await textOf(warehouse, key)
    await warehouse.store.put(key, Buffer.from('damaged'))
    const plan = await planFor(warehouse)
    await warehouse.store.put(key, Buffer.from(original))
    await expect(runRepair(plan)).rejects.toMatchObject({ code: 'FIRN_PRECONDITION_FAILED' })
    expect(await textOf(warehouse, key)).toBe(original)
  })
})

describe('a metadata file that is no version of the table', () => {
  it('is reported, and left to a person', async () => {
    const warehouse = await intactTable()
    const key = 'news/articles/metadata/v2.metadata.json'
    const zombie = (await textOf(warehouse, key)).replace(
      /"last-updated-ms": (\d+)/,
      (_all, at) => `"last-updated-ms": ${Number(at) + 5}`,
    )
    await warehouse.store.put(key, Buffer.from(zombie))
    const plan = await repaired(warehouse)
    expect(plan.steps).toEqual([])
    expect(plan.left).toMatchObject([{ code: 'metadata-zombie', object: expect.stringContaining('v2.metadata.json') }])
  })

  it('is none when it was trimmed away', async () => {
    const warehouse = await intactTable()
    await warehouse.store.delete('news/articles/metadata/v1.metadata.json')
    expect(await problemsOf(warehouse)).toEqual([])
  })
})

describe('a data file that is gone', () => {
  async function withoutFile(): Promise<{ warehouse: Warehouse; path: string; table: Table }> {
    const warehouse = await intactTable()
    const table = await loadTable(warehouse)
    const { filePath } = (await table.scan().planFiles())[0]!.file
    await warehouse.store.delete(`news/articles/${keyOfPath(table.location, filePath)}`)
    return { warehouse, path: filePath, table }
  }

  it('is never repaired in silence: the next step is said', async () => {
    const { warehouse, path } = await withoutFile()
    const before = await folder(warehouse)
    const plan = await planFor(warehouse)
    expect(plan.steps).toEqual([])
    expect(plan.left).toMatchObject([
      { code: 'file-missing', object: path, next_step: expect.stringMatching(/backup.*--drop-file/) },
    ])
    await runRepair(plan)
    expect(await folder(warehouse)).toEqual(before)
    expect(stillLeft(await problemsOf(warehouse))).toEqual(plan.left)
  })

  it('leaves the table when a person says so, in a snapshot of its own', async () => {
    const { warehouse, path, table } = await withoutFile()
    const problems = await problemsOf(warehouse)
    const drops = await planDrops(table, [path], problems)
    expect(drops).toEqual([{ path, rows: 60 }])
    const next = await dropFiles(table, drops, { store: warehouse.store, clock: warehouse.clock })
    expect((await rowsOf(next)).length).toBe(60)
    expect(next.currentSnapshot()?.summary).toMatchObject({ operation: 'delete', 'deleted-records': '60' })
    const selector = { snapshotId: next.currentSnapshot()!.snapshotId }
    expect(await verifyTable({ table: next, warehouse: warehouse.store, selector })).toMatchObject({ ok: true })
    // Its manifest tells what was removed, and can be made again like any other.
    const key = await newestManifest(warehouse)
    const { ...original } = JSON.parse(await textOf(warehouse, key)) as Json
    expect(original).toMatchObject({ operation: 'delete', removed: [path], positions: null, records: null })
    await warehouse.store.delete(key)
    await runRepair(await planFor(warehouse))
    const { rebuilt, ...again } = JSON.parse(await textOf(warehouse, key)) as Json
    expect([again, rebuilt]).toEqual([original, { lost: [] }])
    expect((await problemsOf(warehouse)).map(({ code }) => code)).toEqual(['file-missing'])
  })

  it('is the only kind that is dropped: whole files and unknown paths are refused', async () => {
    const { warehouse, path, table } = await withoutFile()
    const problems = await problemsOf(warehouse)
    const whole = (await table.scan().planFiles()).map(({ file }) => file.filePath).find((each) => each !== path)
    for (const wrong of [whole!, `${path}x`]) {
      const refusal = await planDrops(table, [wrong], problems).catch((error: FirnError) => error)
      expect(refusal).toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    }
    expect(await planDrops(table, [], problems)).toEqual([])
  })
})
