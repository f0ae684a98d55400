/** Which snapshots the rules keep: Java's cases, and a model that says it another way. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EpochMillis, epochMillis, type SnapshotId, snapshotId } from '../../../table/ids.ts'
import { applyRetention, type RetentionRules } from '../../../table/maintenance/expire/retention.ts'
import type { SnapshotRef, TableMetadata } from '../../../table/spec/metadata.ts'
import { UNSORTED } from '../../../table/spec/sort.ts'
import { DAY } from './expire-support.ts'

/** The n-th snapshot, from 1, is `ages[n - 1]` days old at `NOW`. */
interface History {
  readonly ages: readonly number[]
  /** Number of the parent; 0: none. */
  readonly parents: readonly number[]
  readonly refs: Readonly<Record<string, Omit<SnapshotRef, 'snapshotId'> & { readonly at: number }>>
  readonly properties?: Readonly<Record<string, string>>
}

const NOW = epochMillis(1_700_000_000_000)
const daysAgo = (days: number): EpochMillis => epochMillis(NOW - days * DAY)
const id = (n: number): SnapshotId => snapshotId(BigInt(n))

function metadataOf({ ages, parents, refs, properties = {} }: History): TableMetadata {
  const snapshots = ages.map((age, index) => ({
    snapshotId: id(index + 1),
    ...(parents[index] === 0 ? {} : { parentSnapshotId: id(parents[index]!) }),
    sequenceNumber: index + 1,
    timestampMillis: daysAgo(age),
    manifestList: `memory://t/metadata/snap-${index + 1}.avro`,
    summary: {},
  }))
  return {
    formatVersion: 2,
    tableUuid: 'u',
    location: 'memory://t',
    lastSequenceNumber: ages.length,
    lastUpdatedMillis: NOW,
    lastColumnId: 0,
    schemas: [{ schemaId: 0, identifierFieldIds: [], fields: [] }],
    currentSchemaId: 0,
    partitionSpecs: [{ specId: 0, fields: [] }],
    defaultSpecId: 0,
    lastPartitionId: 999,
    sortOrders: [UNSORTED],
    defaultSortOrderId: 0,
    properties,
    snapshots,
    snapshotLog: [],
    metadataLog: [],
    refs: Object.fromEntries(
      Object.entries(refs).map(([name, { at, ...ref }]) => [name, { ...ref, snapshotId: id(at) }]),
    ),
    unknown: {},
  }
}

const expired = (history: History, rules: RetentionRules = {}) => {
  const found = applyRetention(metadataOf(history), rules, NOW)
  return { snapshots: found.expired.map(Number), refs: [...found.expiredRefs].sort() }
}

const BRANCH = { type: 'branch' } as const
const TAG = { type: 'tag' } as const
/** A line of snapshots from oldest to newest. */
const line = (...ages: readonly number[]) => ({ ages, parents: ages.map((_, index) => index) })

describe('as Java has it', () => {
  test('without properties: five days, and the newest whatever its age', () => {
    const refs = { main: { ...BRANCH, at: 4 } }
    expect(expired({ ...line(9, 6, 5, 4), refs })).toEqual({ snapshots: [1, 2], refs: [] })
    expect(expired({ ...line(90, 80, 70, 60), refs })).toEqual({ snapshots: [1, 2, 3], refs: [] })
  })

  test('age and number must both be past', () => {
    const refs = { main: { ...BRANCH, at: 4 } }
    expect(expired({ ...line(9, 8, 7, 6), refs }, { retainLast: 3 }).snapshots).toEqual([1])
    expect(expired({ ...line(9, 8, 7, 6), refs }, { olderThan: daysAgo(8.5), retainLast: 1 }).snapshots).toEqual([1])
    const properties = { 'history.expire.min-snapshots-to-keep': '2', 'history.expire.max-snapshot-age-ms': `${DAY}` }
    expect(expired({ ...line(9, 8, 7, 6), refs, properties }).snapshots).toEqual([1, 2])
  })

  test('the values of a branch come before those of the table and of the caller', () => {
    const main = { ...BRANCH, at: 4, minSnapshotsToKeep: 3, maxSnapshotAgeMillis: DAY }
    expect(expired({ ...line(9, 8, 7, 6), refs: { main } }, { retainLast: 1 }).snapshots).toEqual([1])
    const patient = { ...BRANCH, at: 4, maxSnapshotAgeMillis: 8.5 * DAY }
    expect(expired({ ...line(9, 8, 7, 6), refs: { main: patient } }, { olderThan: NOW }).snapshots).toEqual([1])
  })

  test('a snapshot of a branch is kept behind one that is too old only when it is counted', () => {
    // Clocks went back: the older one has the later time.
    const refs = { main: { ...BRANCH, at: 3 } }
    expect(expired({ ages: [1, 9, 2], parents: [0, 1, 2], refs }).snapshots).toEqual([1, 2])
  })

  test('a tag keeps its one snapshot; what stands before it goes once it is old', () => {
    const refs = { main: { ...BRANCH, at: 1 }, t: { ...TAG, at: 4 } }
    expect(expired({ ages: [20, 9, 8, 7, 1], parents: [0, 1, 2, 3, 4], refs })).toEqual({ snapshots: [2, 3], refs: [] })
  })

  test('what no ref leads to stays while it is young', () => {
    const refs = { main: { ...BRANCH, at: 2 } }
    expect(expired({ ages: [9, 8, 7, 4], parents: [0, 1, 1, 1], refs }).snapshots).toEqual([1, 3])
  })

  test("a ref goes when its snapshot is older than its own age, or the table's; main never", () => {
    const refs = {
      main: { ...BRANCH, at: 1, maxRefAgeMillis: DAY },
      own: { ...TAG, at: 2, maxRefAgeMillis: 7 * DAY },
      patient: { ...TAG, at: 2, maxRefAgeMillis: 8 * DAY },
      tables: { ...BRANCH, at: 3 },
    }
    const history = { ages: [9, 8, 7], parents: [0, 1, 2], refs }
    expect(expired(history)).toEqual({ snapshots: [], refs: ['own'] })
    const properties = { 'history.expire.max-ref-age-ms': String(6 * DAY) }
    expect(expired({ ...history, properties })).toEqual({ snapshots: [3], refs: ['own', 'tables'] })
  })
})

describe('refused', () => {
  const history = { ...line(9, 8), refs: { main: { ...BRANCH, at: 2 } } }
  test.each([0, -1, 1.5, Number.NaN])('keeping %d snapshots', (retainLast) => {
    expect(() => expired(history, { retainLast })).toThrow(expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }))
  })
  test('an id that is not there, or that a ref names', () => {
    expect(() => expired(history, { snapshotIds: [id(7)] })).toThrow(
      expect.objectContaining({ code: 'FIRN_SNAPSHOT_NOT_FOUND' }),
    )
    expect(() => expired(history, { snapshotIds: [id(2)] })).toThrow(
      expect.objectContaining({ code: 'FIRN_SNAPSHOT_IN_USE' }),
    )
  })
  test('with a next step that can be taken: main cannot be removed', () => {
    const refs = { main: { ...BRANCH, at: 2 }, also: { ...BRANCH, at: 2 }, side: { ...BRANCH, at: 1 } }
    const inUse = (n: number) => () => expired({ ...history, refs }, { snapshotIds: [id(n)] })
    expect(inUse(1)).toThrow(expect.objectContaining({ help: 'Remove the ref first.' }))
    expect(inUse(2)).toThrow(expect.objectContaining({ help: expect.stringContaining('always stays') }))
    expect(inUse(7)).toThrow(expect.objectContaining({ help: expect.stringContaining('firn inspect snapshots') }))
  })
  test('a time that is no number', () => {
    const olderThan = epochMillis(Number.NaN)
    expect(() => expired(history, { olderThan })).toThrow(expect.objectContaining({ code: 'FIRN_INVALID_OPTION' }))
  })
})

/** The same rules, said of each snapshot by itself. */
function model(history: History, { olderThan, retainLast = 1 }: RetentionRules): ReturnType<typeof expired> {
  const age = (n: number): number => history.ages[n - 1]! * DAY
  const isYoung = (n: number): boolean => NOW - age(n) >= (olderThan ?? daysAgo(5))
  const lineOf = (at: number): readonly number[] => (at === 0 ? [] : [at, ...lineOf(history.parents[at - 1]!)])
  const refs = Object.entries(history.refs)
  const gone = refs.filter(
    ([name, ref]) => name !== 'main' && ref.maxRefAgeMillis !== undefined && age(ref.at) > ref.maxRefAgeMillis,
  )
  const kept = refs.filter((entry) => !gone.includes(entry)).map(([, ref]) => ref)
  const keeps = (ref: (typeof kept)[number], n: number): boolean => {
    if (ref.type === 'tag') return ref.at === n
    const place = lineOf(ref.at).indexOf(n)
    const { minSnapshotsToKeep = retainLast, maxSnapshotAgeMillis } = ref
    const fits = (m: number, at: number): boolean =>
      at < minSnapshotsToKeep || (maxSnapshotAgeMillis === undefined ? isYoung(m) : age(m) <= maxSnapshotAgeMillis)
    return (
      place >= 0 &&
      lineOf(ref.at)
        .slice(0, place + 1)
        .every(fits)
    )
  }
  const leadsTo = (ref: (typeof kept)[number], n: number): boolean =>
    ref.type === 'tag' ? ref.at === n : lineOf(ref.at).includes(n)
  const numbers = history.ages.map((_, index) => index + 1)
  const snapshots = numbers.filter(
    (n) => !kept.some((ref) => keeps(ref, n)) && (kept.some((ref) => leadsTo(ref, n)) || !isYoung(n)),
  )
  return { snapshots, refs: gone.map(([name]) => name).sort() }
}

const days = fc.integer({ min: 0, max: 12 })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 })
const histories = fc.integer({ min: 1, max: 12 }).chain((size) => {
  const ref = fc.record({
    type: fc.constantFrom('branch' as const, 'tag' as const),
    at: fc.integer({ min: 1, max: size }),
    ref: maybe(days),
    age: maybe(days),
    count: maybe(fc.integer({ min: 1, max: 4 })),
  })
  return fc.record({
    ages: fc.array(days, { minLength: size, maxLength: size }),
    parents: fc.tuple(...Array.from({ length: size }, (_, index) => fc.integer({ min: 0, max: index }))),
    refs: fc.dictionary(fc.constantFrom('main', 'a', 'b', 'c'), ref, { noNullPrototype: true }),
  })
})

test('a model that judges each snapshot by itself agrees', () => {
  fc.assert(
    fc.property(
      histories,
      maybe(days),
      maybe(fc.integer({ min: 1, max: 4 })),
      ({ ages, parents, refs }, olderThan, retainLast) => {
        const named = Object.entries(refs).map(([name, { type, at, ref, age, count }]) => {
          const isTag = type === 'tag' && name !== 'main'
          const members = {
            type: isTag ? ('tag' as const) : ('branch' as const),
            at,
            ...(ref === undefined ? {} : { maxRefAgeMillis: ref * DAY }),
            ...(age === undefined || isTag ? {} : { maxSnapshotAgeMillis: age * DAY }),
            ...(count === undefined || isTag ? {} : { minSnapshotsToKeep: count }),
          }
          return [name, members] as const
        })
        const history: History = { ages, parents, refs: Object.fromEntries(named) }
        const rules = { olderThan: olderThan === undefined ? undefined : daysAgo(olderThan), retainLast }
        expect(expired(history, rules)).toEqual(model(history, rules))
      },
    ),
    { numRuns: 1000 },
  )
})
