import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ListedChain, type ListedStream, planCompaction } from '../../../jobs/compaction/plan.ts'
import type { Positions } from '../../../jobs/compaction/positions.ts'
import { FirnError } from '../../../table/errors.ts'

interface ChainOptions {
  readonly ended?: boolean
  readonly parents?: readonly string[]
}

/** A chain whose chunks continue the given positions and end at the next one. */
function chain(
  shardId: string,
  ends: readonly string[],
  { ended = false, parents = [] }: ChainOptions = {},
): ListedChain {
  const chunks = ends.slice(0, -1).map((after) => ({ after, key: `${shardId}/${after}`, sizeBytes: 10 }))
  const last = ends.at(-1)!
  if (ended) chunks.push({ after: last, key: `${shardId}/${last}`, sizeBytes: 1 })
  return { shardId, chunks, tail: { after: chunks.at(-1)!.after, last, ended, parents } }
}

const stream = (...chains: ListedChain[]): ListedStream => ({ stream: 'S', created: 7, chains })
const at = (positions: Record<string, string>): Positions => ({ 'S@7': positions })
const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    return FirnError.is(error) ? error.code : String(error)
  }
  return 'no error'
}

describe('planCompaction', () => {
  it('reads a new chain from its first chunk to its end', () => {
    const plan = planCompaction([stream(chain('a', ['0', '10', '25']))], {})
    expect(plan.inputs).toEqual([
      {
        kind: 'chain',
        stream: 'S',
        created: 7,
        shardId: 'a',
        from: '0',
        chunks: [
          { after: '0', key: 'a/0', sizeBytes: 10 },
          { after: '10', key: 'a/10', sizeBytes: 10 },
        ],
        to: '25',
      },
    ])
    expect(plan.positions).toEqual({ before: { 'S@7': {} }, after: { 'S@7': { a: '25' } } })
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
  })

  it('has nothing to do at the end of every chain', () => {
    const plan = planCompaction(
      [stream(chain('a', ['0', '10']), chain('b', ['0', '9'], { ended: true }))],
      at({ a: '10', b: '9!' }),
    )
    expect(plan.nothingToDo).toBe(true)
    expect(plan.inputs).toEqual([])
    expect(planCompaction([], {}).nothingToDo).toBe(true)
    expect(planCompaction([stream()], {}).nothingToDo).toBe(true)
  })

  it('starts at the chunk that continues the position, ignoring older ones', () => {
    const plan = planCompaction([stream(chain('a', ['0', '9', '10', '100']))], at({ a: '10' }))
    expect(plan.inputs[0]!.chunks.map((chunk) => chunk.after)).toEqual(['10'])
    expect(plan.inputs[0]!.from).toBe('10')
  })

  it('starts at the chunk that contains the position', () => {
    const plan = planCompaction([stream(chain('a', ['0', '10', '20', '30']))], at({ a: '15' }))
    expect(plan.inputs[0]!.chunks.map((chunk) => chunk.after)).toEqual(['10', '20'])
    expect(plan.inputs[0]!.from).toBe('15')
    const tail = planCompaction([stream(chain('a', ['0', '10', '20', '30']))], at({ a: '29' }))
    expect(tail.inputs[0]!.chunks.map((chunk) => chunk.after)).toEqual(['20'])
  })

  it('consumes an end marker: the position gets its mark without a record', () => {
    const plan = planCompaction([stream(chain('a', ['0', '10'], { ended: true }))], at({ a: '10' }))
    expect(plan.nothingToDo).toBe(false)
    expect(plan.inputs[0]!.chunks.map((chunk) => chunk.after)).toEqual(['10'])
    expect(plan.positions.after).toEqual(at({ a: '10!' }))
  })

  it('reads a child together with the ends of all its parents, never before', () => {
    const child = chain('c', ['0', '5'], { parents: ['a', 'b'] })
    const open = planCompaction([stream(chain('a', ['0', '10'], { ended: true }), chain('b', ['0', '10']), child)], {})
    expect(open.inputs.map((input) => input.shardId)).toEqual(['a', 'b'])
    expect(open.chunksLeft).toBe(1)
    const ended = planCompaction(
      [stream(child, chain('b', ['0', '10'], { ended: true }), chain('a', ['0', '10'], { ended: true }))],
      at({ a: '10!' }),
    )
    expect(ended.inputs.map((input) => input.shardId)).toEqual(['b', 'c'])
    expect(ended.positions.after).toEqual(at({ a: '10!', b: '10!', c: '5' }))
  })

  it('counts a pruned parent as consumed, and drops its position', () => {
    const child = chain('c', ['0', '5'], { parents: ['a'] })
    const plan = planCompaction([stream(child)], at({ a: '10!' }))
    expect(plan.positions.after).toEqual(at({ c: '5' }))
  })

  it('says where a new table could not begin at the start of a shard', () => {
    const plan = planCompaction([stream(chain('a', ['40', '50']))], {})
    expect(plan.lateStarts).toEqual([{ stream: 'S', created: 7, shardId: 'a', after: '40' }])
    expect(plan.inputs[0]!.from).toBe('40')
  })

  it.each<[string, ListedChain[], Record<string, string>]>([
    ['a chain that is gone before its end was consumed', [], { a: '10' }],
    ['a chain whose next chunk is gone', [chain('a', ['40', '50'])], { a: '10' }],
    ['a position beyond the end of staging', [chain('a', ['0', '10'])], { a: '11' }],
  ])('refuses %s', (_name, chains, positions) => {
    expect(codeOf(() => planCompaction([stream(...chains)], at(positions)))).toBe('FIRN_CHAIN_BROKEN')
  })

  it('reads every incarnation of a stream, oldest first', () => {
    const newer = { ...stream(chain('a', ['0', '3'])), created: 10 }
    const plan = planCompaction([newer, { ...stream(chain('a', ['0', '8'])), created: 9 }], {})
    expect(plan.inputs.map((input) => [input.created, input.to])).toEqual([
      [9, '8'],
      [10, '3'],
    ])
    expect(plan.positions.after).toEqual({ 'S@9': { a: '8' }, 'S@10': { a: '3' } })
  })

  it('treats shards alike under a limit, and always makes progress', () => {
    const streams = [stream(chain('a', ['0', '1', '2', '3']), chain('b', ['0', '1', '2', '3']))]
    const plan = planCompaction(streams, {}, { maxBytes: 40 })
    expect(plan.positions.after).toEqual(at({ a: '2', b: '2' }))
    expect(plan.chunksLeft).toBe(2)
    expect(planCompaction(streams, {}, { maxBytes: 1 }).positions.after).toEqual(at({ a: '1' }))
  })

  it('consumes every position exactly once, whatever the limits and the landings between runs', () => {
    const shard = fc.record({
      steps: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
      ended: fc.boolean(),
      parent: fc.option(fc.nat(3)),
      visible: fc.array(fc.nat(6), { minLength: 4, maxLength: 4 }),
    })
    const shards = fc.array(shard, { minLength: 1, maxLength: 5 })
    const limits = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(shards, limits, (specs, budgets) => {
        const names = specs.map((_, index) => `s${index}`)
        const chains = specs.map(({ steps, ended, parent }, index) => {
          const ends = ['0', ...steps.map((_, at) => String(steps.slice(0, at + 1).reduce((a, b) => a + b)))]
          const parents = parent !== null && parent < index ? [names[parent]!] : []
          return chain(names[index]!, ends, { ended, parents })
        })
        // what the landers had written by the time of each run: more and more of each chain
        const listing = (run: number): ListedChain[] =>
          chains.flatMap((whole, index) => {
            const seen = Math.max(0, ...specs[index]!.visible.slice(0, run + 1))
            const chunks = run === 4 ? whole.chunks : whole.chunks.slice(0, seen)
            if (chunks.length === 0) return []
            const complete = chunks.length === whole.chunks.length
            const next = whole.chunks[chunks.length]
            const tail = complete
              ? whole.tail!
              : { ...whole.tail!, after: chunks.at(-1)!.after, last: next!.after, ended: false }
            return [{ ...whole, chunks, tail }]
          })
        let positions: Positions = {}
        const read: string[] = []
        const endedBefore = new Set<string>()
        for (let run = 0; run < 60; run++) {
          const maxBytes = run < 4 ? budgets[run] : 15
          const plan = planCompaction([stream(...listing(Math.min(run, 4)))], positions, { maxBytes })
          if (plan.nothingToDo && run >= 4) break
          const ending = new Set(endedBefore)
          for (const [shardId, position] of Object.entries(plan.positions.after['S@7']!)) {
            if (position.endsWith('!')) ending.add(shardId)
          }
          for (const input of plan.inputs) {
            // every chunk begins where the one before it ended
            expect(input.from).toBe(plan.positions.before['S@7']![input.shardId] ?? '0')
            expect(input.chunks[0]!.after).toBe(input.from)
            for (const chunk of input.chunks) read.push(chunk.key)
            const parents = chains.find((each) => each.shardId === input.shardId)!.tail!.parents
            const listed = new Set(listing(Math.min(run, 4)).map((each) => each.shardId))
            for (const parent of parents) expect(!listed.has(parent) || ending.has(parent)).toBe(true)
          }
          for (const shardId of ending) endedBefore.add(shardId)
          positions = plan.positions.after
        }
        expect(read.length).toBe(new Set(read).size)
        // a child of a shard that never ends waits for ever; everything else is read
        const blocked = new Set<string>()
        for (const each of chains) {
          const waits = each.tail!.parents.some(
            (parent) => blocked.has(parent) || !chains.find((other) => other.shardId === parent)!.tail!.ended,
          )
          if (waits) blocked.add(each.shardId)
        }
        const expected = chains
          .filter((each) => !blocked.has(each.shardId))
          .flatMap((each) => each.chunks.map((c) => c.key))
        expect(expected.every((key) => read.includes(key))).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
