/** Aggregates for tests: the format written out by hand, whole or with any part of it wrong. */
import { createHash } from 'node:crypto'

export const KPL_MAGIC: Buffer = Buffer.from('f3899ac2', 'hex')

export interface AggregatedInput {
  readonly partitionKey: string
  readonly data: Uint8Array
}

/** A protobuf varint, also of numbers past 2^53. */
export function varint(value: number | bigint): Buffer {
  const bytes: number[] = []
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)])
    bytes.push(Number(rest & 127n) | 128)
  }
}

/** A length-delimited field. */
export const bytesField = (field: number, content: Uint8Array): Buffer =>
  Buffer.concat([varint(field * 8 + 2), varint(content.byteLength), content])

export const varintField = (field: number, value: number | bigint): Buffer =>
  Buffer.concat([varint(field * 8), varint(value)])

export const recordField = (keyIndex: number | bigint, data: Uint8Array): Buffer =>
  bytesField(3, Buffer.concat([varintField(1, keyIndex), bytesField(3, data)]))

/** Magic, message and the message's digest. */
export const sealed = (message: Uint8Array): Buffer =>
  Buffer.concat([KPL_MAGIC, message, createHash('md5').update(message).digest()])

/** What a producer would send. */
export function aggregate(records: readonly AggregatedInput[]): Buffer {
  const keys = [...new Set(records.map(({ partitionKey }) => partitionKey))]
  const indexes = new Map(keys.map((key, index) => [key, index]))
  return sealed(
    Buffer.concat([
      ...keys.map((key) => bytesField(1, Buffer.from(key))),
      ...records.map(({ partitionKey, data }) => recordField(indexes.get(partitionKey) as number, data)),
    ]),
  )
}
