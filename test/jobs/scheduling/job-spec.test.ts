import { describe, expect, test } from 'vitest'
import { type Config, loadConfig } from '../../../jobs/config.ts'
import { leaseTtlOf, planJobs } from '../../../jobs/scheduling/job-spec.ts'

const config = (run: object, more: object = {}): Config =>
  loadConfig({ env: {}, cwd: '/nowhere', flags: { ...more, run } })

describe('planJobs', () => {
  test('lands every stream before it compacts every table', () => {
    const jobs = planJobs(
      config({
        land: { cron: '*/5 * * * *', streams: ['A', 'B'] },
        compact: {
          cron: '7 * * * *',
          tables: [{ table: 'n.a', dataset: 'articles', streams: ['A'] }, { table: 'n.b' }],
        },
      }),
      {},
    )
    expect(jobs).toEqual([
      { kind: 'land', cron: '*/5 * * * *', stream: 'A', start: 'TRIM_HORIZON' },
      { kind: 'land', cron: '*/5 * * * *', stream: 'B', start: 'TRIM_HORIZON' },
      { kind: 'compact', cron: '7 * * * *', table: 'n.a', dataset: 'articles', streams: ['A'] },
      { kind: 'compact', cron: '7 * * * *', table: 'n.b', dataset: undefined, streams: undefined },
    ])
  })

  test('flags beat settings, and the one stream and table of the settings serve when there is no list', () => {
    const settings = config({ land: { streams: ['A'] } }, { table: 'n.t', dataset: 'articles' })
    const jobs = planJobs(settings, { stream: ['X'], landCron: '0 0 * * *' })
    expect(jobs).toMatchObject([
      { kind: 'land', stream: 'X', cron: '0 0 * * *' },
      { kind: 'compact', table: 'n.t', dataset: 'articles', streams: ['X'] },
    ])
  })

  test('what is named twice is one job, and a mistake when the two differ', () => {
    const twice = { land: { streams: ['A', 'A'] }, compact: { tables: [{ table: 'n.a' }, { table: 'n.a' }] } }
    const maintain = { cron: '23 3 * * *', tables: ['n.a', 'n.a'] }
    expect(planJobs(config({ ...twice, maintain }), {}).map(({ kind }) => kind)).toEqual([
      'land',
      'compact',
      'maintain',
    ])
    expect(planJobs(config({}), {}, { kind: 'land', names: ['A', 'A'] })).toHaveLength(1)
    const differ = ['A', 'B'].map((stream) => ({ table: 'n.a', streams: [stream] }))
    expect(() => planJobs(config({ compact: { tables: differ } }), {})).toThrow(
      expect.objectContaining({ code: 'FIRN_CONFIG_INVALID', message: expect.stringContaining('compact n.a') }),
    )
  })

  test('nothing to run is a usage error that names the flags', () => {
    expect(() => planJobs(config({}), {})).toThrow(
      expect.objectContaining({ code: 'FIRN_NOTHING_CONFIGURED', help: expect.stringContaining('--stream') }),
    )
  })

  test.each(['every minute', '* * * *', '61 * * * *', ''])('%j is no schedule', (cron) => {
    expect(() => planJobs(config({}), { stream: ['A'], landCron: cron })).toThrow(
      expect.objectContaining({ code: 'FIRN_CRON_INVALID' }),
    )
  })
})

describe('maintenance', () => {
  const tables = [{ table: 'n.a' }, { table: 'n.b' }]

  test('has no schedule of its own accord', () => {
    expect(planJobs(config({ compact: { tables } }), {}).map(({ kind }) => kind)).toEqual(['compact', 'compact'])
  })

  test('is done for the tables that are compacted, or for those that are named', () => {
    const maintain = { cron: '23 3 * * *' }
    const maintained = (run: object, flags = {}) =>
      planJobs(config(run), flags).filter(({ kind }) => kind === 'maintain')
    expect(maintained({ compact: { tables }, maintain })).toEqual([
      { kind: 'maintain', cron: '23 3 * * *', table: 'n.a' },
      { kind: 'maintain', cron: '23 3 * * *', table: 'n.b' },
    ])
    expect(maintained({ compact: { tables }, maintain: { ...maintain, tables: ['n.c'] } })).toMatchObject([
      { table: 'n.c' },
    ])
    expect(maintained({ compact: { tables } }, { maintainCron: '0 1 * * *', table: ['n.x'] })).toEqual([
      { kind: 'maintain', cron: '0 1 * * *', table: 'n.x' },
    ])
  })
})

describe('a job that is named', () => {
  const settings = config({
    land: { streams: ['A', 'B'] },
    compact: { tables: [{ table: 'n.a', dataset: 'articles', streams: ['A'] }] },
  })

  test('is taken from the settings, alone', () => {
    expect(planJobs(settings, {}, { kind: 'land' })).toMatchObject([{ stream: 'A' }, { stream: 'B' }])
    expect(planJobs(settings, {}, { kind: 'land', names: ['B'] })).toMatchObject([{ kind: 'land', stream: 'B' }])
    expect(planJobs(settings, {}, { kind: 'compact', names: ['n.a'] })).toMatchObject([
      { kind: 'compact', table: 'n.a', dataset: 'articles', streams: ['A'] },
    ])
  })

  test('needs no settings', () => {
    expect(planJobs(config({}), {}, { kind: 'compact', names: ['n.z'] })).toMatchObject([
      { kind: 'compact', table: 'n.z', streams: undefined },
    ])
    expect(planJobs(config({}), {}, { kind: 'maintain', names: ['n.z'] })).toMatchObject([
      { kind: 'maintain', table: 'n.z' },
    ])
    expect(planJobs(config({}), {}, { kind: 'land', names: ['Z'] })).toMatchObject([{ kind: 'land', stream: 'Z' }])
  })

  test('of a kind that there is not is a usage error, and one that is not scheduled says how to', () => {
    expect(() => planJobs(settings, {}, { kind: 'compost' })).toThrow(expect.objectContaining({ code: 'FIRN_USAGE' }))
    expect(() => planJobs(settings, {}, { kind: 'maintain' })).toThrow(
      expect.objectContaining({ code: 'FIRN_NOTHING_CONFIGURED', help: expect.stringContaining('--maintain-cron') }),
    )
  })
})

describe('the time of a lease', () => {
  test('is a minute, or as it is set', () => {
    expect(leaseTtlOf(config({}), {})).toBe(60_000)
    expect(leaseTtlOf(config({ leaseTtl: '5m' }), {})).toBe(300_000)
    expect(leaseTtlOf(config({ leaseTtl: '5m' }), { leaseTtl: '2s' })).toBe(2000)
  })

  test.each(['1s', '16m', '60', '1h', 'soon'])('is not %s', (leaseTtl) => {
    expect(() => leaseTtlOf(config({}), { leaseTtl })).toThrow(expect.objectContaining({ code: 'FIRN_CONFIG_INVALID' }))
    expect(() => config({ leaseTtl })).toThrow(expect.objectContaining({ code: 'FIRN_CONFIG_INVALID' }))
  })
})
