/** What a rewrite makes of tables whose schema or spec changed, and of rows along a curve. */
import { expect, test } from 'vitest'
import { planRewrite } from '../../../table/maintenance/rewrite.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { putMetadata } from '../scan/delete-tables.ts'
import {
  ARTICLES,
  appendFiles,
  articlesFrom,
  ascending,
  contents,
  filesOf,
  interleaved,
  makeTable,
  rewrite,
  rowsInOrder,
  writeFile,
} from './rewrite-support.ts'

test('rows get the columns of today: new ones, promoted ones, without those that were dropped', async () => {
  const schema: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'id', required: true, type: 'int' },
      { id: 2, name: 'gone', required: false, type: 'string' },
    ],
  }
  const table = await appendFiles(
    await makeTable({ schema, order: [ascending(1)] }),
    [5, 3, 1].map((id) => [{ id, gone: 'x' }]),
  )
  const changed = await table.updateSchema([
    { promote: 'id', type: 'long' },
    { drop: 'gone' },
    { add: { name: 'title', type: 'string' } },
  ])
  const before = await contents(changed)
  const { table: after } = await rewrite(changed, { rewriteAll: true })
  expect(await rowsInOrder(after)).toEqual([1n, 3n, 5n].map((id) => ({ id, title: null })))
  expect(await contents(after)).toEqual(before)
  const [file] = await filesOf(after)
  expect([...file!.columnSizes.keys()].sort()).not.toContain(2)
})

test('a field inside of a struct can be sorted by; rows without the struct count as null', async () => {
  const schema: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'id', required: true, type: 'long' },
      {
        id: 2,
        name: 'o',
        required: false,
        type: { type: 'struct', fields: [{ id: 3, name: 'at', required: false, type: 'int' }] },
      },
      {
        id: 4,
        name: 'l',
        required: false,
        type: { type: 'list', elementId: 5, elementRequired: false, element: 'int' },
      },
    ],
  }
  const files = [
    [
      { id: 1n, o: { at: 5 }, l: [9] },
      { id: 2n, o: null, l: [1] },
    ],
    [
      { id: 3n, o: { at: 1 }, l: null },
      { id: 4n, o: { at: null }, l: [] },
    ],
  ]
  const table = await appendFiles(await makeTable({ schema }), files)
  const sorted = { sortOrder: [ascending(3, { nullOrder: 'nulls-last' })], strategy: 'sort' as const, rewriteAll: true }
  const { table: after } = await rewrite(table, sorted)
  const ids = (await rowsInOrder(after)).map(({ id }) => id)
  expect(ids.slice(0, 2)).toEqual([3n, 1n])
  expect(new Set(ids.slice(2))).toEqual(new Set([2n, 4n]))
  expect(await contents(after)).toEqual(await contents(table))
  await expect(rewrite(table, { ...sorted, sortOrder: [ascending(5)] })).rejects.toMatchObject({
    code: 'FIRN_INVALID_OPTION',
  })
})

test('files of an older spec end in the partitions of the new one, each a run of files', async () => {
  const table = await appendFiles(await makeTable({ schema: ARTICLES, order: [ascending(1)] }), interleaved(5, 20))
  const before = await contents(table)
  const changed = await table.updateSpec([{ add: { source: 'id', transform: 'truncate[30]' } }])
  const { table: after, result } = await rewrite(changed)
  expect(await contents(after)).toEqual(before)
  const files = await filesOf(after)
  expect(files.map(({ partition }) => partition[0]).sort()).toEqual([0n, 30n, 60n, 90n])
  expect(files.map(({ recordCount }) => recordCount).sort()).toEqual([10, 30, 30, 30])
  expect(result.groups).toMatchObject([
    {
      partition: null,
      reasons: ['small', 'overlap', 'stale-order', 'stale-spec'].filter((reason) => reason !== 'overlap'),
    },
  ])
  expect(new Set(files.map(({ filePath }) => filePath)).size).toBe(4)
})

test('a z-ordered table is skipped by filters on either column', async () => {
  const schema: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'x', required: false, type: 'int' },
      { id: 2, name: 'y', required: false, type: 'timestamptz' },
      { id: 3, name: 'pad', required: false, type: 'string' },
    ],
  }
  const start = 1_760_000_000_000_000n
  const points = Array.from({ length: 1024 }, (_, index) => ({
    x: index >> 5,
    y: start + BigInt(index & 31) * 1_000_000n,
  }))
  const padded = points.map((point, index) => ({ ...point, pad: articlesFrom([index * 7 + 1], 200)[0]!['title'] }))
  const table = await appendFiles(
    await makeTable({ schema, rowGroupRows: 16 }),
    Array.from({ length: 8 }, (_, file) => padded.filter((_point, index) => index % 8 === file)),
  )
  const before = await contents(table)
  const { table: after } = await rewrite(table, {
    strategy: 'zorder',
    zorderColumns: ['x', 'y'],
    targetFileSizeBytes: 10_000,
  })
  expect(await contents(after)).toEqual(before)
  const all = (await filesOf(after)).length
  expect(all).toBeGreaterThan(8)
  for (const filter of ['x = 3', `y = '${new Date(Number(start / 1000n) + 3000).toISOString()}'`]) {
    const some = await after.scan({ where: parseWhere(filter, schema) }).planFiles()
    expect(some.length).toBeLessThanOrEqual(all / 2)
  }
})

test.each(['sort', 'zorder'] as const)('bounds that nobody can read do not stop a %s', async (strategy) => {
  const schema: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [{ id: 1, name: 'n', required: true, type: 'int' }],
  }
  const table = await makeTable({ schema, order: [ascending(1)] })
  const odd = new Map([[1, new Uint8Array(8)]])
  const files = [await writeFile(table, [{ n: 2 }, { n: 1 }]), await writeFile(table, [{ n: 3 }])]
  const { table: filled } = await table.append([{ ...files[0]!, lowerBounds: odd, upperBounds: odd }, files[1]!])
  const zorderColumns = strategy === 'zorder' ? ['n'] : undefined
  const { table: after } = await rewrite(filled, {
    strategy,
    rewriteAll: true,
    ...(zorderColumns && { zorderColumns }),
  })
  expect((await rowsInOrder(after)).map(({ n }) => Number(n)).sort()).toEqual([1, 2, 3])
})

test.each(['truncate(4)', 'full', 'truncate(16)'])(
  'a sorted table is not rewritten again for texts that %s tells apart no further',
  async (mode) => {
    const made = await makeTable({ schema: ARTICLES, order: [ascending(2)], rowGroupRows: 32 })
    const table = await made.setProperties({ 'write.metadata.metrics.column.title': mode })
    const rows = interleaved(4, 100, 100).map((file) =>
      file.map(({ id, title }) => ({ id, title: `same beginning ${title ?? 'none'}` })),
    )
    const sizes = { targetFileSizeBytes: 8_000, minFileSizeBytes: 1, maxFileSizeBytes: 1_000_000 }
    const { table: after } = await rewrite(await appendFiles(table, rows), sizes)
    expect((await filesOf(after)).length).toBeGreaterThan(2)
    expect((await planRewrite(after, sizes)).groups).toEqual([])
  },
)

test('files of an older spec move to one with a dropped field, whose column may be gone too', async () => {
  const table = await appendFiles(await makeTable({ schema: ARTICLES }), interleaved(2, 10))
  const { metadata } = await table.updateSchema([{ drop: 'title' }])
  const fields = [
    { sourceId: 2, fieldId: 1000, name: 'title_part', transform: 'void' },
    { sourceId: 1, fieldId: 1001, name: 'id_part', transform: 'truncate[10]' },
  ] as const
  const moved = await putMetadata(await table.refresh(), {
    ...metadata,
    lastUpdatedMillis: (metadata.lastUpdatedMillis + 1) as typeof metadata.lastUpdatedMillis,
    partitionSpecs: [...metadata.partitionSpecs, { specId: 1, fields }],
    lastPartitionId: 1001,
    defaultSpecId: 1,
  })
  const { table: after } = await rewrite(moved, { rewriteAll: true })
  expect((await filesOf(after)).map(({ partition }) => partition)).toEqual([
    [null, 0n],
    [null, 10n],
  ])
  expect(await contents(after)).toEqual(await contents(moved))
})
