/** Which columns and row groups are read, and where values come from that a file does not have. */
import { type Data, makeData, RecordBatch, Struct } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { arrowSchema } from '../../../table/format/arrow-schema.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { openFileTask } from '../../../table/scan/read.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { UNSORTED } from '../../../table/spec/sort.ts'
import type { NestedField } from '../../../table/spec/types.ts'
import type { Table } from '../../../table/table.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { batchOf, EVENTS, eventsTable, freshStore, readRows, rowsOf, type TestRow, writeRows } from '../support.ts'
import { column, commitFiles, positionDeletes, putMetadata } from './delete-tables.ts'

const field = (id: number, name: string, type: NestedField['type']): NestedField => ({
  id,
  name,
  required: false,
  type,
})
const ids = async (table: Table, options: Parameters<Table['scan']>[0] = {}): Promise<string> =>
  (await readRows(table.scan({ columns: ['id'], ...options }))).map((row) => row['id']).join('')

/** Bytes of data files that `run` gets from the table's store. */
async function bytesRead(table: Table, run: () => Promise<unknown>): Promise<number> {
  const { get } = table.store
  let bytes = 0
  table.store.get = async (...args: Parameters<typeof get>) => {
    const object = await get.apply(table.store, args)
    if (args[0].startsWith('data/')) bytes += object.bytes.length
    return object
  }
  try {
    await run()
  } finally {
    table.store.get = get
  }
  return bytes
}

describe('row groups', () => {
  /** Ten row groups of one file whose `n` ascends; texts that do not compress make up most of the file. */
  async function ascending(): Promise<Table> {
    const { table } = await eventsTable(freshStore())
    const rows = Array.from({ length: 100 }, (_, n) => ({
      id: `${n}-${Buffer.from(systemClock.randomBytes(6000)).toString('base64')}`,
      at: 0n,
      n,
    }))
    return (await table.append(await writeRows(table, rows, [0], { rowGroupRows: 10 }))).table
  }

  test('whose footer statistics rule a match out are not read', async () => {
    const table = await ascending()
    const scan = (where: string): Promise<number> =>
      bytesRead(table, async () => {
        const rows = await readRows(table.scan({ where: parseWhere(where, EVENTS) }))
        expect(rows.map((row) => row['n'])).toEqual([42])
      })
    const all = await scan('n = 42 or score > 0')
    expect(await scan('n = 42')).toBeLessThan(all / 2)
  })

  test('that are deleted as a whole are not read', async () => {
    const table = await ascending()
    const [task] = await table.scan().planFiles()
    const gone = Array.from({ length: 90 }, (_, n) => [task!.file.filePath, n] as const)
    const deleted = await commitFiles(table, [await positionDeletes(table, gone, { partition: [0] })])
    const all = await bytesRead(table, () => readRows(table.scan()))
    const rest = await bytesRead(deleted, async () => {
      expect((await readRows(deleted.scan())).map((row) => row['n'])).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99])
    })
    expect(rest).toBeLessThan(all / 2)
  })
})

describe('columns inside structs', () => {
  const NESTED: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'id', required: true, type: 'string' },
      field(2, 'person', {
        type: 'struct',
        fields: [field(3, 'age', 'int'), field(4, 'home', { type: 'struct', fields: [field(5, 'zip', 'string')] })],
      }),
    ],
  }

  interface Person {
    readonly age?: number
    readonly home?: { readonly zip?: string }
  }

  function structOf(type: Struct, present: readonly boolean[], children: readonly Data[]): Data {
    const nullBitmap = new Uint8Array(Math.ceil(present.length / 8))
    present.forEach((is, row) => {
      if (is) nullBitmap[row >> 3]! |= 1 << (row & 7)
    })
    const nullCount = present.filter((is) => !is).length
    return makeData({ type, length: present.length, nullCount, nullBitmap, children: [...children] })
  }

  function nestedBatch(schema: Schema, rows: readonly { id?: string; person?: Person }[]): RecordBatch {
    const arrow = arrowSchema(schema)
    const flat = (name: string, type: 'int' | 'string', values: readonly (number | string | undefined)[]): Data => {
      const one: Schema = { ...schema, fields: [field(9, name, type)] }
      return batchOf(
        one,
        values.map((value) => ({ [name]: value ?? null })),
      ).data.children[0] as Data
    }
    const children = schema.fields.map((top, index): Data => {
      if (top.name === 'id') {
        return flat(
          'id',
          'string',
          rows.map((row) => row.id),
        )
      }
      const type = arrow.fields[index]!.type as Struct
      const parts = type.children.map((child): Data => {
        if (child.name === 'age') {
          return flat(
            'age',
            'int',
            rows.map((row) => row.person?.age),
          )
        }
        const zips = flat(
          'zip',
          'string',
          rows.map((row) => row.person?.home?.zip),
        )
        const homes = rows.map((row) => row.person?.home !== undefined)
        return structOf(child.type as Struct, homes, [zips])
      })
      const people = rows.map((row) => row.person !== undefined)
      return structOf(type, people, parts)
    })
    const type = new Struct(arrow.fields)
    return new RecordBatch(arrow, makeData({ type, length: rows.length, nullCount: 0, children }))
  }

  async function write(table: Table, schema: Schema, batch: RecordBatch): Promise<DataFile> {
    const writer = createDataFileWriter({
      store: table.store,
      location: table.location,
      schema,
      spec: { specId: 0, fields: [] },
      partition: [],
      sortOrderId: 0,
      fileNamePrefix: Buffer.from(systemClock.randomBytes(6)).toString('hex'),
      targetFileSizeBytes: 1 << 27,
    })
    await writer.write(batch)
    return (await writer.close())[0]!.dataFile
  }

  const PEOPLE = [
    { id: 'a', person: { age: 1, home: { zip: 'x' } } },
    { id: 'b', person: { age: 2, home: { zip: 'y' } } },
    { id: 'c', person: { age: 1, home: {} } },
    { id: 'd', person: { age: 1 } },
    { id: 'e' },
  ]

  async function people(): Promise<Table> {
    const catalog = openCatalog(freshStore(), { clock: systemClock })
    const table = await catalog.createTable('t.people', {
      schema: NESTED,
      partitionSpec: { specId: 0, fields: [] },
      sortOrder: UNSORTED,
      properties: {},
    })
    return (await table.append([await write(table, NESTED, nestedBatch(NESTED, PEOPLE))])).table
  }

  /** As a delete file has them: the struct with the compared columns alone. */
  const keyOnly = (names: readonly string[]): Schema => {
    const [, person] = NESTED.fields
    const fields = (person!.type as { fields: readonly NestedField[] }).fields.filter((each) =>
      names.includes(each.name),
    )
    return { ...NESTED, fields: [field(2, 'person', { type: 'struct', fields })] }
  }

  test.each<[string, readonly number[], readonly string[], Person | undefined, string]>([
    ['a struct in a struct', [5], ['home'], { home: { zip: 'x' } }, 'bcde'],
    // A column is null when any struct around it is.
    ['null at any depth', [5], ['home'], undefined, 'ab'],
    ['two columns of one struct', [3, 5], ['age', 'home'], { age: 1, home: { zip: 'x' } }, 'bcde'],
    ['two columns, one of them null', [3, 5], ['age', 'home'], { age: 1 }, 'abe'],
  ])('equality deletes on %s', async (_name, equalityIds, names, person, left) => {
    const table = await people()
    const schema = keyOnly(names)
    const batch = nestedBatch(schema, [person === undefined ? {} : { person }])
    const deletes = { ...(await write(table, schema, batch)), content: 'equality-deletes', equalityIds } as const
    const deleted = await commitFiles(table, [deletes])
    expect(await ids(deleted)).toBe(left)
    // The struct itself may be read at the same time.
    let rows = 0
    for await (const whole of deleted.scan().batches()) rows += whole.numRows
    expect(rows).toBe(left.length)
  })

  test('filters look into structs, at columns that do not come out', async () => {
    const table = await people()
    const where = (text: string): object => ({ where: parseWhere(text, NESTED) })
    expect(await ids(table, where("person.home.zip = 'y'"))).toBe('b')
    expect(await ids(table, where('person.home.zip is null'))).toBe('cde')
    expect(await ids(table, where('person.age = 1 and person.home.zip is not null'))).toBe('a')
  })
})

describe('the schema of a scan', () => {
  /** `n` became `number` after the only snapshot. */
  async function renamed(): Promise<{ table: Table; before: Table }> {
    const { table } = await eventsTable(freshStore())
    const before = await (await table.append(await writeRows(table, [{ id: 'a', at: 0n, n: 5 }], [0]))).table.createTag(
      't',
    )
    const fields = EVENTS.fields.map((each) => (each.name === 'n' ? field(3, 'number', 'long') : each))
    const schemas = [...before.metadata.schemas, { ...EVENTS, schemaId: 1, fields }]
    return { before, table: await putMetadata(before, { ...before.metadata, schemas, currentSchemaId: 1 }) }
  }

  test('is the current one at the head of a branch, the snapshot’s own for a snapshot, a time or a tag', async () => {
    const { table } = await renamed()
    const { snapshotId, timestampMillis } = table.currentSnapshot()!
    const names = (selector: Parameters<Table['scan']>[0]): string =>
      table
        .scan(selector)
        .schema.fields.map((each) => each.name)
        .join()
    expect(names({})).toContain('number')
    expect(names({ ref: 'main' })).toContain('number')
    expect(names({ snapshotId })).not.toContain('number')
    expect(names({ asOf: timestampMillis })).not.toContain('number')
    expect(names({ ref: 't' })).not.toContain('number')
    expect(table.schemaFor({ ref: 't' }).schemaId).toBe(0)
    expect(await readRows(table.scan({ columns: ['number'] }))).toEqual([{ number: 5n }])
    expect(await readRows(table.scan({ columns: ['n'], snapshotId }))).toEqual([{ n: 5 }])
    const where = parseWhere('number = 5', table.schemaFor())
    expect(await table.scan({ where }).count()).toBe(1)
  })
})

describe('columns that a file does not have', () => {
  const row = { id: 'a', at: 0n, score: 1.5 }
  const WITHOUT_N: Schema = { ...EVENTS, fields: EVENTS.fields.filter((each) => each.name !== 'n') }

  async function fileWithoutN(table: Table, schema: Schema, rows: readonly TestRow[]): Promise<DataFile> {
    const writer = createDataFileWriter({
      store: table.store,
      location: table.location,
      schema,
      spec: { specId: 0, fields: [] },
      partition: [],
      sortOrderId: 0,
      fileNamePrefix: 'without',
      targetFileSizeBytes: 1 << 27,
    })
    await writer.write(batchOf(schema, rows))
    return (await writer.close())[0]!.dataFile
  }

  test('have the value of an identity partition field, also in filters', async () => {
    const { table } = await eventsTable(freshStore())
    const spec = { specId: 1, fields: [{ sourceId: 3, fieldId: 1001, name: 'n', transform: 'identity' }] } as const
    const file = await fileWithoutN(table, WITHOUT_N, [row])
    const done = await commitFiles(table, [{ ...file, specId: 1, partition: [7] }], (metadata) => ({
      ...metadata,
      partitionSpecs: [...metadata.partitionSpecs, spec],
    }))
    expect(await readRows(done.scan({ columns: ['id', 'n'] }))).toEqual([{ id: 'a', n: 7 }])
    expect(await ids(done, { where: parseWhere('n = 7', EVENTS) })).toBe('a')
    expect(await ids(done, { where: parseWhere('n <> 7', EVENTS) })).toBe('')
    const [task] = await done.scan().planFiles()
    const wide: Schema = { ...EVENTS, fields: [field(3, 'n', 'long')] }
    const reader = await openFileTask(done.store, done.location, task!, wide)
    expect(rowsOf(wide, await reader.read(0))).toEqual([{ n: 7n }])
  })

  test('are null otherwise, and never of another column with the same name', async () => {
    const { table } = await eventsTable(freshStore())
    const other: Schema = { ...WITHOUT_N, fields: [...WITHOUT_N.fields, field(77, 'n', 'int')] }
    const file = await fileWithoutN(table, other, [{ ...row, n: 3 }])
    const done = await commitFiles(table, [{ ...file, partition: [0] }])
    expect(await readRows(done.scan({ columns: ['id', 'n'] }))).toEqual([{ id: 'a', n: null }])
    expect(column(EVENTS, 'n')).toHaveLength(1)
  })
})
