/**
 * Where a record stood, as one text whose UTF-8 order is the order of records over all streams: by arrival, then
 * stream, its creation, shard, sequence and place in its aggregate.
 *
 * The fields are separated by one space, which is lower than any character that they hold, and numbers have a fixed
 * width, so that a name that begins another one comes first and 9 comes before 10. Stored in tables: the form is final.
 */
import { FirnError } from '../../../table/errors.ts'

export interface OriginParts {
  readonly arrivalMillis: number
  readonly stream: string
  /** Creation time of the stream, as in the names of its staging. */
  readonly created: number
  readonly shardId: string
  /** Decimal, at most 64 digits. */
  readonly sequenceNumber: string
  /** Place in the aggregate; 0 for records that came alone. */
  readonly subSequenceNumber?: number | undefined
}

/** Digits of the largest safe integer. */
const TIME_DIGITS = 16
/** Kinesis makes 56; positions in staging have at most 64. */
const SEQUENCE_DIGITS = 64
/** An aggregate of the largest record has fewer than 10^8 records. */
const SUB_SEQUENCE_DIGITS = 8

/** @throws {FirnError} `FIRN_INTERNAL` for what no reader of streams produces: names with spaces, fractions. */
export function originText(origin: OriginParts): string {
  const { arrivalMillis, stream, created, shardId, sequenceNumber, subSequenceNumber = 0 } = origin
  if (NOT_A_NAME.test(stream) || NOT_A_NAME.test(shardId) || !/^\d{1,64}$/.test(sequenceNumber)) throw unfit(origin)
  if (!Number.isSafeInteger(subSequenceNumber) || subSequenceNumber < 0 || subSequenceNumber >= 1e8) throw unfit(origin)
  if (!Number.isSafeInteger(arrivalMillis) || !Number.isSafeInteger(created)) throw unfit(origin)
  const subSequence = String(subSequenceNumber).padStart(SUB_SEQUENCE_DIGITS, '0')
  return `${timeText(arrivalMillis)} ${stream} ${timeText(created)} ${shardId} ${sequenceNumber.padStart(SEQUENCE_DIGITS, '0')} ${subSequence}`
}

/** Names are not empty, and no character of them is a space or lower. */
const NOT_A_NAME = /^$|[^!-\uffff]/

/** Before 1970: `-`, which is lower than the digits, and the distance from below, so that more digits come later. */
function timeText(millis: number): string {
  if (millis >= 0) return String(millis).padStart(TIME_DIGITS, '0')
  return `-${String(10n ** BigInt(TIME_DIGITS) + BigInt(millis)).padStart(TIME_DIGITS, '0')}`
}

const unfit = (origin: OriginParts): FirnError =>
  new FirnError('failed', 'FIRN_INTERNAL', `no origin text can be made of ${JSON.stringify(origin)}`)
