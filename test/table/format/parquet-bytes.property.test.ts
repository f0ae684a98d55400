/** Strings that are copied straight out of their pages are those that the way over single values finds. */
import type { Data } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { takeColumn } from '../../../table/format/arrow-take.ts'
import { isValidAt } from '../../../table/format/arrow-values.ts'
import { assembleColumn } from '../../../table/format/parquet-assemble.ts'
import { decodeByteColumn, takeByteRows } from '../../../table/format/parquet-bytes.ts'
import type { ColumnPlan } from '../../../table/format/parquet-columns.ts'
import { decodeChunk } from '../../../table/format/parquet-decode.ts'
import type { FileNode } from '../../../table/format/parquet-footer.ts'
import { readPageHeader } from '../../../table/format/parquet-page.ts'
import { releasePages } from '../../../table/format/parquet-pages.ts'
import type { NestedField } from '../../../table/spec/types.ts'
import { type Chunk, type ChunkSpec, chunkSpec, deltas, makeChunk } from './column-chunks.ts'

const FIELD: NestedField = { id: 1, name: 'c', required: false, type: 'binary' }

/** @param picks rows of batches; `undefined`: one of all rows. */
type Picks = readonly Int32Array[] | undefined

function overPages({ bytes, leaf, shape }: Chunk, picks: Picks): readonly Data[] {
  const column = decodeByteColumn(bytes, leaf, shape)
  return (picks ?? [undefined]).map((rows) => takeByteRows(column, FIELD, rows))
}

function overValues({ bytes, leaf, shape }: Chunk, picks: Picks): readonly Data[] {
  const node = { maxDefinition: leaf.maxDefinition, leaf: { ...leaf, index: 0 } } as unknown as FileNode
  const plan: ColumnPlan = { kind: 'leaf', field: FIELD, node, convert: undefined }
  const data = assembleColumn(plan, new Map([[0, decodeChunk(bytes, leaf, shape)]]), shape.numValues, 'chunk')
  return picks === undefined ? [data] : picks.map((rows) => takeColumn(data, rows, 'c'))
}

const plainOf = (data: Data): unknown => ({
  length: data.length,
  nulls: data.nullCount,
  valid: Array.from({ length: data.length }, (_, row) => isValidAt(data, row)),
  offsets: [...(data.valueOffsets as Int32Array)],
  values: Buffer.from(data.values as Uint8Array).toString('hex'),
})

function outcome(read: typeof overPages, chunk: Chunk, picks: Picks): unknown {
  try {
    return read(chunk, picks).map(plainOf)
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    return 'refused'
  }
}

const rowsOf = (spec: ChunkSpec): readonly (Uint8Array | null)[] => spec.pages.flatMap(({ rows }) => rows)

/** Batches of some rows in any order. */
const drawn = (rows: number): fc.Arbitrary<Picks> =>
  fc
    .tuple(
      fc.shuffledSubarray(
        Array.from({ length: rows }, (_, row) => row),
        { minLength: 0, maxLength: rows },
      ),
      fc.integer({ min: 1, max: 9 }),
    )
    .map(([order, size]) =>
      Array.from({ length: Math.ceil(order.length / size) }, (_, batch) =>
        Int32Array.from(order.slice(batch * size, batch * size + size)),
      ),
    )

const specWithPicks: fc.Arbitrary<readonly [ChunkSpec, Picks]> = chunkSpec.chain((spec) =>
  fc.tuple(fc.constant(spec), fc.option(drawn(rowsOf(spec).length), { nil: undefined })),
)

describe('columns of bytes', () => {
  test('are what was written, in every encoding, page version and order', () => {
    fc.assert(
      fc.property(specWithPicks, ([spec, picks]) => {
        const chunk = makeChunk(spec)
        const rows = rowsOf(spec)
        const expected = picks === undefined ? rows : picks.flatMap((pick) => [...pick].map((row) => rows[row]!))
        const found = overPages(chunk, picks).flatMap((data) =>
          Array.from({ length: data.length }, (_, row) => {
            const offsets = data.valueOffsets as Int32Array
            return isValidAt(data, row) ? (data.values as Uint8Array).slice(offsets[row], offsets[row + 1]) : null
          }),
        )
        const hex = (value: Uint8Array | null): string | null => value && Buffer.from(value).toString('hex')
        expect(found.map(hex)).toEqual(expected.map(hex))
        expect(outcome(overPages, chunk, picks)).toEqual(outcome(overValues, chunk, picks))
      }),
      { numRuns: 300 },
    )
  })

  test('are refused for the same damage, or read the same', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 7 })), { minLength: 1, maxLength: 3 })
    const found = new Set<boolean>()
    fc.assert(
      fc.property(specWithPicks, damage, fc.option(fc.nat(), { freq: 5 }), ([spec, picks], bits, cut) => {
        const chunk = makeChunk(spec)
        const bytes = Buffer.from(chunk.bytes)
        for (const [at, bit] of bits) bytes[at % bytes.length]! ^= 1 << bit
        const bad = { ...chunk, bytes: cut === null ? bytes : bytes.subarray(0, cut % (bytes.length + 1)) }
        const result = outcome(overPages, bad, picks)
        found.add(result === 'refused')
        expect(result).toEqual(outcome(overValues, bad, picks))
      }),
      { numRuns: 1_500 },
    )
    expect(found).toEqual(new Set([true, false]))
  })
})

describe('a page of byte strings', () => {
  const page = (spec: Partial<ChunkSpec> & Pick<ChunkSpec, 'pages'>): Chunk =>
    makeChunk({ optional: false, typeLength: undefined, codec: 'UNCOMPRESSED', ...spec })
  const rows = [Buffer.from('abc'), Buffer.from('de')]
  const read = (chunk: Chunk, change: (bytes: Buffer) => void): (() => unknown) => {
    const bytes = Buffer.from(chunk.bytes)
    change(bytes)
    return () => overPages({ ...chunk, bytes }, undefined)
  }

  test.each([3, 6, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])('whose last value claims %i bytes is refused', (length) => {
    const chunk = page({ pages: [{ version: 1, encoding: 'PLAIN', rows }] })
    expect(read(chunk, (bytes) => bytes.writeUInt32LE(length, bytes.length - 6))).toThrow('a value ends after its page')
  })

  test('whose first value takes the length of the second is refused', () => {
    const chunk = page({ pages: [{ version: 1, encoding: 'PLAIN', rows }] })
    expect(read(chunk, (bytes) => bytes.writeUInt32LE(8, bytes.length - 13))).toThrow('2 values in a page of 13 bytes')
  })

  test.each([
    [-1, -1],
    [6, -1],
    [4, -1],
    [3, -4],
  ])('whose lengths lie apart is refused when they are %i and that %i', (first, least) => {
    const chunk = page({ pages: [{ version: 1, encoding: 'DELTA_LENGTH_BYTE_ARRAY', rows }] })
    // The first length and the least delta stand before four widths, 32 deltas and five bytes of values.
    const at = chunk.bytes.length - 5 - 32 * 4 - 4 - 2
    const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)
    expect([...chunk.bytes.subarray(at, at + 2)]).toEqual([zigzag(3), zigzag(-1)])
    const lie = read(chunk, (bytes) => bytes.set([zigzag(first), zigzag(least)], at))
    expect(lie).toThrow('a value ends after its page')
  })

  test('that refers to words beyond its dictionary, or to none, is refused', () => {
    const chunk = page({ pages: [{ version: 1, encoding: 'RLE_DICTIONARY', rows }] })
    const beyond = read(chunk, (bytes) => bytes.writeUInt8(0b11, bytes.length - 2))
    expect(beyond).toThrow('a value is not in the dictionary')
    const bytes = chunk.bytes.subarray(readPageHeader(chunk.bytes, 0).end)
    expect(() => overPages({ ...chunk, bytes }, undefined)).toThrow('a dictionary that is not there')
  })

  test('of fixed length that has no length, or not enough bytes, is refused', () => {
    const chunk = page({ typeLength: 3, pages: [{ version: 1, encoding: 'PLAIN', rows: [Buffer.from('abc')] }] })
    for (const typeLength of [undefined, 0, 4]) {
      const leaf = { ...chunk.leaf, typeLength }
      expect(() => overPages({ ...chunk, leaf }, undefined)).toThrow('1 values in a page of 3 bytes')
    }
  })

  test('is refused in an encoding of numbers', () => {
    const chunk = page({ pages: [{ version: 1, encoding: 'PLAIN', rows: [deltas([0, 1])] }] })
    const lie = Buffer.from(chunk.bytes)
    const { start } = readPageHeader(lie, 0)
    // The encoding is the second field of the page's header: 5, as zigzag.
    const at = lie.subarray(0, start).lastIndexOf(Buffer.of(0x15, 0, 0x15, 6))
    lie[at + 1] = 10
    expect(() => overPages({ ...chunk, bytes: lie }, undefined)).toThrow('BYTE_ARRAY encoded as DELTA_BINARY_PACKED')
    expect(() => overValues({ ...chunk, bytes: lie }, undefined)).toThrow('BYTE_ARRAY encoded as DELTA_BINARY_PACKED')
  })

  test('that is given back leaves the bytes that it was made from alone', () => {
    const long = Buffer.alloc(200_000, 'x')
    for (const codec of ['UNCOMPRESSED', 'ZSTD'] as const) {
      const chunk = page({ codec, pages: [{ version: 1, encoding: 'PLAIN', rows: [long] }] })
      const before = Buffer.from(chunk.bytes)
      const inflated: Uint8Array[] = []
      const column = decodeByteColumn(chunk.bytes, chunk.leaf, { ...chunk.shape, inflated })
      const data = takeByteRows(column, FIELD, undefined)
      releasePages(inflated)
      expect(column.pages.map(({ length }) => length)).toEqual([codec === 'ZSTD' ? 0 : long.length + 4])
      expect(chunk.bytes.equals(before)).toBe(true)
      expect(Buffer.from(data.values as Uint8Array).equals(long)).toBe(true)
    }
  })
})
