import { describe, expect, test } from 'vitest'
import { recordRun, runRecordKey, type WorkResult, writeRunRecord } from '../../jobs/runs.ts'
import { createLogger, type Logger } from '../../jobs/telemetry.ts'
import { countChanges } from '../../jobs/written.ts'
import { type Clock, systemClock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import { epochMillis, runId } from '../../table/ids.ts'
import { openMemoryStore } from '../../table/io/memory.ts'
import type { ObjectStore } from '../../table/io/object-store.ts'

let stores = 0
const newStore = (): ObjectStore => openMemoryStore(`runs-test-${++stores}`, {})

/** Starts at 2026-01-31T12:00:00.500Z; each reading of the time is 250 ms later than the one before. */
function steppingClock(): Clock {
  let readings = 0
  return {
    ...systemClock,
    nowMillis: () => epochMillis(Date.UTC(2026, 0, 31, 12, 0, 0, 500) + 250 * readings++),
    monotonicMillis: () => 250 * readings,
  }
}

function logTo(lines: string[]): Logger {
  return createLogger({ format: 'json', level: 'debug', clock: steppingClock(), write: (line) => lines.push(line) })
}

async function recordsIn(store: ObjectStore): Promise<{ key: string; json: Record<string, unknown> }[]> {
  const records = []
  for await (const { key } of store.list('_runs/')) {
    const { bytes } = await store.get(key)
    records.push({ key, json: JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown> })
  }
  return records
}

const base = (store: ObjectStore, lines: string[] = []) => ({
  store,
  job: 'land',
  subject: 'MyStream',
  clock: steppingClock(),
  log: logTo(lines),
})
const done: WorkResult<number> = { value: 7, json: { records: 7, id: 2n ** 60n }, outcome: 'ok', text: 'seven' }

test('a key sorts by start time and has no character that paths or URLs mind', () => {
  const key = runRecordKey('land', epochMillis(Date.UTC(2026, 0, 31, 12, 0, 0, 5)), runId('00ff'))
  expect(key).toBe('_runs/land/20260131T120000.005Z-00ff.json')
})

describe('recordRun', () => {
  test('writes what a run did, ids as strings', async () => {
    const store = newStore()
    const { result, text, error } = await recordRun(base(store), async () => done)
    expect({ result, text, error }).toEqual({ result: 7, text: 'seven', error: undefined })
    const [record] = await recordsIn(store)
    expect(record?.json).toMatchObject({
      schema: 'firn.run/1',
      job: 'land',
      subject: 'MyStream',
      outcome: 'ok',
      started_at: '2026-01-31T12:00:00.500Z',
      result: { records: 7, id: '1152921504606846976' },
    })
    expect(record?.key).toContain(`-${String(record?.json['run_id'])}.json`)
    expect(record?.json).not.toHaveProperty('error')
  })

  test('uses the run id that the work put into its file names', async () => {
    const store = newStore()
    await recordRun(base(store), async () => ({ ...done, runId: runId('0123456789abcdef') }))
    expect((await recordsIn(store))[0]?.json['run_id']).toBe('0123456789abcdef')
  })

  test('a failed run is recorded with code and next step, and its error handed back', async () => {
    const store = newStore()
    const failure = new FirnError('failed', 'FIRN_TOO_MANY_BAD_RECORDS', '9 of 10 records refused', { help: 'look' })
    const { error, result } = await recordRun(base(store), async () => Promise.reject(failure))
    expect(error).toBe(failure)
    expect(result).toBeUndefined()
    expect((await recordsIn(store))[0]?.json).toMatchObject({
      outcome: 'failed',
      error: { kind: 'failed', code: 'FIRN_TOO_MANY_BAD_RECORDS', message: '9 of 10 records refused', help: 'look' },
    })
  })

  test('a request that was wrong from the start leaves nothing behind', async () => {
    const store = countChanges(newStore())
    for (const kind of ['invalid', 'not-found'] as const) {
      await recordRun(base(store), async () => Promise.reject(new FirnError(kind, 'FIRN_X', 'wrong')))
    }
    expect(await recordsIn(store)).toEqual([])
  })

  test.each(['invalid', 'not-found'] as const)(
    'a run that ended as %s after it changed the store is recorded',
    async (kind) => {
      const store = countChanges(newStore())
      await store.put('before', new Uint8Array(1))
      await recordRun(base(store), async () => {
        await store.put('_staging/first', new Uint8Array(1))
        throw new FirnError(kind, 'FIRN_X', 'the second file is wrong')
      })
      expect((await recordsIn(store))[0]?.json).toMatchObject({ outcome: 'failed', error: { kind, code: 'FIRN_X' } })
    },
  )

  test('a write that was refused changed nothing', async () => {
    const store = countChanges({
      ...newStore(),
      put: () => Promise.reject(new FirnError('not-found', 'FIRN_BUCKET_NOT_FOUND', 'no bucket')),
    })
    const lines: string[] = []
    await recordRun(base(store, lines), async () => {
      await store.put('_staging/first', new Uint8Array(1))
      return done
    })
    expect(lines, 'no try to write a record').toEqual([])
  })

  test('work that says it has begun is recorded, whatever it ends with', async () => {
    const store = newStore()
    await recordRun(base(store), async (begun) => {
      begun()
      throw new FirnError('invalid', 'FIRN_DATASET_MISMATCH', 'a worker found it')
    })
    expect((await recordsIn(store))[0]?.json['error']).toMatchObject({ code: 'FIRN_DATASET_MISMATCH' })
  })

  test('an interrupted run is recorded as such, although its signal has aborted', async () => {
    const store = newStore()
    const signal = AbortSignal.abort(new Error('stop'))
    await recordRun({ ...base(store), signal }, async () => {
      signal.throwIfAborted()
      return done
    })
    expect((await recordsIn(store))[0]?.json).toMatchObject({
      outcome: 'interrupted',
      error: { kind: 'interrupted', code: 'FIRN_INTERRUPTED', message: 'stop' },
    })
  })

  test('a record that cannot be written is a warning, not the failure of the run', async () => {
    const store: ObjectStore = {
      ...newStore(),
      put: () => Promise.reject(new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', 'down')),
    }
    const lines: string[] = []
    const { result, error } = await recordRun(base(store, lines), async () => done)
    expect([result, error]).toEqual([7, undefined])
    expect(lines.join('')).toContain('the run record was not written')
  })
})

test('a record is created, never replaced', async () => {
  const store = newStore()
  const { record } = await recordRun(base(store), async () => done)
  await expect(writeRunRecord(store, 'land', record)).rejects.toMatchObject({ code: 'FIRN_PRECONDITION_FAILED' })
})
