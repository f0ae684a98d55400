/** Snapshots that are no compactions: what verify expects of them, and what it finds in them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterAll, expect, test } from 'vitest'
import { manifestRecorder, runSummary } from '../../../jobs/maintenance/record-manifest.ts'
import { verifyTable } from '../../../jobs/verify/index.ts'
import { newRunId } from '../../../table/clock.ts'
import {
  epochMillis,
  keyOfPath,
  parseWhere,
  planExpire,
  planRewrite,
  runExpire,
  runRewrite,
  type Table,
} from '../../../table/index.ts'
import { commitFiles, positionDeletes } from '../../table/scan/delete-tables.ts'
import {
  articleRecords,
  loadTable,
  memoryWarehouse,
  NOON,
  runCompaction,
  stage,
  TABLE,
  type Warehouse,
} from '../compaction/fixture.ts'

const spillFolder = mkdtempSync(`${tmpdir()}/firn-verify-`)
afterAll(() => rmSync(spillFolder, { recursive: true, force: true }))

async function twoSnapshots(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  for (const end of [30, 60]) {
    await stage(warehouse, { a: { records: articleRecords(0, end) } })
    await runCompaction(warehouse)
  }
  return warehouse
}

async function verify(warehouse: Warehouse) {
  const { problems, checked } = await verifyTable({ table: await loadTable(warehouse), warehouse: warehouse.store })
  return { codes: problems.map(({ code }) => code), checked }
}

/** As the command does it, or as a program that uses the library: without JSON manifests. */
async function rewriteAll(warehouse: Warehouse, recorded: boolean): Promise<Table> {
  const { store, clock } = warehouse
  const table = await loadTable(warehouse)
  const runId = newRunId(clock)
  const { metadata } = table
  const record = {
    summary: runSummary(runId),
    beforeCommit: manifestRecorder({ store, tableName: TABLE, runId, metadata }),
  }
  const plan = await planRewrite(table, { rewriteAll: true })
  return (await runRewrite(table, plan, { runId, spillFolder, ...(recorded ? record : {}) })).table
}

const jsonManifest = (table: Table): string => `_manifests/${TABLE}/${table.currentSnapshot()!.snapshotId}.json`

test('snapshots of the library need no JSON manifest, those of a command do', async () => {
  const warehouse = await twoSnapshots()
  await rewriteAll(warehouse, false)
  expect(await verify(warehouse)).toMatchObject({ codes: [], checked: { snapshots: 3, json_manifests: 2 } })
  const table = await rewriteAll(warehouse, true)
  expect(await verify(warehouse)).toMatchObject({ codes: [], checked: { snapshots: 4, json_manifests: 3 } })
  await warehouse.store.delete(jsonManifest(table))
  expect((await verify(warehouse)).codes).toEqual(['json-manifest-missing'])
})

test('files that a delete wrote beside each other may overlap, those of a compaction may not', async () => {
  const warehouse = memoryWarehouse()
  const records = articleRecords(0, 60)
  for (const part of [0, 1]) {
    const shard = { records: records.filter((_record, n) => n % 2 === part) }
    await stage(warehouse, { [`s${part}`]: shard })
    await runCompaction(warehouse)
  }
  const table = await loadTable(warehouse)
  await table.deleteWhere(
    parseWhere("article_id = 'article-000020' or article_id = 'article-000021'", table.schemaFor()),
  )
  const now = await loadTable(warehouse)
  expect(now.currentSnapshot()!.summary['added-data-files']).toBe('2')
  expect((await verify(warehouse)).codes).toEqual([])
})

test.each([
  ['added', 'it lists another file as added'],
  ['removed', 'it lists no file as removed'],
])('a JSON manifest whose files were changed: %s', async (member) => {
  const warehouse = await twoSnapshots()
  const key = jsonManifest(await rewriteAll(warehouse, true))
  const manifest = JSON.parse(Buffer.from((await warehouse.store.get(key)).bytes).toString()) as Record<
    string,
    unknown[]
  >
  const changed = { ...manifest, [member]: [] }
  await warehouse.store.put(key, Buffer.from(JSON.stringify(changed)))
  expect([...new Set((await verify(warehouse)).codes)]).toEqual(['json-manifest-mismatch'])
})

test('a delete file that is gone, or is another one; a rewrite leaves no need of it', async () => {
  const warehouse = await twoSnapshots()
  const table = await loadTable(warehouse)
  const { file } = (await table.scan().planFiles())[0]!
  const deletes = await positionDeletes(table, [[file.filePath, 0]], { specId: file.specId, partition: file.partition })
  const deleted = await commitFiles(table, [deletes])
  const version = /v(\d+)\.metadata\.json$/.exec(deleted.metadataLocation)![1]!
  await table.store.put('metadata/version-hint.text', Buffer.from(version))
  expect((await verify(warehouse)).codes).toEqual([])
  const key = keyOfPath(table.location, deletes.filePath)
  const { bytes } = await table.store.get(key)
  await table.store.put(key, Buffer.concat([bytes, bytes]))
  expect((await verify(warehouse)).codes).toEqual(['file-size'])
  await table.store.delete(key)
  expect((await verify(warehouse)).codes).toEqual(['file-missing'])
  await table.store.put(key, bytes)
  await rewriteAll(warehouse, true)
  expect(await (await loadTable(warehouse)).scan().count()).toBe(59)
  expect((await verify(warehouse)).codes).toEqual([])
})

test('runs on both sides of snapshots that expired are not taken for neighbours', async () => {
  const warehouse = await twoSnapshots()
  await (await loadTable(warehouse)).createTag('first', (await loadTable(warehouse)).metadata.snapshots[0]!.snapshotId)
  await stage(warehouse, { a: { records: articleRecords(0, 90) } })
  await runCompaction(warehouse)
  const table = await loadTable(warehouse)
  const plan = planExpire(table, { olderThan: epochMillis(NOON + 86_400_000) }, warehouse.clock)
  expect(plan.snapshots).toHaveLength(1)
  await runExpire(table, plan, { graceMillis: 0 }, warehouse.clock)
  expect(await verify(warehouse)).toMatchObject({ codes: [], checked: { snapshots: 2 } })
})
