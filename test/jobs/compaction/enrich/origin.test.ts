import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { comparePositions } from '../../../../ingest/index.ts'
import { type OriginParts, originText } from '../../../../jobs/compaction/enrich/origin.ts'

const millis = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
)
const name = fc.oneof(
  fc.constantFrom('a', 'a-', 'a.b', 'ab', 'B', 'shard-0', 'shard-00'),
  fc.stringMatching(/^[a-zA-Z0-9_.-]{1,12}$/),
)
const origin: fc.Arbitrary<OriginParts> = fc.record({
  arrivalMillis: millis,
  stream: name,
  created: millis,
  shardId: name,
  sequenceNumber: fc.oneof(fc.nat(20), fc.bigInt({ min: 0n, max: 10n ** 64n - 1n })).map(String),
  subSequenceNumber: fc.oneof(fc.nat(12), fc.nat(99_999_999)),
})

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Field by field, as the definition says it. */
function compareOrigins(a: OriginParts, b: OriginParts): number {
  return (
    a.arrivalMillis - b.arrivalMillis ||
    compareText(a.stream, b.stream) ||
    a.created - b.created ||
    compareText(a.shardId, b.shardId) ||
    comparePositions(a.sequenceNumber, b.sequenceNumber) ||
    (a.subSequenceNumber ?? 0) - (b.subSequenceNumber ?? 0)
  )
}

describe('originText', () => {
  it('orders by its bytes as the fields order one after another', () => {
    fc.assert(
      fc.property(origin, origin, (a, b) => {
        for (const other of [b, ...Object.keys(a).map((key) => ({ ...a, [key]: b[key as keyof OriginParts] }))]) {
          const byBytes = Buffer.compare(Buffer.from(originText(a)), Buffer.from(originText(other)))
          expect(byBytes).toBe(Math.sign(compareOrigins(a, other)))
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('has the form that tables hold', () => {
    const at = { arrivalMillis: 1_795_262_400_000, stream: 'MyStream', created: 7, shardId: 'shardId-000000000001' }
    expect(originText({ ...at, sequenceNumber: '49', subSequenceNumber: 3 })).toBe(
      `0001795262400000 MyStream 0000000000000007 shardId-000000000001 ${'49'.padStart(64, '0')} 00000003`,
    )
    expect(originText({ ...at, sequenceNumber: '49' })).toMatch(/ 00000000$/)
  })

  it('refuses what would not order', () => {
    const good = { arrivalMillis: 1, stream: 's', created: 1, shardId: 'h', sequenceNumber: '1' }
    for (const bad of [
      { stream: 'a b' },
      { shardId: '' },
      { sequenceNumber: '-1' },
      { sequenceNumber: '1'.repeat(65) },
      { subSequenceNumber: 1e8 },
      { arrivalMillis: 1.5 },
    ]) {
      expect(() => originText({ ...good, ...bad })).toThrow(expect.objectContaining({ code: 'FIRN_INTERNAL' }))
    }
  })
})
