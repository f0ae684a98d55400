import { describe, expect, it } from 'vitest'
import { readAhead } from '../../../loader/batches/read-ahead.ts'

const turns = async (count = 20): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve()
}

function counted(length: number): { source: AsyncGenerator<number, void, undefined>; made: number[] } {
  const made: number[] = []
  async function* numbers(): AsyncGenerator<number, void, undefined> {
    for (let n = 0; n < length; n++) {
      made.push(n)
      yield n
    }
  }
  return { source: numbers(), made }
}

describe('readAhead', () => {
  it('makes nothing before it is asked, then as many as it may', async () => {
    const { source, made } = counted(10)
    const ahead = readAhead(source, 3, () => {})
    await turns()
    expect(made).toEqual([])
    expect(await ahead.next()).toEqual({ done: false, value: 0 })
    await turns()
    expect(made).toEqual([0, 1, 2, 3])
  })

  it('gives overlapping calls their items in order, and ends each call after the end', async () => {
    const ahead = readAhead(counted(3).source, 1, () => {})
    const results = await Promise.all(Array.from({ length: 6 }, () => ahead.next()))
    expect(results.map((result) => (result.done === true ? 'done' : result.value))).toEqual([
      0,
      1,
      2,
      'done',
      'done',
      'done',
    ])
    expect(await ahead.next()).toEqual({ done: true, value: undefined })
  })

  it('fails at the item that failed, not earlier, and is over then', async () => {
    async function* failing(): AsyncGenerator<number, void, undefined> {
      yield 1
      throw new Error('broken')
    }
    const ahead = readAhead(failing(), 4, () => {})
    expect((await ahead.next()).value).toBe(1)
    await expect(ahead.next()).rejects.toThrow('broken')
    expect((await ahead.next()).done).toBe(true)
  })

  it('tells before it ends the source, so that a call that hangs can give up', async () => {
    const leave = new AbortController()
    let cleaned = false
    async function* hanging(): AsyncGenerator<number, void, undefined> {
      try {
        yield 1
        await new Promise((_resolve, reject) => leave.signal.addEventListener('abort', () => reject(new Error('left'))))
      } finally {
        cleaned = true
      }
    }
    const ahead = readAhead(hanging(), 2, () => leave.abort())
    await ahead.next()
    await ahead.return()
    expect(cleaned).toBe(true)
    expect((await ahead.next()).done).toBe(true)
  })
})
