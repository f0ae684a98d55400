import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { RecordBatch } from 'apache-arrow'
import { vectorFromArray } from 'apache-arrow'
import { afterAll, describe, expect, it } from 'vitest'
import { cellAt } from '../../../../jobs/compaction/enrich/columns.ts'
import { createEnricher, type EnricherOptions } from '../../../../jobs/compaction/enrich/enrich.ts'
import {
  type EnrichmentFunction,
  type EnrichmentModule,
  enrichmentUrl,
  loadEnrichment,
} from '../../../../jobs/compaction/enrich/enrichment.ts'
import { type DatasetDefinition, type FieldType, parseDataset } from '../../../../jobs/datasets/index.ts'
import { type Clock, systemClock } from '../../../../table/clock.ts'
import { bytesOf } from '../fixture.ts'

interface Declared {
  readonly name: string
  readonly type: FieldType
  readonly required?: boolean
}

const datasetWith = (...declared: readonly Declared[]): DatasetDefinition =>
  parseDataset(
    {
      name: 'notes',
      key: 'id',
      fields: [
        { name: 'id', type: 'string', required: true },
        { name: 'body', type: 'string', required: true },
        ...declared.map((field) => ({ ...field, from: { kind: 'enrichment' } })),
        { name: 'word_count', type: 'int', from: { kind: 'feature', feature: 'word_count', of: 'body' } },
        { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
      ],
    },
    'test',
  )

const score: Declared = { name: 'score', type: 'double' }

const moduleOf = (enrich: EnrichmentFunction): EnrichmentModule => ({ url: 'file:///test.mjs', enrich })

const column = (batch: RecordBatch, name: string): unknown[] => [...batch.getChild(name)!]

interface Outcome {
  readonly reasons: readonly (string | undefined)[]
  readonly messages: readonly (string | undefined)[]
  readonly rows: readonly Record<string, unknown>[]
}

async function enriched(
  dataset: DatasetDefinition,
  enrich: EnrichmentFunction,
  bodies: readonly string[],
  options: EnricherOptions & { readonly signal?: AbortSignal } = {},
): Promise<Outcome> {
  const enricher = createEnricher(dataset, { module: moduleOf(enrich), ...options })
  const records = bodies.map((body, n) => ({ bytes: bytesOf({ id: `k${n}`, body }), arrivalMillis: 1 }))
  const outcomes = await enricher.addBatch(records, { signal: options.signal })
  const { columns, rowCount } = enricher.take()
  const rows = Array.from({ length: rowCount }, (_, row) =>
    Object.fromEntries([...columns].map(([name, values]) => [name, cellAt(values, row)])),
  )
  return { reasons: outcomes.map((o) => o?.reason), messages: outcomes.map((o) => o?.message), rows }
}

/** Every wait is over at once. */
const impatient: Clock = { ...systemClock, sleep: async () => {} }
/** No wait is ever over, but for an abort. */
const endless: Clock = {
  ...systemClock,
  sleep: (_millis, signal) =>
    new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error))),
}

describe('an enrichment module', () => {
  it('sees the record and its features, and its values become columns', async () => {
    const seen: unknown[] = []
    const { reasons, rows } = await enriched(
      datasetWith(score),
      (batch) => {
        seen.push(batch.schema.fields.map(({ name }) => name))
        return { score: column(batch, 'word_count').map((words) => (words as number) / 2) }
      },
      ['one', 'one two three'],
    )
    expect(seen).toEqual([['id', 'body', 'word_count']])
    expect(reasons).toEqual([undefined, undefined])
    expect(rows).toEqual([
      { id: 'k0', body: 'one', score: 0.5, word_count: 1 },
      { id: 'k1', body: 'one two three', score: 1.5, word_count: 3 },
    ])
  })

  it('gets at most 512 rows at once, and none for records that are bad anyway', async () => {
    const sizes: number[] = []
    const count: EnrichmentFunction = async (batch) => {
      sizes.push(batch.numRows)
      return { score: new Float64Array(batch.numRows) }
    }
    await enriched(datasetWith(score), count, Array.from({ length: 1030 }, String))
    expect(sizes).toEqual([512, 512, 6])
    const enricher = createEnricher(datasetWith(score), { module: moduleOf(count) })
    const [bad] = await enricher.addBatch([{ bytes: bytesOf('no JSON'), arrivalMillis: 1 }])
    expect([bad?.reason, sizes.length]).toEqual(['decode.json', 3])
  })

  it.each<[string, FieldType, unknown, unknown]>([
    ['strings', 'string', ['é', null], 'é'],
    ['a string vector', 'string', vectorFromArray(['x', null]), 'x'],
    ['integers', 'int', [-1, null], -1],
    ['an Int32Array', 'int', Int32Array.of(7, 8), 7],
    ['a Uint8Array', 'long', Uint8Array.of(7, 8), 7n],
    ['big integers', 'long', [2n ** 63n - 1n, null], 2n ** 63n - 1n],
    ['a BigInt64Array', 'long', BigInt64Array.of(-5n, 1n), -5n],
    ['a Float32Array', 'double', Float32Array.of(0.5, 1), 0.5],
    ['booleans', 'boolean', [true, null], true],
    ['dates as text', 'date', ['1970-01-02', null], 1],
    ['dates as days', 'date', Int32Array.of(3, 4), 3],
    ['times as text', 'timestamptz', ['1970-01-01T00:00:01Z', null], 1_000_000n],
    ['times as microseconds', 'timestamptz', [5n, null], 5n],
  ])('may give %s', async (_name, type, values, first) => {
    const { reasons, rows } = await enriched(datasetWith({ name: 'x', type }), () => ({ x: values }) as never, [
      'a',
      'b',
    ])
    expect(reasons).toEqual([undefined, undefined])
    expect(rows[0]!['x']).toEqual(first)
  })

  it.each<[string, FieldType, unknown]>([
    ['no object', 'int', 7],
    ['nothing', 'int', undefined],
    ['no such column', 'int', {}],
    ['a column that is not declared', 'int', { x: [1], y: [2] }],
    ['text for a column', 'string', { x: 'a' }],
    ['too many values', 'int', { x: [1, 2, 3] }],
    ['too few values', 'int', { x: [] }],
    ['a hole', 'int', { x: new Array(1) }],
    ['a fraction', 'int', { x: [1.5] }],
    ['a number beyond 32 bits', 'int', { x: [2 ** 31] }],
    ['a number as text', 'int', { x: ['1'] }],
    ['an unsafe integer', 'long', { x: [2 ** 53] }],
    ['a number beyond 64 bits', 'long', { x: [2n ** 63n] }],
    ['NaN', 'double', { x: [Number.NaN] }],
    ['half a surrogate pair', 'string', { x: ['\ud800'] }],
    ['a number for a boolean', 'boolean', { x: [1] }],
    ['a date that does not exist', 'date', { x: ['2026-02-30'] }],
    ['a time without offset', 'timestamptz', { x: ['yesterday'] }],
    ['a vector of times', 'timestamptz', { x: vectorFromArray([new Date(0)]) }],
    ['a DataView', 'int', { x: new DataView(new ArrayBuffer(1)) }],
  ])('that gives %s is refused', async (_name, type, values) => {
    const { reasons, rows } = await enriched(datasetWith({ name: 'x', type }), () => values as never, ['a'])
    expect(reasons).toEqual(['enrich.error'])
    expect(rows).toEqual([])
  })

  it('may give null only where the column is optional', async () => {
    const required = datasetWith({ ...score, required: true })
    const enrich: EnrichmentFunction = (batch) => ({
      score: column(batch, 'body').map((body) => (body === 'b' ? null : 1)),
    })
    expect((await enriched(datasetWith(score), enrich, ['a', 'b'])).reasons).toEqual([undefined, undefined])
    expect((await enriched(required, enrich, ['a', 'b'])).reasons).toEqual([undefined, 'enrich.error'])
  })

  it('loses only the rows that it fails for alone, and says nothing of their content', async () => {
    class Secret extends Error {}
    const enrich: EnrichmentFunction = (batch) => {
      for (const body of column(batch, 'body')) if (body === 'hunter2') throw new Secret('hunter2')
      return { score: column(batch, 'body').map(() => 1) }
    }
    const { reasons, messages, rows } = await enriched(datasetWith(score), enrich, [
      'a',
      'hunter2',
      'b',
      'hunter2',
      'c',
    ])
    expect(reasons).toEqual([undefined, 'enrich.error', undefined, 'enrich.error', undefined])
    expect(rows.map(({ body }) => body)).toEqual(['a', 'b', 'c'])
    expect(messages[1]).toBe('the enrichment threw Secret')
  })

  it('is no way to bring the run down', async () => {
    const hostile: EnrichmentFunction[] = [
      () => Promise.reject(new Error('async')),
      () => {
        throw null
      },
      () => ({
        get score(): never {
          throw new TypeError('getter')
        },
      }),
      () => ({ score: [{ valueOf: () => 1 }] as unknown[] }),
      () =>
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new RangeError('proxy')
            },
          },
        ),
    ]
    for (const enrich of hostile) {
      const { reasons, messages } = await enriched(datasetWith(score), enrich, ['a', 'b'])
      expect(reasons).toEqual(['enrich.error', 'enrich.error'])
      expect(messages.join()).not.toMatch(/async|getter|proxy/)
    }
  })

  it('that overruns for one record loses that one', async () => {
    const enrich: EnrichmentFunction = (batch) =>
      column(batch, 'body').includes('slow') ? new Promise(() => {}) : { score: new Float64Array(batch.numRows) }
    const { reasons } = await enriched(datasetWith(score), enrich, ['a', 'slow', 'b'], { clock: impatient })
    expect(reasons).toEqual([undefined, 'enrich.timeout', undefined])
  })

  it('that is stuck is not waited for once for each record', async () => {
    let calls = 0
    const stuck: EnrichmentFunction = () => {
      calls++
      return new Promise(() => {})
    }
    const { reasons } = await enriched(datasetWith(score), stuck, Array.from({ length: 100 }, String), {
      clock: impatient,
    })
    expect(new Set(reasons)).toEqual(new Set(['enrich.timeout']))
    expect(calls).toBe(1 + 3)
  })

  it('does not hold up an abort', async () => {
    const stop = new AbortController()
    const run = enriched(
      datasetWith(score),
      () => {
        queueMicrotask(() => stop.abort(new Error('stop')))
        return new Promise(() => {})
      },
      ['a', 'b'],
      { clock: endless, signal: stop.signal },
    )
    await expect(run).rejects.toThrow('stop')
  })

  it('is required by a dataset that declares columns from it, and ignored by others', async () => {
    expect(() => createEnricher(datasetWith(score))).toThrow(
      expect.objectContaining({ code: 'FIRN_ENRICHMENT_MISSING' }),
    )
    const { reasons } = await enriched(datasetWith(), () => 7 as never, ['a'])
    expect(reasons).toEqual([undefined])
  })
})

describe('loadEnrichment', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'firn-enrichment-'))
  afterAll(() => rm(folder, { recursive: true, force: true }))
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text)
    return pathToFileURL(join(folder, name)).href
  }

  it('takes the export "enrich", else the default one', async () => {
    const named = await loadEnrichment(await write('named.mjs', 'export const enrich = () => 1; export default 2'))
    const byDefault = await loadEnrichment(await write('default.mjs', 'export default () => 3'))
    expect([named.enrich({} as never), byDefault.enrich({} as never)]).toEqual([1, 3])
  })

  it('says what is wrong with a module', async () => {
    const code = async (url: string): Promise<string> => {
      const error: unknown = await loadEnrichment(url).then(
        () => undefined,
        (cause: unknown) => cause,
      )
      return (error as { code: string }).code
    }
    expect(await code('data:text/javascript,export default () => 1')).toBe('FIRN_ENRICHMENT_INVALID')
    expect(await code(await write('syntax.mjs', 'export default (('))).toBe('FIRN_ENRICHMENT_INVALID')
    expect(await code(await write('throws.mjs', 'throw new Error("no")'))).toBe('FIRN_ENRICHMENT_INVALID')
    expect(await code(await write('nothing.mjs', 'export const other = 1'))).toBe('FIRN_ENRICHMENT_INVALID')
    expect(await code(pathToFileURL(join(folder, 'absent.mjs')).href)).toBe('FIRN_ENRICHMENT_NOT_FOUND')
  })

  it('is given the URL of an existing file', async () => {
    const url = await write('a b#c.mjs', 'export default () => 1')
    expect(await enrichmentUrl(join(folder, 'a b#c.mjs'))).toBe(url)
    expect(await enrichmentUrl(url)).toBe(url)
    await expect(enrichmentUrl(join(folder, 'absent.mjs'))).rejects.toMatchObject({ code: 'FIRN_ENRICHMENT_NOT_FOUND' })
  })
})
