/** A signal in the middle of maintenance: a commit that has begun comes to its end, nothing else begins. */
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { loadConfig } from '../../../jobs/config.ts'
import type { CommandContext } from '../../../jobs/context.ts'
import { jobRunner } from '../../../jobs/job-runner.ts'
import { MAINTAIN_PARTS, type MaintainPart } from '../../../jobs/settings/maintain.ts'
import { newRunId } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import { type ObjectStore, openCatalog, type Table } from '../../../table/index.ts'
import { storeUnavailable } from '../../../table/io/store-errors.ts'
import { TABLE } from '../compaction/fixture.ts'
import { agedWarehouse } from './prune/aged-warehouse.ts'

const STOP = new Error('told to stop')
const METADATA = /\/metadata\/v\d+\.metadata\.json$/

/**
 * A store that loses the answer to the first put of a commit's metadata, and does not answer the question what became
 * of it; just then the signal comes.
 */
function stoppedAtCommit(store: ObjectStore, stop: AbortController): ObjectStore {
  let asked: string | undefined
  const put: ObjectStore['put'] = async (key, bytes, options) => {
    const info = await store.put(key, bytes, options)
    if (!METADATA.test(key) || stop.signal.aborted) return info
    stop.abort(STOP)
    asked = key
    throw storeUnavailable(store.url, 'a put')
  }
  const get: ObjectStore['get'] = async (key, options) => {
    options?.signal?.throwIfAborted()
    if (key !== asked) return await store.get(key, options)
    asked = undefined
    throw storeUnavailable(store.url, 'a get')
  }
  const instead: Readonly<Record<PropertyKey, unknown>> = { put, get }
  return new Proxy(store, { get: (target, name) => instead[name] ?? (Reflect.get(target, name, target) as unknown) })
}

const DEAD = '_spill/dead/0/part'

/** Runs one part and would run another one; a signal comes at the first one's first commit. */
async function stopped(
  part: MaintainPart,
  lastOf: (stop: AbortSignal) => AbortSignal,
): Promise<{ readonly error: unknown; readonly before: Table; readonly after: Table; readonly othersBegan: boolean }> {
  const warehouse = agedWarehouse()
  for (let end = 3; end <= 36; end += 3) {
    await warehouse.land(end)
    await warehouse.compact()
  }
  await warehouse.store.put(DEAD, Buffer.from('spilled'))
  warehouse.later(100)
  const before = await warehouse.load()
  const stop = new AbortController()
  const store = stoppedAtCommit(warehouse.store, stop)
  const others = MAINTAIN_PARTS.filter((each) => each !== part && each !== 'leftovers')
  const policy = Object.fromEntries(others.map((each) => [each, { enabled: false }]))
  const config = { ...loadConfig({ env: {}, cwd: '/nowhere' }), maintain: policy }
  const log = pino({ level: 'silent' })
  const { clock } = warehouse
  // as `firn run` does it
  const ctx = { clock, config, log, catalog: () => openCatalog(store, { clock }) } as unknown as CommandContext
  const runner = jobRunner(ctx)
  const job = { kind: 'maintain', cron: '* * * * *', table: TABLE } as const
  const run = { store, begun: () => {}, signal: stop.signal, last: lastOf(stop.signal), runId: newRunId(clock) }
  const error = await runner(job, run).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  const isLeft = (await warehouse.store.head(DEAD)) !== undefined
  return { error, before, after: await warehouse.load(), othersBegan: !isLeft }
}

test.each(['rewrite', 'manifests', 'expire'] as const)(
  '%s finds out what became of the commit that it is at, and begins nothing more',
  async (part) => {
    const { error, before, after, othersBegan } = await stopped(part, () => new AbortController().signal)
    expect(error).toBe(STOP)
    expect(after.metadata.metadataLog.length - before.metadata.metadataLog.length, 'commits').toBe(1)
    expect(othersBegan).toBe(false)
  },
)

test('without the time for it, the signal does not hide that nobody knows', async () => {
  const { error } = await stopped('rewrite', (stop) => stop)
  expect(FirnError.is(error, 'FIRN_COMMIT_STATE_UNKNOWN')).toBe(true)
})
