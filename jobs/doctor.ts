/** The checks of `firn doctor`: each says what it saw, and what to do when that is not enough. */
import { type Clock, newRunId } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import type { Catalog } from '../table/index.ts'
import { type ObjectStore, subStore } from '../table/io/object-store.ts'
import { probeConditionalWrites } from '../table/io/probe.ts'
import { type Config, redact } from './config.ts'
import { plural } from './render.ts'
import { lastSignal } from './signals.ts'

export interface Check {
  readonly check:
    | 'warehouse'
    | 'credentials'
    | 'bucket'
    | 'clock'
    | 'conditional-writes'
    | 'catalog'
    | 'table'
    | 'stream'
  readonly ok: boolean
  readonly detail: string
  /** What to do; null when all is well. */
  readonly fix: string | null
  /** True when a setting has to change, false when something is down or broken. */
  readonly configuration: boolean
}

export interface DoctorOptions {
  readonly warehouse: () => ObjectStore
  readonly catalog: () => Catalog
  readonly config: Config
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
  readonly stream?: string | undefined
  readonly table?: string | undefined
}

/** 0 all well, 2 a setting has to change, 1 something else is wrong. */
export function exitCodeOfChecks(checks: readonly Check[]): number {
  const failed = checks.filter(({ ok }) => !ok)
  if (failed.length === 0) return 0
  return failed.every(({ configuration }) => configuration) ? 2 : 1
}

/**
 * All checks, in the order in which they build on each other; those behind a failed one are left out.
 * @throws the reason of `signal`: what an interruption cut short says nothing about the surroundings.
 */
export async function diagnose(options: DoctorOptions): Promise<Check[]> {
  const { signal } = options
  const checks = await diagnoseStore(options)
  signal?.throwIfAborted()
  const usable = checks.every(({ ok }) => ok)
  if (usable) checks.push(await checkCatalog(options))
  if (usable && options.table !== undefined) checks.push(await checkTable(options, options.table))
  signal?.throwIfAborted()
  if (options.stream !== undefined) checks.push(await checkStream(options, options.stream))
  signal?.throwIfAborted()
  return checks
}

async function diagnoseStore(options: DoctorOptions): Promise<Check[]> {
  const { config, clock, signal } = options
  const named = attempt('warehouse', () => options.warehouse())
  if (!named.ok) return [named.check]
  const store = named.value
  const checks = [pass('warehouse', String(redact(config.warehouse)))]
  const folder = `_doctor/${newRunId(clock)}`
  const scratch = subStore(store, folder)
  try {
    const reach = await checkReach(store, scratch, clock, signal)
    checks.push(...reach)
    if (reach.every(({ ok }) => ok)) checks.push(await checkConditionalWrites(store, scratch, signal))
  } finally {
    await removeAll(scratch, options)
  }
  return checks
}

/** Credentials, bucket and clock, all from one list, one put and one head. */
async function checkReach(
  store: ObjectStore,
  scratch: ObjectStore,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Check[]> {
  const s3 = store.url.startsWith('s3:')
  const credentials = s3 ? [pass('credentials', 'found, and accepted by the store')] : []
  try {
    for await (const _info of store.list('', { signal })) break
    const before = clock.nowMillis()
    await scratch.put('clock', new TextEncoder().encode('firn doctor\n'), { signal })
    const info = await scratch.head('clock', { signal })
    const after = clock.nowMillis()
    const bucket = pass('bucket', 'can be listed, written and read')
    return [...credentials, bucket, checkClock(info?.lastModifiedMillis, before, after)]
  } catch (error) {
    if (FirnError.is(error) && /CREDENTIALS|ACCESS_DENIED/.test(error.code)) return [fail('credentials', error)]
    return [fail('bucket', error)]
  }
}

/** Stores round times to seconds; requests signed more than 15 minutes off are refused by AWS altogether. */
const CLOCK_TOLERANCE_MILLIS = 5 * 60_000

function checkClock(storeMillis: number | undefined, beforeMillis: number, afterMillis: number): Check {
  if (storeMillis === undefined || storeMillis === 0) return pass('clock', 'the store does not tell its time')
  const early = storeMillis < beforeMillis ? beforeMillis - storeMillis : 0
  const skewMillis = storeMillis > afterMillis ? storeMillis - afterMillis : -early
  const seconds = (skewMillis / 1000).toFixed(1)
  if (Math.abs(skewMillis) <= CLOCK_TOLERANCE_MILLIS) return pass('clock', `${seconds} s away from the store's`)
  return {
    check: 'clock',
    ok: false,
    detail: `the store's clock is ${seconds} s away from this machine's`,
    fix: 'set this machine by NTP: request signatures, snapshot times and time travel depend on it',
    configuration: false,
  }
}

/** Parallel creators of one key in the race. */
const CREATORS = 8

/**
 * A commit is one conditional write, so an endpoint that answers 200 to every one of them loses commits in silence.
 * Sequential refusals are not enough: emulators that check and then write pass those and fail the race.
 */
async function checkConditionalWrites(
  store: ObjectStore,
  scratch: ObjectStore,
  signal: AbortSignal | undefined,
): Promise<Check> {
  try {
    await probeConditionalWrites(store, { signal })
    const winners = await raceWinners(scratch, signal)
    if (winners <= 1) return pass('conditional-writes', `honoured; ${CREATORS} parallel creators, one winner`)
    return {
      check: 'conditional-writes',
      ok: false,
      detail: `${CREATORS} parallel creates (If-None-Match: *) of one key had ${winners} winners`,
      fix: 'use a store whose conditional PUT is atomic (AWS S3, SeaweedFS, RustFS, versitygw): here two runs may overwrite each other',
      configuration: true,
    }
  } catch (error) {
    return fail('conditional-writes', error)
  }
}

async function raceWinners(scratch: ObjectStore, signal: AbortSignal | undefined): Promise<number> {
  const creators = Array.from({ length: CREATORS }, (_, at) =>
    refused(scratch.put('race', new TextEncoder().encode(`creator ${at}`), { ifNoneMatch: '*', signal })),
  )
  const settled = await Promise.allSettled(creators)
  const failed = settled.find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return settled.filter((each) => each.status === 'fulfilled' && !each.value).length
}

/** True when the put lost its condition, false when it took effect. */
async function refused(put: Promise<unknown>): Promise<boolean> {
  try {
    await put
    return false
  } catch (error) {
    if (FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) return true
    throw error
  }
}

async function checkCatalog({ catalog, signal }: DoctorOptions): Promise<Check> {
  try {
    const tables = await catalog().listTables({ signal })
    const names = tables.slice(0, 5).join(', ') + (tables.length > 5 ? ', …' : '')
    return pass(
      'catalog',
      tables.length === 0 ? 'readable, no table yet' : `readable, ${plural(tables.length, 'table')}: ${names}`,
    )
  } catch (error) {
    return fail('catalog', error)
  }
}

async function checkTable({ catalog, signal }: DoctorOptions, name: string): Promise<Check> {
  try {
    const table = await catalog().loadTable(name, { signal })
    return pass('table', `${name} is readable, ${plural(table.metadata.snapshots.length, 'snapshot')}`)
  } catch (error) {
    return fail('table', error)
  }
}

/** All that landing does, on one shard: being allowed to describe a stream is not being allowed to read it. */
async function checkStream({ config, clock, signal }: DoctorOptions, stream: string): Promise<Check> {
  try {
    const [{ probeStream }, { kinesisOptions }] = await Promise.all([
      import('../ingest/index.ts'),
      import('./landing/landing.ts'),
    ])
    const probe = await probeStream({ stream, client: kinesisOptions(config), clock, signal })
    const since = new Date(probe.createdMillis).toISOString()
    const read = probe.shardId === undefined ? 'none to read' : `${probe.shardId} is readable`
    return pass('stream', `${stream} exists since ${since}, ${plural(probe.shardCount, 'shard')}, ${read}`)
  } catch (error) {
    return fail('stream', error)
  }
}

const REMOVAL_MILLIS = 5000

async function removeAll(scratch: ObjectStore, { clock, signal }: DoctorOptions): Promise<void> {
  // Not under the caller's signal: an interrupted doctor cleans up too. What cannot be removed is a few bytes.
  const last = lastSignal(signal, REMOVAL_MILLIS, clock)
  await Promise.allSettled(['clock', 'race'].map((key) => scratch.delete(key, { signal: last.signal })))
  last.release()
}

const pass = (check: Check['check'], detail: string): Check => ({
  check,
  ok: true,
  detail,
  fix: null,
  configuration: false,
})

function fail(check: Check['check'], error: unknown): Check {
  const configuration = FirnError.is(error) && (error.kind === 'invalid' || error.kind === 'not-found')
  const detail = error instanceof Error ? error.message : String(error)
  const help = FirnError.is(error) ? error.help : undefined
  const code = FirnError.is(error) ? ` (${error.code})` : ''
  return { check, ok: false, detail: detail + code, fix: help ?? 'see the message', configuration }
}

type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly check: Check }

function attempt<T>(check: Check['check'], action: () => T): Attempt<T> {
  try {
    return { ok: true, value: action() }
  } catch (error) {
    return { ok: false, check: fail(check, error) }
  }
}
