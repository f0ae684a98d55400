import { createCipheriv } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { SplitRange } from '../../../loader/options.ts'
import { checkSplit, splitPartOf, splitTest } from '../../../loader/source/split.ts'
import {
  applyTransform,
  compareStrings,
  type ObjectStore,
  openCatalog,
  openStore,
  type Schema,
  systemClock,
  type Table,
} from '../../../table/index.ts'
import { column, commitFiles, equalityDeletes } from '../../table/scan/delete-tables.ts'
import { batchOf, writeRows } from '../../table/support.ts'
import { appendRows, memoryUrl, numbersOf, ROWS, rowAt, rowsTable, withDataset } from '../support.ts'
import { planOf, recorded, reopened } from './support.ts'

/** bucket[20] of rows 0 to 29 as PyIceberg 0.12 computes them; `rowAt` leaves out a third of most columns. */
const PYICEBERG: Readonly<Record<string, readonly number[]>> = {
  id: [17, 17, 1, 18, 6, 3, 4, 11, 13, 0, 2, 1, 18, 10, 6, 10, 17, 4, 7, 5, 14, 1, 8, 19, 16, 10, 9, 0, 12, 12],
  n: [16, 16, 12, 15, 10, 3, 9, 19, 3, 19, 8, 7, 8, 13, 9, 12, 18, 7, 8, 2, 19, 9, 1, 5, 0, 15, 14, 16, 13, 16],
  big: [13, 6, 4, 11, 14, 17, 14, 19, 1, 17, 9, 7, 14, 5, 2, 16, 15, 18, 5, 14, 19, 14, 18, 3, 5, 8, 14, 7, 5, 6],
  day: [16, 0, 9, 1, 12, 18, 5, 3, 0, 10, 11, 5, 14, 3, 7, 14, 19, 0, 8, 17, 2, 4, 7, 15, 10, 1, 4, 19, 11, 19],
  at: [9, 16, 5, 17, 16, 17, 8, 6, 1, 0, 1, 6, 11, 1, 14, 5, 4, 18, 16, 2, 4, 0, 9, 9, 6, 9, 18, 15, 12, 3],
  price: [7, 14, 6, 14, 7, 0, 17, 11, 16, 14, 11, 16, 18, 1, 0, 1, 11, 3, 9, 18, 18, 0, 8, 10, 11, 11, 6, 15, 16, 19],
  blob: [7, 18, 8, 13, 8, 8, 0, 2, 7, 17, 3, 2, 4, 19, 12, 9, 18, 4, 13, 17, 1, 12, 11, 18, 11, 8, 19, 0, 17, 0],
  tag: [12, 1, 10, 13, 8, 12, 15, 14, 7, 18, 9, 1, 13, 0, 1, 11, 12, 12, 0, 0, 2, 9, 11, 11, 19, 13, 14, 0, 10, 17],
}

describe('splitTest', () => {
  it.each(Object.keys(PYICEBERG))(
    'puts the values of %s into the buckets of PyIceberg, and nulls into none',
    (name) => {
      const rows = Array.from({ length: 30 }, (_, n) => rowAt(n))
      const batch = batchOf({ ...ROWS, fields: ROWS.fields.filter((field) => field.name === name) }, rows)
      const found = Array.from({ length: 30 }, (_, row) => {
        const buckets = Array.from({ length: 20 }, (_empty, from) => from).filter((from) => {
          const split = { column: name, buckets: 20, from, to: from + 1 }
          return splitTest(split, ROWS).rows(batch)(row)
        })
        return buckets.length === 1 ? buckets[0] : buckets
      })
      expect(found).toEqual(PYICEBERG[name]!.map((bucket, row) => (rows[row]![name] === null ? [] : bucket)))
    },
  )

  it.each(['score', 'flag', 'ratio'])('refuses %s, a type that has no buckets', (name) => {
    expect(() => checkSplit({ column: name, buckets: 2, from: 0, to: 1 }, ROWS)).toThrowError(
      expect.objectContaining({ code: 'FIRN_TRANSFORM_UNSUPPORTED', kind: 'invalid' }) as Error,
    )
  })

  it('refuses a column that the table does not have', () => {
    expect(() => checkSplit({ column: 'article', buckets: 2, from: 0, to: 1 }, ROWS)).toThrowError(
      expect.objectContaining({ code: 'FIRN_COLUMN_NOT_FOUND' }) as Error,
    )
  })
})

describe('splitPartOf', () => {
  const part = (split: SplitRange, transform: string, value: number | string | null, sourceId = 1): string => {
    const spec = { specId: 0, fields: [{ sourceId, fieldId: 1000, name: 'p', transform }] }
    return splitPartOf(split, { partition: [value] }, spec, ROWS)
  }
  const split = { column: 'id', buckets: 10, from: 3, to: 4 }

  it('is proved by buckets in a multiple of the split and by the value itself, by nothing else', () => {
    expect(part(split, 'bucket[10]', 3)).toBe('all')
    expect(part(split, 'bucket[10]', 4)).toBe('none')
    expect(part(split, 'bucket[20]', 13)).toBe('all')
    expect(part(split, 'bucket[20]', 14)).toBe('none')
    expect(part(split, 'bucket[15]', 3)).toBe('some')
    expect(part(split, 'bucket[5]', 3)).toBe('some')
    expect(part(split, 'truncate[4]', 'row-')).toBe('some')
    expect(part(split, 'bucket[10]', 3, 2)).toBe('some')
    expect(part(split, 'bucket[10]', null)).toBe('none')
    expect(part({ ...split, from: 17, to: 18, buckets: 20 }, 'identity', 'row-000000')).toBe('all')
    expect(part({ ...split, from: 0, to: 17, buckets: 20 }, 'identity', 'row-000000')).toBe('none')
    expect(splitPartOf(split, { partition: [] }, undefined, ROWS)).toBe('some')
  })
})

const SHARES = [
  [0, 3],
  [3, 9],
  [9, 10],
] as const

async function rowsOfShare(url: string, include: readonly [number, number], column = 'id'): Promise<number[]> {
  const options = { warehouse: url, table: 't.rows', batch: { size: 7 }, split: { column, buckets: 10, include } }
  return withDataset(options, async (dataset) => (await numbersOf(dataset.epoch(0))).flat())
}

describe('a split', () => {
  it('parts the rows: every row is in exactly one share', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 300 })
    const shares = []
    for (const include of SHARES) shares.push(await rowsOfShare(url, include))
    expect(shares.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n))
    for (const share of shares) expect(share.length).toBeGreaterThan(0)
  })

  it('leaves out rows without a value', async () => {
    const { url } = await rowsTable(memoryUrl(), { rows: 90 })
    const shares = []
    for (const include of SHARES) shares.push(...(await rowsOfShare(url, include, 'big')))
    expect(shares.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 90 }, (_, n) => n).filter((n) => n % 3 !== 2))
  })

  it('has the same rows in every snapshot: ten of them with appends and deletes', async () => {
    const { url, table } = await rowsTable(memoryUrl(), { rows: 100, fileRows: 40 })
    let current: Table = table
    const firstRows = await rowsOfShare(url, [2, 5])
    const seen = new Set(firstRows)
    const deleted = new Set<number>()
    for (let snapshot = 1; snapshot < 10; snapshot++) {
      if (snapshot % 3 === 2) {
        current = await current.refresh()
        current = await commitFiles(current, [await equalityDeletes(current, column(ROWS, 'n'), [{ n: snapshot }])])
        deleted.add(snapshot)
      } else
        current = await appendRows(current, snapshot * 100, snapshot * 100 + 100, { fileRows: 33, rowGroupRows: 16 })
      const rows = await rowsOfShare(url, [2, 5])
      const share = new Set(rows)
      for (const n of seen) expect(share.has(n)).toBe(!deleted.has(n))
      for (const n of rows) if (n < 100) expect(firstRows).toContain(n)
      for (const n of rows) seen.add(n)
      for (const n of deleted) seen.delete(n)
    }
  })
})

describe('a 5 % split of a table that is partitioned by bucket[20](id)', () => {
  const schema: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      { id: 1, name: 'id', required: true, type: 'string' },
      { id: 2, name: 'blob', required: true, type: 'binary' },
    ],
  }

  async function bucketTable(url: string, rows: number, rowBytes: number): Promise<void> {
    const table = await openCatalog(openStore(url), { clock: systemClock }).createTable('t.rows', {
      schema,
      partitionSpec: {
        specId: 0,
        fields: [{ sourceId: 1, fieldId: 1000, name: 'id_bucket', transform: 'bucket[20]' }],
      },
      sortOrder: { orderId: 0, fields: [] },
      properties: {},
    })
    // What cannot be compressed: the key stream of a cipher.
    const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
    const buckets = Array.from({ length: 20 }, (): { id: string; blob: Buffer }[] => [])
    for (let n = 0; n < rows; n++) {
      const id = `article-${n}`
      const bucket = applyTransform('bucket[20]', 'string', id) as number
      buckets[bucket]!.push({ id, blob: noise.update(Buffer.alloc(rowBytes)) })
    }
    const files = []
    for (const [bucket, part] of buckets.entries()) {
      files.push(...(await writeRows(table, part, [bucket], { rowGroupRows: 100 })))
    }
    await table.append(files)
  }

  const idsOf = async (store: ObjectStore, buckets: number, include: readonly [number, number]): Promise<string[]> => {
    const split = { column: 'id', buckets, include }
    return withDataset({ warehouse: store, table: 't.rows', split, batch: { size: 50 } }, async (dataset) => {
      const ids: string[] = []
      for await (const batch of dataset.epoch(0)) ids.push(...(batch.getChild('id')!.toArray() as string[]))
      return ids
    })
  }

  it('reads at most 6 % of the bytes, counts its rows exactly and tests none of them', async () => {
    const url = memoryUrl()
    await bucketTable(url, 8000, 6000)
    const plan = await planOf(await reopened(openStore(url)), { split: { column: 'id', buckets: 20, include: [7, 8] } })
    expect(plan.read.split).toBeUndefined()
    const whole = await planOf(await reopened(openStore(url)))
    const { store, requests } = recorded(openStore(url))
    const ids = await idsOf(store, 20, [7, 8])
    expect(ids).toHaveLength(plan.rowCount!)
    for (const id of ids) expect(applyTransform('bucket[20]', 'string', id)).toBe(7)
    expect(plan.rowCount! / whole.rowCount!).toBeGreaterThan(0.04)
    expect(requests.bytes / whole.origin.fileBytes).toBeLessThanOrEqual(0.06)
  })

  it('gives the same rows where files prove the split and where rows are tested', async () => {
    const url = memoryUrl()
    await bucketTable(url, 400, 10)
    const table = await reopened(openStore(url))
    // 10 divides 20: files prove it; 15 does not
    expect((await planOf(table, { split: { column: 'id', buckets: 10, include: [0, 5] } })).read.split).toBeUndefined()
    const tested = await planOf(table, { split: { column: 'id', buckets: 15, include: [0, 5] } })
    expect(tested.read.split).toEqual({ column: 'id', buckets: 15, from: 0, to: 5 })
    expect(tested.rowCount).toBeUndefined()
    for (const buckets of [10, 15]) {
      const ids = await idsOf(openStore(url), buckets, [0, 5])
      const expected = Array.from({ length: 400 }, (_, n) => `article-${n}`).filter(
        (id) => (applyTransform(`bucket[${buckets}]`, 'string', id) as number) < 5,
      )
      expect(ids.toSorted(compareStrings)).toEqual(expected.toSorted(compareStrings))
    }
  })
})
