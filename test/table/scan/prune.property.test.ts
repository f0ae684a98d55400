/** Pruning against the rows themselves: nothing that matches is skipped, nothing is claimed to match as a whole falsely. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { snapshotId } from '../../../table/ids.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import { describeManifest } from '../../../table/manifest/manifest-list.ts'
import type { ChunkStatistics } from '../../../table/scan/column-facts.ts'
import type { Expression } from '../../../table/scan/expression.ts'
import { fileMayMatch, fileMustMatch, manifestMayMatch, rowGroupMayMatch } from '../../../table/scan/prune.ts'
import { compareValues } from '../../../table/spec/compare.ts'
import type { PartitionSpec } from '../../../table/spec/partition.ts'
import { isPrimitive, type PrimitiveValue } from '../../../table/spec/types.ts'
import { filesOf, filter, foreign, matches, type Row, row, spec, TERMS, WIDE } from './generated.ts'

const shown = (value: unknown): string =>
  JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? `${item}n` : Number.isNaN(item) ? 'NaN' : item))

const manifestOf = (files: readonly DataFile[], partitionSpec: PartitionSpec) =>
  describeManifest(
    'memory://t/metadata/m.avro',
    1,
    files.map((dataFile) => ({
      status: 'added',
      snapshotId: snapshotId(1n),
      sequenceNumber: 1,
      fileSequenceNumber: 1,
      dataFile,
    })),
    partitionSpec,
    WIDE,
    { snapshotId: snapshotId(1n), sequenceNumber: 1 },
  )

const seen = { skipped: 0, claimed: 0, manifests: 0 }

function check(where: Expression, files: ReturnType<typeof filesOf>, partitionSpec: PartitionSpec): void {
  for (const { file, rows } of files) {
    const truths = rows.map((values) => matches(where, values))
    const may = fileMayMatch(where, file, partitionSpec, WIDE)
    const must = fileMustMatch(where, file, partitionSpec, WIDE)
    if (!may) {
      expect(truths, `skipped a match of ${shown(where)} in ${shown(rows)}`).not.toContain(true)
      seen.skipped++
    }
    if (must) {
      expect(
        truths.every((truth) => truth === true),
        `claimed ${shown(where)} of ${shown(rows)}`,
      ).toBe(true)
      seen.claimed++
    }
  }
  // Manifests of two files each.
  for (let index = 0; index < files.length; index += 2) {
    const part = files.slice(index, index + 2)
    const manifest = manifestOf(
      part.map(({ file }) => file),
      partitionSpec,
    )
    if (manifestMayMatch(where, manifest, partitionSpec)) continue
    const some = part.some(({ rows }) => rows.some((values) => matches(where, values) === true))
    expect(some, `skipped the manifest for ${shown(where)} partitioned by ${shown(partitionSpec)}`).toBe(false)
    seen.manifests++
  }
}

test('1,800 filters: no file or manifest with a match is skipped, no claim that all rows match is false', () => {
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 12 }),
      fc.array(filter, { minLength: 30, maxLength: 30 }),
      spec,
      (rows, filters, partitionSpec) => {
        const files = filesOf(rows, partitionSpec)
        for (const where of filters) check(where, files, partitionSpec)
      },
    ),
    { numRuns: 60 },
  )
  // Otherwise the property would hold for a planner that never decides anything.
  expect(seen.skipped).toBeGreaterThan(300)
  expect(seen.claimed).toBeGreaterThan(300)
  expect(seen.manifests).toBeGreaterThan(10)
})

test('what other writers record, or do not, changes no result either', () => {
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 6 }),
      fc.array(filter, { minLength: 30, maxLength: 30 }),
      spec,
      fc.nat(2 ** 20),
      (rows, filters, partitionSpec, seed) => {
        const files = filesOf(rows, partitionSpec).map((one, index) => ({
          ...one,
          file: foreign(one.file, seed + index),
        }))
        for (const where of filters) check(where, files, partitionSpec)
      },
    ),
    { numRuns: 40 },
  )
})

describe('each transform as the only partition field, without any other statistics', () => {
  const bare = (file: DataFile): DataFile => ({
    ...file,
    valueCounts: new Map(),
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds: new Map(),
    upperBounds: new Map(),
  })
  test.each(TERMS.map(([column, transform]) => [transform, column.name, column] as const))(
    '%s of %s',
    (transform, _name, column) => {
      const partitionSpec = {
        specId: 0,
        fields: [{ sourceId: column.fieldId, fieldId: 1000, name: 'p', transform }],
      }
      const onColumn = filter.filter((where) => shown(where).includes(`"fieldId":${column.fieldId},`))
      fc.assert(
        fc.property(
          fc.array(row, { minLength: 1, maxLength: 8 }),
          fc.array(onColumn, { minLength: 4, maxLength: 4 }),
          (rows, filters) => {
            const files = filesOf(rows, partitionSpec).map((one) => ({ ...one, file: bare(one.file) }))
            for (const where of filters) check(where, files, partitionSpec)
          },
        ),
        { numRuns: 6 },
      )
    },
  )
})

test('row groups are skipped only where no row matches', () => {
  let skipped = 0
  const statisticsOf = (rows: readonly Row[]): ReadonlyMap<number, ChunkStatistics> =>
    new Map(
      WIDE.fields.flatMap((field): [number, ChunkStatistics][] => {
        const { type } = field
        if (!isPrimitive(type)) return []
        const all = rows.map((values) => values[field.name] ?? null)
        const values = all.filter(
          (value): value is Exclude<PrimitiveValue, null> => value !== null && !Number.isNaN(value),
        )
        values.sort((a, b) => compareValues(type, a, b))
        const nulls = all.filter((value) => value === null).length
        return [[field.id, { lower: values[0], upper: values.at(-1), nulls, values: rows.length }]]
      }),
    )
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 6 }),
      fc.array(filter, { minLength: 20, maxLength: 20 }),
      (rows, filters) => {
        const statistics = statisticsOf(rows)
        for (const where of filters) {
          if (rowGroupMayMatch(where, statistics)) continue
          skipped++
          expect(
            rows.map((values) => matches(where, values)),
            shown(where),
          ).not.toContain(true)
        }
      },
    ),
    { numRuns: 50 },
  )
  expect(skipped).toBeGreaterThan(100)
})
