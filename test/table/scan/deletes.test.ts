/** Deleted rows do not come back: which delete file takes which rows, column by column and row group by row group. */
import { describe, expect, test } from 'vitest'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { openFileTask } from '../../../table/scan/read.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { TableMetadata } from '../../../table/spec/metadata.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { NestedField, PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, freshStore, readRows, rowsOf, type TestRow, writeRows } from '../support.ts'
import { column, commitFiles, equalityDeletes, positionDeletes, putMetadata } from './delete-tables.ts'

const DAY = 86_400_000_000n
const ids = async (table: Table, options: Parameters<Table['scan']>[0] = {}): Promise<string> =>
  (await readRows(table.scan({ columns: ['id'], ...options })))
    .map((row) => row['id'])
    .sort()
    .join('')

const row = (id: string, more: TestRow = {}): TestRow => ({ id, at: 0n, ...more })

/** Rows a to e in one file of day 0, two rows in a row group. */
async function appended(...more: readonly TestRow[]): Promise<{ table: Table; file: DataFile }> {
  const { table } = await eventsTable(freshStore())
  const rows = more.length > 0 ? more : [...'abcde'].map((id, n) => row(id, { n }))
  const files = await writeRows(table, rows, [0], { rowGroupRows: 2 })
  return { table: (await table.append(files)).table, file: files[0]! }
}

/** With a second, unpartitioned spec. */
const withUnpartitioned = (metadata: TableMetadata): TableMetadata => ({
  ...metadata,
  partitionSpecs: [...metadata.partitionSpecs, { specId: 1, fields: [] }],
})

describe('position deletes', () => {
  test('take rows of any row group, in any order, a row twice too', async () => {
    const { table, file } = await appended()
    const deletes = await positionDeletes(
      table,
      [4, 0, 3, 3, 4_000].map((position) => [file.filePath, position]),
      { partition: [0] },
    )
    expect(await ids(await commitFiles(table, [deletes]))).toBe('bc')
  })

  test('of the same commit as the data apply', async () => {
    const { table } = await eventsTable(freshStore())
    const [file] = await writeRows(table, [row('a'), row('b')], [0])
    const deletes = await positionDeletes(table, [[file!.filePath, 0]], { partition: [0] })
    expect(await ids(await commitFiles(table, [file!, deletes]))).toBe('b')
  })

  test('that lie beside those of other files take only their own', async () => {
    const { table, file } = await appended()
    const [second] = await writeRows(table, [row('x'), row('y')], [0])
    const both = (await table.append([second!])).table
    const paths = [file.filePath, second!.filePath].sort()
    const deletes = await positionDeletes(
      both,
      paths.flatMap((path) => [[path, 1] as const]),
      { partition: [0] },
    )
    expect(await ids(await commitFiles(both, [deletes]))).toBe('acdex')
  })

  test('of another partition or spec do not apply', async () => {
    const { table, file } = await appended()
    const other = await positionDeletes(table, [[file.filePath, 0]], { partition: [1] })
    const unpartitioned = await positionDeletes(table, [[file.filePath, 1]], { specId: 1 })
    expect(await ids(await commitFiles(table, [other, unpartitioned], withUnpartitioned))).toBe('abcde')
  })

  test('that name another file in their metadata are not read', async () => {
    const { table, file } = await appended()
    const deletes = await positionDeletes(table, [[file.filePath, 0]], { partition: [0] })
    const referenced = { ...deletes, referencedDataFile: `${file.filePath}.other` }
    expect(await ids(await commitFiles(table, [referenced]))).toBe('abcde')
    expect(await ids(await commitFiles(table, [{ ...deletes, referencedDataFile: file.filePath }]))).toBe('bcde')
  })

  test('stay with the snapshots that have them; a later append keeps them', async () => {
    const { table, file } = await appended()
    const before = table.currentSnapshot()!
    const deleted = await commitFiles(table, [await positionDeletes(table, [[file.filePath, 2]], { partition: [0] })])
    const later = (await deleted.append(await writeRows(deleted, [row('f')], [0]))).table
    expect(await ids(later)).toBe('abdef')
    expect(await ids(later, { snapshotId: before.snapshotId })).toBe('abcde')
  })

  test('work with filters, limits and projections, and whole row groups that are gone', async () => {
    const { table, file } = await appended()
    const gone = [0, 1, 3].map((position) => [file.filePath, position] as const)
    const deleted = await commitFiles(table, [await positionDeletes(table, gone, { partition: [0] })])
    expect(await ids(deleted)).toBe('ce')
    expect(await ids(deleted, { limit: 1 })).toBe('c')
    expect(await ids(deleted, { where: parseWhere('n > 2', EVENTS) })).toBe('e')
    expect(await readRows(deleted.scan({ columns: ['n'], where: parseWhere("id <> 'e'", EVENTS) }))).toEqual([{ n: 2 }])
  })
})

describe('equality deletes', () => {
  test('take the rows of earlier commits, not of their own or later ones', async () => {
    const { table } = await appended()
    const [same] = await writeRows(table, [row('a'), row('z')], [0])
    const deletes = await equalityDeletes(table, column(EVENTS, 'id'), [{ id: 'a' }, { id: 'z' }], { partition: [0] })
    const deleted = await commitFiles(table, [same!, deletes])
    expect(await ids(deleted)).toBe('abcdez')
    expect(await ids((await deleted.append(await writeRows(deleted, [row('a')], [0]))).table)).toBe('aabcdez')
  })

  test('apply in their partition only, those of an unpartitioned spec everywhere', async () => {
    const { table } = await appended()
    const two = (await table.append(await writeRows(table, [row('x', { at: DAY })], [1]))).table
    const keys = [...'abx'].map((id) => ({ id }))
    const inOne = await equalityDeletes(two, column(EVENTS, 'id'), keys, { partition: [1] })
    expect(await ids(await commitFiles(two, [inOne]))).toBe('abcde')
    const everywhere = await equalityDeletes(two, column(EVENTS, 'id'), keys, { specId: 1 })
    expect(await ids(await commitFiles(two, [everywhere], withUnpartitioned))).toBe('cde')
  })

  test('compare several columns as one, and read those that are not projected', async () => {
    const { table } = await appended(
      row('a', { n: 1, big: 1n }),
      row('b', { n: 1, big: 2n }),
      row('c', { n: 2, big: 1n }),
    )
    const deletes = await equalityDeletes(table, column(EVENTS, 'n', 'big'), [{ n: 1, big: 2n }], { partition: [0] })
    const deleted = await commitFiles(table, [deletes])
    expect(await ids(deleted)).toBe('ac')
    expect(await ids(deleted, { where: parseWhere('score is null', EVENTS) })).toBe('ac')
    expect(await readRows(deleted.scan({ columns: ['score'] }))).toEqual([{ score: null }, { score: null }])
  })

  test('several files with other columns each apply', async () => {
    const { table } = await appended()
    const byId = await equalityDeletes(table, column(EVENTS, 'id'), [{ id: 'b' }], { partition: [0] })
    const byN = await equalityDeletes(table, column(EVENTS, 'n'), [{ n: 3 }, { n: 0 }], { partition: [0] })
    expect(await ids(await commitFiles(table, [byId, byN]))).toBe('ce')
  })

  const cases: readonly (readonly [string, PrimitiveValue, readonly PrimitiveValue[], string])[] = [
    ['n', null, [null, 0], 'b'],
    ['score', Number.NaN, [Number.NaN, 1, null], 'bc'],
    // As Java's Double.compare: the zeros differ.
    ['score', -0, [0, -0], 'a'],
    ['score', 0, [0, -0], 'b'],
    ['big', 2n ** 53n + 1n, [2n ** 53n, 2n ** 53n + 1n], 'a'],
    ['day', -1, [-1, 1], 'b'],
    ['at', 5n, [5n, 6n], 'b'],
  ]
  test.each(cases)('on %s = %s', async (name, key, values, left) => {
    const { table } = await appended(...values.map((value, index) => row('abc'[index]!, { [name]: value })))
    const deletes = await equalityDeletes(table, column(EVENTS, name), [{ [name]: key }], { partition: [0] })
    expect(await ids(await commitFiles(table, [deletes]))).toBe(left)
  })

  const optional = (id: number, name: string, type: PrimitiveType): NestedField => ({ id, name, required: false, type })
  const evolve =
    (change: (fields: readonly NestedField[]) => readonly NestedField[]) =>
    (metadata: TableMetadata): TableMetadata => {
      const schema: Schema = { ...EVENTS, schemaId: 1, fields: change(EVENTS.fields) }
      return { ...metadata, schemas: [...metadata.schemas, schema], currentSchemaId: 1, lastColumnId: 7 }
    }

  test('on a column that was promoted since, renamed too', async () => {
    const { table } = await appended()
    const old = await equalityDeletes(table, column(EVENTS, 'n'), [{ n: 1 }], { partition: [0] })
    const promote = evolve((fields) => fields.map((field) => (field.id === 3 ? optional(3, 'number', 'long') : field)))
    const deleted = await commitFiles(await commitFiles(table, [old]), [], promote)
    expect(await ids(deleted)).toBe('acde')
    const wide = await equalityDeletes(deleted, [optional(3, 'number', 'long')], [{ number: 2n }], { partition: [0] })
    expect(await ids(await commitFiles(deleted, [wide]))).toBe('ade')
  })

  test('on a column that was dropped since still apply, also when its name is another column’s now', async () => {
    const { table } = await appended()
    const deletes = await equalityDeletes(table, column(EVENTS, 'n'), [{ n: 1 }], { partition: [0] })
    const replace = evolve((fields) => fields.map((field) => (field.id === 3 ? optional(7, 'n', 'string') : field)))
    const deleted = await commitFiles(await commitFiles(table, [deletes]), [], replace)
    expect(await readRows(deleted.scan({ columns: ['id', 'n'] }))).toEqual([...'acde'].map((id) => ({ id, n: null })))
    expect(await readRows(deleted.scan({ columns: ['n'] }))).toEqual(Array(4).fill({ n: null }))
  })

  test('on a column that a data file does not have yet: its rows have null there', async () => {
    const { table } = await appended()
    const add = evolve((fields) => [...fields, optional(7, 'extra', 'int')])
    const evolved = await putMetadata(table, add(table.metadata))
    const extra = [optional(7, 'extra', 'int')]
    const none = await equalityDeletes(evolved, extra, [{ extra: 0 }], { partition: [0] })
    expect(await ids(await commitFiles(evolved, [none]))).toBe('abcde')
    const nulls = await equalityDeletes(evolved, extra, [{ extra: null }], { partition: [0] })
    expect(await ids(await commitFiles(evolved, [nulls]))).toBe('')
  })
})

describe('one file', () => {
  test('is opened with its deletes, or as it is stored', async () => {
    const { table, file } = await appended()
    const deletes = await positionDeletes(table, [[file.filePath, 1]], { partition: [0] })
    const deleted = await commitFiles(table, [deletes])
    const [task] = await deleted.scan().planFiles()
    expect(task!.deletes.map((each) => [each.file.filePath, each.sequenceNumber])).toEqual([[deletes.filePath, 2]])
    const reader = await openFileTask(deleted.store, deleted.location, task!, EVENTS)
    expect(reader.hasDeletes).toBe(true)
    expect(reader.rowGroupRows).toEqual([2, 2, 1])
    const rows = rowsOf({ ...EVENTS, fields: column(EVENTS, 'id') }, await reader.read(0, { columns: ['id'] }))
    expect(rows).toEqual([{ id: 'a' }])
    const untouched = await openFileTask(deleted.store, deleted.location, { ...task!, deletes: [] }, EVENTS)
    expect(untouched.hasDeletes).toBe(false)
  })
})

describe('what cannot be applied is refused, not skipped', () => {
  const scanned = async (
    change: (file: DataFile) => Partial<DataFile>,
    kind: 'position' | 'equality',
  ): Promise<unknown> => {
    const { table, file } = await appended()
    const deletes =
      kind === 'position'
        ? await positionDeletes(table, [[file.filePath, 0]], { partition: [0] })
        : await equalityDeletes(table, column(EVENTS, 'n'), [{ n: 0 }], { partition: [0] })
    return readRows((await commitFiles(table, [{ ...deletes, ...change(deletes) }])).scan())
  }
  const code = (name: string): object => ({ code: name })

  test.each([
    ['AVRO', 'position'],
    ['ORC', 'position'],
    ['AVRO', 'equality'],
    ['PUFFIN', 'equality'],
  ] as const)('%s with %s deletes', async (fileFormat, kind) => {
    await expect(scanned(() => ({ fileFormat }), kind)).rejects.toMatchObject(code('FIRN_DELETES_UNSUPPORTED'))
  })

  test('an encrypted delete file', async () => {
    const change = (): Partial<DataFile> => ({ keyMetadata: Uint8Array.of(1) })
    await expect(scanned(change, 'position')).rejects.toMatchObject(code('FIRN_ENCRYPTED'))
  })

  test.each([
    ['no column', []],
    ['a column that no schema has', [99]],
    ['a column that the file lacks', [4]],
  ])('equality deletes of %s', async (_name, equalityIds) => {
    await expect(scanned(() => ({ equalityIds }), 'equality')).rejects.toMatchObject(code('FIRN_DELETES_CORRUPT'))
  })

  test('a delete file of other rows than its entry says, and one that is gone', async () => {
    const more = (file: DataFile): Partial<DataFile> => ({ recordCount: file.recordCount + 1 })
    await expect(scanned(more, 'position')).rejects.toMatchObject(code('FIRN_ROW_COUNT_MISMATCH'))
    const gone = (file: DataFile): Partial<DataFile> => ({ filePath: `${file.filePath}.gone` })
    await expect(scanned(gone, 'equality')).rejects.toMatchObject(code('FIRN_OBJECT_NOT_FOUND'))
  })

  test('a position below zero', async () => {
    const { table, file } = await appended()
    const deletes = await positionDeletes(table, [[file.filePath, -1]], { partition: [0] })
    await expect(readRows((await commitFiles(table, [deletes])).scan())).rejects.toMatchObject(
      code('FIRN_DELETES_CORRUPT'),
    )
  })

  test('a deletion vector without its place', async () => {
    const change = (): Partial<DataFile> => ({ fileFormat: 'PUFFIN' })
    await expect(scanned(change, 'position')).rejects.toMatchObject(code('FIRN_DELETES_CORRUPT'))
  })
})
