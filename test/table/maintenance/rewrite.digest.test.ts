/** The digest of rows: the same in any order and any batches, another one for any other rows. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { collectDigest } from '../../../table/maintenance/rewrite/digest.ts'
import { pickRows } from '../../../table/sort/pick-rows.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import { type AnyRow, batchOfRows } from './rewrite-support.ts'

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'n', required: false, type: 'int' },
    { id: 2, name: 'm', required: false, type: 'int' },
    { id: 3, name: 's', required: false, type: 'string' },
    { id: 4, name: 'd', required: false, type: 'double' },
    { id: 5, name: 'b', required: false, type: 'boolean' },
    {
      id: 6,
      name: 'l',
      required: false,
      type: { type: 'list', elementId: 7, elementRequired: false, element: 'string' },
    },
    {
      id: 8,
      name: 'o',
      required: false,
      type: {
        type: 'struct',
        fields: [
          { id: 9, name: 'x', required: false, type: 'long' },
          { id: 10, name: 'y', required: false, type: 'long' },
        ],
      },
    },
    { id: 11, name: 'p', required: false, type: 'decimal(20, 2)' },
    { id: 12, name: 'f', required: false, type: 'fixed[5]' },
  ],
}

const digestOf = (...batches: readonly (readonly AnyRow[])[]) => {
  const digest = collectDigest()
  for (const rows of batches) digest.add(batchOfRows(SCHEMA, rows))
  return digest.digest()
}

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))

test.each<readonly [string, AnyRow, AnyRow]>([
  ['another number', { n: 1 }, { n: 2 }],
  ['a value in another column of its type', { n: 1 }, { m: 1 }],
  ['null in place of zero', { n: 0 }, { n: null }],
  ['null in place of an empty text', { s: '' }, { s: null }],
  ['a text one letter longer', { s: 'abc' }, { s: 'abcd' }],
  ['a text that differs in its last byte', { s: `${'x'.repeat(33)}a` }, { s: `${'x'.repeat(33)}b` }],
  [
    'a text with two pieces exchanged',
    { s: `${'a'.repeat(16)}${'b'.repeat(16)}` },
    { s: `${'b'.repeat(16)}${'a'.repeat(16)}` },
  ],
  ['a text with a zero byte at its end', { s: 'a' }, { s: 'a\u0000' }],
  ['the other zero', { d: 0 }, { d: -0 }],
  ['NaN in place of zero', { d: Number.NaN }, { d: 0 }],
  ['the other truth', { b: true }, { b: false }],
  ['an empty list in place of none', { l: [] }, { l: null }],
  ['a list in another order', { l: ['a', 'b'] }, { l: ['b', 'a'] }],
  ['a list cut elsewhere', { l: ['ab', ''] }, { l: ['a', 'b'] }],
  ['a list with a null', { l: ['a', null] }, { l: ['a'] }],
  ['members exchanged', { o: { x: 1n, y: 2n } }, { o: { x: 2n, y: 1n } }],
  ['a struct of nulls in place of none', { o: { x: null, y: null } }, { o: null }],
  ['a decimal that differs far up', { p: 1n }, { p: 1n + (1n << 64n) }],
  ['other fixed bytes', { f: bytes('abcde') }, { f: bytes('abcdf') }],
])('%s has another digest', (_name, a, b) => {
  expect(digestOf([a])).not.toEqual(digestOf([b]))
})

describe('rows', () => {
  test('that exchange values have another digest, though every column holds the same values', () => {
    const found = Array.from({ length: 200 }, (_, n) => {
      const straight = digestOf([
        { n, s: 'a' },
        { n: n + 1000, s: 'b' },
      ])
      const crossed = digestOf([
        { n, s: 'b' },
        { n: n + 1000, s: 'a' },
      ])
      return straight.hash === crossed.hash
    })
    expect(found).not.toContain(true)
  })

  test('that come twice count twice', () => {
    expect(digestOf([{ n: 1 }, { n: 1 }])).not.toEqual(digestOf([{ n: 1 }]))
    expect(digestOf([{ n: 1 }, { n: 1 }, { n: 2 }, { n: 2 }])).not.toEqual(
      digestOf([{ n: 1 }, { n: 1 }, { n: 1 }, { n: 2 }]),
    )
  })

  test('of every NaN are alike: encoders do not keep its bits', () => {
    const odd = batchOfRows(SCHEMA, [{ d: 1 }])
    const words = new Uint32Array((odd.data.children[3]!.values as Float64Array).buffer, 0, 2)
    words.set([1, 0xfff8_0000])
    const digest = collectDigest()
    digest.add(odd)
    expect(digest.digest()).toEqual(digestOf([{ d: Number.NaN }]))
  })

  const row: fc.Arbitrary<AnyRow> = fc.record({
    n: fc.option(fc.integer()),
    s: fc.option(fc.string({ unit: 'binary', maxLength: 40 })),
    b: fc.option(fc.boolean()),
    l: fc.option(fc.array(fc.option(fc.string({ maxLength: 4 })), { maxLength: 4 })),
    o: fc.option(fc.record({ x: fc.option(fc.bigInt({ min: -5n, max: 5n })), y: fc.constant(3n) })),
    f: fc.option(fc.uint8Array({ minLength: 5, maxLength: 5 })),
  })

  test('have one digest in any order and any batches, views of batches included', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), fc.nat(), fc.nat(), (rows, seed, cut) => {
        const expected = digestOf(rows)
        const batch = batchOfRows(SCHEMA, rows)
        const order = rows
          .map((_, index) => index)
          .sort((a, b) => ((a * 7919 + seed) % 101) - ((b * 7919 + seed) % 101))
        const picks = { sources: new Int32Array(rows.length), rows: Int32Array.from(order), count: rows.length }
        const shuffled = pickRows([batch], picks)
        const at = cut % (rows.length + 1)
        const digest = collectDigest()
        digest.add(shuffled.slice(0, at))
        digest.add(shuffled.slice(at))
        expect(digest.digest()).toEqual(expected)
      }),
    )
  })
})
