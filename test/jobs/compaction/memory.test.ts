import { describe, expect, it } from 'vitest'
import { type BudgetInput, ROW_OVERHEAD_BYTES, taskBudget } from '../../../jobs/compaction/memory.ts'
import { FirnError } from '../../../table/index.ts'
import { articleRecords, memoryWarehouse, runCompaction, stage } from './fixture.ts'

const MIB = 1024 * 1024

const of = (targetFileSizeBytes: number, inputBytes: number, inOneProcess = 1): BudgetInput => ({
  targetFileSizeBytes,
  inputBytes,
  maxRecordBytes: 10 * MIB,
  inOneProcess,
})

const needOf = (run: () => unknown): number => {
  try {
    run()
  } catch (error) {
    if (FirnError.is(error, 'FIRN_MEMORY_LIMIT_TOO_SMALL')) return Number(error.detail?.['needBytes'])
  }
  return 0
}

describe('the memory limit', () => {
  it('is refused when it is too small, with the one that would do', () => {
    const need = needOf(() => taskBudget(300 * MIB, of(128 * MIB, 10_000 * MIB)))
    expect(need).toBeGreaterThan(500 * MIB)
    expect(needOf(() => taskBudget(need - 1, of(128 * MIB, 10_000 * MIB)))).toBe(need)
    expect(taskBudget(need, of(128 * MIB, 10_000 * MIB)).residentBytes).toBeGreaterThan(0)
  })

  it('counts what the largest record takes', () => {
    const small = needOf(() => taskBudget(MIB, of(128 * MIB, 10_000 * MIB)))
    const large = needOf(() => taskBudget(MIB, { ...of(128 * MIB, 10_000 * MIB), maxRecordBytes: 64 * MIB }))
    expect(large - small).toBe(7 * 54 * MIB)
  })

  it('need not hold a whole file when the input makes none', () => {
    expect(taskBudget(400 * MIB, of(128 * MIB, MIB)).runBytes).toBeGreaterThan(0)
  })

  it('is shared by tasks of one process', () => {
    const need = needOf(() => taskBudget(MIB, of(128 * MIB, 10_000 * MIB)))
    expect(needOf(() => taskBudget(need, of(128 * MIB, 10_000 * MIB, 3)))).toBe(3 * need)
    const [one, third] = [taskBudget(3 * need, of(128 * MIB, 1e10)), taskBudget(3 * need, of(128 * MIB, 1e10, 3))]
    expect(third.runBytes).toBeLessThan(one.runBytes)
  })

  it('however large, collects no more rows at once than a map holds', () => {
    const { residentBytes, runBytes } = taskBudget(1024 * 1024 * MIB, of(128 * MIB, 1e12))
    const maxRows = Math.max(residentBytes, runBytes) / ROW_OVERHEAD_BYTES
    expect(maxRows).toBeLessThanOrEqual(2 ** 24)
    expect(maxRows).toBeGreaterThan(1e7)
  })

  it('is said to the one who gave it before anything is read', async () => {
    const warehouse = memoryWarehouse()
    await stage(warehouse, { a: { records: articleRecords(0, 5) } })
    await expect(runCompaction(warehouse, { memoryLimitBytes: 50 * MIB })).rejects.toMatchObject({
      kind: 'invalid',
      code: 'FIRN_MEMORY_LIMIT_TOO_SMALL',
      help: expect.stringContaining('--memory-limit'),
    })
    await expect(runCompaction(warehouse, { tasks: 65 })).rejects.toMatchObject({ code: 'FIRN_INVALID_OPTION' })
  })
})
