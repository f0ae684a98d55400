/** Ways to damage an object: bytes as a store or a network may lose them, and documents that are well-formed but wrong. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { joinAvro, splitAvro } from './avro-bytes.ts'
import type { ObjectKind } from './tables.ts'

/** Whole numbers in [0, below). */
export type Random = (below: number) => number

export interface Damaged {
  readonly how: string
  readonly bytes: Uint8Array
}

type Change = (bytes: Buffer, random: Random) => Buffer

const pick = <T>(items: readonly T[], random: Random): T => items[random(items.length)]!

function flipBits(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return Buffer.of(1)
  for (let count = 1 + random(3); count > 0; count--) bytes[random(bytes.length)]! ^= 1 << random(8)
  return bytes
}

const truncate: Change = (bytes, random) => bytes.subarray(0, random(bytes.length))

function overwrite(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return Buffer.of(1)
  const start = random(bytes.length)
  return bytes.fill(
    pick([0, 0xff, 0x80, 0x7f, random(256)], random),
    start,
    Math.min(bytes.length, start + 1 + random(12)),
  )
}

/** Bytes of one place at another, in place of others or between them; or some taken out. */
function splice(bytes: Buffer, random: Random): Buffer {
  const [from, at] = [random(bytes.length), random(bytes.length)]
  const length = 1 + random(Math.min(64, bytes.length))
  const moved = pick([bytes.subarray(from, from + length), Buffer.alloc(0)], random)
  const behind = pick([at, at + length], random)
  return Buffer.concat([bytes.subarray(0, at), moved, bytes.subarray(behind)])
}

/** Something that may be read as a length, a count or an offset becomes very large. */
function inflateLength(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length)
  const long = pick(
    ['ffffffff0f', 'feffffff0f', 'ffffffffffffffffff01', '80808080808001', 'ffffff7f', '00000080'],
    random,
  )
  const value = Buffer.from(long, 'hex')
  return random(2) === 0
    ? Buffer.concat([bytes.subarray(0, at), value, bytes.subarray(at + 1)])
    : Buffer.concat([bytes.subarray(0, at), value, bytes.subarray(at + value.length)])
}

const RAW: readonly (readonly [string, Change])[] = [
  ['truncated', truncate],
  ['bits flipped', flipBits],
  ['bits flipped', flipBits],
  ['overwritten', overwrite],
  ['spliced', splice],
  ['length inflated', inflateLength],
]

/** Inside the compression of a block, or in the header's schema; framed correctly again. */
const insideAvro: Change = (bytes, random) => {
  const parts = splitAvro(bytes)
  const [, change] = pick(RAW, random)
  const what = random(4)
  if (what === 0) {
    const key = pick([...parts.metadata.keys()], random)
    parts.metadata.set(key, change(Buffer.from(parts.metadata.get(key)!), random))
  } else if (what === 1 && parts.blocks.length > 0) {
    const block = pick(parts.blocks, random)
    block.count = pick([0n, 1n, block.count + 1n, block.count - 1n, 1n << 31n, 1n << 62n, -1n], random)
  } else if (parts.blocks.length > 0) {
    const block = pick(parts.blocks, random)
    block.data = change(block.data, random)
  }
  return joinAvro(parts)
}

/** The footer alone, or what stands before it. */
const insideParquet: Change = (bytes, random) => {
  const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8)
  const [, change] = pick(RAW.slice(1), random)
  if (random(3) === 0) return Buffer.concat([change(bytes.subarray(0, footer), random), bytes.subarray(footer)])
  const changed = change(Buffer.from(bytes.subarray(footer, -8)), random)
  const end = Buffer.from(bytes.subarray(-8))
  end.writeUInt32LE(changed.length)
  return Buffer.concat([bytes.subarray(0, footer), changed, end])
}

const insideGzip =
  (change: Change): Change =>
  (bytes, random) =>
    gzipSync(change(gunzipSync(bytes), random))

const HOSTILE_NUMBERS = [
  '1e999',
  '-1e999',
  '1e308',
  '9223372036854775808',
  '-1',
  '1.5',
  '123456789012345678901234567890',
  '-0',
  '0',
  '4294967296',
]
const HOSTILE_VALUES = [
  ...HOSTILE_NUMBERS,
  'null',
  'true',
  '{}',
  '[]',
  '""',
  '"\\ud800"',
  '"__proto__"',
  '"../../x"',
  '{"__proto__":{"type":"struct"}}',
  '[[[[]]]]',
  '"\\u0000"',
]
const HOSTILE_PATHS = [
  'file:///etc/passwd',
  'http://127.0.0.1:1/x',
  's3://other/b',
  '/etc/passwd',
  '../up',
  'memory://fuzz-flat/../x',
  '',
  'x'.repeat(3000),
  'data/%2e%2e/x',
]

/** A value somewhere in a JSON document becomes another one; the text stays JSON. */
const insideJson: Change = (bytes, random) => {
  const text = bytes.toString('utf8')
  const spots = [...text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+|true|false|null/g)]
  const spot = pick(spots, random)
  const [whole, name, colon] = spot
  const paths = name !== undefined && /:\/\//.test(name) ? HOSTILE_PATHS.map((path) => JSON.stringify(path)) : []
  const other =
    name === undefined || colon !== undefined
      ? undefined
      : pick(
          spots.filter(([, , c]) => c === undefined),
          random,
        )[0]
  const value =
    colon === undefined
      ? pick([...HOSTILE_VALUES, ...paths, ...paths, other ?? 'null'], random)
      : `${JSON.stringify(pick(['__proto__', 'constructor', 'type', 'fields', 'x', ''], random))}:`
  return Buffer.from(text.slice(0, spot.index) + value + text.slice(spot.index + whole.length), 'utf8')
}

/** A member twice: readers differ in which of them counts. */
const doubleKey: Change = (bytes, random) => {
  const text = bytes.toString('utf8')
  const spots = [...text.matchAll(/"(?:[^"\\]|\\.)*"\s*:/g)]
  const spot = pick(spots, random)
  return Buffer.from(
    `${text.slice(0, spot.index)}${spot[0]}${pick(HOSTILE_VALUES, random)},${text.slice(spot.index)}`,
    'utf8',
  )
}

function changesOf(kind: ObjectKind, key: string): readonly (readonly [string, Change])[] {
  if (kind === 'metadata') {
    const json = [
      ['JSON value changed', insideJson],
      ['JSON value changed', insideJson],
      ['JSON member doubled', doubleKey],
    ] as const
    if (!key.includes('.gz')) return [...RAW, ...json]
    return [
      ...RAW,
      ...json.map(([how, change]) => [how, insideGzip(change)] as const),
      ['bits flipped inside', insideGzip(flipBits)],
    ]
  }
  if (key.endsWith('.avro')) return [...RAW, ...Array.from({ length: 6 }, () => ['inside Avro', insideAvro] as const)]
  if (key.endsWith('.parquet'))
    return [...RAW, ...Array.from({ length: 4 }, () => ['inside Parquet', insideParquet] as const)]
  return RAW
}

/** Bytes that differ from `bytes`. */
export function damage(kind: ObjectKind, key: string, bytes: Uint8Array, random: Random): Damaged {
  for (;;) {
    const [how, change] = pick(changesOf(kind, key), random)
    const changed = change(Buffer.from(bytes), random)
    if (!changed.equals(bytes)) return { how, bytes: changed }
  }
}
