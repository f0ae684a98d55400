import { Field, Int32, type RecordBatch, Schema } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MixSource, SourceIterator } from '../../loader/mix/run.ts'
import { type Mix, mix } from '../../loader/mix.ts'
import { FirnError } from '../../table/errors.ts'

const SCHEMA = new Schema([new Field('n', new Int32(), false)])

/** Batch `n` of epoch `e` of source `s` is a row with this number. */
const label = (source: number, epoch: number, batch: number): string => `${source}:${epoch}:${batch}`

interface TestSource extends MixSource {
  open: number
  isClosed: boolean
}

/** As a dataset behaves: lazy iterations, a token behind the last batch, that of a whole epoch being the next one's beginning. */
function source(id: number, batches: number, { schema = SCHEMA, isCounted = true } = {}): TestSource {
  let resume: { epoch: number; batches: number } | undefined
  const made: TestSource = {
    schema,
    numBatches: isCounted ? batches : undefined,
    open: 0,
    isClosed: false,
    epoch(epoch = 0, { signal } = {}): SourceIterator {
      let next = resume?.epoch === epoch ? resume.batches : 0
      if (resume?.epoch === epoch) resume = undefined
      let state: 'idle' | 'open' | 'over' = 'idle'
      const end = (): { done: true; value: undefined } => {
        if (state === 'open') made.open--
        state = 'over'
        return { done: true, value: undefined }
      }
      const iterator: SourceIterator = {
        async next() {
          signal?.throwIfAborted()
          if (state === 'over' || next === batches) return end()
          if (state === 'idle') made.open++
          state = 'open'
          await Promise.resolve()
          return { done: false, value: { numRows: 1, label: label(id, epoch, next++) } as unknown as RecordBatch }
        },
        return: async () => end(),
        stateDict: () => (isCounted && next === batches ? `${id}/${epoch + 1}/0` : `${id}/${epoch}/${next}`),
        [Symbol.asyncIterator]: () => iterator,
      }
      return iterator
    },
    async loadStateDict(token) {
      const [from, epoch, count] = token.split('/').map(Number)
      if (from !== id) throw new FirnError('invalid', 'FIRN_TOKEN_MISMATCH', 'another source')
      resume = { epoch: epoch!, batches: count! }
      return resume
    },
    async [Symbol.asyncDispose]() {
      made.isClosed = true
    },
  }
  return made
}

const labelOf = (batch: RecordBatch): string => (batch as unknown as { label: string }).label

async function labels(batches: AsyncIterable<RecordBatch>, limit = 10_000): Promise<string[]> {
  const found: string[] = []
  for await (const batch of batches) {
    found.push(labelOf(batch))
    if (found.length === limit) break
  }
  return found
}

interface Case {
  readonly sizes: readonly number[]
  readonly proportions: readonly number[]
  readonly seed: number
  readonly stoppingStrategy: 'first_exhausted' | 'all_exhausted'
  readonly isCounted: boolean
}

const open = ({ sizes, proportions, isCounted, ...options }: Case): Mix =>
  mix(
    sizes.map((size, index) => ({ dataset: source(index, size, { isCounted }), proportion: proportions[index]! })),
    options,
  )

const cases: fc.Arbitrary<Case> = fc.integer({ min: 1, max: 4 }).chain((count) =>
  fc.record({
    sizes: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: count, maxLength: count }),
    proportions: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: count, maxLength: count }),
    seed: fc.nat({ max: 50 }),
    stoppingStrategy: fc.constantFrom('first_exhausted' as const, 'all_exhausted' as const),
    isCounted: fc.boolean(),
  }),
)

describe('an epoch of a mix', () => {
  test('gives each dataset in its own order, and stops as it says', async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.nat({ max: 3 }), async (how, epoch) => {
        const mixed = open(how)
        const found = await labels(mixed.epoch(epoch))
        const given = how.sizes.map((_, index) => found.filter((one) => one.startsWith(`${index}:`)))
        for (const [index, size] of how.sizes.entries()) {
          const expected = given[index]!.map((_, at) => label(index, epoch + Math.floor(at / size) * 65_536, at % size))
          expect(given[index]).toEqual(expected)
        }
        const exhausted = given.map((list, index) => list.length >= how.sizes[index]!)
        if (how.stoppingStrategy === 'first_exhausted') {
          expect(exhausted).toContain(true)
          expect(given.filter((list, index) => list.length > how.sizes[index]!)).toEqual([])
        } else expect(exhausted).not.toContain(false)
        if (how.isCounted) expect(mixed.numBatches).toBe(found.length)
        else expect(mixed.numBatches).toBeUndefined()
        expect(mixed.stats().batches).toBe(found.length)
      }),
    )
  })

  test('stopped anywhere and resumed in a new mix it gives the batches that were left, over two epochs', async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.nat({ max: 60 }), async (how, stop) => {
        const whole = open(how)
        const expected = [...(await labels(whole.epoch())), ...(await labels(whole.epoch()))]
        const first = open(how)
        const found: string[] = []
        let token = first.stateDict()
        for (const iterator of [first.epoch(), first.epoch()]) {
          for (;;) {
            if (found.length === stop) break
            const result = await iterator.next()
            if (result.done === true) break
            found.push(labelOf(result.value))
          }
          token = iterator.stateDict()
          if (found.length === stop) break
        }
        const second = open(how)
        const { epoch } = await second.loadStateDict(token)
        while (found.length < expected.length) {
          const before = found.length
          found.push(...(await labels(second.epoch())))
          // a rest may be empty, an epoch never
          if (found.length === before) found.push(...(await labels(second.epoch())))
        }
        expect(found.slice(0, expected.length)).toEqual(expected)
        expect(epoch).toBeLessThanOrEqual(2)
      }),
      { numRuns: 300 },
    )
  })

  test('a token that was loaded is the token until a batch is asked for', async () => {
    const how = {
      sizes: [5, 5],
      proportions: [1, 1],
      seed: 3,
      stoppingStrategy: 'first_exhausted',
      isCounted: true,
    } as const
    const first = open(how)
    await labels(first.epoch(2), 3)
    const token = first.stateDict()
    const second = open(how)
    expect(await second.loadStateDict(token)).toEqual({ epoch: 2 })
    expect(second.stateDict()).toBe(token)
    expect(second.epoch().stateDict()).toBe(token)
  })

  test('loading twice starts every dataset from the second token', async () => {
    const how = {
      sizes: [9, 9],
      proportions: [1, 1],
      seed: 3,
      stoppingStrategy: 'first_exhausted',
      isCounted: true,
    } as const
    const first = open(how)
    const early = first.stateDict()
    await labels(first.epoch(0), 7)
    const late = first.stateDict()
    const second = open(how)
    await second.loadStateDict(late)
    await second.loadStateDict(early)
    expect(await labels(second.epoch())).toEqual(await labels(open(how).epoch()))
  })

  test('calls of next that overlap get the batches in order, and after the end there are none', async () => {
    const how = {
      sizes: [4, 4],
      proportions: [1, 1],
      seed: 0,
      stoppingStrategy: 'first_exhausted',
      isCounted: true,
    } as const
    const expected = await labels(open(how).epoch())
    const iterator = open(how).epoch()
    const results = await Promise.all(Array.from({ length: expected.length + 3 }, () => iterator.next()))
    expect(results.filter(({ done }) => done !== true).map(({ value }) => labelOf(value as RecordBatch))).toEqual(
      expected,
    )
  })

  test('leaving early ends the iterations of all datasets; closing the mix closes them', async () => {
    const sources = [source(0, 50), source(1, 50)]
    const mixed = mix(sources.map((dataset) => ({ dataset, proportion: 1 })))
    await labels(mixed.epoch(), 5)
    expect(sources.map(({ open: left }) => left)).toEqual([0, 0])
    const running = mixed.epoch()
    await running.next()
    await mixed[Symbol.asyncDispose]()
    expect(sources.map(({ isClosed }) => isClosed)).toEqual([true, true])
    await expect(running.next()).rejects.toMatchObject({ code: 'FIRN_DATASET_CLOSED' })
    expect(sources.map(({ open: left }) => left)).toEqual([0, 0])
  })

  test('its signal ends it with its reason', async () => {
    const stop = new AbortController()
    const iterator = open({
      sizes: [5],
      proportions: [1],
      seed: 0,
      stoppingStrategy: 'first_exhausted',
      isCounted: true,
    }).epoch(0, { signal: stop.signal })
    await iterator.next()
    stop.abort(new Error('enough'))
    await expect(iterator.next()).rejects.toThrow('enough')
  })

  test('a dataset without batches is an error, not an endless epoch', async () => {
    for (const stoppingStrategy of ['first_exhausted', 'all_exhausted'] as const) {
      const mixed = open({ sizes: [3, 0], proportions: [1, 1], seed: 0, stoppingStrategy, isCounted: true })
      expect(mixed.numBatches).toBeUndefined()
      await expect(labels(mixed.epoch())).rejects.toMatchObject({ code: 'FIRN_DATASET_EMPTY' })
    }
  })

  test('stats count what came of each dataset, and its repeats', async () => {
    const mixed = open({
      sizes: [2, 6],
      proportions: [1, 1],
      seed: 0,
      stoppingStrategy: 'all_exhausted',
      isCounted: true,
    })
    const found = await labels(mixed.epoch())
    const stats = mixed.stats()
    expect(stats.batches).toBe(found.length)
    expect(stats.rows).toBe(found.length)
    expect(stats.datasets[0]!.repeats).toBe(Math.ceil(stats.datasets[0]!.batches / 2) - 1)
    expect(stats.datasets[1]!.repeats).toBe(0)
  })
})

describe('a token of a mix', () => {
  const how: Case = {
    sizes: [5, 9],
    proportions: [2, 1],
    seed: 4,
    stoppingStrategy: 'first_exhausted',
    isCounted: true,
  }
  const tokenOf = async (): Promise<string> => {
    const mixed = open(how)
    await labels(mixed.epoch(), 4)
    return mixed.stateDict()
  }

  test.each([
    ['another seed', { seed: 5 }],
    ['other proportions', { proportions: [1, 1] }],
    ['another stopping strategy', { stoppingStrategy: 'all_exhausted' as const }],
    ['another number of datasets', { sizes: [5, 9, 3], proportions: [2, 1, 1] }],
  ])('is refused with %s', async (_what, change) => {
    await expect(open({ ...how, ...change }).loadStateDict(await tokenOf())).rejects.toMatchObject({
      code: 'FIRN_TOKEN_MISMATCH',
      kind: 'invalid',
    })
  })

  test('is refused when a dataset refuses its own', async () => {
    const swapped = mix(
      [
        { dataset: source(1, 9), proportion: 2 },
        { dataset: source(0, 5), proportion: 1 },
      ],
      { seed: 4 },
    )
    await expect(swapped.loadStateDict(await tokenOf())).rejects.toMatchObject({ code: 'FIRN_TOKEN_MISMATCH' })
  })

  test('with any character changed is refused', async () => {
    const token = await tokenOf()
    const mixed = open(how)
    for (let at = 0; at < token.length; at++) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
      // the last character carries bits that decode to nothing
      if (
        at === token.length - 1 &&
        Buffer.from(changed.split('.')[2]!, 'base64url').equals(Buffer.from(token.split('.')[2]!, 'base64url'))
      )
        continue
      await expect(mixed.loadStateDict(changed)).rejects.toMatchObject({ code: 'FIRN_TOKEN_INVALID' })
    }
  })

  test.each(['', 'mix1', 'mix1.0.e30', 'mix1.00000000.', 'x'.repeat(64), 7, undefined])(
    '%j is refused',
    async (token) => {
      await expect(open(how).loadStateDict(token as string)).rejects.toMatchObject({ code: 'FIRN_TOKEN_INVALID' })
    },
  )
})

describe('what a mix is made of', () => {
  test('columns agree, or it is refused with both', () => {
    const other = new Schema([new Field('m', new Int32(), false)])
    const parts = [source(0, 1), source(1, 1, { schema: other })].map((dataset) => ({ dataset, proportion: 1 }))
    expect(() => mix(parts)).toThrow(
      expect.objectContaining({ code: 'FIRN_SCHEMA_MISMATCH', message: expect.stringMatching(/n Int32.*m Int32/) }),
    )
  })

  const one = source(0, 1)
  test.each([
    [[], {}],
    [[{ dataset: one, proportion: 0 }], {}],
    [
      [
        { dataset: one, proportion: 1 },
        { dataset: one, proportion: 1 },
      ],
      {},
    ],
    [[{ dataset: {}, proportion: 1 }], {}],
    [[{ dataset: one, share: 1 }], {}],
    [[{ dataset: one, proportion: 1 }], { seed: -1 }],
    [[{ dataset: one, proportion: 1 }], { stoppingStrategy: 'never' }],
    [[{ dataset: one, proportion: 1 }], { epochs: 2 }],
  ])('refuses options %#', (parts, options) => {
    expect(() => mix(parts as never, options as never)).toThrow(
      expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }),
    )
  })

  test.each([-1, 0.5, 65_536])('refuses epoch %d', (epoch) => {
    expect(() => mix([{ dataset: source(0, 1), proportion: 1 }]).epoch(epoch)).toThrow(
      expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }),
    )
  })
})
