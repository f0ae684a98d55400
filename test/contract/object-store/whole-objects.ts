import { expect, test } from 'vitest'
import { getIfExists, type ObjectStore } from '../../../table/io/object-store.ts'
import { failureOf, keysOf, text, utf8 } from './support.ts'

export function wholeObjects(store: () => ObjectStore): void {
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
