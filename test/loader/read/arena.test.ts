import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createArena, giveBack, readMemory, takeFrom } from '../../../loader/read/arena.ts'

const MB = 2 ** 20

describe('an arena', () => {
  test('gives out no byte twice until it is given back, and then all of it again', () => {
    const step = fc.record({ take: fc.boolean(), bytes: fc.integer({ min: 1, max: MB }), which: fc.nat() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const arena = createArena(4 * MB)!
        const held: { view: Uint8Array; mark: number }[] = []
        for (const [index, { take, bytes, which }] of steps.entries()) {
          const view = take ? takeFrom(arena, bytes) : undefined
          if (view !== undefined) {
            expect(view.length).toBe(bytes)
            held.push({ view: view.fill(index + 1), mark: index + 1 })
          } else if (!take && held.length > 0) {
            const [gone] = held.splice(which % held.length, 1)
            giveBack(arena, gone!.view)
          }
          for (const { view: other, mark } of held) expect(other.every((byte) => byte === mark)).toBe(true)
        }
        for (const { view } of held) giveBack(arena, view)
        expect(takeFrom(arena, 4 * MB)?.length).toBe(4 * MB)
      }),
      { numRuns: 30 },
    )
  })

  test('has nothing for what does not fit, or is small', () => {
    const arena = createArena(MB)!
    expect(takeFrom(arena, MB + 1)).toBeUndefined()
    expect(takeFrom(arena, 100)).toBeUndefined()
    expect(takeFrom(arena, MB)).toBeDefined()
    expect(takeFrom(arena, MB / 2)).toBeUndefined()
  })

  test('hands out room for stored bytes again, but never to two at a time', () => {
    const memory = readMemory(undefined)
    expect(memory.values(MB)).toBeUndefined()
    const [first, second] = [memory.take(MB), memory.take(MB)]
    expect(first.buffer).not.toBe(second.buffer)
    memory.give(first)
    expect(memory.take(MB / 2).buffer).toBe(first.buffer)
    expect(memory.take(MB / 2).buffer).not.toBe(second.buffer)
  })
})
