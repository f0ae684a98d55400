/** How well rows are mixed, over epochs of tables that are sorted, clustered or of uneven units; figures only, no files. */
import { describe, expect, it } from 'vitest'
import { expectedQuality } from '../../../loader/order/quality.ts'
import { fractionOf, KEY, type Quality, type SimulatedUnit, simulate } from './simulation.ts'

const MiB = 2 ** 20
const DEFAULT_BLOCK_BYTES = 272 * MiB
const UNIT_BYTES = 10_800_000

/** 4.3 GB decoded. */
const EQUAL: readonly SimulatedUnit[] = Array.from({ length: 400 }, () => ({ bytes: UNIT_BYTES, rows: 2048 }))
/** 1 kB to 64 MB, log-uniform. */
const MIXED: readonly SimulatedUnit[] = Array.from({ length: 800 }, (_, unit) => {
  const bytes = Math.floor(1024 * 65_536 ** fractionOf(unit * 7))
  return { bytes, rows: Math.max(1, Math.round(bytes / 5300)) }
})
/** Files of four full row groups and a shorter last one. */
const TAILS: readonly SimulatedUnit[] = Array.from({ length: 500 }, (_, unit) => {
  const bytes = unit % 5 === 4 ? Math.ceil(UNIT_BYTES * fractionOf(unit)) : UNIT_BYTES
  return { bytes, rows: Math.max(1, Math.round(bytes / 5300)) }
})

const sorted = (_unit: number, _row: number, position: number): number => position
const seeds = [1, 2]
const bySeed = (
  units: readonly SimulatedUnit[],
  numberOf: Parameters<typeof simulate>[1],
  blockBytes: number,
): Quality[] => seeds.map((seed) => simulate(units, numberOf, { blockBytes, key: { ...KEY, seed } }))

/** What the benchmark of the loader asks of a table that is fully sorted. */
const passes = ({ vr, unitsPerBatch }: Quality): boolean => vr <= 1.3 && unitsPerBatch >= 24

describe('an epoch of a sorted table', () => {
  it('has batches as even as chance or better, of 24 units or more, that do not drift', () => {
    for (const quality of bySeed(EQUAL, sorted, DEFAULT_BLOCK_BYTES)) {
      expect(passes(quality), JSON.stringify(quality)).toBe(true)
      expect(quality.vr).toBeLessThan(0.3)
      expect(quality.drift).toBeLessThan(1.3)
      expect(quality.unitsOfFirstBatch).toBeLessThanOrEqual(6)
    }
  })

  it('fails the same bar with blocks of two units', () => {
    for (const quality of bySeed(EQUAL, sorted, 2 * UNIT_BYTES)) {
      expect(passes(quality)).toBe(false)
      expect(quality.vr).toBeGreaterThan(5)
      expect(quality.drift).toBeGreaterThan(100)
      expect(quality.unitsPerBatch).toBeLessThan(3)
    }
  })

  it('is not hurt by the shorter last row groups of files', () => {
    for (const quality of bySeed(TAILS, sorted, DEFAULT_BLOCK_BYTES)) {
      expect(passes(quality), JSON.stringify(quality)).toBe(true)
      expect(quality.drift).toBeLessThan(10)
    }
  })

  it('stays near chance with units of 1 kB to 64 MB, where a block has few of the large ones', () => {
    for (const quality of bySeed(MIXED, sorted, DEFAULT_BLOCK_BYTES)) {
      // by position alone, without classes of size, this is 6 to 11
      expect(quality.vr, JSON.stringify(quality)).toBeLessThan(2.5)
      expect(quality.unitsPerBatch).toBeGreaterThan(10)
    }
  })

  it('mixes a table of a single block', () => {
    const units = Array.from({ length: 50 }, () => ({ bytes: 5_400_000, rows: 1024 }))
    for (const quality of bySeed(units, sorted, DEFAULT_BLOCK_BYTES)) {
      expect(passes(quality), JSON.stringify(quality)).toBe(true)
      expect(quality.drift).toBeLessThan(1)
    }
  })
})

describe('an epoch of other tables', () => {
  it('is like chance where every unit spans the whole range', () => {
    for (const { vr, drift } of bySeed(EQUAL, (_unit, row) => row, DEFAULT_BLOCK_BYTES)) {
      expect(Math.abs(vr - 1)).toBeLessThan(0.1)
      expect(Math.abs(drift - 1)).toBeLessThan(0.5)
    }
  })

  it('is bounded by the units of a block where every unit has one value of its own', () => {
    const { clusteredVr } = expectedQuality(
      EQUAL.map(({ bytes }) => bytes),
      { blockBytes: DEFAULT_BLOCK_BYTES, batchRows: 64 },
    )
    for (const { vr } of bySeed(EQUAL, (unit) => fractionOf(unit), DEFAULT_BLOCK_BYTES)) {
      expect(vr).toBeLessThan(1.6 * clusteredVr)
    }
  })
})

describe('expectedQuality', () => {
  it('foretells what a sorted table shows, from blocks of one unit to the default', () => {
    for (const units of [1, 2, 3, 4, 5, 8, 31]) {
      const expected = expectedQuality(
        EQUAL.map(({ bytes }) => bytes),
        { blockBytes: units * UNIT_BYTES, batchRows: 64 },
      )
      const quality = simulate(EQUAL, sorted, { blockBytes: units * UNIT_BYTES })
      expect(Math.abs(quality.vr / expected.sortedVr - 1), `${units} units`).toBeLessThan(0.25)
      expect(Math.abs(quality.unitsPerBatch - expected.unitsPerBatch)).toBeLessThan(0.5)
    }
  })

  it('foretells it for batches of few rows, which miss most units', () => {
    for (const batchRows of [2, 8, 24, 48]) {
      const options = { blockBytes: DEFAULT_BLOCK_BYTES, batchRows }
      const expected = expectedQuality(
        EQUAL.map(({ bytes }) => bytes),
        options,
      )
      const quality = simulate(EQUAL, sorted, options)
      expect(Math.abs(quality.unitsPerBatch / expected.unitsPerBatch - 1), `${batchRows} rows`).toBeLessThan(0.05)
      expect(Math.abs(quality.vr / expected.sortedVr - 1), `${batchRows} rows`).toBeLessThan(0.25)
    }
  })

  it('foretells uneven units to a factor of two', () => {
    for (const units of [MIXED, TAILS]) {
      const expected = expectedQuality(
        units.map(({ bytes }) => bytes),
        { blockBytes: DEFAULT_BLOCK_BYTES, batchRows: 64 },
      )
      const vr = bySeed(units, sorted, DEFAULT_BLOCK_BYTES).reduce((sum, quality) => sum + quality.vr, 0) / seeds.length
      expect(vr / expected.sortedVr).toBeLessThan(2)
      expect(vr / expected.sortedVr).toBeGreaterThan(0.5)
    }
  })

  it('is 1 for nothing', () => {
    expect(expectedQuality([], { blockBytes: 1, batchRows: 64 })).toMatchObject({ blocks: 0, sortedVr: 1 })
  })
})
