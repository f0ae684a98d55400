/** OAuth2 client credentials. RFC 6749, section 4.4; the REST catalog's own token endpoint unless another is named. */
import type { Clock } from '../../clock.ts'
import { FirnError } from '../../errors.ts'
import { untilAborted } from '../until-aborted.ts'
import type { Authenticator } from './auth.ts'
import { type Answer, type Asked, failureOf, unexpectedAnswer, withoutAnswer } from './errors.ts'
import { jsonOf, retryAfter, waitMillis } from './http.ts'
import { readText, TooLong } from './read-text.ts'

export interface OAuth2Options {
  /** Token endpoint. */
  readonly tokenUri: string
  /** `id:secret`, or a secret alone. */
  readonly credential: string
  readonly scope: string
  readonly clock: Clock
  readonly timeoutMillis: number
}

interface Token {
  readonly text: string
  /** Monotonic; from then on another one is asked for. */
  readonly renewAtMillis: number
}

/** A token is given up this long before it runs out, or after half of a short life. */
const MARGIN_MILLIS = 60_000
const MAX_REPEATS = 4
const MAX_ANSWER_BYTES = 1024 * 1024

/** One token for all requests; a new one shortly before it runs out, or when the catalog refuses it. */
export function oauth2Auth(options: OAuth2Options): Authenticator {
  const { credential, clock } = options
  let token: Promise<Token> | undefined
  let used: string[] = []
  const secret = credential.slice(credential.indexOf(':') + 1)
  const current = async (): Promise<Token> => {
    const held = token
    const known = await held?.catch(() => undefined)
    if (known !== undefined && clock.monotonicMillis() < known.renewAtMillis) return known
    // several requests may find it run out at once; the first of them asks
    if (token === held || token === undefined) token = askToken(options, secrets())
    const fresh = await token
    used = [fresh.text, ...used.filter((text) => text !== fresh.text)].slice(0, 4)
    return fresh
  }
  const secrets = (): readonly string[] => [credential, secret, ...used]
  return {
    authorize: async ({ headers }, { signal }) => {
      const { text } = await untilAborted(current(), signal)
      return { ...headers, authorization: `Bearer ${text}` }
    },
    renew: () => {
      token = undefined
      return true
    },
    secrets,
  }
}

/** Belongs to no caller, so that one caller's abort does not fail the others. */
async function askToken(options: OAuth2Options, secrets: readonly string[]): Promise<Token> {
  const { tokenUri, credential, scope, clock } = options
  const colon = credential.indexOf(':')
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(colon < 0 ? {} : { client_id: credential.slice(0, colon) }),
    client_secret: credential.slice(colon + 1),
    scope,
  })
  const asked: Asked = { what: 'asking for an OAuth2 token', catalog: tokenUri, secrets }
  for (let repeat = 0; ; repeat++) {
    const started = clock.monotonicMillis()
    const answer = await post(options, form, asked).catch((error: unknown) => {
      // asking has no effect but a token more
      if (repeat < MAX_REPEATS && FirnError.is(error, 'FIRN_CATALOG_UNAVAILABLE')) return undefined
      throw error
    })
    if (answer?.status === 200) return tokenOf(answer.json, asked, started)
    const again = answer === undefined || answer.status === 429 || answer.status >= 500
    if (answer !== undefined && (!again || repeat >= MAX_REPEATS)) throw refusal(asked, answer)
    await clock.sleep(waitMillis(clock, repeat, answer?.retryAfterMillis))
  }
}

async function post(
  { tokenUri, clock, timeoutMillis }: OAuth2Options,
  form: URLSearchParams,
  asked: Asked,
): Promise<Answer> {
  try {
    const response = await fetch(tokenUri, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: form.toString(),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMillis),
    })
    const text = await readText(response, MAX_ANSWER_BYTES)
    const after = retryAfter(response.headers.get('retry-after'), clock)
    return { status: response.status, retryAfterMillis: after, json: jsonOf(text) }
  } catch (cause) {
    throw cause instanceof TooLong ? unexpectedAnswer(asked, cause.message) : withoutAnswer(asked, cause)
  }
}

function refusal(asked: Asked, answer: Answer): FirnError {
  const failure = failureOf(asked, answer)
  if (answer.status !== 400) return failure
  // token endpoints say 400 for a wrong secret, too
  return new FirnError('invalid', 'FIRN_CATALOG_UNAUTHORIZED', failure.message, {
    detail: failure.detail,
    help: 'Correct the credential (id:secret), the scope or the OAuth2 server URI.',
  })
}

function tokenOf(json: unknown, asked: Asked, startedMillis: number): Token {
  const { access_token: text, expires_in: seconds } = (json ?? {}) as Record<string, unknown>
  if (typeof text !== 'string' || text === '') throw unexpectedAnswer(asked, 'no access_token')
  // it becomes a header
  if (/\p{Cc}/u.test(text)) throw unexpectedAnswer(asked, 'an access_token that holds control characters')
  const life = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : Number.POSITIVE_INFINITY
  return { text, renewAtMillis: startedMillis + Math.max(life - MARGIN_MILLIS, life / 2) }
}
