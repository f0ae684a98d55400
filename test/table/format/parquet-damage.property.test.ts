/** Damaged files end in a typed error that names them, or in rows: never in a crash, a hang or another kind of error. */
import { readFile } from 'node:fs/promises'
import type { RecordBatch } from 'apache-arrow'
import fc from 'fast-check'
import { parquetHeader } from 'hyparquet/src/column.js'
import { expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import { parseFooter } from '../../../table/format/parquet-footer.ts'
import { openParquet, type ParquetFile } from '../../../table/format/parquet-reader.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { canonical, memoryStore, nestedRows } from './random-types.ts'

const TEXTS: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'n', required: true, type: 'int' },
    { id: 2, name: 'text', required: false, type: 'string' },
  ],
}
const NESTED: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'key', required: true, type: 'long' },
    {
      id: 2,
      name: 'point',
      required: false,
      type: { type: 'struct', fields: [{ id: 4, name: 'note', required: false, type: 'string' }] },
    },
    {
      id: 5,
      name: 'lists',
      required: false,
      type: {
        type: 'list',
        elementId: 6,
        elementRequired: false,
        element: { type: 'list', elementId: 7, elementRequired: false, element: 'string' },
      },
    },
  ],
}

const FILES: readonly (readonly [string, Schema])[] = [
  ['nested-v1', NESTED],
  ['nested-v2', NESTED],
  ...['snappy-v1', 'gzip-v2', 'zstd-v1', 'lz4-v1', 'brotli-v2', 'none-v1', 'none-v2', 'delta'].map(
    (name) => [name, TEXTS] as const,
  ),
]

async function outcome(bytes: Uint8Array, schema: Schema): Promise<unknown> {
  const store = memoryStore()
  await store.put('file.parquet', bytes)
  try {
    const file = await openParquet(store, 'file.parquet', bytes.length)
    // The manifest knows the row count; a reader of files compares.
    if (file.rowCount > 1_000) return 'other rows'
    const rows = []
    for (let group = 0; group < file.rowGroups.length; group++) {
      file.statistics(group, schema)
      const plain = await file.read(group, schema).catch((error: unknown) => error as FirnError)
      const drawn = await backwards(file, group, schema).catch((error: unknown) => error as FirnError)
      if (plain instanceof Error || drawn instanceof Error) {
        // Drawn rows are refused when all of them are, and for the same reason.
        expect(String(drawn)).toBe(String(plain))
        throw plain
      }
      const found = nestedRows(schema, plain)
      expect(drawn.flatMap((batch) => nestedRows(schema, batch)).map(canonical)).toEqual(
        found.toReversed().map(canonical),
      )
      rows.push(...found)
    }
    return JSON.stringify(rows.map(canonical))
  } catch (error) {
    if (!FirnError.is(error)) throw error
    expect(error.message).toContain('file.parquet')
    return error.kind
  }
}

async function backwards(file: ParquetFile, group: number, schema: Schema): Promise<readonly RecordBatch[]> {
  const { rows } = file.rowGroups[group]!
  const picks: Int32Array[] = []
  for (let end = rows; end > 0; end -= 16) {
    picks.push(Int32Array.from({ length: Math.min(16, end) }, (_, index) => end - 1 - index))
  }
  return (await file.fetch(group, [schema])).batches(schema, picks)
}

test.each(FILES)('%s with bits flipped or cut short', async (name, schema) => {
  const good = await readFile(new URL(`../../fixtures/parquet/${name}.parquet`, import.meta.url))
  const flips = fc.array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 7 })), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(flips, fc.option(fc.nat({ max: good.length }), { freq: 5 }), async (bits, cut) => {
      const bad = Uint8Array.from(good)
      for (const [at, bit] of bits) bad[at] = bad[at]! ^ (1 << bit)
      await outcome(cut === null ? bad : bad.subarray(0, cut), schema)
    }),
    { numRuns: 60 },
  )
})

test('pages with checksums never give other rows', async () => {
  const good = await readFile(new URL('../../fixtures/parquet/none-v1.parquet', import.meta.url))
  const found = new Set<unknown>()
  for (const [start, end] of pageBodies(good)) {
    for (let at = start; at < end; at += 7) {
      const bad = Uint8Array.from(good)
      bad[at] = bad[at]! ^ 0x10
      found.add(await outcome(bad, TEXTS))
    }
  }
  expect([...found]).toEqual(['corrupt'])
})

test('a Snappy page whose literal has a negative length ends in an error (without the guard this test never ends)', async () => {
  const good = await readFile(new URL('../../fixtures/parquet/nested-v1.parquet', import.meta.url))
  const outcomes: unknown[] = []
  for (const [start, end] of pageBodies(good)) {
    const bad = Uint8Array.from(good)
    let literal = start
    while (bad[literal]! >= 0x80) literal++ // the length of the page
    literal += 1
    if (literal + 9 > end) continue
    bad.set([63 << 2, 0xfa, 0xff, 0xff, 0xff], literal)
    outcomes.push(await outcome(bad, NESTED))
  }
  // some pages are of columns that are not read
  expect(outcomes).toContain('corrupt')
})

/** What a page's checksum covers: all but its header. */
function pageBodies(file: Buffer): (readonly [number, number])[] {
  const bodies: (readonly [number, number])[] = []
  const view = new DataView(file.buffer, file.byteOffset, file.length)
  for (const { offset, compressedBytes } of parseFooter(file, 'file').rowGroups.flatMap((group) => group.columns)) {
    for (const reader = { view, offset }; reader.offset < offset + compressedBytes; ) {
      const { compressed_page_size: size } = parquetHeader(reader)
      bodies.push([reader.offset, reader.offset + size])
      reader.offset += size
    }
  }
  return bodies
}
