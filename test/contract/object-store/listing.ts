import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareKeys } from '../../../table/io/keys.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { inParallel, keysOf, utf8 } from './support.ts'

/** In byte order; JavaScript's own order would put the emoji before U+FF5E. */
const ORDERED = [
  'A',
  'a-b',
  'a.b',
  'a/b',
  'a/b0',
  'a/c-d/e',
  'a/c/e',
  'a/c0',
  'a0',
  'aa/b',
  'b%2Fc',
  'b%2fc',
  'b=1/c',
  'zürich',
  'é/x',
  '日本',
  '～',
  '😀',
]

export function listing(store: () => ObjectStore): void {
  test('keys come in UTF-8 byte order of the whole key, whatever the order of the puts', async () => {
    await inParallel([...ORDERED].reverse(), (key) => store().put(key, utf8(key)))
    expect(await keysOf(store(), '')).toEqual(ORDERED)
  })

  test('a prefix need not end at a slash; startAfter is exclusive and need not exist', async () => {
    await inParallel(ORDERED, (key) => store().put(key, utf8(key)))
    for (const prefix of ['a', 'a/', 'a/c', 'a/c/', 'b%2', 'x', 'é', '/', 'a//', 'a/../', '../', './a', '.']) {
      for (const startAfter of [undefined, 'a', 'a/b', 'a/bb', 'a/c', 'a/c/', 'a/d', 'a/c/e', 'Z', '～', '😀']) {
        const expected = ORDERED.filter(
          (key) => key.startsWith(prefix) && (startAfter === undefined || compareKeys(key, startAfter) > 0),
        )
        expect(await keysOf(store(), prefix, startAfter), `${prefix} after ${startAfter}`).toEqual(expected)
      }
    }
  })

  test('2,100 keys come page by page, whole and once, also from the middle on', async () => {
    const all = Array.from({ length: 2_100 }, (_, i) => `many/${String(i).padStart(5, '0')}`)
    await inParallel(all, (key) => store().put(key, utf8('x')))
    expect(await keysOf(store(), 'many/')).toEqual(all)
    expect(await keysOf(store(), 'many/', 'many/00999')).toEqual(all.slice(1_000))
  })

  test('an empty store and a prefix without keys list as empty', async () => {
    expect(await keysOf(store(), '')).toEqual([])
    expect(await keysOf(store(), 'no/such/')).toEqual([])
  })

  test('a listing can be left early', async () => {
    await inParallel(ORDERED, (key) => store().put(key, utf8(key)))
    for await (const info of store().list('')) {
      expect(info.key).toBe('A')
      break
    }
  })

  test('any keys list as a sorted and filtered set would (property)', async () => {
    const segment = fc.string({
      unit: fc.constantFrom('a', 'b', '-', '.x', '0', '_', 'é', '😀', '～', ' y', '%'),
      minLength: 1,
      maxLength: 3,
    })
    const key = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/'))
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(key, { maxLength: 12 }), key, key, async (keys, prefix, startAfter) => {
        const folder = `run${run++}/`
        // A file system cannot have an object `a` beside `a/b`, nor `.` and `..` as names.
        const usable = [...new Set(keys)].filter(
          (a) =>
            !keys.some((b) => b.startsWith(`${a}/`)) && a.split('/').every((part) => part !== '.' && part !== '..'),
        )
        await Promise.all(usable.map((name) => store().put(folder + name, utf8(name))))
        const sorted = usable
          .map((name) => folder + name)
          .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        const cut = folder + prefix.slice(0, 2)
        expect(await keysOf(store(), folder)).toEqual(sorted)
        if (!cut.isWellFormed()) return
        expect(await keysOf(store(), cut)).toEqual(sorted.filter((name) => name.startsWith(cut)))
        expect(await keysOf(store(), folder, folder + startAfter)).toEqual(
          sorted.filter((name) => Buffer.compare(Buffer.from(name), Buffer.from(folder + startAfter)) > 0),
        )
      }),
      { numRuns: 25 },
    )
  })
}
