import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readDeletionVector } from '../../../table/format/puffin.ts'
import { type RowSet, rowSet } from '../../../table/format/row-set.ts'
import { deletionVector, roaring64 } from './roaring.ts'

const fixture = (name: string, offset: number, size: number): Uint8Array =>
  readFileSync(new URL(`../../fixtures/deletion-vectors/${name}.puffin`, import.meta.url)).subarray(
    offset,
    offset + size,
  )
const rowsOf = (rows: RowSet): number[] => Array.from({ length: rows.limit }, (_, row) => row).filter(rows.has)

describe('deletion vectors that Spark wrote', () => {
  test.each([
    [4, 54, 7, 50, 0],
    [58, 48, 4, 30, 50],
  ])('the one at %i, %i bytes, %i positions', (offset, size, cardinality, limit, firstId) => {
    const rows = rowSet(limit)
    readDeletionVector(fixture('two-vectors', offset, size), 'fixture', cardinality, rows)
    expect(rowsOf(rows).map((row) => (row + firstId) % 7)).toEqual(Array(cardinality).fill(3))
    expect(rows.size).toBe(cardinality)
  })

  test('with arrays, bit sets and runs', () => {
    const rows = rowSet(200_000)
    readDeletionVector(fixture('every-container', 4, 15_573), 'fixture', 64_667, rows)
    const expected = Array.from({ length: 200_000 }, (_, row) => row).filter((row) => {
      const [block, third] = [Math.floor(row / 1000), row % 3]
      if (block < 60 && third === 0) return true
      return (
        (block >= 80 && block <= 120) || (block === 150 && third === 1) || (block >= 170 && block < 180 && third === 2)
      )
    })
    expect(rowsOf(rows)).toEqual(expected)
    expect([rows.hasAll(80_000, 121_000), rows.hasAll(79_999, 121_000), rows.hasAll(80_000, 121_001)]).toEqual([
      true,
      false,
      false,
    ])
  })
})

describe('a damaged deletion vector is a typed error that names it', () => {
  const whole = deletionVector(roaring64([0, 5, 9]))
  const read = (blob: Uint8Array, cardinality = 3, limit = 10): RowSet => {
    const rows = rowSet(limit)
    readDeletionVector(blob, 'memory://t/x.puffin at 4', cardinality, rows)
    return rows
  }
  const error = (message: string): object =>
    expect.objectContaining({
      code: 'FIRN_DELETES_CORRUPT',
      kind: 'corrupt',
      message: expect.stringMatching(new RegExp(`^memory://t/x.puffin at 4: .*${message}`)) as string,
    })

  test('the whole one is read', () => {
    expect(rowsOf(read(whole))).toEqual([0, 5, 9])
  })

  test('cut at any byte', () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => read(whole.subarray(0, length)), `${length} bytes`).toThrow(error(''))
    }
  })

  test('any bit flipped', () => {
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bytes = Uint8Array.from(whole)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => read(bytes), `bit ${bit}`).toThrow(error(''))
    }
  })

  test.each([
    ['another magic', Buffer.concat([whole.subarray(0, 4), Buffer.alloc(4), whole.subarray(8)]), 'no deletion vector'],
    ['a checksum of other bytes', Buffer.concat([whole.subarray(0, -4), Buffer.alloc(4)]), 'checksum'],
    ['a bitmap that is none, under a right checksum', deletionVector(Buffer.alloc(16, 0xff)), 'bitmaps in'],
  ])('%s', (_name, blob, message) => {
    expect(() => read(blob)).toThrow(error(message))
  })

  test('another number of positions than the manifest says', () => {
    expect(() => read(whole, 4)).toThrow(error('says 4 positions, it has 3'))
  })

  test('a position behind the end of the file, and a range that would fill memory', () => {
    expect(() => read(whole, 3, 9)).toThrow(error('value 9 is out of range'))
    const huge = deletionVector(roaring64([2 ** 40, 2 ** 40 + 1], () => true))
    expect(() => read(huge, 2)).toThrow(error('out of range'))
  })
})
