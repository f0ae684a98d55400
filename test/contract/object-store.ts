/**
 * What every object store adapter must show, as one vitest suite. `open` gives an empty store of its own to each
 * test; nothing here knows which adapter it is talking to.
 */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FirnError } from '../../table/errors.ts'
import { compareKeys } from '../../table/io/keys.ts'
import { getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import { PROBE_KEY, probeConditionalWrites } from '../../table/io/probe.ts'

export interface OpenedStore {
  readonly store: ObjectStore
  close(): Promise<void>
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** The `FirnError` that `promise` rejects with; any other outcome fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<FirnError> {
  const outcome = await promise.then(
    (value) => new Error(`expected a FirnError, got the value ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  if (FirnError.is(outcome)) return outcome
  throw outcome
}

export async function keysOf(store: ObjectStore, prefix: string, startAfter?: string): Promise<string[]> {
  const keys: string[] = []
  for await (const info of store.list(prefix, startAfter === undefined ? {} : { startAfter })) keys.push(info.key)
  return keys
}

/** `work` over `items`, at most 32 at a time. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: 32 }, lane))
}

export function objectStoreContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(`object store contract: ${name}`, () => {
    let opened: OpenedStore
    let store: ObjectStore
    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.close())

    describe('whole objects', () => wholeObjects(() => store))
    describe('conditions', () => conditions(() => store))
    describe('ranges', () => ranges(() => store))
    describe('listing', () => listing(() => store))
    describe('keys', () => keys(() => store))
    describe('visibility and abort', () => visibility(() => store))
  })
}

function wholeObjects(store: () => ObjectStore): void {
  test('a put is read back with its bytes and its ETag, by get, head and list alike', async () => {
    const { etag } = await store().put('ns/table/a.bin', Uint8Array.of(0, 1, 255))
    const found = await store().get('ns/table/a.bin')
    expect(found).toEqual({ bytes: Uint8Array.of(0, 1, 255), etag })
    const info = await store().head('ns/table/a.bin')
    expect(info).toMatchObject({ key: 'ns/table/a.bin', sizeBytes: 3, etag })
    expect(Math.abs(Date.now() - info!.lastModifiedMillis)).toBeLessThan(3_600_000)
    for await (const listed of store().list(''))
      expect(listed).toMatchObject({ key: 'ns/table/a.bin', sizeBytes: 3, etag })
  })

  test('a second put replaces the object and its ETag', async () => {
    const first = await store().put('k', utf8('one'))
    const second = await store().put('k', utf8('two'))
    expect(second.etag).not.toBe(first.etag)
    expect(text((await store().get('k')).bytes)).toBe('two')
  })

  test('an empty object is an object', async () => {
    await store().put('empty', new Uint8Array(0))
    expect((await store().get('empty')).bytes.length).toBe(0)
    expect((await store().head('empty'))?.sizeBytes).toBe(0)
    expect(await keysOf(store(), '')).toEqual(['empty'])
  })

  test('20 MB come back byte for byte', async () => {
    const body = new Uint8Array(20_000_000)
    for (let i = 0; i < body.length; i++) body[i] = (i * 2_654_435_761) >>> 24
    await store().put('big', body)
    const { bytes } = await store().get('big')
    expect(bytes.length).toBe(body.length)
    expect(Buffer.compare(bytes, body)).toBe(0)
    expect((await store().head('big'))?.sizeBytes).toBe(body.length)
  })

  test('what is stored does not change with the array that was put or got', async () => {
    const body = utf8('stays')
    await store().put('k', body)
    body.fill(0)
    const { bytes } = await store().get('k')
    bytes.fill(0)
    expect(text((await store().get('k')).bytes)).toBe('stays')
  })

  test('an absent object is not found by get, undefined for head and getIfExists, nothing to delete', async () => {
    const error = await failureOf(store().get('no/such/key'))
    expect(error).toMatchObject({ kind: 'not-found', code: 'FIRN_OBJECT_NOT_FOUND' })
    expect(await store().head('no/such/key')).toBeUndefined()
    expect(await getIfExists(store(), 'no/such/key')).toBeUndefined()
    await store().delete('no/such/key')
  })

  test('a folder of objects is not an object', async () => {
    await store().put('ns/table/a', utf8('a'))
    expect(await store().head('ns/table')).toBeUndefined()
    expect(await failureOf(store().get('ns'))).toMatchObject({ code: 'FIRN_OBJECT_NOT_FOUND' })
    await store().delete('ns')
    expect(await keysOf(store(), '')).toEqual(['ns/table/a'])
  })

  test('a deleted object is gone, its neighbours stay, and its key can be created again', async () => {
    await store().put('a/b/c', utf8('1'))
    await store().put('a/d', utf8('2'))
    await store().delete('a/b/c')
    expect(await store().head('a/b/c')).toBeUndefined()
    expect(await keysOf(store(), '')).toEqual(['a/d'])
    await store().put('a/b/c', utf8('3'), { ifNoneMatch: '*' })
    expect(text((await store().get('a/b/c')).bytes)).toBe('3')
  })

  test('a key can be used whose folder was emptied', async () => {
    await store().put('a/b', utf8('1'))
    await store().delete('a/b')
    await store().put('a', utf8('2'), { ifNoneMatch: '*' })
    expect(await keysOf(store(), '')).toEqual(['a'])
  })
}

function conditions(store: () => ObjectStore): void {
  test('create-only refuses a key that exists and leaves it as it is', async () => {
    await store().put('k', utf8('first'), { ifNoneMatch: '*' })
    const error = await failureOf(store().put('k', utf8('second'), { ifNoneMatch: '*' }))
    expect(error).toMatchObject({ kind: 'conflict', code: 'FIRN_PRECONDITION_FAILED' })
    expect(text((await store().get('k')).bytes)).toBe('first')
  })

  test('of 32 parallel creators of one key exactly one wins, and its bytes are the object', async () => {
    for (let round = 0; round < 5; round++) {
      const key = `race/${round}`
      const outcomes = await Promise.all(
        Array.from({ length: 32 }, (_, i) =>
          store()
            .put(key, utf8(`creator ${i}`), { ifNoneMatch: '*' })
            .then(
              ({ etag }) => ({ i, etag }),
              (error: unknown) => FirnError.is(error) && error.code,
            ),
        ),
      )
      const winners = outcomes.filter((outcome) => typeof outcome === 'object')
      expect(winners).toHaveLength(1)
      expect(outcomes.filter((outcome) => outcome === 'FIRN_PRECONDITION_FAILED')).toHaveLength(31)
      const { bytes, etag } = await store().get(key)
      expect(text(bytes)).toBe(`creator ${winners[0]!.i}`)
      expect(etag).toBe(winners[0]!.etag)
    }
  })

  test('ifMatch replaces the object that has the ETag, and only that', async () => {
    const first = await store().put('k', utf8('1'))
    const second = await store().put('k', utf8('2'), { ifMatch: first.etag })
    const stale = await failureOf(store().put('k', utf8('3'), { ifMatch: first.etag }))
    expect(stale).toMatchObject({ kind: 'conflict', code: 'FIRN_PRECONDITION_FAILED' })
    expect(await store().get('k')).toEqual({ bytes: utf8('2'), etag: second.etag })
  })

  test('ifMatch with an ETag that never was is refused', async () => {
    await store().put('k', utf8('1'))
    const error = await failureOf(store().put('k', utf8('2'), { ifMatch: '"0123456789abcdef0123456789abcdef"' }))
    expect(error.code).toBe('FIRN_PRECONDITION_FAILED')
    expect(text((await store().get('k')).bytes)).toBe('1')
  })

  test('ifMatch on an absent key is a lost race, and creates nothing', async () => {
    const { etag } = await store().put('k', utf8('1'))
    await store().delete('k')
    expect(await failureOf(store().put('k', utf8('2'), { ifMatch: etag }))).toMatchObject({
      kind: 'conflict',
      code: 'FIRN_PRECONDITION_FAILED',
    })
    expect(await keysOf(store(), '')).toEqual([])
  })

  test('of 16 parallel writers with one ETag exactly one wins', async () => {
    const { etag } = await store().put('k', utf8('base'))
    const outcomes = await Promise.allSettled(
      Array.from({ length: 16 }, (_, i) => store().put('k', utf8(`writer ${i}`), { ifMatch: etag })),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'FIRN_PRECONDITION_FAILED' })
    }
  })

  test('a counter that many increment by ifMatch loses no increment', async () => {
    await store().put('counter', utf8('0'))
    const increment = async (): Promise<void> => {
      for (;;) {
        const { bytes, etag } = await store().get('counter')
        const next = utf8(String(Number(text(bytes)) + 1))
        const done = await store()
          .put('counter', next, { ifMatch: etag })
          .then(
            () => true,
            (error: unknown) => !FirnError.is(error, 'FIRN_PRECONDITION_FAILED') && Promise.reject(error),
          )
        if (done) return
      }
    }
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 10; i++) await increment()
      }),
    )
    expect(text((await store().get('counter')).bytes)).toBe('40')
  })

  test('both conditions at once are refused', async () => {
    const error = await failureOf(store().put('k', utf8('1'), { ifNoneMatch: '*', ifMatch: '"x"' }))
    expect(error).toMatchObject({ kind: 'invalid', code: 'FIRN_INVALID_OPTION' })
    expect(await store().head('k')).toBeUndefined()
  })

  test('the probe finds that conditional writes are honoured, twice', async () => {
    await probeConditionalWrites(store())
    await probeConditionalWrites(store())
    expect(await keysOf(store(), '')).toEqual([PROBE_KEY])
  })
}

function ranges(store: () => ObjectStore): void {
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

function listing(store: () => ObjectStore): void {
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

function keys(store: () => ObjectStore): void {
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

function visibility(store: () => ObjectStore): void {
  test('a reader sees the old object or the new one, never a part, while big objects replace each other', async () => {
    const sizes = [3_000_000, 5_000_000]
    const bodies = sizes.map((size, i) => new Uint8Array(size).fill(i + 1))
    await store().put('k', bodies[0]!)
    let writing = true
    let reads = 0
    const reader = async (): Promise<void> => {
      while (writing) {
        const { bytes } = await store().get('k')
        const info = await store().head('k')
        const body = bodies[bytes[0]! - 1]
        expect(body !== undefined && Buffer.compare(bytes, body) === 0, `a mix of ${bytes.length} bytes`).toBe(true)
        expect(sizes).toContain(info?.sizeBytes)
        reads++
      }
    }
    const readers = [reader(), reader()]
    for (let i = 1; i <= 12; i++) await store().put('k', bodies[i % 2]!)
    writing = false
    await Promise.all(readers)
    expect(reads).toBeGreaterThan(0)
  })

  test('a listing during creations shows whole objects only', async () => {
    const body = new Uint8Array(1_000_000)
    let writing = true
    const lister = async (): Promise<void> => {
      while (writing) for await (const info of store().list('')) expect(info.sizeBytes).toBe(body.length)
    }
    const listers = [lister(), lister()]
    await inParallel(
      Array.from({ length: 24 }, (_, i) => `n/${i}`),
      (key) => store().put(key, body, { ifNoneMatch: '*' }),
    )
    writing = false
    await Promise.all(listers)
    expect(await keysOf(store(), 'n/')).toHaveLength(24)
  })

  test('an aborted signal rejects with its reason before anything happens', async () => {
    await store().put('k', utf8('old'))
    const reason = new Error('stop now')
    const signal = AbortSignal.abort(reason)
    const listOne = async () => {
      for await (const info of store().list('', { signal })) return info
      return undefined
    }
    const calls: (() => Promise<unknown>)[] = [
      () => store().put('k', utf8('new'), { signal }),
      () => store().put('other', utf8('new'), { signal, ifNoneMatch: '*' }),
      () => store().get('k', { signal }),
      () => store().head('k', { signal }),
      () => store().delete('k', { signal }),
      listOne,
    ]
    for (const call of calls) await expect(call()).rejects.toBe(reason)
    expect(text((await store().get('k')).bytes)).toBe('old')
    expect(await keysOf(store(), '')).toEqual(['k'])
  })

  test('an abort in the middle of a put leaves the old object or the new one', async () => {
    const [before, after] = [new Uint8Array(10).fill(1), new Uint8Array(16_000_000).fill(2)]
    await store().put('k', before)
    for (let i = 0; i < 8; i++) {
      const stop = new AbortController()
      const put = store().put('k', after, { signal: stop.signal })
      put.catch(() => {})
      for (let turn = 0; turn < i * 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      stop.abort(new Error('stop'))
      await put.catch((error: unknown) => expect(error).toMatchObject({ message: 'stop' }))
      const { bytes } = await store().get('k')
      expect(Buffer.compare(bytes, bytes[0] === 1 ? before : after)).toBe(0)
    }
    expect(await keysOf(store(), '')).toEqual(['k'])
  })
}
