import { describe, expect, it } from 'vitest'
import type { DatasetOptions } from '../../loader/index.ts'
import { resolveOptions } from '../../loader/options.ts'
import { openStore } from '../../table/index.ts'

const base: DatasetOptions = { warehouse: 's3://bucket/lake', table: 'news.articles', batch: { size: 64 } }
const refusal = (more: object): unknown => {
  try {
    resolveOptions({ ...base, ...more } as DatasetOptions)
    return undefined
  } catch (error) {
    return error
  }
}

describe('resolveOptions', () => {
  it('fills in the choices that were not made', () => {
    expect(resolveOptions(base)).toEqual({
      selector: {},
      columns: undefined,
      shuffle: { algorithm: 'preview', seed: 0, blockRowGroups: 16 },
      batchSize: 64,
      dropLast: false,
      numWorkers: 1,
      prefetchBatches: 2,
    })
  })

  it('decodes in this thread by default where worker threads cannot see the data', () => {
    expect(resolveOptions({ ...base, warehouse: 'memory://lake' }).numWorkers).toBe(0)
    expect(resolveOptions({ ...base, warehouse: openStore('file:///tmp') }).numWorkers).toBe(0)
    expect(resolveOptions({ ...base, warehouse: undefined, table: 'file:///lake/news/articles' }).numWorkers).toBe(1)
    expect(refusal({ warehouse: 'memory://lake', numWorkers: 1 })).toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    expect(refusal({ warehouse: openStore('file:///tmp'), numWorkers: 2 })).toMatchObject({
      message: expect.stringContaining('numWorkers: expected 0 when') as string,
    })
  })

  it.each([
    [{ shufle: false }, 'openDataset: option "shufle"', 'shuffle, batch'],
    [{ batch: {} }, 'batch.size', '1 to 1048576'],
    [{ batch: { size: 0 } }, 'batch.size', '1 to 1048576'],
    [{ batch: { size: 2.5 } }, 'batch.size', '1 to 1048576'],
    [{ batch: { maxTokens: 9 } }, 'batch: option "maxTokens"', 'size'],
    [{ batch: undefined }, 'batch', 'size'],
    [{ shuffle: { algorithm: 'block-v1', seed: 1 } }, 'shuffle.algorithm', "'preview'"],
    [{ shuffle: {} }, 'shuffle.seed', 'an integer'],
    [{ shuffle: { seed: -1 } }, 'shuffle.seed', 'an integer'],
    [{ shuffle: { seed: 1, blockRowGroups: 0 } }, 'shuffle.blockRowGroups', '1 to 4096'],
    [{ shuffle: true }, 'shuffle', 'seed'],
    [{ snapshot: {} }, 'snapshot', '{ id }, { tag } or { asOf }'],
    [{ snapshot: { id: 1n, tag: 'a' } }, 'snapshot', '{ id }, { tag } or { asOf }'],
    [{ snapshot: { id: 6518364819586003000 } }, 'snapshot.id', 'bigint'],
    [{ snapshot: { id: '12x' } }, 'snapshot.id', 'bigint'],
    [{ snapshot: { tag: '' } }, 'snapshot.tag', 'a name'],
    [{ snapshot: { asOf: new Date('nonsense') } }, 'snapshot.asOf', 'an integer'],
    [{ columns: [] }, 'columns', 'at least one'],
    [{ numWorkers: 65 }, 'numWorkers', '0 to 64'],
    [{ prefetchBatches: -1 }, 'prefetchBatches', '0 to 1024'],
    [{ dropLast: 'yes' }, 'dropLast', 'true or false'],
    [{ table: '' }, 'table', 'namespace.table'],
    [{ columns: [5] }, 'columns', 'at least one'],
    [{ warehouse: 5 }, 'warehouse', 'URL'],
    [{ warehouse: null }, 'warehouse', 'URL'],
    [{ warehouse: {} }, 'warehouse', 'opened store'],
    [{ warehouse: '' }, 'warehouse', 'URL'],
    [{ signal: null }, 'signal', 'an AbortSignal'],
    [{ signal: {} }, 'signal', 'an AbortSignal'],
    [{ signal: new AbortController() }, 'signal', 'an AbortSignal'],
    [{ snapshot: { asOf: null } }, 'snapshot.asOf', 'a Date'],
    [{ snapshot: { asOf: '1700000000000' } }, 'snapshot.asOf', 'milliseconds'],
    [{ snapshot: { asOf: '' } }, 'snapshot.asOf', 'milliseconds'],
    [{ storeOptions: null }, 'storeOptions', 'an object'],
    [{ storeOptions: 's3' }, 'storeOptions', 'an object'],
    [{ storeOptions: { s3: { endpoint: () => 'x' } } }, 'storeOptions', 'numWorkers: 0'],
  ])('refuses %o and names what is allowed', (more, option, allowed) => {
    expect(refusal(more)).toMatchObject({
      kind: 'invalid',
      code: 'FIRN_INVALID_OPTION',
      message: expect.stringContaining(option) as string,
      help: expect.stringContaining(allowed) as string,
    })
  })

  it('takes a time as a Date or as its milliseconds', () => {
    const asOf = (value: number | Date) => resolveOptions({ ...base, snapshot: { asOf: value } }).selector
    expect(asOf(new Date(1_700_000_000_000))).toEqual({ asOf: 1_700_000_000_000 })
    expect(asOf(1_700_000_000_000)).toEqual({ asOf: 1_700_000_000_000 })
  })

  it('takes store options that worker threads cannot be given where there are none', () => {
    expect(refusal({ storeOptions: { s3: { endpoint: () => 'x' } }, numWorkers: 0 })).toBeUndefined()
  })

  it('shows a value that holds itself as a refusal too', () => {
    const signal: { self?: unknown } = {}
    signal.self = signal
    expect(refusal({ signal })).toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })
})
