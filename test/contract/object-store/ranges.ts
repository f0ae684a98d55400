import { expect, test } from 'vitest'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { failureOf, utf8 } from './support.ts'

export function ranges(store: () => ObjectStore): void {
  test.each([
    ['the beginning', 0, 3, 'abc'],
    ['the middle', 3, 5, 'de'],
    ['the end', 7, 10, 'hij'],
    ['an end behind the object is cut', 7, 1_000_000, 'hij'],
    ['everything', 0, 10, 'abcdefghij'],
    ['an empty range', 4, 4, ''],
    ['a start at the end is empty', 10, 12, ''],
    ['a start behind the end is empty', 100, 200, ''],
  ])('%s', async (_, start, end, expected) => {
    const { etag } = await store().put('k', utf8('abcdefghij'))
    expect(await store().get('k', { range: { start, end } })).toEqual({ bytes: utf8(expected), etag })
  })

  test('any range of an empty object is empty', async () => {
    await store().put('k', new Uint8Array(0))
    expect((await store().get('k', { range: { start: 0, end: 10 } })).bytes.length).toBe(0)
  })

  test('a range of an absent object is not found, an empty one too', async () => {
    for (const range of [
      { start: 0, end: 1 },
      { start: 1, end: 1 },
      { start: 5, end: 9 },
    ]) {
      expect((await failureOf(store().get('none', { range }))).code).toBe('FIRN_OBJECT_NOT_FOUND')
    }
  })

  test('what is not a range is refused', async () => {
    await store().put('k', utf8('abc'))
    for (const [start, end] of [
      [-1, 2],
      [2, 1],
      [0.5, 1],
      [0, Number.NaN],
      [0, Number.POSITIVE_INFINITY],
    ] as const) {
      expect((await failureOf(store().get('k', { range: { start, end } }))).code).toBe('FIRN_INVALID_RANGE')
    }
  })
}
