/** What a rewrite would do, from metadata alone: the numbers of Iceberg's planner, and ours about key ranges. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type RewritePlanOptions, resolveSettings } from '../../../table/maintenance/rewrite/options.ts'
import { type KeyRange, keyRange, measureOverlap } from '../../../table/maintenance/rewrite/overlap.ts'
import { planGroups } from '../../../table/maintenance/rewrite/plan.ts'
import { endsFile, expectedOutputFiles, writeCapBytes } from '../../../table/maintenance/rewrite/sizes.ts'
import { encodeBound, truncateLower, truncateUpper } from '../../../table/manifest/bounds.ts'
import type { DataFile } from '../../../table/manifest/data-file.ts'
import type { TableMetadata } from '../../../table/spec/metadata.ts'
import type { PartitionTuple } from '../../../table/spec/partition.ts'
import type { Schema } from '../../../table/spec/schema.ts'
import type { SortField } from '../../../table/spec/sort.ts'
import { ascending, makeTable } from './rewrite-support.ts'

const SCHEMA: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'at', required: false, type: 'int' },
    { id: 2, name: 'url', required: false, type: 'string' },
    { id: 3, name: 'score', required: false, type: 'double' },
  ],
}
const MB = 1_000_000
const SIZES = { targetFileSizeBytes: 100, minFileSizeBytes: 75, maxFileSizeBytes: 180 }

interface Described {
  readonly bytes: number
  readonly at?: readonly [number, number]
  readonly url?: readonly [string, string]
  readonly nulls?: number
  readonly sortOrderId?: number
  readonly specId?: number
  readonly partition?: PartitionTuple
  readonly deletes?: number
}

let names = 0
function fileOf({ bytes, at, url, nulls = 0, sortOrderId = 1, specId = 0, partition = [] }: Described): DataFile {
  const lowerBounds = new Map<number, Uint8Array>()
  const upperBounds = new Map<number, Uint8Array>()
  if (at !== undefined) {
    lowerBounds.set(1, encodeBound('int', at[0]))
    upperBounds.set(1, encodeBound('int', at[1]))
  }
  if (url !== undefined) {
    lowerBounds.set(2, truncateLower(Buffer.from(url[0])))
    upperBounds.set(2, truncateUpper(Buffer.from(url[1]))!)
  }
  return {
    content: 'data',
    filePath: `memory://t/data/${names++}.parquet`,
    fileFormat: 'PARQUET',
    specId,
    partition,
    recordCount: 100,
    fileSizeBytes: bytes,
    columnSizes: new Map(),
    valueCounts: new Map([1, 2, 3].map((id) => [id, 100])),
    nullValueCounts: new Map([1, 2, 3].map((id) => [id, nulls])),
    nanValueCounts: new Map(),
    lowerBounds,
    upperBounds,
    splitOffsets: [],
    equalityIds: [],
    sortOrderId,
  }
}

const metadataOf = async (order: readonly SortField[] = [ascending(1)]): Promise<TableMetadata> =>
  (await makeTable({ schema: SCHEMA, order })).metadata

async function groupsOf(files: readonly Described[], options: RewritePlanOptions = {}, metadata?: TableMetadata) {
  const base = metadata ?? (await metadataOf())
  const tasks = files.map((file) => ({ file: fileOf(file), deletes: [], dataSequenceNumber: 1 }))
  const plan = planGroups(base, tasks, resolveSettings(base, { targetFileSizeBytes: 100 * MB, ...options }), options)
  return { ...plan, sizes: plan.groups.map(({ inputs }) => inputs.map(({ sizeBytes }) => sizeBytes / MB)) }
}

describe('sizes', () => {
  test.each([
    [40, 1],
    [100, 1],
    [105, 1],
    [176, 2],
    [200, 2],
    [215, 2],
    [280, 3],
    [1010, 10],
    [1080, 11],
  ])('%i bytes with a target of 100 make %i files, as Iceberg makes them', (bytes, files) => {
    expect(expectedOutputFiles(bytes, SIZES)).toBe(files)
  })

  test('two files below the minimum would be rewritten for ever: one a little larger is made', () => {
    expect(expectedOutputFiles(120, SIZES)).toBe(1)
    expect(expectedOutputFiles(149, SIZES)).toBe(1)
    expect(expectedOutputFiles(151, SIZES)).toBe(2)
  })

  test('a file may grow half way from the target to the maximum', () => {
    expect(writeCapBytes(SIZES)).toBe(140)
  })

  test('even files of the expected number lie within the limits, from the minimum on', () => {
    fc.assert(
      fc.property(fc.integer({ min: 75, max: 100_000 }), (bytes) => {
        const share = bytes / expectedOutputFiles(bytes, SIZES)
        return share >= 75 && share <= 180
      }),
    )
  })

  test('files cut as rows come in end up within the limits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 75, max: 5_000 }), fc.integer({ min: 1, max: 5 }), (total, step) => {
        const files = [0]
        for (let left = total; left > 0; ) {
          const part = Math.min(step, left)
          left -= part
          files[files.length - 1]! += part
          if (endsFile(files.at(-1)!, left, SIZES)) files.push(0)
        }
        return files.every((size) => size >= 75 - step && size <= 180)
      }),
    )
  })
})

describe('groups by size', () => {
  const bin = (files: readonly number[], options: RewritePlanOptions = {}) =>
    groupsOf(
      files.map((megabytes) => ({ bytes: megabytes * MB })),
      { strategy: 'binpack', ...options },
    )

  test('fewer small files than the least number stay, unless they fill a file', async () => {
    expect((await bin([10, 10, 10, 10])).sizes).toEqual([])
    expect((await bin([10, 10, 10, 10, 10])).sizes).toEqual([[10, 10, 10, 10, 10]])
    expect((await bin([60, 60])).sizes).toEqual([[60, 60]])
    expect((await bin([10, 10], { minInputFiles: 2 })).sizes).toEqual([[10, 10]])
    expect((await bin([10], { minInputFiles: 1 })).sizes).toEqual([])
  })

  test('files of a right size stay; too large ones are split', async () => {
    const plan = await bin([75, 100, 180, 300])
    expect(plan.sizes).toEqual([[300]])
    expect(plan.groups).toMatchObject([{ reasons: ['oversize'], outputFiles: 3 }])
  })

  test('a group ends where the next file does not fit', async () => {
    const plan = await bin([70, 70, 70, 70, 70], { maxFileGroupSizeBytes: 150 * MB })
    expect(plan.sizes).toEqual([
      [70, 70],
      [70, 70],
    ])
  })

  test('files of wrong sizes that would become as many of wrong sizes again stay', async () => {
    const options = { minFileSizeBytes: 90 * MB, maxFileSizeBytes: 110 * MB }
    expect((await bin([65, 65], options)).sizes).toEqual([])
  })

  test('everything can be asked for, and at most so many files', async () => {
    expect((await bin([100, 100], { rewriteAll: true })).sizes).toEqual([[100, 100]])
    expect((await bin([10, 11, 12, 13, 14, 15], { maxFilesToRewrite: 4 })).sizes).toEqual([[10, 11, 12, 13]])
  })

  test('files outside of the filter stay', async () => {
    const where = {
      kind: 'compare',
      operator: '<',
      column: { fieldId: 1, name: 'at', type: 'int' },
      value: 50,
    } as const
    const files = [0, 20, 40, 60, 80].map((at) => ({ bytes: 30 * MB, at: [at, at + 1] as const }))
    const plan = await groupsOf(files, { strategy: 'binpack', where, minInputFiles: 2 })
    expect(plan.groups).toMatchObject([{ inputs: [{}, {}, {}] }])
  })

  test.each([
    { targetFileSizeBytes: 0 },
    { minFileSizeBytes: 100 * MB },
    { maxFileSizeBytes: 100 * MB },
    { minInputFiles: 0 },
    { deleteRatioThreshold: 0 },
    { deleteRatioThreshold: 1.5 },
    { strategy: 'zorder' as const },
    { strategy: 'zorder' as const, zorderColumns: ['nobody'] },
    { strategy: 'binpack' as const, sortOrder: [ascending(1)] },
    { sortOrder: [ascending(99)] },
  ])('%o is refused', async (options) => {
    await expect(groupsOf([], options)).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })
})

describe('groups by key ranges', () => {
  const right = (from: number, to: number, more: Partial<Described> = {}): Described => ({
    bytes: 100 * MB,
    at: [from, to],
    ...more,
  })

  test('files that lie over one another are rewritten together, the others stay', async () => {
    const plan = await groupsOf([
      right(0, 10),
      right(5, 15),
      right(14, 20),
      right(20, 30),
      right(40, 50),
      right(41, 42),
    ])
    expect(plan.overlapDepth).toBe(2)
    expect(plan.groups.map(({ inputs, reasons }) => [inputs.length, reasons])).toEqual([
      [3, ['overlap']],
      [2, ['overlap']],
    ])
  })

  test('a deeper overlap can be allowed', async () => {
    const files = [right(0, 10), right(5, 15), right(100, 110), right(101, 109), right(102, 108)]
    const plan = await groupsOf(files, { overlapDepthThreshold: 2 })
    expect(plan.overlapDepth).toBe(3)
    expect(plan.groups).toMatchObject([{ inputs: [{}, {}, {}] }])
  })

  test('small files with a file between them that stays are not put together: they would lie over it', async () => {
    const small = (from: number): Described => ({ bytes: MB, at: [from, from + 1] })
    const plan = await groupsOf([small(0), small(2), right(10, 20), small(30), small(32)], { minInputFiles: 2 })
    expect(plan.groups.map(({ inputs }) => inputs.length)).toEqual([2, 2])
  })

  test('files of another order are rewritten once', async () => {
    const plan = await groupsOf([right(0, 10), right(20, 30, { sortOrderId: 0 })])
    expect(plan.groups).toMatchObject([{ reasons: ['stale-order'], inputs: [{}] }])
    expect((await groupsOf([right(0, 1, { sortOrderId: 0 })], { rewriteStaleOrder: false })).groups).toEqual([])
  })

  test('partitions are planned apart; equal texts of different values are different partitions', async () => {
    const table = await makeTable({
      schema: SCHEMA,
      order: [ascending(1)],
      spec: { specId: 0, fields: [{ sourceId: 2, fieldId: 1000, name: 'url', transform: 'identity' }] },
    })
    const files = [null, 'null', 'a'].map((url) => right(0, 10, { partition: [url] }))
    const plan = await groupsOf(files, {}, table.metadata)
    expect(plan.overlapDepth).toBe(1)
    expect(plan.groups).toEqual([])
  })

  test('files of an older spec are one group without a partition', async () => {
    const table = await makeTable({ schema: SCHEMA, order: [ascending(1)] })
    const { metadata } = await table.updateSpec([{ add: { source: 'at', transform: 'bucket[2]' } }])
    const stale = [right(0, 1), right(5, 6)]
    const plan = await groupsOf(
      [...stale, right(0, 1, { specId: metadata.defaultSpecId, partition: [1] })],
      {},
      metadata,
    )
    expect(plan.groups).toMatchObject([{ partition: null, reasons: ['stale-spec'], inputs: [{}, {}] }])
    expect((await groupsOf(stale, { rewriteStaleSpec: false }, metadata)).groups).toEqual([])
  })
})

describe('overlap', () => {
  const range = (from: number, to: number): KeyRange => ({ lower: Buffer.of(from), upper: Buffer.of(to) })
  const depth = (...ranges: readonly (readonly [number, number])[]) =>
    measureOverlap(ranges.map(([from, to]) => range(from, to))).depth

  test('touching is not overlapping', () => {
    expect(depth([0, 5], [5, 9], [9, 12])).toBe(1)
    expect(depth([0, 6], [5, 9])).toBe(2)
  })

  test('files of one key stand side by side, and over those that span it', () => {
    expect(depth([5, 5], [5, 5], [5, 5])).toBe(1)
    expect(depth([0, 5], [5, 5], [5, 9])).toBe(1)
    expect(depth([0, 9], [5, 5], [5, 5])).toBe(2)
    expect(depth([0, 9], [0, 9], [5, 5])).toBe(3)
  })

  test('is what counting the files over every point and every gap gives', () => {
    const ranges = fc.array(fc.tuple(fc.nat(12), fc.nat(12)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const))
    fc.assert(
      fc.property(ranges, (some) => {
        let most = 0
        for (let at = 0; at <= 12; at += 0.5) {
          const over = some.filter(([from, to]) => from < at && at < to).length
          const points = some.some(([from, to]) => from === at && to === at) ? 1 : 0
          most = Math.max(most, over + points)
        }
        expect(depth(...some)).toBe(most)
      }),
    )
  })

  test('components keep files apart that do not overlap, and nothing else', () => {
    const ranges = fc.array(
      fc.tuple(fc.nat(30), fc.nat(6)).map(([a, b]) => [a, a + b] as const),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(ranges, (some) => {
        const { components } = measureOverlap(some.map(([from, to]) => range(from, to)))
        expect(components.flatMap(({ members }) => members).sort((a, b) => a - b)).toEqual(
          some.map((_, index) => index),
        )
        const overlaps = ([a, b]: readonly [number, number], [c, d]: readonly [number, number]) => a < d && c < b
        const componentOf = (index: number) => components.findIndex(({ members }) => members.includes(index))
        for (const [i, one] of some.entries()) {
          for (const [j, other] of some.entries()) {
            if (i !== j && overlaps(one, other)) expect(componentOf(i)).toBe(componentOf(j))
          }
        }
        for (const { members, depth: deep } of components) expect(deep > 1).toBe(members.length > 1)
      }),
    )
  })

  const key = (file: Described, ...fields: readonly SortField[]) =>
    keyRange(fileOf(file), SCHEMA, { orderId: 1, fields })
  const together = (a: Described, b: Described, ...fields: readonly SortField[]) =>
    measureOverlap([key(a, ...fields), key(b, ...fields)]).depth

  test('cut bounds of texts with one beginning prove no overlap; other beginnings do', () => {
    const page = (name: string) => `https://example.com/${name}`
    const url = (from: string, to: string): Described => ({ bytes: 1, url: [from, to] })
    expect(together(url(page('a'), page('f')), url(page('g'), page('z')), ascending(2))).toBe(1)
    expect(together(url('a-short-one', page('f')), url(page('g'), page('z')), ascending(2))).toBe(1)
    expect(together(url('a', 'm'), url('g', 'z'), ascending(2))).toBe(2)
    expect(together(url('a', 'zzzzzzzzzzzzzzzzzzzzzzz'), url(page('g'), page('z')), ascending(2))).toBe(2)
  })

  test('where one value fills the first field the next one decides', () => {
    const both = (url: readonly [string, string], at: readonly [number, number] = [7, 7]): Described => ({
      bytes: 1,
      at,
      url,
    })
    const order = [ascending(1), ascending(2)]
    expect(together(both(['a', 'f']), both(['f', 'z']), ...order)).toBe(1)
    expect(together(both(['a', 'g']), both(['f', 'z']), ...order)).toBe(2)
    expect(together(both(['a', 'g']), both(['a', 'z'], [7, 9]), ...order)).toBe(1)
    expect(together(both(['a', 'g']), both(['a', 'z'], [6, 9]), ...order)).toBe(2)
  })

  test('a falling order turns ranges around; nulls stand where the order puts them', () => {
    const at = (from: number, to: number, nulls = 0): Described => ({ bytes: 1, at: [from, to], nulls })
    expect(together(at(0, 5), at(5, 9), ascending(1, { direction: 'desc' }))).toBe(1)
    expect(together(at(0, 6), at(5, 9), ascending(1, { direction: 'desc' }))).toBe(2)
    expect(together(at(0, 3), at(5, 9, 1), ascending(1))).toBe(2)
    expect(together(at(0, 3), at(5, 9, 1), ascending(1, { nullOrder: 'nulls-last' }))).toBe(1)
  })

  test.each([
    ['an int in eight bytes', SCHEMA.fields[0]!, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)],
    ['a double that is no number', SCHEMA.fields[2]!, encodeBound('double', Number.NaN)],
    ['a timestamp that was a date', { ...SCHEMA.fields[0]!, type: 'timestamp' as const }, Uint8Array.of(1, 0, 0, 0)],
    [
      'a decimal of twenty bytes',
      { ...SCHEMA.fields[0]!, type: 'decimal(38, 2)' as const },
      new Uint8Array(20).fill(7),
    ],
  ])('a range is not known from a bound that is %s', (_what, field, odd) => {
    const bounds = new Map([[field.id, odd]])
    const file = { ...fileOf({ bytes: 1 }), lowerBounds: bounds, upperBounds: bounds }
    const order = { orderId: 1, fields: [ascending(field.id)] }
    expect(keyRange(file, { ...SCHEMA, fields: [field] }, order)).toBeUndefined()
  })

  test('a range is not known without bounds, or through a hash', () => {
    expect(key({ bytes: 1 }, ascending(1))).toBeUndefined()
    expect(key({ bytes: 1, at: [1, 2] }, ascending(1, { transform: 'bucket[4]' }))).toBeUndefined()
  })
})
