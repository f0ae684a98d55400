import { expect, test } from 'vitest'
import { FirnError } from '../../../table/errors.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { PROBE_KEY, probeConditionalWrites } from '../../../table/io/probe.ts'
import { failureOf, keysOf, text, utf8 } from './support.ts'

export function conditions(store: () => ObjectStore): void {
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

  test('delete with ifMatch removes the object that has the ETag, and only that', async () => {
    const first = await store().put('k', utf8('1'))
    const second = await store().put('k', utf8('2'))
    const stale = await failureOf(store().delete('k', { ifMatch: first.etag }))
    expect(stale).toMatchObject({ kind: 'conflict', code: 'FIRN_PRECONDITION_FAILED' })
    expect(await store().get('k')).toEqual({ bytes: utf8('2'), etag: second.etag })
    await store().delete('k', { ifMatch: second.etag })
    expect(await keysOf(store(), '')).toEqual([])
  })

  test('delete with the ETag that a listing showed removes the object', async () => {
    await store().put('a/k', utf8('1'))
    for await (const { key, etag } of store().list('a/')) await store().delete(key, { ifMatch: etag })
    expect(await keysOf(store(), '')).toEqual([])
  })

  test('delete with ifMatch of an absent object is no error: a repeated delete finds none', async () => {
    const { etag } = await store().put('k', utf8('1'))
    await store().delete('k', { ifMatch: etag })
    await store().delete('k', { ifMatch: etag })
    await store().put('k', utf8('2'))
    expect((await failureOf(store().delete('k', { ifMatch: '"never-was"' }))).code).toBe('FIRN_PRECONDITION_FAILED')
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
