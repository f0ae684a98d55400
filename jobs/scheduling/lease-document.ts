/** A lease as an object: `_leases/<name>.json`. The only place that knows its wire names. */
import { createHash } from 'node:crypto'
import type { RunId } from '../../table/ids.ts'

/** What the object says. Readers judge nothing by a time in it: there is none. */
export interface LeaseDocument {
  readonly owner: string
  readonly runId: string
  /** One more with every holder: tells two holds of one owner apart. */
  readonly epoch: number
  /** One more with every write of a holder: whoever sees it change knows that the holder lives. */
  readonly counter: number
  /** How long the counter may stand still before somebody else may take over. */
  readonly ttlMillis: number
  readonly released: boolean
  /** Newest slot of the job's schedule that was done, ISO 8601 in UTC with milliseconds; handed on from holder to holder. */
  readonly lastSlot: string | undefined
}

/** Who writes a lease. */
export interface LeaseHolder {
  readonly owner: string
  readonly runId: RunId
}

const SCHEMA = 'firn.lease/1'
/** A file name has at most 255 bytes; a hash keeps long names apart. */
const MAX_NAME = 180
/** What a document may claim: a slip of an editor must not keep a job from running for a year. */
const TTL_RANGE = [1000, 900_000] as const

/**
 * Key of the lease of `name`, e.g. `compact.news.articles`. Letters, digits, `.`, `_` and `-` stay as they are, everything
 * else is percent-encoded, so that no name leads out of `_leases/` and no two names share an object.
 */
export function leaseKey(name: string): string {
  const encoded = Array.from(new TextEncoder().encode(name), (byte) => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9._-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
  if (encoded.length <= MAX_NAME) return `_leases/${encoded}.json`
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32)
  return `_leases/${encoded.slice(0, MAX_NAME - 33)}~${hash}.json`
}

export function printLease(document: LeaseDocument): Uint8Array {
  const { owner, runId, epoch, counter, ttlMillis, released, lastSlot } = document
  const json = {
    schema: SCHEMA,
    owner,
    run_id: runId,
    epoch,
    counter,
    ttl_ms: ttlMillis,
    released,
    last_slot: lastSlot ?? null,
  }
  return new TextEncoder().encode(`${JSON.stringify(json, undefined, 2)}\n`)
}

/**
 * The document in `bytes`. What cannot be read counts as a lease that an unknown holder has: it is waited for like any
 * other, and then overwritten.
 */
export function parseLease(bytes: Uint8Array): LeaseDocument | undefined {
  try {
    const json = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
    const { schema, owner, run_id: runId, epoch, counter, ttl_ms: ttl, released, last_slot: lastSlot } = json
    if (schema !== SCHEMA || typeof owner !== 'string' || typeof runId !== 'string') return undefined
    if (!isCount(epoch) || !isCount(counter) || !isCount(ttl) || typeof released !== 'boolean') return undefined
    const ttlMillis = Math.min(Math.max(ttl, TTL_RANGE[0]), TTL_RANGE[1])
    return { owner, runId, epoch, counter, ttlMillis, released, lastSlot: isSlot(lastSlot) ? lastSlot : undefined }
  } catch {
    return undefined
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isSlot = (value: unknown): value is string =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)

/** True when slot `a` is `b` or later; slots are of one width, so that they compare as text. */
export const slotReached = (a: string | undefined, b: string): boolean => a !== undefined && a >= b
