/** Poison that is bytes: broken and explosive compression, aggregates of every kind, what is no UTF-8. */
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { aggregate, bytesField, KPL_MAGIC, recordField, sealed, varint, varintField } from '../ingest/kpl-encoder.ts'
import type { Poison, PoisonKind, PoisonOutcome } from './poison.ts'

const key = (n: number): string => `b-${String(n).padStart(6, '0')}`
const record = (id: string): Buffer => Buffer.from(`{"article_id":"${id}","content":"c"}`)
const row = (id: string): PoisonOutcome => ({ row: id, content: 'c' })

const refused =
  (what: string, reason: string, bytes: (n: number) => Uint8Array): PoisonKind =>
  (n) => ({ what, data: bytes(n), outcomes: [{ refused: reason }] })

const accepted =
  (what: string, bytes: (n: number) => Uint8Array): PoisonKind =>
  (n) => ({ what, data: bytes(n), outcomes: [row(key(n))] })

const forms = [
  ['gzip', gzipSync],
  ['zlib', deflateSync],
  ['zstd', zstdCompressSync],
] as const

/** The checksum at the end of gzip and zlib no longer fits; a frame of zstd has none, so its end is cut. */
function damaged(form: string, bytes: Buffer): Buffer {
  if (form === 'zstd') return bytes.subarray(0, -1)
  const copy = Buffer.from(bytes)
  copy[copy.length - (form === 'gzip' ? 6 : 1)]! ^= 0x55
  return copy
}

const compressed: readonly PoisonKind[] = forms.flatMap(([form, compress]) => {
  const reason = `decode.${form}`
  const whole = (n: number): Buffer => compress(record(key(n)))
  return [
    accepted(form, whole),
    refused(`${form}, cut in half`, reason, (n) => whole(n).subarray(0, whole(n).length >> 1)),
    refused(`${form}, cut by one`, reason, (n) => whole(n).subarray(0, -1)),
    refused(`${form}, cut after its mark`, reason, (n) => whole(n).subarray(0, form === 'zlib' ? 2 : 4)),
    refused(`${form}, damaged`, reason, (n) => damaged(form, whole(n))),
    refused(`${form} and something behind it`, reason, (n) => Buffer.concat([whole(n), Buffer.from('{"x":1}')])),
    refused(`${form} of nothing`, 'decode.json', () => compress(Buffer.alloc(0))),
    refused(`${form} of no text`, 'decode.utf8', () => compress(Buffer.of(0x7b, 0xff, 0x7d))),
    refused(`${form} of broken JSON`, 'decode.json', (n) => compress(record(key(n)).subarray(0, -1))),
    refused(`${form} in gzip`, 'decode.utf8', (n) => gzipSync(whole(n))),
  ]
})

const notText: readonly PoisonKind[] = [
  refused('nothing', 'decode.json', () => Buffer.alloc(0)),
  refused('blanks', 'decode.json', () => Buffer.from(' \t\r ')),
  refused('NUL bytes', 'decode.json', (n) => Buffer.alloc(1 + (n % 50))),
  refused('0xFF bytes', 'decode.utf8', (n) => Buffer.alloc(1 + (n % 50), 0xff)),
  refused('an overlong encoding', 'decode.utf8', (n) => around(n, [0xc0, 0xaf])),
  refused('a surrogate in UTF-8', 'decode.utf8', (n) => around(n, [0xed, 0xa0, 0x80])),
  refused('half a character', 'decode.utf8', (n) => around(n, [0xe2, 0x82])),
  refused('past the last character', 'decode.utf8', (n) => around(n, [0xf4, 0x90, 0x80, 0x80])),
  refused('a lone continuation', 'decode.utf8', (n) => around(n, [0x80])),
  refused('Latin-1', 'decode.utf8', (n) => around(n, [0xe4, 0xf6, 0xfc])),
  refused('UTF-16', 'decode.json', (n) => Buffer.from(record(key(n)).toString(), 'utf16le')),
  refused('UTF-16 with its mark', 'decode.utf8', (n) => Buffer.from(`\ufeff${record(key(n)).toString()}`, 'utf16le')),
  refused('the mark of gzip alone', 'decode.gzip', () => Buffer.of(0x1f, 0x8b)),
  refused('the mark of zlib alone', 'decode.zlib', () => Buffer.of(0x78, 0x9c)),
  refused('the mark of zstd alone', 'decode.zstd', () => Buffer.of(0x28, 0xb5, 0x2f, 0xfd)),
  refused('snappy', 'decode.utf8', () => Buffer.from('ff060000734e61507059aa', 'hex')),
  refused('Avro', 'decode.json', () => Buffer.from('Obj\x01abc')),
  accepted('white space around it', (n) => Buffer.from(` \n\t${record(key(n)).toString()}\r\n `)),
]

function around(n: number, bytes: readonly number[]): Buffer {
  const [head, tail] = [`{"article_id":"${key(n)}","content":"`, '"}']
  return Buffer.concat([Buffer.from(head), Buffer.from(bytes), Buffer.from(tail)])
}

const field = bytesField(1, Buffer.from('k'))
/** An aggregate that is broken; no such bytes are UTF-8. */
const broken = (what: string, bytes: (inner: Buffer) => Uint8Array): PoisonKind =>
  refused(`KPL with ${what}`, 'decode.utf8', (n) => bytes(recordField(0, record(key(n)))))

const aggregates: readonly PoisonKind[] = [
  (n) => {
    const ids = Array.from({ length: 1 + (n % 5) }, (_, index) => `${key(n)}-${index}`)
    const data = aggregate(ids.map((id, index) => ({ partitionKey: `pk-${index % 2}`, data: record(id) })))
    return { what: 'an aggregate', data, outcomes: ids.map(row) }
  },
  (n) => {
    const parts: readonly (readonly [Uint8Array, PoisonOutcome])[] = [
      [gzipSync(record(`${key(n)}-gz`)), row(`${key(n)}-gz`)],
      [Buffer.alloc(0), { refused: 'decode.json', bytes: Buffer.alloc(0) }],
      [Buffer.of(0xff), { refused: 'decode.utf8', bytes: Buffer.of(0xff) }],
      [Buffer.from('{}'), { refused: 'missing_key', bytes: Buffer.from('{}') }],
      [record(`${key(n)}-last`), row(`${key(n)}-last`)],
    ]
    const data = aggregate(parts.map(([bytes]) => ({ partitionKey: 'k', data: bytes })))
    return { what: 'an aggregate of good and bad', data, outcomes: parts.map(([, outcome]) => outcome) }
  },
  (n) => {
    const inner = aggregate([{ partitionKey: 'k', data: record(key(n)) }])
    const data = aggregate([{ partitionKey: 'k', data: inner }])
    return { what: 'an aggregate in an aggregate', data, outcomes: [{ refused: 'decode.utf8', bytes: inner }] }
  },
  refused('an aggregate in gzip', 'decode.utf8', (n) =>
    gzipSync(aggregate([{ partitionKey: 'k', data: record(key(n)) }])),
  ),
  broken('a wrong digest', (inner) => Buffer.concat([KPL_MAGIC, field, inner, Buffer.alloc(16)])),
  broken('a digest that is cut', (inner) => sealed(Buffer.concat([field, inner])).subarray(0, -1)),
  broken('one byte changed', (inner) => {
    const bytes = sealed(Buffer.concat([field, inner]))
    bytes[10]! ^= 1
    return bytes
  }),
  broken('nothing but its mark', () => KPL_MAGIC),
  broken('an empty message', () => sealed(Buffer.alloc(0))),
  broken('no records', () => sealed(field)),
  broken('no keys', (inner) => sealed(inner)),
  broken('a key that does not exist', (inner) =>
    sealed(Buffer.concat([field, inner, recordField(9, Buffer.from('x'))])),
  ),
  broken('a key of 2^64 - 1', (inner) =>
    sealed(Buffer.concat([field, inner, recordField(2n ** 64n - 1n, Buffer.alloc(0))])),
  ),
  broken('a record without data', (inner) => sealed(Buffer.concat([field, inner, bytesField(3, varintField(1, 0))]))),
  broken('a length past its end', (inner) => sealed(Buffer.concat([field, inner, Buffer.of(26, 0xff, 1)]))),
  broken('a length of 2^63', (inner) => sealed(Buffer.concat([field, inner, Buffer.of(26), varint(2n ** 63n)]))),
  broken('a varint without end', (inner) => sealed(Buffer.concat([field, inner, Buffer.alloc(20, 0xff)]))),
  broken('groups a thousand deep', (inner) => sealed(Buffer.concat([field, inner, Buffer.alloc(1000, 59)]))),
  broken('field 0', (inner) => sealed(Buffer.concat([field, inner, Buffer.of(2, 0)]))),
]

export const byteKinds: readonly PoisonKind[] = [...compressed, ...notText, ...aggregates]

/** Bombs, and an aggregate of very many records. */
export function heavyBytes(): readonly Poison[] {
  const zeros = Buffer.alloc(64 * 1024 * 1024)
  const bombs = forms.flatMap(([form, compress]): Poison[] => {
    const bomb = compress(zeros)
    const one = (what: string, data: Uint8Array, reason: string): Poison => ({
      what: `${form}: ${what}`,
      data,
      outcomes: [{ refused: reason }],
    })
    const inJson = compress(Buffer.concat([Buffer.from('{"article_id":"bomb","content":"'), zeros]))
    return [
      one('a bomb', bomb, 'too_large'),
      one('a bomb that begins like a record', inJson, 'too_large'),
      one('a bomb in a bomb', gzipSync(bomb), 'decode.utf8'),
      one('a bomb, cut', bomb.subarray(0, -5), 'too_large'),
    ]
  })
  const many = Array.from({ length: 2_000 }, (_, index) => `many-${index}`)
  const data = aggregate(many.map((id) => ({ partitionKey: id, data: record(id) })))
  const bomb = gzipSync(zeros)
  const packed = aggregate(Array.from({ length: 20 }, () => ({ partitionKey: 'k', data: bomb })))
  return [
    ...bombs,
    { what: 'an aggregate of 2,000', data, outcomes: many.map(row) },
    {
      what: 'an aggregate of bombs',
      data: packed,
      outcomes: Array.from({ length: 20 }, () => ({ refused: 'too_large', bytes: bomb })),
    },
  ]
}
