import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AveragesBuilder, averagesOf, mergeAverages, NO_AVERAGES } from '../../../jobs/compaction/averages.ts'

type Row = readonly [value: number, micros: bigint | null]

function stateOf(rows: readonly Row[]): ReturnType<AveragesBuilder['state']> {
  const builder = new AveragesBuilder()
  for (const [value, micros] of rows) builder.add(value, micros)
  return builder.state()
}

const HOUR = 3_600_000_000n
const row: fc.Arbitrary<Row> = fc.tuple(
  fc.nat(5000),
  fc.option(fc.bigInt({ min: -50n * HOUR, max: 50n * HOUR }), { freq: 4, nil: null }),
)

describe('averages', () => {
  it('group by hour and day in UTC, before 1970 too', () => {
    const rows: Row[] = [
      [10, 0n],
      [20, HOUR - 1n],
      [40, -1n],
      [60, 25n * HOUR],
      [5, null],
    ]
    expect(averagesOf(stateOf(rows))).toEqual({
      run: 27,
      articles: 5,
      hourly: [
        { hour: '1969-12-31T23:00:00Z', average_word_count: 40, articles: 1 },
        { hour: '1970-01-01T00:00:00Z', average_word_count: 15, articles: 2 },
        { hour: '1970-01-02T01:00:00Z', average_word_count: 60, articles: 1 },
      ],
      daily: [
        { day: '1969-12-31', average_word_count: 40, articles: 1 },
        { day: '1970-01-01', average_word_count: 15, articles: 2 },
        { day: '1970-01-02', average_word_count: 60, articles: 1 },
      ],
      without_event_time: { articles: 1, average_word_count: 5 },
    })
  })

  it('of no rows are null, not NaN', () => {
    expect(averagesOf(NO_AVERAGES)).toMatchObject({ run: null, articles: 0, hourly: [], daily: [] })
  })

  it('of parts merge to the averages of the whole, through JSON', () => {
    fc.assert(
      fc.property(fc.array(fc.array(row, { maxLength: 20 }), { maxLength: 5 }), (parts) => {
        const states = parts.map((part) => JSON.parse(JSON.stringify(stateOf(part))) as typeof NO_AVERAGES)
        expect(averagesOf(states.reduce(mergeAverages, NO_AVERAGES))).toEqual(averagesOf(stateOf(parts.flat())))
      }),
    )
  })
})
