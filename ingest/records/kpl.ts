/**
 * User records that a Kinesis Producer Library packed into one Kinesis record. The format
 * (amazon-kinesis-producer, aggregation-format.md): F3 89 9A C2, a protobuf message, the MD5 of the message. Judged as
 * the Kinesis Client Library does: what is not exactly that is a record like any other. Unlike it, no user record is
 * dropped for a hash key outside the shard's range: other producers than Amazon's aggregate without regard to it.
 */
import { createHash } from 'node:crypto'
import { ProtobufReader } from './protobuf.ts'

/** One record as its producer made it; (shard, sequence number, `subSequenceNumber`) names it. */
export interface UserRecord {
  /** A view of the Kinesis record's bytes. */
  readonly data: Uint8Array
  readonly partitionKey: string
  /** Place inside the aggregate, from 0; 0 also where there is none. */
  readonly subSequenceNumber: number
}

const DIGEST_BYTES = 16
const MAGIC_BYTES = 4

/**
 * Opens an aggregate; anything else, a broken aggregate and one without a record included, is one record with
 * `subSequenceNumber` 0. Never throws, never returns nothing. Costs at most about 12 bytes of memory per byte of
 * `data`, whatever is in it: the views are made when `data` is asked for.
 */
export function userRecords(data: Uint8Array, partitionKey: string): readonly UserRecord[] {
  return (
    (isAggregate(data) ? openMessage(messageOf(data)) : undefined) ?? [{ data, partitionKey, subSequenceNumber: 0 }]
  )
}

const messageOf = (data: Uint8Array): Uint8Array => data.subarray(MAGIC_BYTES, data.byteLength - DIGEST_BYTES)

function isAggregate(data: Uint8Array): boolean {
  if (data[0] !== 0xf3 || data[1] !== 0x89 || data[2] !== 0x9a || data[3] !== 0xc2) return false
  if (data.byteLength <= MAGIC_BYTES + DIGEST_BYTES) return false
  const digest = createHash('md5').update(messageOf(data)).digest()
  return digest.equals(data.subarray(data.byteLength - DIGEST_BYTES))
}

/** A user record whose bytes are not cut out yet: a hostile aggregate has one in every six bytes. */
class PackedRecord implements UserRecord {
  readonly partitionKey: string
  readonly subSequenceNumber: number
  readonly #message: Uint8Array
  readonly #start: number
  readonly #end: number

  constructor(message: Uint8Array, found: FoundRecord, partitionKey: string, subSequenceNumber: number) {
    this.#message = message
    this.#start = found.start
    this.#end = found.end
    this.partitionKey = partitionKey
    this.subSequenceNumber = subSequenceNumber
  }

  get data(): Uint8Array {
    return this.#message.subarray(this.#start, this.#end)
  }
}

const PARTITION_KEY_TABLE = 1
const RECORDS = 3

/** Tables may stand behind the records that point into them: the keys first, then the records. */
function openMessage(message: Uint8Array): readonly UserRecord[] | undefined {
  const keys: string[] = []
  const tables = new ProtobufReader(message)
  while (tables.next()) {
    if (tables.isBytes(PARTITION_KEY_TABLE)) keys.push(tables.text())
  }
  if (tables.broken) return undefined
  const records: PackedRecord[] = []
  const found: FoundRecord = { keyIndex: 0, start: 0, end: 0 }
  const fields = new ProtobufReader(message)
  while (fields.next()) {
    if (!fields.isBytes(RECORDS)) continue
    if (!findRecord(message, fields.start, fields.end, found)) return undefined
    const key = keys[found.keyIndex]
    if (key === undefined) return undefined
    records.push(new PackedRecord(message, found, key, records.length))
  }
  return records.length === 0 ? undefined : records
}

interface FoundRecord {
  keyIndex: number
  start: number
  end: number
}

const PARTITION_KEY_INDEX = 1
const DATA = 3

/**
 * Both fields are required, of several the last counts. The explicit hash key (2) chose the shard, its work is done;
 * nobody writes tags (4).
 */
function findRecord(message: Uint8Array, start: number, end: number, into: FoundRecord): boolean {
  let [hasKey, hasData] = [false, false]
  const fields = new ProtobufReader(message, start, end)
  while (fields.next()) {
    if (fields.isVarint(PARTITION_KEY_INDEX)) {
      into.keyIndex = fields.value
      hasKey = true
    } else if (fields.isBytes(DATA)) {
      into.start = fields.start
      into.end = fields.end
      hasData = true
    }
  }
  return hasKey && hasData && !fields.broken
}
