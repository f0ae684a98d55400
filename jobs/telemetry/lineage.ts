/**
 * OpenLineage events to a file or a server, in the order in which things happened. Telling must not change what is told
 * about: an event that cannot be delivered is a warning, and no run waits for one.
 */
import { appendFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../table/clock.ts'
import { ingestChannel } from '../../table/diagnostics.ts'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import { endEvent, type LineageContext, type LineageRun, startEvent } from './lineage-events.ts'
import type { Logger } from './logs.ts'
import { subscribeToRuns } from './run-channel.ts'

export interface LineageOptions {
  /** http(s) URL of a collector, or a file that lines of JSON are appended to. */
  readonly target: string
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn'>
  readonly surroundings: Omit<LineageContext, 'arnOf' | 'table'>
  /** Looks at the table that a run wrote. */
  readonly describeTable: (name: string, options: AbortableOptions) => Promise<LineageContext['table']>
}

export interface Lineage {
  /** Resolves when every event was delivered, or given up. */
  close(): Promise<void>
}

const SEND_MILLIS = 5_000
/** At the end of a command, for everything that is left: a container runtime does not wait for long. */
const CLOSE_MILLIS = 10_000
/** Of a collector that is down nobody needs more than this; the rest is dropped. */
const MAX_WAITING = 1_000

/** @throws {FirnError} `FIRN_LINEAGE_TARGET` (invalid). */
export function startLineage(options: LineageOptions): Lineage {
  const { clock, log, surroundings, describeTable } = options
  const deliver = deliveryTo(options.target)
  const runs = new Map<symbol, LineageRun>()
  const arns = new Map<string, string>()
  const context: LineageContext = { ...surroundings, arnOf: (stream) => arns.get(stream) }
  let waiting = 0
  let tail: Promise<void> = Promise.resolve()
  const givenUp = new AbortController()
  const enqueue = (make: (signal: AbortSignal) => object | Promise<object>): void => {
    if (waiting >= MAX_WAITING) return
    waiting++
    tail = tail.then(async () => {
      try {
        await withinTime(clock, SEND_MILLIS, givenUp.signal, async (signal) => deliver(await make(signal), signal))
      } catch (error) {
        log.warn({ err: error, target: safeTarget(options.target) }, 'a lineage event was not delivered')
      } finally {
        waiting--
      }
    })
  }
  const subscriptions = [
    ingestChannel.subscribe((message) => {
      if (message.kind === 'stream') arns.set(message.stream, message.arn)
    }),
    subscribeToRuns((message) => {
      if (message.phase === 'start') {
        const { job, subject, startedAtMillis } = message
        const run = { runId: uuidV7(clock), job, subject, startedAtMillis }
        runs.set(message.run, run)
        enqueue(() => startEvent(run, context))
        return
      }
      const run = runs.get(message.run)
      if (run === undefined) return
      runs.delete(message.run)
      const { record } = message
      enqueue(async (signal) => {
        const wrote = run.job !== 'land' && record.outcome === 'ok'
        const table = wrote ? await describeTable(run.subject, { signal }).catch(() => undefined) : undefined
        return endEvent(run, record, { ...context, table })
      })
    }),
  ]
  return {
    close: async () => {
      for (const end of subscriptions) end()
      const delivered = new AbortController()
      clock.sleep(CLOSE_MILLIS, delivered.signal).then(
        () => givenUp.abort(timeout()),
        () => {}, // delivered
      )
      await tail
      delivered.abort()
    },
  }
}

/** `work`, or a refusal after `millis`, whether or not it heeds its signal: a catalog that hangs holds up nobody. */
async function withinTime(
  clock: Clock,
  millis: number,
  givenUp: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  givenUp.throwIfAborted()
  const late = new AbortController()
  const done = new AbortController()
  clock.sleep(millis, done.signal).then(
    () => late.abort(timeout()),
    () => {}, // delivered
  )
  const signal = AbortSignal.any([late.signal, givenUp])
  const over = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true, signal: done.signal })
  })
  try {
    await Promise.race([work(signal), over])
  } finally {
    done.abort()
  }
}

const timeout = (): DOMException => new DOMException('there was no answer in time', 'TimeoutError')

type Delivery = (event: object, signal: AbortSignal) => Promise<void>

function deliveryTo(target: string): Delivery {
  if (!/^https?:/i.test(target)) return fileDelivery(target)
  if (!URL.canParse(target)) throw badTarget('it is no URL')
  const url = new URL(target)
  const { username, password } = url
  // fetch refuses a URL that holds them, and names it in full
  url.username = ''
  url.password = ''
  if (url.pathname === '/') url.pathname = '/api/v1/lineage'
  const userinfo = decodedUserinfo(username, password)
  const authorization = username === '' ? {} : { authorization: `Basic ${Buffer.from(userinfo).toString('base64')}` }
  return async (event, signal) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization },
      body: JSON.stringify(event),
      // what was meant for one server is not given to another
      redirect: 'manual',
      signal,
    })
    await response.body?.cancel()
    if (!response.ok) {
      const message = `the lineage server answered ${response.status}`
      throw new FirnError('unavailable', 'FIRN_LINEAGE_REFUSED', message, { detail: { status: response.status } })
    }
  }
}

function decodedUserinfo(username: string, password: string): string {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  } catch {
    throw badTarget('its user or password has a % that begins no encoded character')
  }
}

function fileDelivery(target: string): Delivery {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(target)?.[1]
  if (scheme !== undefined && scheme !== 'file') throw badTarget(`the scheme ${scheme} is not known`)
  const path = scheme === undefined ? target : pathOf(target)
  return (event) => appendFile(path, `${JSON.stringify(event)}\n`)
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url)
  } catch {
    throw badTarget('it is no URL of a file on this computer')
  }
}

const badTarget = (why: string): FirnError =>
  new FirnError('invalid', 'FIRN_LINEAGE_TARGET', `lineage events cannot go there: ${why}`, {
    help: 'give --lineage an http(s) URL or the path of a file',
  })

/** Without user, password and query, where people put keys. */
export function safeTarget(target: string): string {
  if (!/^https?:/i.test(target) || !URL.canParse(target)) return target
  const { protocol, host, pathname } = new URL(target)
  return `${protocol}//${host}${pathname}`
}

/** RFC 9562 version 7, whose ids sort by time, as the specification of run ids recommends. */
export function uuidV7(clock: Clock): string {
  const bytes = Uint8Array.from(clock.randomBytes(16))
  const view = new DataView(bytes.buffer)
  const now = clock.nowMillis()
  view.setUint16(0, Math.floor(now / 2 ** 32))
  view.setUint32(2, now % 2 ** 32)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
