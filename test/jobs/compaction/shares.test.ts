import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inputObjects } from '../../../jobs/compaction/inputs.ts'
import type { PlannedInput } from '../../../jobs/compaction/plan.ts'
import { objectsBetween, sharesOf, spread } from '../../../jobs/compaction/shares.ts'

const input: fc.Arbitrary<PlannedInput> = fc.oneof(
  fc.record({
    kind: fc.constant('quarantine' as const),
    path: fc.string(),
    rows: fc.integer({ min: 0, max: 5000 }),
  }),
  fc.array(fc.integer({ min: 0, max: 1e6 }), { minLength: 1, maxLength: 6 }).map((sizes) => ({
    kind: 'chain' as const,
    stream: 's',
    created: 1,
    shardId: 'a',
    from: '5',
    chunks: sizes.map((sizeBytes, index) => ({ after: String(index * 10), key: `k${index}`, sizeBytes })),
    to: String(sizes.length * 10),
  })),
)

describe('shares', () => {
  it('hold every object once, in order, and none is empty', () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 5 }), fc.integer({ min: 1, max: 6 }), (inputs, count) => {
        const shares = sharesOf(inputs, count)
        const of = (parts: readonly PlannedInput[]): unknown[] =>
          inputObjects(parts).map((each) =>
            each.kind === 'chunk' ? [each.ref, each.to] : [each.input.path, each.input.rows],
          )
        expect(shares.flatMap((share) => of(share.inputs))).toEqual(of(inputs))
        expect(shares.length).toBeLessThanOrEqual(count)
        let first = 0
        for (const share of shares) {
          expect(share.firstObject).toBe(first)
          expect(inputObjects(share.inputs).length).toBeGreaterThan(0)
          first += inputObjects(share.inputs).length
        }
      }),
    )
  })

  it('begin a chain where the whole run does, and go on at the chunks’ own positions', () => {
    const chunks = ['0', '10', '20'].map((after) => ({ after, key: after, sizeBytes: 1 }))
    const chain = { kind: 'chain' as const, stream: 's', created: 1, shardId: 'a', from: '5', chunks, to: '30' }
    expect(objectsBetween([chain], 0, 1)).toEqual([{ ...chain, chunks: chunks.slice(0, 1), to: '10' }])
    expect(objectsBetween([chain], 1, 3)).toEqual([{ ...chain, from: '10', chunks: chunks.slice(1) }])
  })

  it('are sampled at different objects', () => {
    expect(spread(3, 48)).toEqual([0, 1, 2])
    expect(spread(1000, 4)).toEqual([125, 375, 625, 875])
  })
})
