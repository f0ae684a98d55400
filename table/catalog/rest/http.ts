/**
 * One HTTP exchange with a catalog, and the repeats that are safe. `fetch` keeps connections open between requests.
 *
 * Reads are repeated after any failure that may pass; everything else only when the catalog said that it did not begin
 * (429), or refused our authorization, which was renewed.
 */
import { type Clock, fullJitterMillis } from '../../clock.ts'
import { FirnError } from '../../errors.ts'
import { parseJson, printJson } from '../../format/json.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import type { Authenticator } from './auth.ts'
import { type Answer, type Asked, failureOf, unexpectedAnswer, withoutAnswer } from './errors.ts'
import { readText, TooLong } from './read-text.ts'

export interface RestRequest {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'HEAD'
  /** Encoded, below the base URL, without a leading slash. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  /** Printed with int64 as bare numbers. */
  readonly body?: unknown
  /** For messages: `loading table news.articles`. */
  readonly what: string
  /** Has no effect: may be repeated at will. */
  readonly reads: boolean
}

export interface RestClient {
  readonly uri: string
  /**
   * The answer, whatever its status.
   * @throws {FirnError} `FIRN_CATALOG_UNAVAILABLE` (unavailable): none came; `FIRN_CATALOG_ANSWER_INVALID` (corrupt): it
   *   is too long to be read.
   */
  exchange(request: RestRequest, options: AbortableOptions): Promise<Answer>
  /** The JSON of a success. @throws {FirnError} by the answer's status. */
  call(request: RestRequest, options: AbortableOptions): Promise<unknown>
  asked(request: Pick<RestRequest, 'what'>): Asked
}

export interface RestClientOptions {
  readonly uri: string
  readonly auth: Authenticator
  readonly clock: Clock
  readonly timeoutMillis: number
  readonly headers: Readonly<Record<string, string>>
  /** Of an answer; default 256 MiB, room for the metadata of a table with very many snapshots. */
  readonly maxAnswerBytes?: number | undefined
}

const MAX_ANSWER_BYTES = 256 * 1024 * 1024
const MAX_REPEATS = 4
const MAX_WAIT_MILLIS = 30_000
const MAY_PASS: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

export function openRestClient(options: RestClientOptions): RestClient {
  const { uri, auth, clock } = options
  const asked = ({ what }: Pick<RestRequest, 'what'>): Asked => ({ what, catalog: uri, secrets: auth.secrets() })
  const exchange = async (request: RestRequest, abort: AbortableOptions): Promise<Answer> => {
    let renewed = false
    for (let repeat = 0; ; repeat++) {
      const outcome = await send(options, request, abort).catch((error: unknown) => {
        abort.signal?.throwIfAborted()
        if (error instanceof TooLong) throw unexpectedAnswer(asked(request), error.message)
        if (!(error instanceof NoAnswer)) throw error
        if (!request.reads || repeat >= MAX_REPEATS) throw withoutAnswer(asked(request), error.cause)
        return undefined
      })
      const status = outcome?.status
      if (outcome !== undefined && (status === 401 || status === 419) && !renewed && auth.renew()) {
        renewed = true
        continue
      }
      const again = status === undefined || status === 429 || (request.reads && MAY_PASS.has(status))
      if (outcome !== undefined && (!again || repeat >= MAX_REPEATS)) return outcome
      await clock.sleep(waitMillis(clock, repeat, outcome?.retryAfterMillis), abort.signal)
    }
  }
  return {
    uri,
    exchange,
    asked,
    call: async (request, abort) => {
      const answer = await exchange(request, abort)
      if (answer.status >= 200 && answer.status < 300) return answer.json
      throw failureOf(asked(request), answer)
    },
  }
}

export const waitMillis = (clock: Clock, repeat: number, retryAfterMillis: number | undefined): number =>
  Math.min(MAX_WAIT_MILLIS, retryAfterMillis ?? fullJitterMillis(clock, repeat, 200, MAX_WAIT_MILLIS))

/** Nobody answered, or not to the end. */
class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

async function send(options: RestClientOptions, request: RestRequest, { signal }: AbortableOptions): Promise<Answer> {
  const { uri, auth, timeoutMillis, maxAnswerBytes = MAX_ANSWER_BYTES } = options
  const url = new URL(`${uri}/${request.path}${queryText(request.query)}`)
  const body = request.body === undefined ? undefined : printJson(request.body)
  const headers = {
    ...options.headers,
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  const authorized = await auth.authorize({ method: request.method, url, headers, body }, { signal })
  const timeout = AbortSignal.timeout(timeoutMillis)
  try {
    const response = await fetch(url, {
      method: request.method,
      headers: authorized,
      // what another host asks for is not given to it
      redirect: 'manual',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      ...(body === undefined ? {} : { body }),
    })
    const text = await readText(response, maxAnswerBytes)
    const after = retryAfter(response.headers.get('retry-after'), options.clock)
    return { status: response.status, retryAfterMillis: after, json: jsonOf(text) }
  } catch (cause) {
    if (FirnError.is(cause) || cause instanceof TooLong) throw cause
    throw new NoAnswer('no answer', { cause })
  }
}

/** `undefined` for what is not JSON. */
export function jsonOf(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

/** Seconds or a date. */
export function retryAfter(text: string | null, clock: Clock): number | undefined {
  if (text === null || text.trim() === '') return undefined
  const millis = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - clock.nowMillis()
  return Number.isNaN(millis) ? undefined : Math.max(0, millis)
}

function queryText(query: RestRequest['query'] = {}): string {
  const parts = Object.entries(query).flatMap(([key, value]) =>
    value === undefined ? [] : [`${encodeSegment(key)}=${encodeSegment(value)}`],
  )
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

/** As RFC 3986 has it, so that a signature sees what the server sees. */
export const encodeSegment = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
