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
      origin: { kind: 'table', table: 'news.articles' },
      selector: {},
      delta: undefined,
      columns: undefined,
      filter: undefined,
      split: undefined,
      shuffle: { algorithm: 'block-v1', seed: 0, blockBytes: 285_212_672 },
      batch: { kind: 'rows', size: 64 },
      dropLast: false,
      shard: { rank: 0, worldSize: 1 },
      numWorkers: 1,
      prefetchBatches: 2,
      memoryLimitBytes: 512_000_000,
      cache: undefined,
      transform: undefined,
      onError: 'raise',
      retry: { attempts: 5 },
      pin: 'auto',
    })
  })

  it('decodes in this thread by default where worker threads cannot see the data', () => {
    expect(resolveOptions({ ...base, warehouse: 'memory://lake' }).numWorkers).toBe(0)
    expect(resolveOptions({ ...base, warehouse: openStore('file:///tmp') }).numWorkers).toBe(0)
    expect(resolveOptions({ ...base, warehouse: undefined, table: 'file:///lake/news/articles' }).numWorkers).toBe(1)
    expect(refusal({ warehouse: 'memory://lake', numWorkers: 1 })).toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    const allowedLocations = { 's3://other': openStore('memory://other') }
    expect(resolveOptions({ ...base, allowedLocations }).numWorkers).toBe(0)
    expect(refusal({ allowedLocations, numWorkers: 1 })).toMatchObject({
      message: expect.stringContaining('numWorkers: expected 0 beside') as string,
    })
    expect(refusal({ allowedLocations: 's3://other' })).toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    expect(refusal({ allowedLocations: { 's3://other': 's3://other' } })).toMatchObject({ code: 'FIRN_INVALID_OPTION' })
    expect(refusal({ warehouse: openStore('file:///tmp'), numWorkers: 2 })).toMatchObject({
      message: expect.stringContaining('numWorkers: expected 0 when') as string,
    })
  })

  it.each([
    [{ shufle: false }, 'openDataset: option "shufle"', 'shuffle, batch'],
    [{ batch: {} }, 'batch.size', '1 to 1048576'],
    [{ batch: { size: 0 } }, 'batch.size', '1 to 1048576'],
    [{ batch: { size: 2.5 } }, 'batch.size', '1 to 1048576'],
    [{ batch: { size: 4, maxTokens: 9 } }, 'batch', 'either'],
    [{ batch: { maxTokens: 0 } }, 'batch.maxTokens', 'from 1'],
    [{ batch: { maxTokens: 9, bucketBoundaries: [2, 2] } }, 'batch.bucketBoundaries', 'ascending'],
    [{ batch: { maxTokens: 9, bucketBoundaries: [0] } }, 'batch.bucketBoundaries', 'ascending'],
    [{ batch: { maxTokens: 9, bucketBoundaries: 7 } }, 'batch.bucketBoundaries', 'ascending'],
    [{ batch: { maxTokens: 9, padToMultipleOf: 10 } }, 'batch.padToMultipleOf', '1 to 9'],
    [{ batch: { maxTokens: 9, lengthColumn: '' } }, 'batch.lengthColumn', 'name of a column'],
    [{ batch: undefined }, 'batch', 'size'],
    [{ shuffle: { algorithm: 'preview', seed: 1 } }, 'shuffle.algorithm', "'block-v1'"],
    [{ shuffle: {} }, 'shuffle.seed', 'an integer'],
    [{ shuffle: { seed: -1 } }, 'shuffle.seed', 'an integer'],
    [{ shuffle: { seed: 1, blockBytes: 0 } }, 'shuffle.blockBytes', 'at least 1'],
    [{ shuffle: { seed: 1, blockBytes: '5 apples' } }, 'shuffle.blockBytes', "'512MB'"],
    [{ shuffle: { seed: 1, blockRowGroups: 3 } }, 'shuffle: option "blockRowGroups"', 'blockBytes'],
    [{ shuffle: true }, 'shuffle', 'seed'],
    [{ snapshot: {} }, 'snapshot', '{ id }, { tag } or { asOf }'],
    [{ snapshot: { id: 1n, tag: 'a' } }, 'snapshot', '{ after, upTo }'],
    [{ snapshot: { id: 1n, after: 2n } }, 'snapshot', '{ after, upTo }'],
    [{ snapshot: { upTo: 2n } }, 'snapshot', '{ after, upTo }'],
    [{ snapshot: { after: 5 } }, 'snapshot.after', 'bigint'],
    [{ snapshot: { after: 5n, upTo: 'then' } }, 'snapshot.upTo', 'bigint'],
    [{ snapshot: { after: { tag: '' } } }, 'snapshot.after.tag', 'a name'],
    [{ snapshot: { after: null } }, 'snapshot.after', 'bigint'],
    [{ snapshot: { id: 6518364819586003000 } }, 'snapshot.id', 'bigint'],
    [{ snapshot: { id: '12x' } }, 'snapshot.id', 'bigint'],
    [{ snapshot: { tag: '' } }, 'snapshot.tag', 'a name'],
    [{ snapshot: { asOf: new Date('nonsense') } }, 'snapshot.asOf', 'an integer'],
    [{ columns: [] }, 'columns', 'at least one'],
    [{ filter: '' }, 'filter', 'a condition like'],
    [{ filter: 5 }, 'filter', 'a condition like'],
    [{ filter: null }, 'filter', 'a condition like'],
    [{ filter: { kind: 'compare', value: () => 1 } }, 'filter', 'plain data'],
    [{ split: { column: 'id', buckets: 10 } }, 'split.include', '[from, to]'],
    [{ split: { column: '', buckets: 10, include: [0, 1] } }, 'split.column', 'a column'],
    [{ split: { column: 'id', buckets: 0, include: [0, 1] } }, 'split.buckets', 'from 1'],
    [{ split: { column: 'id', buckets: 10, include: [3, 3] } }, 'split.include[1]', 'from 4 to 10'],
    [{ split: { column: 'id', buckets: 10, include: [10, 11] } }, 'split.include[0]', 'from 0 to 9'],
    [{ split: { column: 'id', buckets: 10, include: [0, 11] } }, 'split.include[1]', 'from 1 to 10'],
    [{ shard: { rank: 2, worldSize: 2 } }, 'shard.rank', 'from 0 to 1'],
    [{ shard: { rank: 0 } }, 'shard.worldSize', 'from 1'],
    [{ shard: { rank: 0, worldSize: 65 } }, 'batch.size', '65'],
    [{ numWorkers: 65 }, 'numWorkers', '0 to 64'],
    [{ prefetchBatches: -1 }, 'prefetchBatches', '0 to 1024'],
    [{ memoryLimit: '12' }, 'memoryLimit', "'512MB'"],
    [{ memoryLimit: Number.NaN }, 'memoryLimit', 'at least 1'],
    [{ memoryLimit: -5 }, 'memoryLimit', 'at least 1'],
    [{ cache: {} }, 'cache.dir', 'path'],
    [{ cache: { dir: 'cache' } }, 'cache.dir', 'absolute'],
    [{ cache: { dir: '/tmp/x', limit: 'all' } }, 'cache.limit', "'512MB'"],
    [{ transform: './tokenize.js' }, 'transform', 'import.meta.url'],
    [{ transform: '' }, 'transform', 'import.meta.url'],
    [{ transform: { module: '/x.js', options: { log: () => 1 } } }, 'transform.options', 'plain data'],
    [{ transform: { url: '/x.js' } }, 'transform: option "url"', 'module, options'],
    [{ onError: 'ignore' }, 'onError', "'raise' or 'skip'"],
    [{ retry: { attempts: 0 } }, 'retry.attempts', 'from 1'],
    [{ pin: true }, 'pin', "'auto' or 'required' or false"],
    [{ dropLast: 'yes' }, 'dropLast', 'true or false'],
    [{ table: '' }, 'table', 'namespace.table'],
    [{ columns: [5] }, 'columns', 'at least one'],
    [{ warehouse: 5 }, 'warehouse', 'URL'],
    [{ warehouse: null }, 'warehouse', 'URL'],
    [{ warehouse: {} }, 'warehouse', 'opened store'],
    [{ warehouse: '' }, 'warehouse', 'URL'],
    [{ warehouse: undefined }, 'warehouse', 'a catalog'],
    [{ warehouse: undefined, catalog: {} }, 'catalog', 'openCatalog'],
    [{ catalog: { kind: 'file', loadTable: () => undefined } }, 'warehouse', 'nothing beside'],
    [{ folder: '/data' }, 'table', 'nothing beside `folder`'],
    [{ folder: '/data', table: undefined }, 'warehouse', 'nothing beside `folder`'],
    [{ folder: '/data', table: undefined, warehouse: undefined, pin: 'required' }, 'pin', "'auto' or false"],
    [{ folder: '', table: undefined, warehouse: undefined }, 'folder', 'URL or the path'],
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

  it.each([
    [1_000, 1_000],
    ['1000B', 1_000],
    ['512MB', 512_000_000],
    ['1.5 GiB', 1_610_612_736],
    ['64mib', 67_108_864],
  ])('takes %s for a size', (memoryLimit, bytes) => {
    expect(resolveOptions({ ...base, memoryLimit }).memoryLimitBytes).toBe(bytes)
  })

  it('takes the ends of a delta as ids, digits or tags', () => {
    const { selector, delta } = resolveOptions({ ...base, snapshot: { after: { tag: 'run-1' }, upTo: '42' } })
    expect(selector).toEqual({ snapshotId: 42n })
    expect(delta).toEqual({ after: { ref: 'run-1' }, upTo: { snapshotId: 42n } })
    expect(resolveOptions({ ...base, snapshot: { after: 7n } }).delta).toEqual({ after: { snapshotId: 7n }, upTo: {} })
  })

  it('takes a folder as URL or path, in the place of a table', () => {
    const batch = { size: 1 }
    expect(resolveOptions({ folder: 's3://bucket/files/', batch }).origin).toEqual({
      kind: 'folder',
      url: 's3://bucket/files',
    })
    expect(resolveOptions({ folder: '/data/with space', batch }).origin).toMatchObject({
      url: 'file:///data/with%20space',
    })
    expect(resolveOptions({ folder: 'memory://files', batch }).numWorkers).toBe(0)
  })

  it('gives worker threads a transform as what import() takes', () => {
    const moduleOf = (transform: NonNullable<DatasetOptions['transform']>): unknown =>
      resolveOptions({ ...base, transform }).transform
    expect(moduleOf(new URL('file:///lib/tokenize.js'))).toEqual({ module: 'file:///lib/tokenize.js' })
    expect(moduleOf('/lib/to kenize.js')).toEqual({ module: 'file:///lib/to%20kenize.js' })
    expect(moduleOf('@acme/tokenize')).toEqual({ module: '@acme/tokenize' })
    expect(moduleOf({ module: 'tokenize', options: { size: 5 } })).toEqual({ module: 'tokenize', options: { size: 5 } })
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
