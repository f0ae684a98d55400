/** Answers of a REST catalog -> the one error class. Spec: REST catalog, "ErrorModel". By status and type, never by text. */
import { type ErrorCode, type ErrorKind, FirnError } from '../../errors.ts'

/** An HTTP answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly retryAfterMillis: number | undefined
  /** Parsed with int64 kept; `undefined` when there was no JSON. */
  readonly json: unknown
}

export interface Asked {
  /** e.g. `loading table news.articles`. */
  readonly what: string
  /** The catalog's URI. */
  readonly catalog: string
  /** Words that must not come out, whatever the server echoes. */
  readonly secrets: readonly string[]
}

const MAX_MESSAGE_CHARACTERS = 500
const MAX_TYPE_CHARACTERS = 100

/** `error.type` and `error.message` of the body, when it is an error document. */
export function errorModel(json: unknown): { readonly type: string; readonly message: string } {
  const member = (value: unknown, key: string): unknown =>
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  const error = member(json, 'error')
  // OAuth2 endpoints answer `{"error": "invalid_client", "error_description": …}`
  if (typeof error === 'string') return { type: error, message: text(member(json, 'error_description')) }
  return { type: text(member(error, 'type')), message: text(member(error, 'message')) }
}

type Verdict = readonly [kind: ErrorKind, code: ErrorCode, help: string]

const RETRY = 'Run the same command again later.'

function verdict(status: number, type: string): Verdict {
  switch (status) {
    case 400:
      return ['invalid', 'FIRN_CATALOG_REFUSED', 'The catalog takes the request for wrong: see its message.']
    case 401:
    case 419:
      return ['invalid', 'FIRN_CATALOG_UNAUTHORIZED', "Renew or correct the catalog's token, credential or AWS keys."]
    case 403:
      return ['invalid', 'FIRN_ACCESS_DENIED', 'Allow this identity to do that in the catalog.']
    case 404:
      if (type === 'NoSuchTableException' || type === 'NoSuchIcebergTableException') {
        return ['not-found', 'FIRN_TABLE_NOT_FOUND', 'List the tables there are, or create it with: firn init']
      }
      if (type === 'NoSuchNamespaceException') {
        return ['not-found', 'FIRN_NAMESPACE_NOT_FOUND', 'Create the namespace, or correct its name.']
      }
      return ['not-found', 'FIRN_CATALOG_NOT_FOUND', 'Check the URI (up to and without /v1) and the warehouse.']
    case 405:
    case 406:
    case 501:
      return ['invalid', 'FIRN_CATALOG_UNSUPPORTED', 'This catalog does not offer that.']
    case 409:
      return ['conflict', 'FIRN_CATALOG_CONFLICT', 'Look at what is there now, then decide.']
    default:
      if (status >= 500 || status === 408 || status === 429) return ['unavailable', 'FIRN_CATALOG_UNAVAILABLE', RETRY]
      return ['invalid', 'FIRN_CATALOG_REFUSED', 'Check the URI, and whether it is that of an Iceberg REST catalog.']
  }
}

/** What to throw for an answer that is not a success. */
export function failureOf(asked: Asked, { status, json }: Answer): FirnError {
  const model = errorModel(json)
  const [kind, code, help] = verdict(status, model.type)
  const type = safeText(model.type, asked.secrets, MAX_TYPE_CHARACTERS)
  const said = safeText([model.type, model.message].filter(Boolean).join(': '), asked.secrets, MAX_MESSAGE_CHARACTERS)
  return new FirnError(kind, code, `${asked.what}: ${asked.catalog} answered ${status}${said && ` (${said})`}`, {
    detail: { catalog: asked.catalog, status, ...(type === '' ? {} : { type }) },
    help,
  })
}

/** No answer at all, or one that broke off. */
export function withoutAnswer(asked: Asked, cause: unknown): FirnError {
  const reason = safeText(rootReason(cause), asked.secrets, MAX_MESSAGE_CHARACTERS)
  return new FirnError(
    'unavailable',
    'FIRN_CATALOG_UNAVAILABLE',
    `${asked.what}: no answer from ${asked.catalog}: ${reason}`,
    {
      detail: { catalog: asked.catalog },
      help: `Check the URI and the network. ${RETRY}`,
      // the raw one may hold a header as it was to be sent
      cause: Object.assign(new Error(reason), { code: codeOf(cause) }),
    },
  )
}

export const unexpectedAnswer = (asked: Asked, problem: string, cause?: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_CATALOG_ANSWER_INVALID', `${asked.what}: ${asked.catalog} answered with ${problem}`, {
    detail: { catalog: asked.catalog },
    help: 'Check whether the URI is that of an Iceberg REST catalog.',
    cause,
  })

/** Statuses after which a change may have taken effect or not. */
export const saysNothing = (status: number): boolean => (status >= 500 && status !== 501) || status === 408

/** Whether a request that failed without a status may have taken effect; not when it was never sent. */
export function mayHaveArrived(error: unknown, catalog: string): boolean {
  // a token that could not be had is an error of another address
  if (!FirnError.is(error) || error.detail['catalog'] !== catalog) return false
  return (
    error.code === 'FIRN_CATALOG_ANSWER_INVALID' || (error.code === 'FIRN_CATALOG_UNAVAILABLE' && !neverSent(error))
  )
}

const neverSent = (cause: unknown): boolean =>
  ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'].includes(codeOf(cause))

function codeOf(error: unknown): string {
  for (let each = error, depth = 0; depth < 5 && each instanceof Error; each = each.cause, depth++) {
    const { code } = each as NodeJS.ErrnoException
    if (typeof code === 'string' && code !== '' && !code.startsWith('FIRN_')) return code
  }
  return ''
}

/** `fetch failed` says nothing: the innermost cause does. */
function rootReason(error: unknown): string {
  let each = error
  for (let depth = 0; depth < 5 && each instanceof Error && each.cause instanceof Error; depth++) each = each.cause
  return codeOf(error) || (each instanceof Error ? each.message || each.name : String(each))
}

const ANSI = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[ -/]*[@-~]`, 'g')

/** Text of a server as one line that a terminal takes for text: nothing moves the cursor, colours, or turns it around. */
export const printable = (text: string): string => text.replace(ANSI, '').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')

/** What may be shown: without secrets, nor pieces of one that was broken at its blanks, and of bounded length. */
function safeText(text: string, secrets: readonly string[], characters: number): string {
  const words = secrets.flatMap((secret) => [secret, ...secret.split(/\s+/).filter(({ length }) => length >= 4)])
  return words
    .filter((word) => word !== '')
    .sort((a, b) => b.length - a.length)
    .reduce((left, word) => left.replaceAll(word, '…'), printable(text))
    .slice(0, characters)
}
