/** The two drivers of jobs: once, and by schedule until a signal. On virtual time; the ticks are the test's. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { JobSpec } from '../../jobs/schedule.ts'
import { leaseKey } from '../../jobs/scheduling/lease-document.ts'
import { newUuid, systemClock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { epochMillis } from '../../table/ids.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'
import { compact, createHost, done, type Host, land, maintain, TTL, type Work } from './scheduling/hosts.ts'
import { createWorld, type World, worldStart } from './scheduling/world.ts'

const subjectOf = (job: JobSpec): string => (job.kind === 'land' ? job.stream : job.table)
const slotAt = (text: string) => epochMillis(Date.parse(`2026-03-01T${text}:00Z`))
const DOWN = new FirnError('unavailable', 'FIRN_STREAM_UNAVAILABLE', 'the stream is down')

let world: World
let store: ObjectStore
beforeEach(() => {
  world = createWorld()
  store = openMemoryStore(newUuid(systemClock), {})
})

const host = (jobs: readonly JobSpec[], work: Work): Host => createHost(world, store, jobs, work)
const pass = (millis: number): Promise<void> =>
  world.run({ done: () => false, untilMillis: world.nowMillis() + millis })
/** What becomes of `work` while time passes. */
async function settle<T>(work: Promise<T>): Promise<T> {
  let over = false
  const settled = work.finally(() => (over = true))
  settled.catch(() => {})
  await world.run({ done: () => over, untilMillis: world.nowMillis() + 3_600_000 })
  return await settled
}
const leaseOf = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(new TextDecoder().decode((await store.get(leaseKey(name))).bytes)) as Record<string, unknown>
async function storedRecords(): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list('_runs/')) keys.push(key)
  return keys
}

describe('once', () => {
  test('landings go first and side by side, then compaction, then maintenance; every failure is handed back', async () => {
    const unknown = new FirnError('unknown-commit', 'FIRN_COMMIT_STATE_UNKNOWN', 'who knows')
    const [began, ended]: [string[], string[]] = [[], []]
    const one = host([land('A'), land('B'), compact('n.t'), maintain('n.t')], async (job, run) => {
      began.push(`${job.kind} ${subjectOf(job)} after ${ended.join(' ')}`)
      await one.options.clock.sleep(1000, run.signal)
      ended.push(subjectOf(job))
      if (subjectOf(job) === 'B') throw DOWN
      if (job.kind === 'compact') throw unknown
      return done
    })
    expect(await settle(one.once())).toEqual([DOWN, unknown])
    expect(began).toEqual(['land A after ', 'land B after ', 'compact n.t after A B', 'maintain n.t after A B n.t'])
    expect(one.outcomes().toSorted()).toEqual(['A: ok', 'B: failed', 'n.t: failed', 'n.t: ok'])
    expect(await storedRecords()).toHaveLength(4)
  })

  test('a compaction waits for its own streams only', async () => {
    const began: string[] = []
    const one = host([land('slow'), land('A'), compact('n.a', ['A']), compact('n.all')], async (job) => {
      began.push(`${subjectOf(job)} at ${(world.nowMillis() - worldStart) / 1000}`)
      await one.options.clock.sleep(subjectOf(job) === 'slow' ? 600_000 : 1000)
      return done
    })
    await settle(one.once())
    expect(began).toEqual(['slow at 0', 'A at 0', 'n.a at 1', 'n.all at 600'])
  })

  test('maintenance is due once a slot, whoever asks; named, it is done in any case', async () => {
    let runs = 0
    const work: Work = async () => {
      runs++
      return done
    }
    const [a, b] = [host([maintain('n.t')], work), host([maintain('n.t')], work)]
    await settle(a.once())
    await settle(b.once())
    expect([runs, b.records.at(-1)]).toEqual([1, expect.objectContaining({ outcome: 'skipped', skipped: 'done' })])
    expect(await leaseOf('maintain.n.t')).toMatchObject({ released: true, last_slot: '2026-03-01T03:23:00.000Z' })
    await settle(b.once({ force: true }))
    expect(runs).toBe(2)
    await pass(16 * 3_600_000)
    await settle(a.once())
    expect(runs).toBe(3)
  })

  test('what another process that lives is doing is skipped, and is no failure', async () => {
    const a = host([compact('n.t')], async () => {
      await a.options.clock.sleep(10 * TTL)
      return done
    })
    const first = a.once()
    await pass(1000)
    const b = host([compact('n.t')], async () => done)
    expect(await settle(b.once())).toEqual([])
    expect(b.records).toMatchObject([{ outcome: 'skipped', skipped: 'lease' }])
    expect(await storedRecords(), 'a skipped run leaves no record').toHaveLength(0)
    await settle(first)
    expect(await storedRecords()).toHaveLength(1)
  })

  test('what a dead process was doing is done after the time of its lease', async () => {
    const a = host([compact('n.t')], async () => new Promise(() => {}))
    void a.once()
    await pass(1000)
    a.kill()
    const before = world.nowMillis()
    const b = host([compact('n.t')], async () => done)
    await settle(b.once())
    expect(b.outcomes()).toEqual(['n.t: ok'])
    expect(world.nowMillis() - before).toBe(TTL)
    expect(b.records[0]?.lease).toMatchObject({ name: 'compact.n.t', epoch: 2, lost: false })
  })

  test('begins nothing more after an interruption, and says so', async () => {
    const began: string[] = []
    const one = host([land('A'), compact('n.t')], async (job) => {
      began.push(subjectOf(job))
      one.stop.abort(new Error('stop'))
      return done
    })
    await expect(settle(one.once())).rejects.toThrow('stop')
    expect(began).toEqual(['A'])
    expect(await leaseOf('land.A')).toMatchObject({ released: true })
  })
})

describe('by schedule', () => {
  test('catches up at once, then by ticks; a tick while a run goes on is skipped', async () => {
    const one = host([land('A')], async () => {
      await one.options.clock.sleep(7 * 60_000)
      return done
    })
    const forever = one.forever()
    await pass(5 * 60_000)
    one.tick('land A', slotAt('12:05'))
    await pass(5 * 60_000)
    one.tick('land A', slotAt('12:10'))
    await pass(5 * 60_000)
    one.tick('land A', slotAt('12:15'))
    await pass(3 * 60_000)
    expect(one.records.map(({ outcome, skipped, lease }) => skipped ?? `${outcome} ${lease?.slot}`)).toEqual([
      'overlap',
      'ok 2026-03-01T12:00:00.000Z',
      'overlap',
      'ok 2026-03-01T12:10:00.000Z',
    ])
    expect(await storedRecords()).toHaveLength(2)
    one.stop.abort(new Error('stop'))
    expect(await settle(forever)).toEqual({ interrupted: false })
  })

  test('a run that fails for a passing reason is logged, and the next tick tries again', async () => {
    let runs = 0
    const one = host([land('A')], async () => {
      if (++runs < 3) throw DOWN
      return done
    })
    const forever = one.forever()
    await pass(1000)
    one.tick('land A', slotAt('12:05'))
    await pass(1000)
    expect(one.status().jobs[0]).toMatchObject({ failing: 2, last_run: { error_code: 'FIRN_STREAM_UNAVAILABLE' } })
    one.tick('land A', slotAt('12:10'))
    await pass(1000)
    expect(one.outcomes()).toEqual(['A: failed', 'A: failed', 'A: ok'])
    expect(one.lines.join('')).toContain('the run failed')
    expect(one.status().jobs[0]).toMatchObject({ runs: 3, failures: 2, failing: 0, state: 'idle' })
    one.stop.abort(new Error('stop'))
    await settle(forever)
  })

  test('a job that hangs keeps no other from its ticks', async () => {
    const one = host([land('hangs'), land('A'), compact('n.t'), compact('n.hangs')], async (job) => {
      if (subjectOf(job).endsWith('hangs')) await one.options.clock.sleep(10 * 3_600_000)
      return done
    })
    const forever = one.forever()
    for (let minute = 5; minute <= 55; minute += 5) {
      await pass(5 * 60_000)
      for (const { kind, ...job } of one.options.jobs) {
        one.tick(`${kind} ${subjectOf({ kind, ...job } as JobSpec)}`, slotAt(`12:${String(minute).padStart(2, '0')}`))
      }
    }
    await pass(1000)
    expect(one.outcomes().filter((line) => line === 'A: ok').length).toBe(12)
    expect(one.outcomes().filter((line) => line === 'n.t: ok').length).toBe(11)
    one.stop.abort(new Error('stop'))
    void forever
  })

  test('compaction and maintenance of one table never meet; those of two tables do', async () => {
    let most = 0
    const running = new Map<string, number>()
    const one = host([compact('n.a'), maintain('n.a'), compact('n.b'), maintain('n.b')], async (job) => {
      const table = subjectOf(job)
      running.set(table, (running.get(table) ?? 0) + 1)
      most = Math.max(most, running.size)
      expect(running.get(table)).toBe(1)
      await one.options.clock.sleep(60_000)
      running.delete(table)
      return done
    })
    const forever = one.forever()
    await pass(1000)
    for (const name of ['maintain n.a', 'maintain n.b']) one.tick(name, slotAt('12:00'))
    await pass(10 * 60_000)
    expect(one.outcomes()).toHaveLength(4)
    expect(most).toBe(2)
    one.stop.abort(new Error('stop'))
    await settle(forever)
  })

  // Kinesis is down, or still creating the stream, when the scheduler first comes up: nothing is landed, so nothing is
  // staged, and neither is a wrong setting.
  test.each([undefined, { stream: 'A' }])('a stream that is down at first boot is waited for (%j)', async (detail) => {
    let landed = false
    const one = host([land('A'), compact('n.t', ['A'])], async (job) => {
      if (job.kind === 'land' && !landed) throw DOWN
      if (!landed) throw new FirnError('not-found', 'FIRN_STREAM_NOT_STAGED', 'nothing staged', detail && { detail })
      return done
    })
    const forever = one.forever()
    await pass(1000)
    landed = true
    one.tick('land A', slotAt('12:05'))
    one.tick('compact n.t', slotAt('12:07'))
    await pass(1000)
    one.stop.abort(new Error('stop'))
    await settle(forever)
    expect(one.outcomes()).toEqual(['A: failed', 'n.t: failed', 'A: ok', 'n.t: ok'])
    expect(one.lines.filter((line) => line.includes('the run failed'))).toHaveLength(2)
  })

  test.each<[string, JobSpec[], FirnError]>([
    ['a stream that does not exist', [land('A')], new FirnError('not-found', 'FIRN_STREAM_NOT_FOUND', 'no stream')],
    ['no credentials', [land('A')], new FirnError('invalid', 'FIRN_NO_CREDENTIALS', 'none')],
    [
      'a stream to compact that no job lands',
      [land('A'), compact('n.t', ['Typo'])],
      new FirnError('not-found', 'FIRN_STREAM_NOT_STAGED', 'no stream', { detail: { stream: 'Typo' } }),
    ],
    [
      'nothing staged and nothing that lands',
      [compact('n.t')],
      new FirnError('not-found', 'FIRN_STREAM_NOT_STAGED', 'nothing has been landed yet'),
    ],
  ])('%s ends the scheduler at its first run', async (_what, jobs, failure) => {
    const one = host(jobs, async (job) => {
      if (job === jobs.at(-1)) throw failure
      return done
    })
    await expect(settle(one.forever())).rejects.toBe(failure)
  })

  test('an object that a run missed is no wrong setting', async () => {
    const one = host([land('A')], async () => {
      throw new FirnError('not-found', 'FIRN_OBJECT_NOT_FOUND', 'pruned meanwhile')
    })
    const forever = one.forever()
    await pass(1000)
    one.stop.abort(new Error('stop'))
    expect(await settle(forever)).toEqual({ interrupted: false })
  })
})
