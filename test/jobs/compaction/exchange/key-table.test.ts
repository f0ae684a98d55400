/** Which row of a key stays: against a model, through objects as tasks write and read them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exchangeOn } from '../../../../jobs/compaction/exchange/exchange.ts'
import {
  BUCKETS,
  entryWords,
  KeyEntries,
  type KeyRow,
  readEntries,
} from '../../../../jobs/compaction/exchange/key-entries.ts'
import { KeyTable } from '../../../../jobs/compaction/exchange/key-table.ts'
import { LoserLists, loserBits } from '../../../../jobs/compaction/exchange/losers.ts'
import { compareStrings, openStore } from '../../../../table/index.ts'

let stores = 0
const exchange = () => exchangeOn(openStore(`memory://keys-${process.pid}-${stores++}`))

const keyRow = fc.record({
  name: fc.oneof(fc.constantFrom('hot', 'b'), fc.string({ maxLength: 3 })),
  arrivalMillis: fc.constantFrom(-5, 0, 1_795_262_400_000, 1_795_262_400_001),
  origin: fc.constantFrom('z', 'é', '\uffff', '\u{1f600}', 'a much longer one'),
  run: fc.integer({ min: 0, max: 2 }),
  range: fc.integer({ min: 0, max: 2 }),
})

describe('keys of spilled rows', () => {
  it('leave the latest, or the first, of each key', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(keyRow, { maxLength: 60 }),
        fc.boolean(),
        fc.constantFrom('latest' as const, 'first' as const),
        async (rows, isReplay, keep) => {
          const place = exchange()
          const entries = [0, 1, 2].map((run) => new KeyEntries(run))
          const placed = rows.map((row, index) => ({
            ...row,
            key: Buffer.from(row.name),
            origin: isReplay ? row.origin : undefined,
            object: index % 3,
            record: index,
            row: index,
          }))
          for (const row of placed) entries[row.run]!.add(row as KeyRow)
          const objects = await Promise.all(entries.map((each, run) => each.write(place, `k${run}`, {})))
          const losers = new LoserLists(place, 'l', 3)
          const table = new KeyTable(keep, (range, run, row) => losers.add(range, run, row))
          for (const [from, to] of [
            [0, 100],
            [100, BUCKETS],
          ] as const) {
            for (const object of objects) {
              for await (const words of readEntries(place, object, [from, to], {})) {
                for (let at = 0; at < words.length; at += entryWords(words, at)) table.offer(words, at)
              }
            }
            await losers.flush({})
          }
          const lists = await losers.close({})
          const order = (a: (typeof placed)[number], b: (typeof placed)[number]): number =>
            a.arrivalMillis - b.arrivalMillis ||
            compareStrings(a.origin ?? '', b.origin ?? '') ||
            a.object - b.object ||
            a.record - b.record
          const kept = [...Map.groupBy(placed, ({ name }) => name).values()].map((versions) =>
            versions.toSorted(order).at(keep === 'latest' ? -1 : 0),
          )
          const lost = placed.filter((row) => !kept.includes(row))
          expect(losers.count).toBe(lost.length)
          for (const range of [0, 1, 2]) {
            const runs = [0, 1, 2].map((number) => ({
              number,
              rows: rows.length,
              bytes: 0,
              maxBlockBytes: 0,
              objects: [],
            }))
            const bits = await loserBits(place, lists, range, runs, {})
            for (const { run, row, ...each } of placed.filter((one) => one.range === range)) {
              const isSet = ((bits.get(run)?.[row >> 3] ?? 0) & (1 << (row & 7))) !== 0
              expect(isSet).toBe(lost.some((one) => one.row === row && one.name === each.name))
            }
          }
        },
      ),
    )
  })
})
