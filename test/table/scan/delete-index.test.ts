/** Which deletes apply to which file, by sequence number, partition, spec and path; deletion vectors in particular. */
import { describe, expect, test } from 'vitest'
import { snapshotId } from '../../../table/ids.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import type { ResolvedEntry } from '../../../table/manifest/entries.ts'
import { DELETE_PATH_ID, type DeleteIndex, indexDeletes } from '../../../table/scan/delete-index.ts'
import { openFileTask } from '../../../table/scan/read.ts'
import type { PrimitiveValue } from '../../../table/spec/types.ts'
import type { Table } from '../../../table/table.ts'
import { deletionVector, roaring64 } from '../format/roaring.ts'
import { EVENTS, eventsTable, freshStore, rowsOf, writeRows } from '../support.ts'

const EMPTY: DataFile = {
  content: 'data',
  filePath: 'memory://t/a.parquet',
  fileFormat: 'PARQUET',
  specId: 0,
  partition: [0],
  recordCount: 10,
  fileSizeBytes: 1_000,
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
  equalityIds: [],
}
const PATH = EMPTY.filePath
const entry = (sequenceNumber: number, file: Partial<DataFile>): ResolvedEntry => ({
  status: 'added',
  snapshotId: snapshotId(1n),
  sequenceNumber,
  fileSequenceNumber: sequenceNumber,
  manifestPath: 'memory://t/m.avro',
  dataFile: { ...EMPTY, content: 'position-deletes', filePath: `memory://t/d${sequenceNumber}.parquet`, ...file },
})
const VECTOR: Partial<DataFile> = {
  fileFormat: 'PUFFIN',
  referencedDataFile: PATH,
  contentOffset: 4,
  contentSizeBytes: 50,
}

const { table } = await eventsTable(freshStore())
const metadata = {
  ...table.metadata,
  partitionSpecs: [
    ...table.metadata.partitionSpecs,
    { specId: 1, fields: [] },
    { specId: 2, fields: [{ sourceId: 2, fieldId: 1000, name: 'gone', transform: 'void' }] },
  ],
}
const index = (...entries: readonly ResolvedEntry[]): DeleteIndex => indexDeletes(entries, metadata, EVENTS)
/** Sequence numbers of the deletes that apply to a file of `sequence`. */
const applying = (of: DeleteIndex, sequence: number, file: Partial<DataFile> = {}): number[] =>
  of.deletesFor({ ...EMPTY, ...file }, sequence).map((task) => task.sequenceNumber)

describe('by sequence number', () => {
  test('position deletes reach files of their own commit, equality deletes older ones only', () => {
    const equality = { content: 'equality-deletes', equalityIds: [1] } as const
    const both = index(entry(3, {}), entry(5, {}), entry(4, equality), entry(6, equality))
    expect(applying(both, 3)).toEqual([5, 3, 6, 4])
    expect(applying(both, 4)).toEqual([5, 6])
    expect(applying(both, 5)).toEqual([5, 6])
    expect(applying(both, 6)).toEqual([])
  })
})

describe('by partition and spec', () => {
  test.each<[string, PrimitiveValue, PrimitiveValue, boolean]>([
    ['equal days', 3, 3, true],
    ['other days', 3, 4, false],
    ['null and null', null, null, true],
    ['null and 0', null, 0, false],
    ['an int and the long it was promoted to', 3, 3n, true],
    ['NaN and NaN', Number.NaN, Number.NaN, true],
    ['the two zeros', 0, -0, false],
    ['equal bytes', Uint8Array.of(1, 2), Uint8Array.of(1, 2), true],
    ['texts that look like lists', 'a,b', 'a","b', false],
    ['the text of a number', '3', 3, false],
  ])('%s', (_name, deleted, data, applies) => {
    expect(applying(index(entry(1, { partition: [deleted] })), 1, { partition: [data] })).toEqual(applies ? [1] : [])
  })

  test('position deletes of an unpartitioned spec are no global deletes, equality deletes of one are', () => {
    const equality = { content: 'equality-deletes', equalityIds: [1] } as const
    for (const place of [
      { specId: 1, partition: [] },
      { specId: 2, partition: [null] },
    ]) {
      expect(applying(index(entry(2, place)), 1)).toEqual([])
      expect(applying(index(entry(2, { ...place, ...equality })), 1)).toEqual([2])
    }
    expect(applying(index(entry(2, { specId: 1, partition: [], ...equality })), 2)).toEqual([])
  })
})

describe('by path', () => {
  const bounds = (lower: string, upper: string): Partial<DataFile> => ({
    lowerBounds: new Map([[DELETE_PATH_ID, Buffer.from(lower)]]),
    upperBounds: new Map([[DELETE_PATH_ID, Buffer.from(upper)]]),
  })
  test.each([
    ['no bounds', {}, [1]],
    ['around the path', bounds('memory://t/', 'memory://u'), [1]],
    ['below it', bounds('a', 'b'), []],
    ['above it', bounds('x', 'y'), []],
    ['it alone', bounds(PATH, PATH), [1]],
    ['another path alone', bounds(`${PATH}x`, `${PATH}x`), []],
    // Bounds are cut by writers that keep statistics short.
    ['cut', bounds(PATH.slice(0, 8), `${PATH.slice(0, 7)}~`), [1]],
  ])('bounds: %s', (_name, file, expected) => {
    expect(applying(index(entry(1, file)), 1)).toEqual(expected)
  })
})

describe('a deletion vector', () => {
  test('stands for all position deletes of its file, not for equality deletes, nor for other files', () => {
    const equality = entry(4, { content: 'equality-deletes', equalityIds: [1] })
    const all = index(entry(3, VECTOR), entry(2, {}), equality)
    expect(applying(all, 1)).toEqual([3, 4])
    expect(applying(all, 1, { filePath: 'memory://t/other.parquet' })).toEqual([2, 4])
  })

  test.each<[string, readonly ResolvedEntry[]]>([
    ['twice for one file', [entry(3, VECTOR), entry(4, VECTOR)]],
    ['without its data file', [entry(3, { fileFormat: 'PUFFIN', contentOffset: 4, contentSizeBytes: 50 })]],
    ['without its place', [entry(3, { fileFormat: 'PUFFIN', referencedDataFile: PATH })]],
    ['older than its data file', [entry(0, VECTOR)]],
    ['of another partition than its data file', [entry(3, { ...VECTOR, partition: [7] })]],
  ])('%s is an error', (_name, entries) => {
    expect(() => applying(index(...entries), 1)).toThrow(expect.objectContaining({ code: 'FIRN_DELETES_CORRUPT' }))
  })
})

describe('a deletion vector in its file', () => {
  const blob = deletionVector(roaring64([0, 2, 3]))
  async function tableWithVector(change: Partial<DataFile> = {}): Promise<() => Promise<unknown>> {
    const { table: events } = await eventsTable(freshStore())
    const [file] = await writeRows(
      events,
      [...'abcde'].map((id) => ({ id, at: 0n })),
      [0],
      { rowGroupRows: 2 },
    )
    await events.store.put('data/x.puffin', Buffer.concat([Buffer.from('PFA1'), blob, Buffer.from('footer')]))
    const place = { contentOffset: 4, contentSizeBytes: blob.length, fileSizeBytes: blob.length + 10 }
    const filePath = `${events.location}/data/x.puffin`
    const vector = { ...VECTOR, ...place, filePath, referencedDataFile: file!.filePath, recordCount: 3, ...change }
    const deletes = index(entry(2, vector)).deletesFor(file!, 1)
    return () => readTask(events, { file: file!, deletes })
  }
  async function readTask(events: Table, task: Parameters<typeof openFileTask>[2]): Promise<unknown> {
    const reader = await openFileTask(events.store, events.location, task, EVENTS)
    const ids: unknown[] = []
    for (const group of reader.rowGroupRows.keys()) {
      ids.push(...rowsOf(EVENTS, await reader.read(group)).map((row) => row['id']))
    }
    return ids
  }

  test('takes its rows', async () => {
    expect(await (await tableWithVector())()).toEqual(['b', 'e'])
  })

  test.each<[string, Partial<DataFile>]>([
    ['behind the end of the file', { contentOffset: 11 }],
    ['at an offset that is none', { contentOffset: -1 }],
    ['one byte off', { contentOffset: 3 }],
    ['one byte short', { contentSizeBytes: blob.length - 1 }],
    ['of gigabytes', { contentSizeBytes: 2 ** 40, fileSizeBytes: 2 ** 41 }],
    [
      'in a file that is shorter than the manifest says',
      { contentSizeBytes: blob.length + 99, fileSizeBytes: 2 ** 20 },
    ],
    ['of other positions than the manifest says', { recordCount: 2 }],
  ])('%s is an error that names the object', async (_name, change) => {
    await expect((await tableWithVector(change))()).rejects.toMatchObject({
      code: 'FIRN_DELETES_CORRUPT',
      message: expect.stringContaining('x.puffin') as string,
    })
  })
})
