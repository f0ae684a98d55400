/** Equality deletes of a spec whose fields were all dropped, which version 1 keeps as `void`: they apply everywhere. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newRunId, systemClock } from '../../../table/clock.ts'
import { planRewrite, runRewrite } from '../../../table/maintenance/rewrite.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, freshStore, testClock, writeRows } from '../support.ts'
import { row, rows } from '../write/rivals.ts'
import { column, commitFiles, equalityDeletes, putMetadata } from './delete-tables.ts'

/** Rows of two days; the newest spec has two dropped fields. */
async function voided(): Promise<Table> {
  const made = await eventsTable(freshStore(), testClock())
  const first = await made.table.append(await writeRows(made.table, [row('a'), row('b')], [0]))
  const { table } = await first.table.append(await writeRows(first.table, [row('c', 1), row('d', 1)], [1]))
  const { metadata } = table
  const fields = [
    { sourceId: 2, fieldId: 1000, name: 'at_day', transform: 'void' },
    { sourceId: 3, fieldId: 1001, name: 'n', transform: 'void' },
  ] as const
  return putMetadata(table, {
    ...metadata,
    lastUpdatedMillis: (metadata.lastUpdatedMillis + 1) as typeof metadata.lastUpdatedMillis,
    partitionSpecs: [...metadata.partitionSpecs, { specId: 1, fields }],
    lastPartitionId: 1001,
    defaultSpecId: 1,
  })
}

const deleting = async (table: Table, ...ids: readonly string[]): Promise<Table> =>
  commitFiles(table, [
    await equalityDeletes(
      table,
      column(EVENTS, 'id'),
      ids.map((id) => ({ id })),
      { specId: 1, partition: [null, null] },
    ),
  ])

async function rewritten(table: Table, plan: Awaited<ReturnType<typeof planRewrite>>) {
  const runId = newRunId(systemClock)
  return (await runRewrite(table, plan, { runId, spillFolder: join(tmpdir(), `firn-global-${runId}`) })).result
}

describe('equality deletes of a spec of dropped fields alone', () => {
  test('take rows of files of every partition and spec, filtered and counted too', async () => {
    const table = await deleting(await voided(), 'b', 'c')
    expect(await rows(table)).toEqual(['a', 'd'])
    expect(await table.scan().count()).toBe(2)
    const second = table.scan({ where: parseWhere("at >= '1970-01-02T00:00:00Z'", EVENTS) })
    expect(await second.count()).toBe(1)
    expect((await second.planFiles()).map(({ deletes }) => deletes.length)).toEqual([1])
  })

  test('are applied by a rewrite, and then go', async () => {
    const table = await deleting(await voided(), 'b', 'c')
    const result = await rewritten(table, await planRewrite(table, { rewriteAll: true }))
    expect(result.totals).toMatchObject({ conflicts: 0, rows: 2 })
    expect(result.groups.flatMap(({ removedDeleteFiles }) => removedDeleteFiles)).toHaveLength(1)
    expect(await rows(table)).toEqual(['a', 'd'])
  })

  test('that come while files are rewritten still apply to what takes their place', async () => {
    const table = await voided()
    const plan = await planRewrite(table, { rewriteAll: true })
    await deleting(table, 'b', 'c')
    expect((await rewritten(table, plan)).totals).toMatchObject({ conflicts: 0, rows: 4 })
    expect(await rows(table)).toEqual(['a', 'd'])
  })
})
