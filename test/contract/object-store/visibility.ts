import { expect, test } from 'vitest'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { inParallel, keysOf, text, utf8 } from './support.ts'

export function visibility(store: () => ObjectStore): void {
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
