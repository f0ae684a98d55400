/** Any sequence of appends and deletes reads as a list of rows that went through the same. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { type Expression, evaluate } from '../../../table/scan/expression.ts'
import { parseWhere } from '../../../table/scan/where.ts'
import type { PrimitiveValue } from '../../../table/spec/types.ts'
import type { Table } from '../../../table/table.ts'
import { EVENTS, eventsTable, freshStore, readRows, type TestRow, writeRows } from '../support.ts'
import { column, commitFiles, equalityDeletes, positionDeletes } from './delete-tables.ts'

const DAY = 86_400_000_000n
const DAYS = 2

const VALUES: Readonly<Record<string, fc.Arbitrary<PrimitiveValue>>> = {
  id: fc.constantFrom('a', 'b', 'ab', '', '\u{10ffff}', '1:a'),
  n: fc.option(fc.integer({ min: 0, max: 2 })),
  score: fc.option(fc.constantFrom(0, -0, Number.NaN, 1.5)),
  big: fc.option(fc.constantFrom(2n ** 53n, 2n ** 53n + 1n, -1n)),
}
const day = fc.nat({ max: DAYS - 1 })
const row: fc.Arbitrary<TestRow> = fc.record(VALUES) as fc.Arbitrary<TestRow>
const keyColumns = fc.uniqueArray(fc.constantFrom('id', 'n', 'score', 'big'), { minLength: 1, maxLength: 3 })

type Step =
  | { kind: 'append'; day: number; rows: readonly TestRow[] }
  | { kind: 'positions'; picks: readonly number[] }
  | { kind: 'equality'; day: number | undefined; columns: readonly string[]; keys: readonly TestRow[] }
  /** Rows that come with a delete of their keys: an upsert, which must not delete what it adds. */
  | { kind: 'upsert'; day: number; rows: readonly TestRow[] }

const rows = fc.array(row, { minLength: 1, maxLength: 8 })
const append = fc.record({ kind: fc.constant('append' as const), day, rows })
const step: fc.Arbitrary<Step> = fc.oneof(
  append,
  fc.record({ kind: fc.constant('upsert' as const), day, rows }),
  fc.record({ kind: fc.constant('positions' as const), picks: fc.array(fc.nat(), { minLength: 1, maxLength: 6 }) }),
  fc.record({
    kind: fc.constant('equality' as const),
    day: fc.option(day, { nil: undefined }),
    columns: keyColumns,
    keys: fc.array(row, { minLength: 1, maxLength: 3 }),
  }),
)

interface ModelRow {
  readonly day: number
  readonly values: TestRow
  readonly file: DataFile
  readonly position: number
}

const sameKey = (columns: readonly string[], a: TestRow, b: TestRow): boolean =>
  columns.every((name) => Object.is(a[name] ?? null, b[name] ?? null))

class Model {
  table: Table
  rows: readonly ModelRow[] = []

  constructor(table: Table) {
    this.table = table
  }

  async apply(change: Step): Promise<void> {
    switch (change.kind) {
      case 'append':
        return this.#add(change.day, change.rows, [])
      case 'upsert': {
        const keys = change.rows.map(({ id }) => ({ id: id! }))
        const deletes = await equalityDeletes(this.table, column(EVENTS, 'id'), keys, { partition: [change.day] })
        this.rows = this.rows.filter(
          (known) => known.day !== change.day || !keys.some((key) => sameKey(['id'], key, known.values)),
        )
        return this.#add(change.day, change.rows, [deletes])
      }
      case 'positions':
        return this.#deletePositions(change.picks)
      case 'equality':
        return this.#deleteEqual(change)
    }
  }

  async #add(inDay: number, added: readonly TestRow[], deletes: readonly DataFile[]): Promise<void> {
    const stored = added.map((values) => ({ ...values, at: BigInt(inDay) * DAY }))
    const [file] = await writeRows(this.table, stored, [inDay], { rowGroupRows: 3 })
    const own = stored.map((values, position) => ({ day: inDay, values, file: file!, position }))
    this.rows = [...this.rows, ...own]
    this.table =
      deletes.length === 0
        ? (await this.table.append([file!])).table
        : await commitFiles(this.table, [file!, ...deletes], withUnpartitioned)
  }

  async #deletePositions(picks: readonly number[]): Promise<void> {
    if (this.rows.length === 0) return
    const gone = new Set(picks.map((pick) => this.rows[pick % this.rows.length]!))
    const files: DataFile[] = []
    for (let partition = 0; partition < DAYS; partition++) {
      const places = [...gone]
        .filter((each) => each.day === partition)
        .map((each) => [each.file.filePath, each.position] as const)
        .sort()
      if (places.length > 0) files.push(await positionDeletes(this.table, places, { partition: [partition] }))
    }
    this.table = await commitFiles(this.table, files, withUnpartitioned)
    this.rows = this.rows.filter((known) => !gone.has(known))
  }

  async #deleteEqual({ day: only, columns, keys }: Extract<Step, { kind: 'equality' }>): Promise<void> {
    const where = only === undefined ? { specId: 1 } : { partition: [only] }
    const deletes = await equalityDeletes(this.table, column(EVENTS, ...columns), keys, where)
    this.table = await commitFiles(this.table, [deletes], withUnpartitioned)
    this.rows = this.rows.filter(
      (known) => (only !== undefined && known.day !== only) || !keys.some((key) => sameKey(columns, key, known.values)),
    )
  }
}

const withUnpartitioned: Parameters<typeof commitFiles>[2] = (metadata) =>
  metadata.partitionSpecs.length > 1
    ? metadata
    : { ...metadata, partitionSpecs: [...metadata.partitionSpecs, { specId: 1, fields: [] }] }

const asText = (all: readonly TestRow[]): string[] =>
  all
    .map((each) =>
      ['id', 'n', 'score', 'big', 'at']
        .map((name) => (Object.is(each[name], -0) ? '-0' : String(each[name] ?? null)))
        .join('|'),
    )
    .sort()

const FILTERS: readonly Expression[] = [
  'n > 0',
  'score is null or big < 0',
  "id >= 'ab'",
  "at < '1970-01-02T00:00:00Z' and n <> 1",
].map((text) => parseWhere(text, EVENTS))

test('a scan with deletes equals a model, at every snapshot, filtered and counted', async () => {
  let deleted = 0
  await fc.assert(
    fc.asyncProperty(append, fc.array(step, { minLength: 1, maxLength: 7 }), async (first, steps) => {
      const model = new Model((await eventsTable(freshStore())).table)
      const seen: string[][] = []
      let added = 0
      for (const change of [first, ...steps]) {
        await model.apply(change)
        if ('rows' in change) added += change.rows.length
        seen[model.table.metadata.snapshots.length - 1] = asText(model.rows.map((known) => known.values))
      }
      const { table } = model
      for (const [index, { snapshotId }] of table.metadata.snapshots.entries()) {
        expect(asText(await readRows(table.scan({ snapshotId })))).toEqual(seen[index])
      }
      for (const where of FILTERS) {
        const expected = model.rows
          .map((known) => known.values)
          .filter((values) => evaluate(where, ({ name }) => values[name] ?? null) === true)
        expect(asText(await readRows(table.scan({ where })))).toEqual(asText(expected))
        expect(await table.scan({ where }).count()).toBe(expected.length)
      }
      expect(await table.scan().count()).toBe(model.rows.length)
      deleted += added - model.rows.length
    }),
    { numRuns: 60 },
  )
  // Otherwise the property would hold for a reader that applies nothing.
  expect(deleted).toBeGreaterThan(100)
})
