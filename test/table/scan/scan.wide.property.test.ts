/** Pruning end to end: manifests, files and row groups of real tables, over every type and transform. */
import type { Data } from 'apache-arrow'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openCatalog } from '../../../table/catalog/open.ts'
import { systemClock } from '../../../table/clock.ts'
import { valueAt } from '../../../table/format/arrow-values.ts'
import type { Expression } from '../../../table/scan/expression.ts'
import { fileMustMatch } from '../../../table/scan/prune.ts'
import type { PartitionSpec } from '../../../table/spec/partition.ts'
import type { Table } from '../../../table/table.ts'
import { createDataFileWriter } from '../../../table/write/writer.ts'
import { freshStore } from '../support.ts'
import { batchOfRows, filesOf, filter, matches, type Row, row, spec, WIDE } from './generated.ts'

/** Two appends, so that there are two manifests; small row groups, so that there are several in a file. */
async function tableOf(rows: readonly Row[], partitionSpec: PartitionSpec): Promise<Table> {
  const definition = { schema: WIDE, partitionSpec, sortOrder: { orderId: 0, fields: [] }, properties: {} }
  let table = await openCatalog(freshStore(), { clock: systemClock }).createTable('t.wide', definition)
  for (const half of [0, 1]) {
    const part = rows.filter((_, index) => index % 2 === half)
    const files = []
    for (const [index, { file, rows: members }] of filesOf(part, partitionSpec).entries()) {
      const writer = createDataFileWriter({
        store: table.store,
        location: table.location,
        schema: table.metadata.schemas[0]!,
        spec: table.metadata.partitionSpecs[0]!,
        partition: file.partition,
        sortOrderId: 0,
        fileNamePrefix: `f${half}-${index}`,
        targetFileSizeBytes: 1 << 20,
        rowGroupRows: 2,
      })
      await writer.write(batchOfRows(members))
      files.push(...(await writer.close()).map((written) => written.dataFile))
    }
    if (files.length > 0) table = (await table.append(files)).table
  }
  return table
}

async function rowNumbers(table: Table, where: Expression | undefined): Promise<number[]> {
  const numbers: number[] = []
  const scan = table.scan({ columns: ['row'], ...(where === undefined ? {} : { where }) })
  for await (const batch of scan.batches()) {
    for (let index = 0; index < batch.numRows; index++) {
      numbers.push(Number(valueAt('int', batch.data.children[0] as Data, index)))
    }
  }
  return numbers.sort((a, b) => a - b)
}

const TIMES: ReadonlySet<string> = new Set(['year', 'month', 'day', 'hour'])

/** Specs that a table can be created with: no column twice as it is, nor by two spans of time. */
const creatable = spec.filter(({ fields: [a, b] }) => {
  if (a === undefined || b === undefined || a.sourceId !== b.sourceId) return true
  const isTwice = a.transform === 'identity' && b.transform === 'identity'
  return !isTwice && !(TIMES.has(a.transform) && TIMES.has(b.transform))
})

test('1,000 filters over generated tables: a pruned scan returns the rows that the filter alone would', async () => {
  let skipped = 0
  let claimed = 0
  let filters = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 14 }),
      fc.array(filter, { minLength: 40, maxLength: 40 }),
      creatable,
      async (values, wheres, partitionSpec) => {
        const rows = values.map((one, index) => ({ ...one, row: index }))
        const table = await tableOf(rows, partitionSpec)
        const all = await table.scan().planFiles()
        for (const where of wheres) {
          filters++
          const expected = rows.filter((one) => matches(where, one) === true).map((one) => one.row)
          expect(await rowNumbers(table, where)).toEqual(expected)
          skipped += all.length - (await table.scan({ where }).planFiles()).length
        }
        for (const where of wheres) {
          const whole = all.filter(({ file }) => fileMustMatch(where, file, table.metadata.partitionSpecs[0]!, WIDE))
          claimed += whole.length
          const rest = rows.filter((one) => matches(where, one) === true).length
          expect(whole.reduce((sum, { file }) => sum + file.recordCount, 0)).toBeLessThanOrEqual(rest)
        }
      },
    ),
    { numRuns: 26 },
  )
  expect(filters).toBeGreaterThanOrEqual(1000)
  // Otherwise the property would hold for a planner that never decides anything.
  expect(skipped).toBeGreaterThan(500)
  expect(claimed).toBeGreaterThan(100)
}, 120_000)
