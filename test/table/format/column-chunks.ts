/** Column chunks of byte strings made by hand from the specification, in the forms that no writer here has. */
import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import type { ChunkShape, LeafShape } from '../../../table/format/parquet-pages.ts'

export const ENCODINGS = {
  PLAIN: 0,
  PLAIN_DICTIONARY: 2,
  DELTA_LENGTH_BYTE_ARRAY: 6,
  DELTA_BYTE_ARRAY: 7,
  RLE_DICTIONARY: 8,
} as const
export type Encoding = keyof typeof ENCODINGS
type Value = Uint8Array | null

export interface PageSpec {
  readonly version: 1 | 2
  readonly encoding: Encoding
  readonly rows: readonly Value[]
}

export interface ChunkSpec {
  readonly optional: boolean
  /** Of a value, when all have the same: `FIXED_LEN_BYTE_ARRAY`. */
  readonly typeLength: number | undefined
  readonly codec: 'UNCOMPRESSED' | 'ZSTD'
  readonly pages: readonly PageSpec[]
}

export interface Chunk {
  readonly bytes: Buffer
  readonly leaf: LeafShape
  readonly shape: ChunkShape
}

type Thrift = readonly [type: number, bytes: Buffer]

export const varint = (value: number): Buffer => {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}
const zigzag = (value: number): Buffer => varint(value < 0 ? -2 * value - 1 : 2 * value)
const int = (value: number): Thrift => [5, zigzag(value)]
const flag = (value: boolean): Thrift => [value ? 1 : 2, Buffer.alloc(0)]

function struct(fields: Readonly<Record<number, Thrift>>): Thrift {
  let last = 0
  const parts = Object.entries(fields).map(([id, [type, bytes]]) => {
    const delta = Number(id) - last
    last = Number(id)
    return Buffer.concat([Buffer.of((delta << 4) | type), bytes])
  })
  return [12, Buffer.concat([...parts, Buffer.of(0)])]
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** One bit-packed run of the hybrid encoding. */
function packed(values: readonly number[], width: number): Buffer {
  const groups = Math.ceil(values.length / 8)
  const bytes = Buffer.alloc(groups * width)
  values.forEach((value, index) => {
    for (let bit = 0; bit < width; bit++) {
      const at = index * width + bit
      bytes[at >> 3]! |= ((value >> bit) & 1) << (at & 7)
    }
  })
  return Buffer.concat([varint(groups * 2 + 1), bytes])
}

/** Delta encoding with every delta in 32 bits. */
export function deltas(values: readonly number[]): Buffer {
  const parts = [varint(128), varint(4), varint(values.length), zigzag(values[0] ?? 0)]
  for (let at = 1; at < values.length; at += 128) {
    const block = values.slice(at, at + 128).map((value, index) => value - values[at + index - 1]!)
    const least = Math.min(...block)
    parts.push(zigzag(least), Buffer.from([32, 32, 32, 32]))
    for (let index = 0; index < Math.ceil(block.length / 32) * 32; index++) {
      parts.push(uint32(index < block.length ? block[index]! - least : 0))
    }
  }
  return Buffer.concat(parts)
}

const plain = (values: readonly Uint8Array[], isFixed: boolean): Buffer =>
  Buffer.concat(values.flatMap((value) => (isFixed ? [value] : [uint32(value.length), value])))

function prefixed(values: readonly Uint8Array[]): Buffer {
  const prefixes = values.map((value, index) => {
    const before = values[index - 1]
    let length = 0
    while (before !== undefined && length < value.length && value[length] === before[length]) length++
    return length
  })
  const suffixes = values.map((value, index) => value.subarray(prefixes[index]))
  return Buffer.concat([deltas(prefixes), deltas(suffixes.map(({ length }) => length)), ...suffixes])
}

const isDictionary = (encoding: Encoding): boolean => encoding.endsWith('DICTIONARY')

export function makeChunk({ optional, typeLength, codec, pages }: ChunkSpec): Chunk {
  const present = (rows: readonly Value[]): Uint8Array[] => rows.filter((value) => value !== null)
  const isFixed = typeLength !== undefined
  const compress = (bytes: Buffer): Buffer => (codec === 'ZSTD' ? zstdCompressSync(bytes) : bytes)
  const words = new Map<string, Uint8Array>()
  for (const { encoding, rows } of pages) {
    if (isDictionary(encoding)) for (const value of present(rows)) words.set(Buffer.from(value).toString('hex'), value)
  }
  const order = [...words.keys()]
  const encode = (values: readonly Uint8Array[], encoding: Encoding): Buffer => {
    if (encoding === 'PLAIN') return plain(values, isFixed)
    if (encoding === 'DELTA_LENGTH_BYTE_ARRAY')
      return Buffer.concat([deltas(values.map(({ length }) => length)), ...values])
    if (encoding === 'DELTA_BYTE_ARRAY') return prefixed(values)
    const width = Math.max(1, 32 - Math.clz32(order.length))
    const indexes = values.map((value) => order.indexOf(Buffer.from(value).toString('hex')))
    return Buffer.concat([Buffer.of(width), packed(indexes, width)])
  }
  const parts: Buffer[] = []
  let uncompressedBytes = 0
  const push = (fullSize: number, body: Buffer, type: number, rest: Readonly<Record<number, Thrift>>): void => {
    parts.push(struct({ 1: int(type), 2: int(fullSize), 3: int(body.length), ...rest })[1], body)
    uncompressedBytes += fullSize
  }
  if (order.length > 0) {
    const page = plain([...words.values()], isFixed)
    push(page.length, compress(page), 2, { 7: struct({ 1: int(order.length), 2: int(0) }) })
  }
  for (const { version, encoding, rows } of pages) {
    const levels = optional
      ? packed(
          rows.map((value) => Number(value !== null)),
          1,
        )
      : Buffer.alloc(0)
    const values = encode(present(rows), encoding)
    if (version === 2) {
      const header = {
        1: int(rows.length),
        2: int(rows.length - present(rows).length),
        3: int(rows.length),
        4: int(ENCODINGS[encoding]),
        5: int(levels.length),
        6: int(0),
        7: flag(true),
      }
      const body = Buffer.concat([levels, compress(values)])
      push(levels.length + values.length, body, 3, { 8: struct(header) })
    } else {
      const page = Buffer.concat(optional ? [uint32(levels.length), levels, values] : [values])
      const header = { 1: int(rows.length), 2: int(ENCODINGS[encoding]), 3: int(3), 4: int(3) }
      push(page.length, compress(page), 0, { 5: struct(header) })
    }
  }
  const numValues = pages.reduce((sum, { rows }) => sum + rows.length, 0)
  return {
    bytes: Buffer.concat(parts),
    leaf: {
      physical: isFixed ? 'FIXED_LEN_BYTE_ARRAY' : 'BYTE_ARRAY',
      typeLength,
      path: [optional ? 'OPTIONAL' : 'REQUIRED'],
      maxDefinition: Number(optional),
      maxRepetition: 0,
    },
    shape: { codec, numValues, uncompressedBytes },
  }
}

/** Some values short, some longer than what a loop copies, some again and again. */
const value = (typeLength: number | undefined): fc.Arbitrary<Uint8Array> =>
  typeLength === undefined
    ? fc.oneof(
        fc.constantFrom('', 'a', 'title', 'ti', 'déjà vu').map((word) => Buffer.from(word)),
        fc.uint8Array({ maxLength: 20 }),
        fc.uint8Array({ minLength: 40, maxLength: 70 }),
      )
    : fc.uint8Array({ minLength: typeLength, maxLength: typeLength })

const encodingsOf = (typeLength: number | undefined): readonly Encoding[] =>
  typeLength === undefined
    ? (Object.keys(ENCODINGS) as Encoding[])
    : ['PLAIN', 'PLAIN_DICTIONARY', 'RLE_DICTIONARY', 'DELTA_BYTE_ARRAY']

export const chunkSpec: fc.Arbitrary<ChunkSpec> = fc
  .record({
    optional: fc.boolean(),
    typeLength: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined, freq: 4 }),
  })
  .chain(({ optional, typeLength }) => {
    const row = optional ? fc.option(value(typeLength), { freq: 3, nil: null }) : value(typeLength)
    const page = fc.record({
      version: fc.constantFrom<1 | 2>(1, 2),
      encoding: fc.constantFrom(...encodingsOf(typeLength)),
      rows: fc.array(row, { maxLength: 20 }),
    })
    return fc.record({
      optional: fc.constant(optional),
      typeLength: fc.constant(typeLength),
      codec: fc.constantFrom<ChunkSpec['codec']>('UNCOMPRESSED', 'ZSTD'),
      pages: fc.array(page, { minLength: 1, maxLength: 4 }),
    })
  })
