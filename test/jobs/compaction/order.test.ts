import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Column, cellAt, Float64Column, Int64Column, Utf8Column } from '../../../jobs/compaction/enrich/columns.ts'
import { createEnricher, type EnrichedRows } from '../../../jobs/compaction/enrich/enrich.ts'
import { latestOfEachKey, partitionAndSort, rowComparator } from '../../../jobs/compaction/order.ts'
import { articles } from '../../../jobs/datasets/index.ts'

interface Version {
  readonly key: string
  readonly arrival: number
  readonly date: string | undefined
}

async function enriched(versions: readonly Version[]): Promise<EnrichedRows> {
  const enricher = createEnricher(articles)
  const records = versions.map(({ key, arrival, date }) => ({
    bytes: Buffer.from(JSON.stringify({ article_id: key, content: 'x', publish_date: date })),
    arrivalMillis: arrival,
  }))
  expect(await enricher.addBatch(records)).toEqual(records.map(() => undefined))
  return enricher.take()
}

const version: fc.Arbitrary<Version> = fc.record({
  key: fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 })),
  arrival: fc.integer({ min: -3, max: 3 }).map((days) => 1_795_268_710_000 + days * 43_200_000),
  date: fc.option(fc.constantFrom('2026-11-21', '2026-11-21T00:00:00.000001Z', '1969-12-31'), { nil: undefined }),
})

describe('latestOfEachKey', () => {
  it('keeps the latest by arrival, then the one that was read last', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(version, { maxLength: 40 }), async (versions) => {
        const expected = new Set<number>()
        for (const { key } of versions) {
          const indexes = versions.flatMap((each, index) => (each.key === key ? [index] : []))
          const latest = Math.max(...indexes.map((index) => versions[index]!.arrival))
          expected.add(indexes.findLast((index) => versions[index]!.arrival === latest)!)
        }
        expect([...latestOfEachKey(await enriched(versions))]).toEqual([...expected].sort((a, b) => a - b))
      }),
    )
  })
})

describe('partitionAndSort', () => {
  const dayOf = (value: unknown): number => Number((value as bigint) / 86_400_000_000n)

  it('is a permutation by day, sorted by date with nulls first, then key by code points', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(version, { maxLength: 60 }), async (versions) => {
        const rows = await enriched(versions)
        const survivors = latestOfEachKey(rows)
        const column = (name: string): Column => rows.columns.get(name)!
        const partitions = partitionAndSort(
          survivors,
          [(row) => dayOf(cellAt(column('arrived_at'), row))],
          ['publish_date', 'article_id'].map((name) => ({
            column: column(name),
            direction: 'asc',
            nullOrder: 'nulls-first',
          })),
        )
        expect(partitions.flatMap(({ rows: order }) => [...order]).sort((a, b) => a - b)).toEqual([...survivors])
        const days = partitions.map(({ tuple }) => tuple[0] as number)
        expect(days).toEqual([...new Set(days)].sort((a, b) => a - b))
        for (const { tuple, rows: order } of partitions) {
          const values = [...order].map((row) => ({
            day: dayOf(cellAt(column('arrived_at'), row)),
            date: cellAt(column('publish_date'), row) as bigint | null,
            key: cellAt(column('article_id'), row) as string,
          }))
          expect(values.every((each) => each.day === tuple[0])).toBe(true)
          const sorted = values.toSorted((a, b) =>
            a.date !== b.date
              ? (a.date ?? -(2n ** 63n)) < (b.date ?? -(2n ** 63n))
                ? -1
                : 1
              : Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)),
          )
          expect(values).toEqual(sorted)
        }
      }),
    )
  })

  it('orders a surrogate pair after every character of the basic plane, as UTF-8 does', async () => {
    const rows = await enriched(['\uffee', '😀', 'a'].map((key) => ({ key, arrival: 1, date: undefined })))
    const keys = rows.columns.get('article_id')!
    const [only] = partitionAndSort(
      Uint32Array.of(0, 1, 2),
      [],
      [{ column: keys, direction: 'asc', nullOrder: 'nulls-first' }],
    )
    expect([...only!.rows].map((row) => cellAt(keys, row))).toEqual(['a', '\uffee', '😀'])
  })
})

describe('rowComparator', () => {
  const ages = new Float64Column()
  for (const value of [2, null, -0, 0, -1.5, null]) ages.append(value)
  const order = (direction: 'asc' | 'desc', nullOrder: 'nulls-first' | 'nulls-last'): number[] =>
    [0, 1, 2, 3, 4, 5].sort(rowComparator([{ column: ages, direction, nullOrder }]))

  it('places nulls where the order says, whatever the direction', () => {
    expect(order('asc', 'nulls-first')).toEqual([1, 5, 4, 2, 3, 0])
    expect(order('asc', 'nulls-last')).toEqual([4, 2, 3, 0, 1, 5])
    expect(order('desc', 'nulls-first')).toEqual([1, 5, 0, 3, 2, 4])
    expect(order('desc', 'nulls-last')).toEqual([0, 3, 2, 4, 1, 5])
  })
})

describe('columns', () => {
  it('give back every text and null, past the end of a chunk and of the first arrays', () => {
    const column = new Utf8Column()
    const long = '今'.repeat(3_000_000)
    const values = [...Array.from({ length: 3000 }, (_, i) => (i % 7 === 0 ? null : `v${i}é`)), long, '', long, '😀']
    for (const value of values) column.append(value)
    values.forEach((value, row) => {
      if (column.text(row) !== value) expect(row).toBe('a row that reads back')
    })
  })

  it('keep 64-bit integers exact and ordered', () => {
    const column = new Int64Column()
    const values = [-(2n ** 63n), 2n ** 63n - 1n, 0n, 9007199254740993n, 9007199254740992n]
    for (const value of values) column.append(value)
    expect(values.map((_, row) => column.at(row))).toEqual(values)
    expect([0, 1, 2, 3, 4].sort((a, b) => column.compare(a, b))).toEqual([0, 2, 4, 3, 1])
  })
})
