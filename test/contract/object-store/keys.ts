import { expect, test } from 'vitest'
import { compareKeys } from '../../../table/io/keys.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { failureOf, inParallel, keysOf, text, utf8 } from './support.ts'

export function keys(store: () => ObjectStore): void {
  test('odd but legal keys are stored under exactly their name', async () => {
    const odd = [
      'arrived_at_day=2026-10-01/part 1.parquet',
      'quote\'and"double',
      'percent%20and%2Fslash/%',
      'plus+and&amp;<tag>',
      'at@sign:colon,comma;semicolon$dollar!',
      '#hash?question=mark&x',
      '(parens)[brackets]{braces}|pipe^caret`tick~',
      'ünïcode/ñandú/日本語/😀',
      'e\u0301 is not é',
      ' leading and trailing ',
      '.hidden/..dots../...',
      'file%3A%2F%2F%2Ftmp%2Fx.ndjson/0001.arrows.zst',
    ]
    await inParallel(odd, (key) => store().put(key, utf8(key)))
    for (const key of odd) {
      expect(text((await store().get(key)).bytes)).toBe(key)
      expect((await store().head(key))?.key).toBe(key)
    }
    expect(await keysOf(store(), '')).toEqual([...odd].sort(compareKeys))
    await inParallel(odd, (key) => store().delete(key))
    expect(await keysOf(store(), '')).toEqual([])
  })

  test.each([
    '',
    '/absolute',
    'trailing/',
    'a//b',
    '..',
    '../escape',
    'a/../../escape',
    'a/..',
    '.',
    './a',
    'nul\0byte',
    'line\nbreak',
    'lone \ud800 surrogate',
    '.firn-tmp/x',
    'a/.firn-tmp',
    'x'.repeat(1025),
    'é'.repeat(513),
  ])('the key %j is refused by every operation', async (key) => {
    const calls = [
      () => store().put(key, utf8('x')),
      () => store().get(key),
      () => store().head(key),
      () => store().delete(key),
    ]
    for (const call of calls) {
      expect(await failureOf(call())).toMatchObject({ kind: 'invalid', code: 'FIRN_INVALID_KEY' })
    }
    expect(await keysOf(store(), '')).toEqual([])
  })
}
