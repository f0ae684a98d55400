import { describe, expect, it } from 'vitest'
import { type FileRef, listUnits, type UnitReader, unitReader } from '../../../loader/source/units.ts'
import { type ObjectStore, openStore } from '../../../table/index.ts'
import { memoryUrl, rowsTable } from '../support.ts'

const file = (filePath: string): FileRef => ({ filePath, fileFormat: 'PARQUET', fileSizeBytes: 1, recordCount: 1 })
const never = new AbortController().signal
const readerOf = (rows: Record<string, readonly number[]>): UnitReader => ({
  rowGroupRows: async ({ filePath }) => rows[filePath]!,
  read: () => Promise.reject(new Error('not here')),
})

describe('listUnits', () => {
  it('orders units by path and row group, not by manifest, and leaves out empty ones', async () => {
    const reader = readerOf({ a: [3], b: [1, 0, 2], '\u{ffff}': [4], '\u{1f600}': [5] })
    const files = ['\u{1f600}', 'b', '\u{ffff}', 'a'].map(file)
    const expected = ['a0:3', 'b0:1', 'b2:2', '\u{ffff}0:4', '\u{1f600}0:5']
    for (const order of [files, files.toReversed()]) {
      const units = await listUnits(order, reader, never)
      expect(units.map((unit) => `${unit.file.filePath}${unit.rowGroup}:${unit.rows}`)).toEqual(expected)
    }
  })
})

describe('unitReader', () => {
  it('reads the footer of a file once, however many ask for it', async () => {
    const { table } = await rowsTable(memoryUrl(), { rows: 40, fileRows: 40, rowGroupRows: 16 })
    const gets: string[] = []
    const inner = openStore(table.store.url)
    const store: ObjectStore = {
      ...inner,
      url: inner.url,
      get: (key, options) => {
        gets.push(key)
        return inner.get(key, options)
      },
    }
    const reader = unitReader(store, table.location, table.metadata.schemas[0]!, never)
    const ref = (await table.scan().planFiles())[0]!.file
    await Promise.all([reader.rowGroupRows(ref), reader.rowGroupRows(ref), reader.rowGroupRows(ref)])
    expect(gets).toHaveLength(1)
    expect(await reader.rowGroupRows(ref)).toEqual([16, 16, 8])
    expect((await reader.read(ref, 2, never)).numRows).toBe(8)
  })

  it('tries again after a footer could not be read', async () => {
    const { table } = await rowsTable(memoryUrl(), { rows: 10 })
    const inner = openStore(table.store.url)
    let failures = 1
    const store: ObjectStore = {
      ...inner,
      url: inner.url,
      get: (key, options) => (failures-- > 0 ? Promise.reject(new Error('busy')) : inner.get(key, options)),
    }
    const reader = unitReader(store, table.location, table.metadata.schemas[0]!, never)
    const ref = (await table.scan().planFiles())[0]!.file
    await expect(reader.rowGroupRows(ref)).rejects.toThrow('busy')
    expect(await reader.rowGroupRows(ref)).toEqual([10])
  })
})
