/** Copies that are killed, disturbed or pointed at the wrong folder. */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { faultyStore } from '../../../table/io/faulty.ts'
import { type ObjectStore, subStore } from '../../../table/io/object-store.ts'
import { commitFiles, positionDeletes } from '../scan/delete-tables.ts'
import { type Fault, faultyPuts, freshStore, writeRows } from '../support.ts'
import { copyTo, DAY, digests, event, everything, keysOf, reopen, tableWithDeletes } from './copy-support.ts'

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (FirnError.is(error) ? error.code : String(error)),
  )

const MARKER = 'metadata/copy-in-progress.json'

/** `store` with some answers changed. */
function altered(store: ObjectStore, change: Partial<ObjectStore>): ObjectStore {
  return {
    url: store.url,
    put: (key, body, options) => store.put(key, body, options),
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
    ...change,
  }
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => (index === 20 ? byte ^ 1 : byte))

describe('a copy that dies', () => {
  test.each(['before', 'after'] as const)(
    '%s any request to the target: there is no table or a complete one, and the next run completes it',
    async (when) => {
      const source = await tableWithDeletes()
      const [before, expected] = [await everything(source.store), await digests(source)]
      const counting = faultyStore(freshStore(), {
        clock: systemClock,
        seed: 1,
        kill: ({ index }) => {
          calls = index
          return undefined
        },
      })
      let calls = 0
      await copyTo(source, counting)
      expect(calls).toBeGreaterThan(40)
      for (let dies = 1; dies <= calls; dies++) {
        const target = freshStore()
        const kill = ({ index }: { index: number }): 'before' | 'after' | undefined =>
          index === dies ? when : undefined
        const dying = faultyStore(target, { clock: systemClock, seed: 1, kill })
        const code = await codeOf(copyTo(source, dying))
        expect(['none', 'FIRN_STORE_KILLED', 'FIRN_COMMIT_STATE_UNKNOWN']).toContain(code)
        // What stands there may only be whole.
        if ((await target.head('metadata/v1.metadata.json')) !== undefined) {
          expect(await digests(await reopen(target))).toEqual(expected)
        }
        const again = await codeOf(copyTo(source, target))
        // Only a copy that had become a table, and had lost its marker, is taken for a table of others.
        if (again !== 'none') expect(again).toBe('FIRN_COPY_TARGET_NOT_EMPTY')
        expect(await digests(await reopen(target))).toEqual(expected)
        const keys = await keysOf(target)
        expect(keys).toContain('metadata/version-hint.text')
        expect(keys).not.toContain(MARKER)
        expect(keys.length).toBe(4 + 3 + 3 + 2)
      }
      expect(await everything(source.store)).toEqual(before)
    },
    60_000,
  )

  test('at any request to the source leaves no table', async () => {
    const source = await tableWithDeletes()
    const expected = await digests(source)
    for (let dies = 1; ; dies++) {
      const target = freshStore()
      const kill = ({ index }: { index: number }): 'before' | undefined => (index === dies ? 'before' : undefined)
      const store = faultyStore(source.store, { clock: systemClock, seed: 1, kill })
      const dying = Object.defineProperty(Object.create(source), 'store', { value: store }) as typeof source
      if ((await codeOf(copyTo(dying, target))) === 'none') {
        expect(dies).toBeGreaterThan(20)
        break
      }
      expect(await target.head('metadata/v1.metadata.json')).toBeUndefined()
      await copyTo(source, target)
      expect(await digests(await reopen(target))).toEqual(expected)
    }
  }, 60_000)

  test('does not copy again what is there', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    await codeOf(
      copyTo(
        source,
        faultyPuts(target, (key) => (key.endsWith('.avro') ? 'before' : undefined)),
      ),
    )
    const puts: string[] = []
    const watched = altered(target, {
      put: (key, body, options) => {
        puts.push(key)
        return target.put(key, body, options)
      },
    })
    const { kept } = await copyTo(source, watched)
    expect(kept).toBe(2)
    expect(puts.filter((key) => key.endsWith('.parquet') && !key.includes('deletes-'))).toEqual([])
  })

  test('takes lost answers for what they are', async () => {
    const source = await tableWithDeletes()
    const expected = await digests(source)
    for (const part of ['.parquet', '-m0.avro', 'snap-', 'v1.metadata', 'version-hint', 'copy-in-progress']) {
      const target = freshStore()
      let lost = false
      const fault = (key: string): Fault => {
        if (lost || !key.includes(part)) return undefined
        lost = true
        return 'after'
      }
      const code = await codeOf(copyTo(source, faultyPuts(target, fault)))
      expect(lost, part).toBe(true)
      expect(['none', 'FIRN_STORE_UNAVAILABLE'], part).toContain(code)
      if (code !== 'none') await copyTo(source, target)
      expect(await digests(await reopen(target)), part).toEqual(expected)
    }
  })

  test('gives the copy the same uuid in every try', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    await codeOf(
      copyTo(
        source,
        faultyPuts(target, (key) => (key.includes('v1.metadata') ? 'before' : undefined)),
      ),
    )
    const marker = JSON.parse(Buffer.from((await target.get(MARKER)).bytes).toString('utf8')) as { new_uuid: string }
    expect((await copyTo(source, target)).table.metadata.tableUuid).toBe(marker.new_uuid)
  })
})

describe('a byte that changes on the way', () => {
  const isData = (key: string): boolean => key.startsWith('data/') && !key.includes('deletes-')

  test('into the target is found, and the next try mends it', async () => {
    const source = await tableWithDeletes()
    for (const part of ['.parquet', 'deletes-', '.avro']) {
      const target = freshStore()
      let damaged = 0
      const once = altered(target, {
        put: (key, body, options) => {
          const isDue = key.includes(part) && damaged++ === 0
          return target.put(key, isDue ? flipped(body) : body, options)
        },
      })
      await copyTo(source, once)
      expect(damaged, part).toBeGreaterThan(1)
      expect(await digests(await reopen(target)), part).toEqual(await digests(source))
    }
  })

  test('into the target every time is an error that names the object, and no table', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    const always = altered(target, {
      put: (key, body, options) => target.put(key, isData(key) ? flipped(body) : body, options),
    })
    const failure = await copyTo(source, always).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'FIRN_COPY_DIFFERS', kind: 'corrupt' })
    expect(String(failure)).toMatch(/data\/.*\.parquet/)
    expect(await target.head('metadata/v1.metadata.json')).toBeUndefined()
    expect((await keysOf(target)).filter(isData)).toEqual([])
  })

  test('out of the source is found by a second reading', async () => {
    const source = await tableWithDeletes()
    let damaged = 0
    const store = altered(source.store, {
      get: async (key, options) => {
        const found = await source.store.get(key, options)
        const isDue = isData(key) && options?.range === undefined && damaged++ === 0
        return isDue ? { ...found, bytes: flipped(found.bytes) } : found
      },
    })
    const unsteady = Object.defineProperty(Object.create(source), 'store', { value: store }) as typeof source
    const target = freshStore()
    await copyTo(unsteady, target)
    expect(damaged).toBeGreaterThan(1)
    expect(await digests(await reopen(target))).toEqual(await digests(source))
  })

  test('in the source itself is found where its digest was recorded', async () => {
    const source = await tableWithDeletes()
    const [key] = (await keysOf(source.store)).filter(isData)
    const good = (await source.store.get(key!)).bytes
    const { createHash } = await import('node:crypto')
    const sha256 = createHash('sha256').update(good).digest('hex')
    await source.store.put(key!, flipped(good))
    const sha256Of = (path: string): string | undefined => (path.endsWith(key!) ? sha256 : undefined)
    expect(await codeOf(copyTo(source, freshStore(), { sha256Of }))).toBe('FIRN_COPY_DIFFERS')
  })

  test('left by a copy that died is replaced by the next run', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    await codeOf(
      copyTo(
        source,
        faultyPuts(target, (key) => (key.includes('v1.metadata') ? 'before' : undefined)),
      ),
    )
    for (const key of await keysOf(target)) {
      if (key !== MARKER) await target.put(key, flipped((await target.get(key)).bytes))
    }
    const { kept } = await copyTo(source, target)
    expect(kept).toBe(0)
    expect(await digests(await reopen(target))).toEqual(await digests(source))
  })

  test('in a manifest list that no compared row hangs on is found by comparing entries', async () => {
    const source = await tableWithDeletes()
    const [old, newer] = source.metadata.snapshots.map(({ manifestList }) =>
      manifestList!.slice(source.location.length + 1),
    )
    let reads = 0
    // Whole, but another: what a cache that mixes up its objects would answer.
    const store = altered(source.store, {
      get: (key, options) => source.store.get(key === old && ++reads === 2 ? newer! : key, options),
    })
    const unsteady = Object.defineProperty(Object.create(source), 'store', { value: store }) as typeof source
    const target = freshStore()
    expect(await codeOf(copyTo(unsteady, target))).toBe('FIRN_COPY_DIFFERS')
    expect(await target.head('metadata/v1.metadata.json')).toBeUndefined()
  })

  test('in rows alone is found by their digest', async () => {
    const source = await tableWithDeletes()
    const [task] = await source.scan().planFiles()
    const own = task!.deletes[0]!.file.filePath.slice(source.location.length + 1)
    const other = await positionDeletes(source, [[task!.file.filePath, 2]])
    const wrong = (await source.store.get(other.filePath.slice(source.location.length + 1))).bytes
    expect(wrong.length).toBe((await source.store.get(own)).bytes.length)
    let reads = 0
    // Another row is deleted in what the copy is made of: footer and rows, one request each.
    const store = altered(source.store, {
      get: (key, options) =>
        source.store.get(key === own && ++reads <= 2 ? other.filePath.slice(source.location.length + 1) : key, options),
    })
    const unsteady = Object.defineProperty(Object.create(source), 'store', { value: store }) as typeof source
    const failure = await copyTo(unsteady, freshStore()).catch((error: unknown) => error)
    expect(reads).toBeGreaterThan(2)
    expect(failure).toMatchObject({ code: 'FIRN_COPY_DIFFERS' })
    expect(String(failure)).toMatch(/3 rows .* became/)
  })
})

describe('the target', () => {
  test('must be empty, or hold an unfinished copy of the same table', async () => {
    const source = await tableWithDeletes()
    const used = freshStore()
    await used.put('notes.txt', Buffer.from('mine'))
    expect(await codeOf(copyTo(source, used))).toBe('FIRN_COPY_TARGET_NOT_EMPTY')
    expect(await keysOf(used)).toEqual(['notes.txt'])

    const done = freshStore()
    await copyTo(source, done)
    const before = await everything(done)
    expect(await codeOf(copyTo(source, done))).toBe('FIRN_COPY_TARGET_NOT_EMPTY')
    expect(await everything(done)).toEqual(before)

    const other = await tableWithDeletes()
    const begun = freshStore()
    await codeOf(
      copyTo(
        other,
        faultyPuts(begun, (key) => (key.endsWith('.parquet') ? 'before' : undefined)),
      ),
    )
    expect(await codeOf(copyTo(source, begun))).toBe('FIRN_COPY_TARGET_NOT_EMPTY')
    await copyTo(other, begun)
  })

  test('lies apart from the source', async () => {
    const warehouse = freshStore()
    const source = await tableWithDeletes(warehouse)
    for (const target of [source.store, warehouse, subStore(source.store, 'backup')]) {
      expect(await codeOf(copyTo(source, target))).toBe('FIRN_COPY_TARGET_NOT_EMPTY')
    }
    expect(await codeOf(copyTo(source, subStore(warehouse, 't/events2')))).toBe('none')
  })

  test('must honour conditional writes', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    const careless = altered(target, { put: (key, body, { signal } = {}) => target.put(key, body, { signal }) })
    expect(await codeOf(copyTo(source, careless))).toBe('FIRN_CONDITIONAL_WRITES_IGNORED')
    expect(await keysOf(target)).toEqual([MARKER])
  })

  test('takes one copy where two run at once', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    const codes = await Promise.all([codeOf(copyTo(source, target)), codeOf(copyTo(source, target))])
    expect(codes).toContain('none')
    expect(await digests(await reopen(target))).toEqual(await digests(source))
  })

  test('that became another copy of the table before its marker went is not taken for this one', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    const dying = altered(target, { delete: () => Promise.reject(new Error('died')) })
    expect(await codeOf(copyTo(source, dying))).toBe('Error: died')
    expect(await codeOf(copyTo(source, target, { snapshots: 'current' }))).toBe('FIRN_COPY_TARGET_NOT_EMPTY')
    expect(await target.head(MARKER)).toBeDefined()
    expect(await codeOf(copyTo(source, target))).toBe('none')
    expect(await target.head(MARKER)).toBeUndefined()
  })

  test('that became a table and was committed to since is left alone', async () => {
    const source = await tableWithDeletes()
    const target = freshStore()
    const copy = (await copyTo(source, target)).table
    await commitFiles(copy, await writeRows(copy, [event(DAY, 9)], [DAY]))
    const before = await everything(target)
    expect(await codeOf(copyTo(source, target))).toBe('FIRN_COPY_TARGET_NOT_EMPTY')
    expect(await everything(target)).toEqual(before)
  })
})

test('an aborted copy stops, and can go on', async () => {
  const source = await tableWithDeletes()
  const target = freshStore()
  const controller = new AbortController()
  const watched = altered(target, {
    put: (key, body, options) => {
      if (key.endsWith('.avro')) controller.abort(new Error('enough'))
      return target.put(key, body, options)
    },
  })
  expect(await codeOf(copyTo(source, watched, { signal: controller.signal }))).toBe('Error: enough')
  expect(await target.head('metadata/v1.metadata.json')).toBeUndefined()
  await copyTo(source, target)
})
