import { expect, it } from 'vitest'
import type { Decoder } from '../../../loader/read/decoder.ts'
import { inlineDecoder } from '../../../loader/read/inline-decoder.ts'
import type { Table } from '../../../table/index.ts'
import { testClock } from '../../table/support.ts'
import { memoryUrl, ROWS, rowsTable } from '../support.ts'
import { decodeAll, never, setupOf, shown, unitsOf } from './units.ts'

const decoderOf = (table: Table, onError: 'raise' | 'skip'): Decoder =>
  inlineDecoder({ setup: setupOf(table, ROWS), store: table.store, clock: testClock(), onError })

const keyOf = (table: Table, path: string): string => path.slice(table.location.length + 1)

async function damage(table: Table, path: string, start: number, end: number): Promise<void> {
  const key = keyOf(table, path)
  const { bytes } = await table.store.get(key)
  await table.store.put(key, bytes.slice().fill(0xee, start, end))
}

it('leaves out a damaged row group, says so, and gives every other unit as it was', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 120, fileRows: 60, rowGroupRows: 20 })
  const units = await unitsOf(table, ROWS)
  const before = (await decodeAll(decoderOf(table, 'raise'), units)).map(shown)
  await damage(table, units[1]!.file.filePath, units[1]!.start + 40, units[1]!.end)
  await expect(decoderOf(table, 'raise').decode(units[1]!, never)).rejects.toMatchObject({ kind: 'corrupt' })
  const decoder = decoderOf(table, 'skip')
  expect(await decoder.unitRows(units[1]!, never)).toBe(20)
  const after = (await decodeAll(decoder, units)).map(shown)
  expect(after[1]).toEqual({
    rows: 20,
    draws: [],
    segments: [],
    skipped: { rows: 20, code: 'FIRN_PARQUET_CORRUPT' },
  })
  expect(after.toSpliced(1, 1)).toEqual(before.toSpliced(1, 1))
})

it('counts all rows of a file with a damaged footer once, with its first unit', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 120, fileRows: 60, rowGroupRows: 20 })
  const units = await unitsOf(table, ROWS)
  const { file } = units[0]!
  await damage(table, file.filePath, file.fileSizeBytes - 8, file.fileSizeBytes)
  const decoder = decoderOf(table, 'skip')
  const ofFile = units.filter((unit) => unit.file.filePath === file.filePath)
  expect(await Promise.all(ofFile.map((unit) => decoder.unitRows(unit, never)))).toEqual([60, 0, 0])
  const skipped = (await decodeAll(decoder, ofFile)).map((unit) => unit.skipped?.rows)
  expect(skipped).toEqual([60, 0, 0])
  await expect(decoderOf(table, 'raise').unitRows(units[0]!, never)).rejects.toMatchObject({
    code: 'FIRN_PARQUET_CORRUPT',
  })
})

it('does not skip a file that is gone', async () => {
  const { table } = await rowsTable(memoryUrl(), { rows: 20, rowGroupRows: 20 })
  const [unit] = await unitsOf(table, ROWS)
  await table.store.delete(keyOf(table, unit!.file.filePath))
  const decoder = decoderOf(table, 'skip')
  await expect(decoder.decode(unit!, never)).rejects.toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
})
