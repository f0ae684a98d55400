/** What pruning takes, against the plans of compaction: the same chunks are read before and after, by everybody. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ListedChain, planCompaction } from '../../../../jobs/compaction/plan.ts'
import {
  type Need,
  type PrunableChain,
  type PrunedChain,
  type PruneInput,
  planStreamPrune,
} from '../../../../jobs/maintenance/prune/plan.ts'
import { epochMillis } from '../../../../table/ids.ts'

const NAME = 'S@7'
const CUTOFF = epochMillis(1_000)

interface State {
  readonly chains: readonly (PrunableChain & { readonly tail: { ended: boolean; parents: readonly string[] } })[]
  readonly needs: readonly Need[]
  readonly listed: PruneInput['listed']
}

const shard = fc.record({
  landed: fc.boolean(),
  lost: fc.nat(3),
  steps: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }),
  ended: fc.boolean(),
  parents: fc.uniqueArray(fc.nat(7), { maxLength: 2 }),
  listed: fc.boolean(),
  youngFrom: fc.oneof(fc.constant(99), fc.nat(7)),
})

/** Where a need stands in a shard: not begun, at a place in it, or past its end. */
const place = fc.oneof(fc.constant('none' as const), fc.constant('end' as const), fc.nat(30))

const states: fc.Arbitrary<State> = fc
  .record({
    shards: fc.array(shard, { minLength: 1, maxLength: 7 }),
    needs: fc.array(fc.array(place, { minLength: 7, maxLength: 7 }), { minLength: 1, maxLength: 4 }),
    used: fc.boolean(),
    unknown: fc.nat(12),
    asked: fc.boolean(),
  })
  .map(({ shards, needs, used, unknown, asked }): State => {
    const id = (n: number): string => `shard-${n}`
    const parentsOf = (n: number): string[] => shards[n]!.parents.filter((parent) => parent < n).map(id)
    const isLanded = (n: number): boolean => shards[n]!.landed || used
    const landed = new Set(shards.flatMap((_, n) => (isLanded(n) ? [id(n)] : [])))
    const chains = shards.flatMap(({ lost, steps, ended, youngFrom }, n) => {
      if (!isLanded(n)) return []
      const after = [lost]
      for (const step of steps) after.push(after.at(-1)! + step)
      // the last one is where the chain ends: the end marker continues it
      const starts = ended || used ? after : after.slice(0, -1)
      const chunks = starts.map((start, at) => ({
        after: String(start),
        key: `${id(n)}/${start}`,
        sizeBytes: 10,
        lastModifiedMillis: at >= youngFrom ? 1_000 : 999,
      }))
      const parents = parentsOf(n).filter((parent) => landed.has(parent))
      return [{ shardId: id(n), chunks, tail: { ended: ended || used, parents }, last: after.at(-1)!, lost }]
    })
    const positions = (places: readonly (number | 'none' | 'end')[]): Record<string, string> =>
      Object.fromEntries(
        chains.flatMap(({ shardId, tail, last, lost }) => {
          const at = places[Number(shardId.slice(6))]!
          if (at === 'none' && !used) return []
          const end = tail.ended ? `${last}!` : String(last)
          return [[shardId, typeof at === 'number' && at < 25 ? String(Math.min(last, lost + at)) : end]]
        }),
      )
    return {
      chains,
      needs: needs.map((places, n) => ({
        table: `t.${n}`,
        snapshotId: null,
        positions: n === unknown ? 'unknown' : positions(places),
      })),
      listed: asked
        ? shards.flatMap((each, n) => (each.listed ? [{ shardId: id(n), parents: parentsOf(n) }] : []))
        : undefined,
    }
  })

const lastOf = ({ chunks, tail, ...rest }: State['chains'][number]): string =>
  tail.ended ? chunks.at(-1)!.after : String((rest as unknown as { last: number }).last)

/** What a compaction of this need would read. */
function planOf(state: State, { positions }: Need) {
  const chains = state.chains.map((chain): ListedChain => {
    const after = chain.chunks.at(-1)!.after
    return { shardId: chain.shardId, chunks: chain.chunks, tail: { after, last: lastOf(chain), ...chain.tail } }
  })
  const held = positions === 'unknown' ? {} : positions
  return planCompaction([{ stream: 'S', created: 7, chains }], { [NAME]: held })
}

/** `state` after the oldest `count(chain)` of the planned chunks of each chain have gone. */
function without(state: State, pruned: readonly PrunedChain[], count: (chain: PrunedChain) => number): State {
  const gone = new Set(pruned.flatMap((chain) => chain.chunks.slice(0, count(chain)).map(({ key }) => key)))
  const chains = state.chains.map((chain) => ({ ...chain, chunks: chain.chunks.filter(({ key }) => !gone.has(key)) }))
  return { ...state, chains: chains.filter(({ chunks }) => chunks.length > 0) }
}

const prune = (state: State) => planStreamPrune({ ...state, olderThanMillis: CUTOFF })

/** Everybody reads the same before and after; a chain that went as a whole takes only its entry along. */
function expectSameReading(before: State, after: State): void {
  const left = new Set(after.chains.map(({ shardId }) => shardId))
  for (const need of before.needs) {
    const [old, now] = [planOf(before, need), planOf(after, need)]
    expect(now.inputs).toEqual(old.inputs)
    expect(now.lateStarts).toEqual(old.lateStarts)
    expect(now.nothingToDo).toBe(old.nothingToDo)
    const kept = Object.entries(old.positions.after[NAME]!).filter(([shardId]) => left.has(shardId))
    expect(now.positions.after[NAME]).toEqual(Object.fromEntries(kept))
  }
}

test('every consumer, at every snapshot it can go back to, reads the same after pruning, and after any part of it', () => {
  fc.assert(
    fc.property(states, fc.infiniteStream(fc.nat(8)), (state, cuts) => {
      const { chains } = prune(state)
      expectSameReading(
        state,
        without(state, chains, ({ chunks }) => chunks.length),
      )
      // as a run leaves it that dies: in each chain the oldest have gone, the last only after the parents' chains
      const counts = new Map(chains.map(({ shardId, chunks }) => [shardId, Math.min(chunks.length, cuts.next().value)]))
      const isGone = (shardId: string): boolean => {
        const chain = chains.find((each) => each.shardId === shardId)
        return chain !== undefined && counts.get(shardId) === chain.chunks.length && chain.afterChains.every(isGone)
      }
      const partly = without(state, chains, (chain) => {
        const count = counts.get(chain.shardId)!
        return chain.afterChains.every(isGone) ? count : Math.min(count, chain.chunks.length - 1)
      })
      expectSameReading(state, partly)
      // and the next run goes on to the same end
      const rest = prune(partly)
      expect(without(partly, rest.chains, ({ chunks }) => chunks.length)).toEqual(
        without(state, chains, ({ chunks }) => chunks.length),
      )
    }),
    { numRuns: 2_000 },
  )
})

test('a second plan is empty', () => {
  fc.assert(
    fc.property(states, (state) => {
      const { chains } = prune(state)
      expect(prune(without(state, chains, ({ chunks }) => chunks.length)).chains).toEqual([])
    }),
    { numRuns: 1_000 },
  )
})

test('what stays is kept by a rule: the last of its chain, young, or read by a plan that somebody could make', () => {
  fc.assert(
    fc.property(states, (state) => {
      const { chains: pruned } = prune(state)
      const gone = new Set(pruned.flatMap(({ chunks }) => chunks.map(({ key }) => key)))
      // whatever a child waits for, it will be read: its parents are left out here
      const orphaned = state.chains.map((chain) => ({ ...chain, tail: { ...chain.tail, parents: [] } }))
      const read = state.needs.map((need) => planOf({ ...state, chains: orphaned }, need).inputs)
      for (const { shardId, chunks } of state.chains) {
        for (const [at, chunk] of chunks.entries()) {
          const isYoung = chunks.slice(0, at + 1).some(({ lastModifiedMillis }) => lastModifiedMillis >= CUTOFF)
          const isNeeded = state.needs.some(({ positions }, n) => {
            if (positions === 'unknown') return true
            const input = read[n]!.find((each) => each.shardId === shardId)
            return input?.chunks.some(({ key }) => chunks.findIndex((each) => each.key === key) <= at) === true
          })
          const isLast = at === chunks.length - 1
          if (isYoung || isNeeded) expect(gone.has(chunk.key), `${chunk.key} is needed`).toBe(false)
          else if (!isLast) expect(gone.has(chunk.key), `${chunk.key} is kept for nothing`).toBe(true)
        }
      }
    }),
    { numRuns: 2_000 },
  )
})

test('a whole chain goes exactly when it is used up, not listed, its children have chains and its parents go too', () => {
  let wholes = 0
  fc.assert(
    fc.property(states, (state) => {
      const { chains, needs, listed } = state
      const whole = new Set(prune(state).chains.flatMap((chain) => (chain.whole ? [chain.shardId] : [])))
      wholes += whole.size
      const has = (shardId: string): boolean => chains.some((chain) => chain.shardId === shardId)
      /** By definition, from the oldest ancestor on: no parent with a chain may stay. */
      const goes = (chain: State['chains'][number]): boolean => {
        const { shardId, chunks, tail } = chain
        const isUsed = needs.every(
          ({ positions }) => positions !== 'unknown' && positions[shardId]?.endsWith('!') === true,
        )
        const isOld = chunks.every(({ lastModifiedMillis }) => lastModifiedMillis < CUTOFF)
        if (listed === undefined || !isUsed || !isOld || !tail.ended) return false
        if (listed.some((each) => each.shardId === shardId)) return false
        const children = [
          ...chains.filter((each) => each.tail.parents.includes(shardId)),
          ...listed.filter((each) => each.parents.includes(shardId)),
        ]
        if (children.length === 0 || !children.every((child) => has(child.shardId))) return false
        return chains.every((each) => !tail.parents.includes(each.shardId) || goes(each))
      }
      expect([...whole].sort()).toEqual(chains.filter(goes).map(({ shardId }) => shardId))
    }),
    { numRuns: 3_000 },
  )
  expect(wholes).toBeGreaterThan(50)
})
