/** Partitions of several specs. */
import { expect, test } from 'vitest'
import { inspectPartitions } from '../../../table/inspect/partitions.ts'
import { putMetadata } from '../scan/delete-tables.ts'
import { eventsTable, freshStore, writeRows } from '../support.ts'

// Version 1 keeps the place of a partition field that was dropped, so that specs differ in transforms alone.
test('a partition that two specs with the same fields have is one row', async () => {
  const { table } = await eventsTable(freshStore())
  const first = await table.append(await writeRows(table, [{ id: 'a', at: null }], [null]))
  const { metadata } = first.table
  const voided = {
    specId: 1,
    fields: metadata.partitionSpecs[0]!.fields.map((field) => ({ ...field, transform: 'void' })),
  }
  const changed = await putMetadata(first.table, {
    ...metadata,
    partitionSpecs: [...metadata.partitionSpecs, voided],
    defaultSpecId: 1,
  })
  const files = (await writeRows(changed, [{ id: 'b', at: 1n }], [null])).map((file) => ({ ...file, specId: 1 }))
  const { table: now } = await changed.append(files)

  const rows = await inspectPartitions(now)

  expect(rows).toHaveLength(1)
  expect(rows[0]).toMatchObject({ partition: { at_day: null }, record_count: 2, file_count: 2 })
})
