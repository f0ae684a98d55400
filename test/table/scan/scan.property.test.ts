/** Pruning never changes a result; projection goes by field id; time travel gives what was there then. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openCatalog, openTableAt } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { epochMillis, snapshotId } from '../../../table/ids.ts'
import { inspectManifests, inspectPartitions } from '../../../table/inspect.ts'
import { type ObjectStore, subStore } from '../../../table/io/object-store.ts'
import { encodeBound } from '../../../table/manifest/bounds.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { resolveEntry } from '../../../table/manifest/entries.ts'
import { writeManifest } from '../../../table/manifest/manifest.ts'
import type { ManifestEntry } from '../../../table/manifest/manifest-entry.ts'
import {
  describeManifest,
  type ManifestFile,
  mayHaveLiveFiles,
  writeManifestList,
} from '../../../table/manifest/manifest-list.ts'
import { snapshotManifests } from '../../../table/manifest/snapshot-manifests.ts'
import { type Expression, evaluate } from '../../../table/scan/expression.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import { parseMetadata, printMetadata } from '../../../table/spec/metadata.ts'
import { applyTransform } from '../../../table/spec/transform.ts'
import type { PrimitiveValue } from '../../../table/spec/types.ts'
import type { Table } from '../../../table/table.ts'
import { DEFINITION, EVENTS, eventsTable, freshStore, readRows, type TestRow, writeRows } from '../support.ts'

const DAY = 86_400_000_000n

const VALUES: Readonly<Record<string, fc.Arbitrary<PrimitiveValue>>> = {
  id: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 24 }),
    fc.constantFrom('a', 'aaaaaaaaaaaaaaaaaaaa', '\u{10ffff}'.repeat(18)),
  ),
  at: fc.bigInt({ min: -3n * DAY, max: 3n * DAY }),
  n: fc.integer({ min: -3, max: 3 }),
  score: fc.oneof(fc.constantFrom(Number.NaN, -0, 0, Number.POSITIVE_INFINITY, 1.5, -1.5), fc.double()),
  big: fc.constantFrom(2n ** 53n + 1n, 2n ** 53n, -(2n ** 63n), 2n ** 63n - 1n, 0n),
  day: fc.integer({ min: -40, max: 40 }),
}

const row: fc.Arbitrary<TestRow> = fc.record({
  id: VALUES['id']!,
  ...Object.fromEntries(
    Object.entries(VALUES)
      .filter(([name]) => name !== 'id')
      .map(([name, values]) => [name, fc.option(values, { freq: 4 })]),
  ),
})

const leaf: fc.Arbitrary<Expression> = fc.constantFrom(...EVENTS.fields).chain((field) => {
  const column = { fieldId: field.id, name: field.name, type: field.type as 'int' }
  const value = VALUES[field.name]!
  return fc.oneof(
    fc.constant<Expression>({ kind: 'is-null', column }),
    fc.array(value, { minLength: 1, maxLength: 3 }).map((values): Expression => ({ kind: 'in', column, values })),
    fc
      .tuple(fc.constantFrom('=', '!=', '<', '<=', '>', '>='), value)
      .map(
        ([operator, literal]): Expression => ({ kind: 'compare', operator: operator as '=', column, value: literal }),
      ),
  )
})

const filter: fc.Arbitrary<Expression> = fc.letrec<{ filter: Expression }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.record({
      kind: fc.constantFrom('and', 'or'),
      left: tie('filter'),
      right: tie('filter'),
    }) as fc.Arbitrary<Expression>,
    fc.record({ kind: fc.constant('not'), operand: tie('filter') }) as fc.Arbitrary<Expression>,
  ),
})).filter

const PARTITIONS = ['day', 'hour', 'month', 'identity'] as const

/** Small files by partition, so that there is something to skip. */
async function tableOf(
  store: ObjectStore,
  transform: (typeof PARTITIONS)[number],
  rows: readonly TestRow[],
): Promise<Table> {
  const partitionSpec = { specId: 0, fields: [{ sourceId: 2, fieldId: 1000, name: 'at_part', transform }] }
  let table = await openCatalog(store, { clock: systemClock }).createTable('t.events', { ...DEFINITION, partitionSpec })
  const groups = new Map<string, TestRow[]>()
  for (const [index, item] of rows.entries()) {
    const partition = String(applyTransform(transform, 'timestamptz', item['at'] ?? null))
    // Two appends, so that two manifests are read.
    const key = `${index % 2}/${partition}`
    groups.set(key, [...(groups.get(key) ?? []), item])
  }
  for (const half of ['0', '1']) {
    const files = []
    for (const [key, items] of groups) {
      if (!key.startsWith(half)) continue
      const partition = applyTransform(transform, 'timestamptz', items[0]!['at'] ?? null)
      files.push(...(await writeRows(table, items, [partition], { rowGroupRows: 3 })))
    }
    table = (await table.append(files)).table
  }
  return table
}

const asText = (rows: readonly TestRow[]): string[] =>
  rows
    .map((item) =>
      JSON.stringify(
        EVENTS.fields.map((f) => [
          typeof (item[f.name] ?? null),
          Object.is(item[f.name], -0) ? '-0' : String(item[f.name] ?? null),
        ]),
      ),
    )
    .sort()

test('a pruned scan returns the rows that the filter alone would', async () => {
  let skipped = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 25 }),
      fc.array(filter, { minLength: 12, maxLength: 12 }),
      fc.constantFrom(...PARTITIONS),
      async (rows, filters, transform) => {
        const table = await tableOf(freshStore(), transform, rows)
        const all = await table.scan().planFiles()
        for (const where of filters) {
          const expected = rows.filter((item) => evaluate(where, (column) => item[column.name] ?? null) === true)
          expect(asText(await readRows(table.scan({ where })))).toEqual(asText(expected))
          skipped += all.length - (await table.scan({ where }).planFiles()).length
        }
      },
    ),
    { numRuns: 40 },
  )
  // Otherwise the property would hold for a planner that never skips anything.
  expect(skipped).toBeGreaterThan(200)
})

/** One file per value and every comparison with every value: what random filters meet too rarely. */
describe('a pruned scan at the edges', () => {
  const OPERATORS = ['=', '!=', '<', '<=', '>', '>='] as const
  const filtersOf = (name: 'at' | 'score', values: readonly PrimitiveValue[]): Expression[] => {
    const { id, type } = EVENTS.fields.find((field) => field.name === name)!
    const column = { fieldId: id, name, type: type as 'double' }
    const compared = OPERATORS.flatMap((operator) =>
      values.map((value): Expression => ({ kind: 'compare', operator, column, value })),
    )
    const single = values.map((value): Expression => ({ kind: 'in', column, values: [value] }))
    const plain: Expression[] = [...compared, ...single, { kind: 'is-null', column }]
    return [...plain, ...plain.map((operand): Expression => ({ kind: 'not', operand }))]
  }
  const check = async (
    rows: readonly TestRow[],
    filters: readonly Expression[],
    transform: 'day' | 'hour' | 'month' | 'identity',
  ) => {
    const table = await tableOf(freshStore(), transform, rows)
    for (const where of filters) {
      const expected = rows.filter((item) => evaluate(where, (column) => item[column.name] ?? null) === true)
      expect(
        asText(await readRows(table.scan({ where }))),
        JSON.stringify(where, (_k, v) => (typeof v === 'bigint' ? `${v}` : v)),
      ).toEqual(asText(expected))
    }
  }

  test.each(PARTITIONS)('of %s partitions', async (transform) => {
    const HOUR = 3_600_000_000n
    const times = [-31n * DAY, -DAY, -HOUR, 0n, HOUR, DAY, 31n * DAY].flatMap((at) => [at - 1n, at, at + 1n])
    const rows = [...times.map((at) => ({ id: `r${at}`, at })), { id: 'none', at: null }]
    await check(rows, filtersOf('at', [-DAY - 1n, -DAY, -1n, 0n, 1n, HOUR, DAY - 1n, DAY]), transform)
  })

  test('of floating point numbers, where NaN is in no bound', async () => {
    const numbers = [Number.NaN, Number.NEGATIVE_INFINITY, -1.5, -0, 0, 1.5, Number.POSITIVE_INFINITY, null]
    // A file of its own for each number.
    const rows = numbers.map((score, index) => ({ id: `r${index}`, at: BigInt(index) * DAY, score }))
    // Every other row goes into the other append: 1 and NaN share a file.
    const shared = [1, null, Number.NaN].map((score, index) => ({ id: `s${index}`, at: 50n * DAY, score }))
    const mixed = [...rows, ...shared]
    await check(
      mixed,
      filtersOf(
        'score',
        numbers.filter((value) => value !== null),
      ),
      'day',
    )
  })
})

describe('projection', () => {
  test('columns are found by field id: a renamed one keeps its values, a dropped and re-added name starts empty', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    const done = await table.append(await writeRows(table, [{ id: 'a', at: 0n, n: 1, score: 2.5 }], [0]))
    // As another engine evolves it: n becomes count; score is dropped and another score is added under a new id.
    const fields = EVENTS.fields.map((f) => (f.id === 3 ? { ...f, name: 'count' } : f.id === 4 ? { ...f, id: 7 } : f))
    const evolved = {
      ...done.table.metadata,
      schemas: [EVENTS, { ...EVENTS, schemaId: 1, fields }],
      currentSchemaId: 1,
      lastColumnId: 7,
      snapshots: done.table.metadata.snapshots.map((snapshot) => ({ ...snapshot, schemaId: 1 })),
    }
    await store.put('t/events/metadata/v3.metadata.json', Buffer.from(printMetadata(evolved)))
    const scan = (await table.refresh()).scan({ columns: ['count', 'score', 'id'] })
    expect(scan.schema.fields.map((f) => f.name)).toEqual(['id', 'count', 'score'])
    expect(await readRows(scan)).toEqual([{ id: 'a', count: 1, score: null }])
  })

  test('an int column that is a long by now reads old files', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    const done = await table.append(await writeRows(table, [{ id: 'a', at: 0n, n: -5 }], [0]))
    const fields = EVENTS.fields.map((f) => (f.id === 3 ? { ...f, type: 'long' as const } : f))
    const wide = { ...EVENTS, schemaId: 1, fields }
    const snapshots = done.table.metadata.snapshots.map((snapshot) => ({ ...snapshot, schemaId: 1 }))
    const evolved = { ...done.table.metadata, schemas: [EVENTS, wide], currentSchemaId: 1, snapshots }
    await store.put('t/events/metadata/v3.metadata.json', Buffer.from(printMetadata(evolved)))
    const where = parseWhere('n = -5', wide)
    expect(await readRows((await table.refresh()).scan({ columns: ['n'], where }))).toEqual([{ n: -5n }])
  })

  test('a table partitioned by a column that was dropped since is scanned, filtered and inspected', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    const done = await table.append(await writeRows(table, [{ id: 'a', at: 0n, n: 1 }], [0]))
    const schema = { ...EVENTS, schemaId: 1, fields: EVENTS.fields.filter((field) => field.name !== 'at') }
    const evolved = {
      ...done.table.metadata,
      schemas: [EVENTS, schema],
      currentSchemaId: 1,
      partitionSpecs: [...done.table.metadata.partitionSpecs, { specId: 1, fields: [] }],
      defaultSpecId: 1,
      snapshots: done.table.metadata.snapshots.map((snapshot) => ({ ...snapshot, schemaId: 1 })),
    }
    await store.put('t/events/metadata/v3.metadata.json', Buffer.from(printMetadata(evolved)))
    const now = await table.refresh()
    expect(await readRows(now.scan({ columns: ['id'], where: parseWhere('n = 1', schema) }))).toEqual([{ id: 'a' }])
    expect((await inspectPartitions(now)).map((row) => row['partition'])).toEqual([{ at_day: '1970-01-01' }])
    expect(await inspectManifests(now)).toHaveLength(1)
    const gone = parseWhere("at > '1970-01-01'", EVENTS)
    expect(() => now.scan({ where: gone })).toThrow(expect.objectContaining({ code: 'FIRN_COLUMN_NOT_FOUND' }))
  })

  test('an unknown column is an error that lists the columns', async () => {
    const { table } = await eventsTable(freshStore())
    expect(() => table.scan({ columns: ['nope'] })).toThrow(expect.objectContaining({ code: 'FIRN_COLUMN_NOT_FOUND' }))
  })

  test('a limit cuts inside a row group and stops reading', async () => {
    const { table } = await eventsTable(freshStore())
    const rows = Array.from({ length: 20 }, (_, n) => ({ id: `r${n}`, at: 0n, n }))
    const done = await table.append(await writeRows(table, rows, [0], { rowGroupRows: 6 }))
    expect((await readRows(done.table.scan({ limit: 8 }))).length).toBe(8)
    expect((await readRows(done.table.scan({ limit: 0 }))).length).toBe(0)
  })
})

describe('time travel', () => {
  test('by id, by time, by tag: each gives the rows of then', async () => {
    const { table } = await eventsTable(freshStore())
    let current = table
    for (const id of ['a', 'b', 'c'])
      current = (await current.append(await writeRows(current, [{ id, at: 0n }], [0]))).table
    const [first, second] = current.metadata.snapshots
    const ids = async (selector: Parameters<Table['scan']>[0]): Promise<unknown[]> =>
      (await readRows(current.scan({ ...selector, columns: ['id'] }))).map((item) => item['id']).sort()
    expect(await ids({ snapshotId: first!.snapshotId })).toEqual(['a'])
    expect(await ids({ asOf: second!.timestampMillis })).toEqual(['a', 'b'])
    expect(await ids({ asOf: epochMillis(second!.timestampMillis - 1) })).toEqual(['a'])
    expect(await ids({})).toEqual(['a', 'b', 'c'])
    current = await current.createTag('v1', second!.snapshotId)
    expect(await ids({ ref: 'v1' })).toEqual(['a', 'b'])
    expect(await ids({ ref: 'main' })).toEqual(['a', 'b', 'c'])
  })

  test('what does not exist is a typed error', async () => {
    const { table } = await eventsTable(freshStore())
    const done = (await table.append([])).table
    const codes = (selector: Parameters<Table['scan']>[0]): string => {
      try {
        done.scan(selector)
        return 'none'
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(codes({ snapshotId: snapshotId(1n) })).toBe('FIRN_SNAPSHOT_NOT_FOUND')
    expect(codes({ asOf: epochMillis(0) })).toBe('FIRN_SNAPSHOT_NOT_FOUND')
    expect(codes({ ref: 'nope' })).toBe('FIRN_REF_NOT_FOUND')
    expect(codes({ ref: 'main', asOf: epochMillis(1) })).toBe('FIRN_INVALID_OPTION')
  })

  test('a tag is made once, and never silently moved', async () => {
    const { table } = await eventsTable(freshStore())
    const first = (await table.append([])).table
    const tagged = await first.createTag('v1')
    const again = await tagged.createTag('v1')
    expect(again.metadata.refs['v1']).toEqual(tagged.metadata.refs['v1'])
    const second = (await again.append([])).table
    await expect(second.createTag('v1')).rejects.toMatchObject({ code: 'FIRN_REF_EXISTS' })
    await expect(table.createTag('v2', snapshotId(5n))).rejects.toMatchObject({ code: 'FIRN_SNAPSHOT_NOT_FOUND' })
  })

  test('a table opened by its folder, also after the folder was moved, reads and cannot be written', async () => {
    const store = freshStore()
    const { table } = await eventsTable(store)
    await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))
    const moved = freshStore()
    for await (const { key } of store.list('t/events/'))
      await moved.put(key.slice('t/events/'.length), (await store.get(key)).bytes)
    for (const where of [subStore(store, 't/events'), moved]) {
      const opened = await openTableAt(where, { clock: systemClock })
      expect(await readRows(opened.scan({ columns: ['id'] }))).toEqual([{ id: 'a' }])
      await expect(opened.append([])).rejects.toMatchObject({ code: 'FIRN_TABLE_READ_ONLY' })
    }
    const writer = (await openCatalog(store, { clock: systemClock }).loadTable('t.events')).append([])
    const opened = await openTableAt(subStore(store, 't/events'), { clock: systemClock })
    await writer
    expect((await opened.refresh()).metadata.snapshots).toHaveLength(2)
    const old = await openTableAt(moved, { clock: systemClock, metadataFile: 'metadata/v1.metadata.json' })
    expect(await readRows(old.scan())).toEqual([])
  })
})

describe('what cannot be read correctly is refused, not skipped', () => {
  async function appended(): Promise<{ store: ObjectStore; table: Table }> {
    const store = freshStore()
    const { table } = await eventsTable(store)
    return { store, table: (await table.append(await writeRows(table, [{ id: 'a', at: 0n }], [0]))).table }
  }

  test('a data file of another size, cut short or overwritten', async () => {
    const { store, table } = await appended()
    const [task] = await table.scan().planFiles()
    const key = task!.file.filePath.slice(store.url.length + 1)
    const { bytes } = await store.get(key)
    const garbled = Uint8Array.from(bytes)
    garbled.fill(0x55, 8, 200)
    for (const damaged of [bytes.slice(0, -5), new Uint8Array(bytes.length), garbled]) {
      await store.put(key, damaged)
      await expect(readRows(table.scan())).rejects.toMatchObject({ code: 'FIRN_PARQUET_CORRUPT', kind: 'corrupt' })
    }
    await store.delete(key)
    await expect(readRows(table.scan())).rejects.toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
  })

  test('a manifest list or a manifest cut at any byte', async () => {
    const { store, table } = await appended()
    const list = table.currentSnapshot()!.manifestList!
    const [manifest] = await snapshotManifests(table.store, table.metadata, table.currentSnapshot()!)
    const cases = [
      [list, 'FIRN_AVRO_CORRUPT'],
      [manifest!.manifestPath, 'FIRN_MANIFEST_LENGTH_MISMATCH'],
    ] as const
    for (const [path, code] of cases) {
      const key = path.slice(store.url.length + 1)
      const { bytes } = await store.get(key)
      for (let length = 0; length < bytes.length; length += 7) {
        await store.put(key, bytes.slice(0, length))
        await expect(table.scan().planFiles(), `${length} of ${bytes.length}`).rejects.toMatchObject({ code })
      }
      const sync = bytes.slice(-16)
      const header = Buffer.from(bytes).indexOf(sync) + 16
      await store.put(key, bytes.slice(0, header))
      await expect(table.scan().planFiles()).rejects.toMatchObject({ code })
      await store.put(key, bytes)
    }
  })

  /** The table with one more manifest in its newest snapshot, as another engine might have written it. */
  async function withManifest(
    entry: Partial<ManifestEntry>,
    file: Partial<DataFile>,
    list: object = {},
  ): Promise<Table> {
    const { store, table } = await appended()
    const [task] = await table.scan().planFiles()
    const foreign: ManifestEntry = {
      status: 'added',
      snapshotId: snapshotId(1n),
      sequenceNumber: undefined,
      fileSequenceNumber: undefined,
      ...entry,
      dataFile: { ...task!.file, ...file },
    }
    const { metadata } = table
    const bytes = await writeManifest([foreign], metadata.partitionSpecs[0]!, EVENTS)
    const path = `${table.location}/metadata/foreign-m0.avro`
    await table.store.put('metadata/foreign-m0.avro', bytes)
    const snapshot = table.currentSnapshot()!
    const own = await snapshotManifests(table.store, metadata, snapshot)
    const added = { snapshotId: snapshotId(1n), sequenceNumber: 2 }
    const manifest = describeManifest(path, bytes.length, [foreign], metadata.partitionSpecs[0]!, EVENTS, added)
    const listKey = snapshot.manifestList!.slice(store.url.length + 1)
    await store.put(listKey, await writeManifestList(snapshot, [...own, { ...manifest, ...list }]))
    return table
  }

  test.each(['position-deletes', 'equality-deletes'] as const)('a snapshot with %s in Avro', async (content) => {
    const equalityIds = content === 'equality-deletes' ? [1] : []
    const table = await withManifest({}, { content, fileFormat: 'AVRO', equalityIds })
    await expect(readRows(table.scan())).rejects.toMatchObject({ code: 'FIRN_DELETES_UNSUPPORTED' })
  })

  test('a delete entry takes no part in the rows, and a list that counts it as live is refused', async () => {
    const deleted = { status: 'deleted', sequenceNumber: 1, fileSequenceNumber: 1 } as const
    const honest = await withManifest(deleted, {}, {})
    expect(await readRows(honest.scan({ columns: ['id'] }))).toEqual([{ id: 'a' }])
    const lying = await withManifest(deleted, {}, { addedFilesCount: 1 })
    await expect(readRows(lying.scan())).rejects.toMatchObject({ code: 'FIRN_MANIFEST_COUNT_MISMATCH' })
  })

  test('a manifest whose counts the list does not know is read, not skipped', async () => {
    const unknown = { addedFilesCount: undefined, existingFilesCount: undefined, deletedFilesCount: undefined }
    // Format version 1 may leave them out; ours never does.
    const counts = { addedRowsCount: undefined, existingRowsCount: undefined, deletedRowsCount: undefined }
    expect(mayHaveLiveFiles({ ...unknown, ...counts } as ManifestFile)).toBe(true)
    expect(mayHaveLiveFiles({ ...unknown, addedFilesCount: 0, existingFilesCount: 0 } as ManifestFile)).toBe(false)
  })

  test('bounds that are NaN, as old writers left them, skip nothing', async () => {
    const nan = encodeBound('double', Number.NaN)
    const bounds = new Map([[4, nan]])
    const table = await withManifest({}, { nullValueCounts: new Map(), lowerBounds: bounds, upperBounds: bounds })
    for (const filter of ['score = 5', 'score < 5', 'score <= 5', 'score > 5', 'score in (5)']) {
      const where = parseWhere(filter, EVENTS)
      const files = (await table.scan({ where }).planFiles()).map((task) => task.file.lowerBounds.get(4))
      expect(files, filter).toContainEqual(nan)
    }
  })

  test('an existing entry without its sequence number', async () => {
    const table = await appended().then((made) => made.table)
    const [manifest] = await snapshotManifests(table.store, table.metadata, table.currentSnapshot()!)
    const [task] = await table.scan().planFiles()
    // Our own writer refuses to write one, so it cannot be read from a file here.
    const entry = {
      snapshotId: undefined,
      sequenceNumber: undefined,
      fileSequenceNumber: undefined,
      dataFile: task!.file,
    }
    expect(() => resolveEntry({ ...entry, status: 'existing' }, manifest!)).toThrow(
      expect.objectContaining({ code: 'FIRN_AVRO_CORRUPT' }),
    )
    expect(resolveEntry({ ...entry, status: 'added' }, manifest!).sequenceNumber).toBe(manifest!.sequenceNumber)
  })

  test('an encrypted manifest', async () => {
    const table = await withManifest({}, {}, { keyMetadata: Uint8Array.of(1) })
    await expect(readRows(table.scan())).rejects.toMatchObject({ code: 'FIRN_ENCRYPTED' })
  })

  test('a file that has other rows than its entry says, and one that is not Parquet', async () => {
    const lying = await withManifest({}, { recordCount: 2 })
    await expect(readRows(lying.scan())).rejects.toMatchObject({ code: 'FIRN_ROW_COUNT_MISMATCH' })
    const orc = await withManifest({}, { fileFormat: 'ORC' })
    await expect(readRows(orc.scan())).rejects.toMatchObject({ code: 'FIRN_FILE_FORMAT_UNSUPPORTED' })
  })

  test('metadata that points outside of the table', async () => {
    const { store, table } = await appended()
    const text = printMetadata(table.metadata).replaceAll(
      /"manifest-list": "[^"]*"/g,
      '"manifest-list": "memory://other/x.avro"',
    )
    parseMetadata(text, 'still well-formed')
    await store.put('t/events/metadata/v3.metadata.json', Buffer.from(text))
    await expect(readRows((await table.refresh()).scan())).rejects.toMatchObject({ code: 'FIRN_PATH_OUTSIDE_TABLE' })
  })
})
