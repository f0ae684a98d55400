/** The closed list of reasons why a record is refused, by which metrics and the choice of a replay go. */
import { FirnError } from '../../../table/errors.ts'
import type { RefusalReason } from '../enrich/validate.ts'

/** A reason without its JSON pointer. */
export type ReasonLabel = LabelOf<RefusalReason>
type LabelOf<Reason extends string> = Reason extends `${infer Label}:${string}` ? Label : Reason

/** One member each: a reason that is missing here does not compile. */
const LABELS: Readonly<Record<ReasonLabel, true>> = {
  'decode.gzip': true,
  'decode.zlib': true,
  'decode.zstd': true,
  'decode.utf8': true,
  'decode.json': true,
  too_large: true,
  missing_key: true,
  bad_timestamp: true,
  'schema.required': true,
  'schema.type': true,
  'enrich.error': true,
  'enrich.timeout': true,
}

export const REASON_LABELS: readonly ReasonLabel[] = Object.keys(LABELS) as ReasonLabel[]

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid) for a prefix that no reason can have. */
export function checkReasonPrefix(prefix: string): void {
  const isKnown = REASON_LABELS.some((label) => label.startsWith(prefix) || prefix.startsWith(`${label}:`))
  if (isKnown) return
  throw new FirnError(
    'invalid',
    'FIRN_INVALID_OPTION',
    `no record is ever refused for a reason that begins with "${prefix}"`,
    {
      help: `the reasons are ${REASON_LABELS.join(', ')}; those of schema go on with :<pointer>`,
    },
  )
}
