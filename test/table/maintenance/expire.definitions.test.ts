/** Schemas and partition specs go when no snapshot uses them any more, and not before. */
import { expect, test } from 'vitest'
import { planExpire, runExpire } from '../../../table/maintenance/expire.ts'
import { planOrphans } from '../../../table/maintenance/orphans.ts'
import type { Table } from '../../../table/table.ts'
import { column, commitFiles as commitForeign, equalityDeletes } from '../scan/delete-tables.ts'
import { readRows, writeRows } from '../support.ts'
import { appendEach, DAY, entryOf, type Lab, lab, printed, smallFile } from './expire-support.ts'

async function clean({ clock }: Lab, table: Table, cleanExpiredMetadata = true) {
  await clock.sleep(10 * DAY)
  return runExpire(table, printed(planExpire(table, { cleanExpiredMetadata }, clock)), {}, clock)
}

const schemaIds = ({ metadata }: Table): readonly number[] => metadata.schemas.map(({ schemaId }) => schemaId)
const specIds = ({ metadata }: Table): readonly number[] => metadata.partitionSpecs.map(({ specId }) => specId)
const pathOf = (table: Table, name: string): string => `${table.location}/data/${name}.parquet`

/** Schema 0 and spec 0 have one snapshot, schema 2 and spec 1 the next; schema 1 has none. */
async function evolved(): Promise<Lab> {
  const at = await lab({ 'commit.manifest-merge.enabled': 'false' })
  let table = await appendEach(at.table, ['a'])
  table = await table.updateSchema([{ add: { name: 'more', type: 'string' } }])
  table = await table.updateSchema([{ add: { name: 'most', type: 'string' } }])
  table = await table.updateSpec([{ drop: 'at_day' }])
  table = (await table.append([entryOf(pathOf(table, 'b'), 3, [], 1)])).table
  expect([schemaIds(table), specIds(table)]).toEqual([
    [0, 1, 2],
    [0, 1],
  ])
  return { ...at, table }
}

test('they stay unless asked for', async () => {
  const at = await evolved()
  const { table, result } = await clean(at, at.table, false)
  expect(result).toMatchObject({ removedSchemas: [], removedSpecs: [] })
  expect(schemaIds(table)).toEqual([0, 1, 2])
})

test("a spec stays while a manifest of a retained snapshot has it, a schema while it is a snapshot's", async () => {
  const at = await evolved()
  const { table, result } = await clean(at, at.table)
  expect(result).toMatchObject({ removedSchemas: [0, 1], removedSpecs: [] })
  expect([schemaIds(table), specIds(table)]).toEqual([[2], [0, 1]])
})

test('and goes when no manifest has it any more, also when there is no snapshot to remove', async () => {
  const at = await evolved()
  const removed = [pathOf(at.table, 'a')]
  const { table: without } = await at.table.commitFiles({ operation: 'delete', added: [], removed })
  // The manifest that says so is of the old spec; the next snapshot does not list it.
  const last = (await without.append([entryOf(pathOf(without, 'c'), 3, [], 1)])).table
  const { table: expired } = await clean(at, last, false)
  const { table, result } = await clean(at, expired)
  expect(result).toMatchObject({ snapshotIds: [], removedSchemas: [0, 1], removedSpecs: [0] })
  expect(specIds(table)).toEqual([1])
  expect((await planOrphans(table, {}, at.clock)).totals.orphans).toBe(0)
})

test('a schema stays while a spec in use needs it for a column that was dropped since', async () => {
  const at = await lab({ 'commit.manifest-merge.enabled': 'false' })
  let table = await appendEach(at.table, ['a'])
  table = await table.updateSpec([{ drop: 'at_day' }])
  table = await table.updateSchema([{ drop: 'at' }])
  table = await table.updateSchema([{ add: { name: 'more', type: 'string' } }])
  table = (await table.append([entryOf(pathOf(table, 'b'), 3, [], 1)])).table
  const { table: after, result } = await clean(at, table)
  expect(result.removedSchemas).toEqual([1])
  // It can still be written for: its manifest is copied without the file.
  const { table: emptied } = await after.commitFiles({ operation: 'delete', added: [], removed: [pathOf(table, 'a')] })
  expect(emptied.currentSnapshot()!.summary['deleted-data-files']).toBe('1')
})

test('a schema stays while a live equality delete needs it for a column that was dropped since', async () => {
  const at = await lab({ 'commit.manifest-merge.enabled': 'false' })
  const rows = [
    { id: 'a', at: 0n, n: 1 },
    { id: 'b', at: 0n, n: 2 },
  ]
  let { table } = await at.table.append(await writeRows(at.table, rows, [0]))
  const deletes = await equalityDeletes(table, column(table.metadata.schemas[0]!, 'n'), [{ n: 1 }], { partition: [0] })
  table = await commitForeign(table, [deletes])
  table = await table.updateSchema([{ drop: 'n' }])
  table = await table.updateSchema([{ add: { name: 'more', type: 'string' } }])
  table = (await table.append(await writeRows(table, [{ id: 'c', at: 0n }], [0]))).table
  const { table: after, result } = await clean(at, table)
  expect(result.removedSchemas).toEqual([1])
  const read = await readRows(after.scan({ columns: ['id'] }))
  expect(read.map(({ id }) => id).sort()).toEqual(['b', 'c'])
})

test('a file of a spec that was removed while its commit was on the way is refused', async () => {
  const at = await evolved()
  const removed = [pathOf(at.table, 'a')]
  const planned = await appendEach(at.table, [])
  const { table: without } = await planned.commitFiles({ operation: 'delete', added: [], removed })
  const { table: last } = await without.append([entryOf(pathOf(without, 'c'), 3, [], 1)])
  const { table: cleaned } = await clean(at, last)
  expect(specIds(cleaned)).toEqual([1])
  // `at.table` still knows the spec.
  const late = await smallFile(at.table, 'late')
  await expect(at.table.append([late])).rejects.toMatchObject({ code: 'FIRN_DATA_FILE_INVALID' })
  expect((await cleaned.refresh()).metadataLocation).toBe(cleaned.metadataLocation)
})
