/** Refused records that are read again do not come in the order of records: which version stays goes by their origin. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { originText } from '../../../jobs/compaction/enrich/origin.ts'
import type { PlannedInput } from '../../../jobs/compaction/plan.ts'
import { processInputs } from '../../../jobs/compaction/process.ts'
import { quarantineWriter } from '../../../jobs/compaction/refused/quarantine.ts'
import { createTableFor } from '../../../jobs/datasets/index.ts'
import { inlineExecutor } from '../../../jobs/executors/executor.ts'
import { dataFileFromJson, epochMicros, newRunId, systemClock } from '../../../table/index.ts'
import { memoryWarehouse, NOON, rowsOf, TABLE, type Warehouse } from './fixture.ts'
import { squeezed, stagedDataset } from './staged-fixture.ts'

const record = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd'),
  arrivalMillis: fc.constantFrom(NOON, NOON + 1),
  stream: fc.constantFrom('S', 'S-2'),
  created: fc.constantFrom(7, 70),
  shardId: fc.constantFrom('shard-1', 'shard-10'),
  sequenceNumber: fc.integer({ min: 1, max: 12 }).map(String),
  subSequenceNumber: fc.integer({ min: 0, max: 11 }),
  partitionKey: fc.constant('p'),
})
type Refused = typeof record extends fc.Arbitrary<infer T> ? T : never

async function refuse({ store }: Warehouse, objects: readonly (readonly Refused[])[]): Promise<PlannedInput[]> {
  const inputs: PlannedInput[] = []
  for (const [firstNumber, records] of objects.entries()) {
    const writer = quarantineWriter({ store, table: TABLE, runId: 'earlier', firstNumber, plannedMillis: 1 })
    for (const each of records) {
      const bytes = Buffer.from(JSON.stringify({ article_id: each.key, content: originText(each) }))
      await writer.add(bytes, each, { reason: 'decode.json', message: 'then' })
    }
    for (const { path, rows } of await writer.close()) inputs.push({ kind: 'quarantine', path, rows })
  }
  return inputs
}

describe('a replay', () => {
  it('keeps the same versions in memory, spilled, and by several tasks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(record, { minLength: 1, maxLength: 30, selector: originText }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom('latest' as const, 'first' as const),
        fc.constantFrom({ spills: false, tasks: 1 }, { spills: true, tasks: 1 }, { spills: true, tasks: 3 }),
        async (records, perObject, keep, { spills, tasks }) => {
          const warehouse = memoryWarehouse()
          const { store, catalog } = warehouse
          const dataset = stagedDataset(keep)
          const table = await createTableFor(catalog, TABLE, dataset)
          const objects = records.flatMap((_each, at) =>
            at % perObject === 0 ? [records.slice(at, at + perObject)] : [],
          )
          const inline = inlineExecutor(store)
          const totals = await processInputs({
            store,
            table,
            tableName: TABLE,
            dataset,
            runId: newRunId(systemClock),
            plans: 1,
            compactedAt: epochMicros(BigInt(NOON) * 1000n),
            inputs: await refuse(warehouse, objects),
            executor: spills ? squeezed(inline) : inline,
            maxBadRatio: null,
            tasks,
          })
          const expected = [...Map.groupBy(records, ({ key }) => key).values()].map(
            (versions) =>
              versions
                .map(originText)
                .sort()
                .at(keep === 'latest' ? -1 : 0)!,
          )
          expect(totals).toMatchObject({
            kinesisRecords: 0,
            recordsRead: records.length,
            rowsAdded: expected.length,
            duplicates: records.length - expected.length,
          })
          const { table: next } = await table.append(totals.files.map(({ dataFile }) => dataFileFromJson(dataFile)))
          expect((await rowsOf(next)).map(({ content }) => String(content)).sort()).toEqual(expected.sort())
        },
      ),
    )
  })
})
