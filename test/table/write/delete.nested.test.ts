/** Filters on columns inside structs decide about rows as they do in scans. */
import { expect, test } from 'vitest'
import { parseWhere } from '../../../table/scan/where.ts'
import { currentSchema } from '../../../table/spec/metadata.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { Table } from '../../../table/table.ts'
import { appendFiles, makeTable, rowsInOrder, writeFile } from '../maintenance/rewrite-support.ts'

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: true, type: 'int' },
    {
      id: 2,
      name: 'o',
      required: false,
      type: { type: 'struct', fields: [{ id: 3, name: 'at', required: false, type: 'int' }] },
    },
  ],
}

const filled = async (): Promise<Table> =>
  appendFiles(await makeTable({ schema: SCHEMA }), [
    [
      { id: 1, o: { at: 5 } },
      { id: 2, o: null },
      { id: 3, o: { at: 9 } },
    ],
    [{ id: 4, o: { at: 9 } }],
    [{ id: 5, o: { at: null } }],
  ])

const idsOf = async (table: Table) =>
  (await rowsInOrder(await table.refresh())).map(({ id }) => Number(id)).sort((a, b) => a - b)

test.each([
  ['o.at = 9', [1, 2, 5]],
  ['o.at < 9', [2, 3, 4, 5]],
  ['o.at is null', [1, 3, 4]],
  ['o.at is not null', [2, 5]],
])('deleteWhere %s', async (text, left) => {
  const table = await filled()
  await table.deleteWhere(parseWhere(text, currentSchema(table.metadata)))
  expect(await idsOf(table)).toEqual(left)
})

test('overwrite where a field of a struct has a value', async () => {
  const table = await filled()
  const added = [await writeFile(table, [{ id: 6, o: { at: 9 } }])]
  await table.overwrite(added, { filter: parseWhere('o.at = 9', currentSchema(table.metadata)) })
  expect(await idsOf(table)).toEqual([1, 2, 5, 6])
})

test('a filter of a column that is nowhere is refused', async () => {
  const table = await filled()
  const filter = { kind: 'is-null', column: { fieldId: 99, name: 'o.gone', type: 'int' } } as const
  await expect(table.deleteWhere(filter)).rejects.toMatchObject({ code: 'FIRN_COLUMN_NOT_FOUND' })
})
