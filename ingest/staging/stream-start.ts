/**
 * Where a stream begins: `start.json`, created once by the stream's first run. Later runs and later shards go by it,
 * so nothing is written there that the source would not take, and no run is let believe that it began elsewhere.
 */
import { FirnError } from '../../table/errors.ts'
import { type EpochMillis, epochMillis } from '../../table/ids.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import type { RecordSource, RequestedStart, StreamStart } from '../source.ts'
import { corruptState, decodeJson, encodeJson } from './staged-json.ts'
import { incarnationPrefix, listIncarnations, type StreamIncarnation } from './staging.ts'

export type StartRequest = Pick<RecordSource, 'start' | 'defaultStart' | 'resolveStart'>

interface StoredStart {
  readonly start: StreamStart
  /** What the first run asked for: LATEST is stored as the time that it meant, and stays the same request. */
  readonly requested: RequestedStart['type']
}

/** A time given by another clock may be a little ahead of ours; the source then has the last word. */
const LEEWAY_MILLIS = 5_000

/**
 * The stream's start, made durable by its first run. `request.start` has to be what is stored; `request.defaultStart`
 * counts in the first run only, and LATEST there only for the first stream of a name. Nothing is written when a
 * start is refused.
 * @param options.nowMillis start of the run: what LATEST means.
 * @throws {FirnError} `FIRN_START_INVALID` (invalid) for a time to come; `FIRN_START_DIFFERS` (invalid) when the stream
 *   began elsewhere; `FIRN_STAGING_CORRUPT` when start.json is not what a landing run writes; what `resolveStart` throws.
 */
export async function ensureStart(
  store: ObjectStore,
  incarnation: StreamIncarnation,
  request: StartRequest,
  options: AbortableOptions & { nowMillis: EpochMillis },
): Promise<StreamStart> {
  const { nowMillis, signal } = options
  const key = `${incarnationPrefix(incarnation)}start.json`
  const name = `${store.url}/${key}`
  const accept = (bytes: Uint8Array): StreamStart => {
    const stored = parseStart(bytes, name)
    if (request.start !== undefined && !isSame(request.start, stored)) {
      throw startDiffers(incarnation.stream, request.start, stored, name)
    }
    return stored.start
  }
  const existing = await getIfExists(store, key, { signal })
  if (existing !== undefined) return accept(existing.bytes)

  const wanted = request.start ?? (await defaultStart(store, incarnation, request, { signal }))
  if (wanted.type === 'AT_TIMESTAMP') checkTime(incarnation.stream, wanted.timestampMillis, nowMillis)
  const start = (await request.resolveStart?.(wanted, { nowMillis, signal })) ?? atTime(wanted, nowMillis)
  const body = encodeJson(printStart({ start, requested: wanted.type }))
  try {
    await store.put(key, body, { signal, ifNoneMatch: '*' })
    return start
  } catch (error) {
    const winner = FirnError.is(error, 'FIRN_PRECONDITION_FAILED')
      ? await getIfExists(store, key, { signal })
      : undefined
    if (winner === undefined) throw error
    return accept(winner.bytes)
  }
}

/**
 * A stream that was made again under its name goes on with what the old one did, and LATEST would leave out, without a
 * word, what it got before the first run that sees it.
 */
async function defaultStart(
  store: ObjectStore,
  { stream, created }: StreamIncarnation,
  { defaultStart: wanted = { type: 'TRIM_HORIZON' } }: StartRequest,
  { signal }: AbortableOptions,
): Promise<RequestedStart> {
  if (wanted.type !== 'LATEST') return wanted
  const older = (await listIncarnations(store, { stream, signal })).some(
    (each) => each.created > 0 && each.created < created, // 0: files under that name
  )
  return older ? { type: 'TRIM_HORIZON' } : wanted
}

function checkTime(stream: string, millis: number, nowMillis: EpochMillis): void {
  if (Number.isNaN(new Date(millis).getTime())) throw startInvalid(stream, `${millis} ms is no time`, { nowMillis })
  if (millis > nowMillis + LEEWAY_MILLIS)
    throw startInvalid(stream, `${printTime(millis)} is yet to come`, { nowMillis })
}

/** A start that cannot be stored. `why` completes "… cannot begin there: ". */
export function startInvalid(
  stream: string,
  why: string,
  { nowMillis, cause }: { nowMillis: EpochMillis; cause?: unknown },
): FirnError {
  const message = `stream ${stream} cannot begin there: ${why} (this machine's time is ${printTime(nowMillis)})`
  return new FirnError('invalid', 'FIRN_START_INVALID', message, {
    detail: { stream, nowMillis },
    help: "Use TRIM_HORIZON, LATEST or a time that has passed; if this machine's time is wrong, set it by NTP.",
    ...(cause === undefined ? {} : { cause }),
  })
}

const atTime = (wanted: RequestedStart, nowMillis: EpochMillis): StreamStart =>
  wanted.type === 'LATEST' ? { type: 'AT_TIMESTAMP', timestampMillis: nowMillis } : wanted

function isSame(asked: RequestedStart, { start, requested }: StoredStart): boolean {
  if (asked.type !== 'AT_TIMESTAMP') return asked.type === requested
  return start.type === 'AT_TIMESTAMP' && start.timestampMillis === asked.timestampMillis
}

function startDiffers(stream: string, asked: RequestedStart, stored: StoredStart, name: string): FirnError {
  const [began, now] = [describe(stored.start, stored.requested), describe(asked, asked.type)]
  return new FirnError(
    'invalid',
    'FIRN_START_DIFFERS',
    `stream ${stream} began at ${began}, as ${name} says; this run asks for ${now}`,
    {
      detail: { stream, object: name, stored: began, asked: now },
      help: 'Leave the start out to go on from what is landed. To begin elsewhere, use another warehouse; while nothing is staged beside start.json, deleting it does too.',
    },
  )
}

function describe(start: RequestedStart, requested: RequestedStart['type']): string {
  if (start.type !== 'AT_TIMESTAMP') return start.type
  const time = printTime(start.timestampMillis)
  return requested === 'LATEST' ? `LATEST (then ${time})` : time
}

const printTime = (millis: number): string => new Date(millis).toISOString()

function printStart({ start, requested }: StoredStart): object {
  if (start.type === 'TRIM_HORIZON') return { type: start.type }
  const json = { type: start.type, timestamp: printTime(start.timestampMillis) }
  return requested === 'LATEST' ? { ...json, requested } : json
}

function parseStart(bytes: Uint8Array, name: string): StoredStart {
  const json = decodeJson(bytes, name)
  if (json['type'] === 'TRIM_HORIZON') return { start: { type: 'TRIM_HORIZON' }, requested: 'TRIM_HORIZON' }
  const millis = Date.parse(String(json['timestamp']))
  if (json['type'] === 'AT_TIMESTAMP' && Number.isFinite(millis)) {
    const requested = json['requested'] === 'LATEST' ? 'LATEST' : 'AT_TIMESTAMP'
    return { start: { type: 'AT_TIMESTAMP', timestampMillis: epochMillis(millis) }, requested }
  }
  throw corruptState(name, 'expected {"type": "TRIM_HORIZON"} or {"type": "AT_TIMESTAMP", "timestamp": "…"}')
}
