/** Parquet files and deletion vectors whose small bytes claim much. */
import { crc32, gzipSync, zstdCompressSync } from 'node:zlib'
import { type Bomb, bombed } from './bombed.ts'

/** Thrift's compact protocol, as much as footers and page headers need: integers, binaries, lists and structures. */
type Thrift = readonly [type: number, bytes: Buffer]
const uvarint = (value: number | bigint): Buffer => {
  let rest = BigInt(value)
  const bytes: number[] = []
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}
const zigzag = (value: number | bigint): Buffer =>
  uvarint(BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n)))
const i32 = (value: number): Thrift => [5, zigzag(value)]
const i64 = (value: number | bigint): Thrift => [6, zigzag(value)]
const text = (value: string): Thrift => [8, Buffer.concat([uvarint(value.length), Buffer.from(value)])]
const list = (items: readonly Thrift[], claimed = items.length): Thrift => [
  9,
  Buffer.concat([
    claimed < 15
      ? Buffer.of((claimed << 4) | (items[0]?.[0] ?? 12))
      : Buffer.concat([Buffer.of(0xf0 | (items[0]?.[0] ?? 12)), uvarint(claimed)]),
    ...items.map(([, bytes]) => bytes),
  ]),
]
const struct = (fields: Readonly<Record<number, Thrift>>): Thrift => {
  let last = 0
  const parts = Object.entries(fields).map(([id, [type, bytes]]) => {
    const delta = Number(id) - last
    last = Number(id)
    return Buffer.concat([Buffer.of((delta << 4) | type), bytes])
  })
  return [12, Buffer.concat([...parts, Buffer.of(0)])]
}

const CODECS = { none: 0, snappy: 1, gzip: 2, brotli: 4, lz4: 5, zstd: 6, lz4raw: 7 } as const
const PHYSICAL = { boolean: 0, int32: 1, int64: 2, byteArray: 6, fixed: 7 } as const

interface FileShape {
  readonly physical?: keyof typeof PHYSICAL
  readonly codec?: keyof typeof CODECS
  readonly rows?: number
  readonly values?: number
  readonly optional?: boolean
  readonly typeLength?: number
  readonly uncompressedBytes?: number
  readonly encoding?: number
  readonly pageValues?: number
  readonly pageBytes?: number
  readonly page?: Buffer
  /** Dictionary page of so many values, before the page. */
  readonly dictionary?: { readonly values: number; readonly bytes: number; readonly page: Buffer }
  readonly groups?: number
}

const pageHeader = (fullSize: number, size: number, rest: Readonly<Record<number, Thrift>>, type: number): Buffer =>
  struct({ 1: i32(type), 2: i32(fullSize), 3: i32(size), ...rest })[1]

/** A file of the schema of `foreign`: `n`, and `text` of the shape. */
function parquet(shape: FileShape): Buffer {
  const {
    physical = 'int32',
    codec = 'none',
    rows = 5,
    values = rows,
    optional = true,
    encoding = 0,
    groups = 1,
  } = shape
  const page = shape.page ?? Buffer.alloc(64)
  const dictionary = shape.dictionary
  const parts: Buffer[] = [Buffer.from('PAR1')]
  if (dictionary !== undefined) {
    const header = struct({ 1: i32(dictionary.values), 2: i32(0) })
    parts.push(pageHeader(dictionary.bytes, dictionary.page.length, { 7: header }, 2), dictionary.page)
  }
  const header = struct({ 1: i32(shape.pageValues ?? values), 2: i32(encoding), 3: i32(3), 4: i32(3) })
  parts.push(pageHeader(shape.pageBytes ?? page.length, page.length, { 5: header }, 0), page)
  const size = Buffer.concat(parts).length - 4
  const element = (name: string, id: number, type: number): Thrift =>
    struct({
      1: i32(type),
      ...(type === PHYSICAL.fixed ? { 2: i32(shape.typeLength ?? 4) } : {}),
      3: i32(optional ? 1 : 0),
      4: text(name),
      9: i32(id),
    })
  const chunk = struct({
    2: i64(4),
    3: struct({
      1: i32(PHYSICAL[physical]),
      2: list([i32(encoding)]),
      3: list([text('n')]),
      4: i32(CODECS[codec]),
      5: i64(values),
      6: i64(shape.uncompressedBytes ?? 1 << 30),
      7: i64(size),
      9: i64(4),
    }),
  })
  const group = struct({ 1: list([chunk]), 2: i64(size), 3: i64(rows) })
  const footer = struct({
    1: i32(1),
    2: list([struct({ 4: text('r'), 5: i32(1) }), element('n', 1, PHYSICAL[physical])]),
    3: i64(rows * groups),
    4: list(Array.from({ length: groups }, () => group)),
  })[1]
  return withFooter(Buffer.concat(parts), footer)
}

function withFooter(body: Buffer, footer: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(footer.length)
  return Buffer.concat([body, footer, length, Buffer.from('PAR1')])
}

/** The manifest agrees with all that the file claims. */
const file = (name: string, shape: FileShape, make: () => FileShape = () => ({})): Bomb => ({
  name: `Parquet: ${name}`,
  make: bombed(
    `bare-${shape.physical ?? 'int32'}`,
    'data',
    () => parquet({ ...shape, ...make() }),
    (shape.rows ?? 5) * (shape.groups ?? 1),
  ),
})
const footer = (name: string, bytes: () => Buffer): Bomb => ({
  name: `Parquet footer: ${name}`,
  make: bombed('bare-int32', 'data', () => withFooter(Buffer.from('PAR1'), bytes()), 5),
})

/** Levels that say that every value is there, or none: one run, behind its length. */
const levels = (count: number, value: number): Buffer => {
  const run = Buffer.concat([uvarint(count * 2), Buffer.of(value)])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(run.length)
  return Buffer.concat([length, run])
}
/** Delta encoding's header: values in a block, miniblocks in a block, values in all, the first. */
const delta = (block: number, miniblocks: number, total: number, ...rest: number[]): Buffer =>
  Buffer.concat([uvarint(block), uvarint(miniblocks), uvarint(total), Buffer.of(0), Buffer.from(rest)])

const M = 1 << 20

const PARQUET: readonly Bomb[] = [
  footer('a list of 2^25 structures', () => Buffer.concat([Buffer.of(0x29), list([], 2 ** 25)[1]])),
  footer('a list of 2^31 - 1 structures', () => Buffer.concat([Buffer.of(0x29), list([], 2 ** 31 - 1)[1]])),
  footer('lists of 2^24 in lists', () =>
    Buffer.concat([
      Buffer.of(0x29),
      ...Array.from({ length: 200 }, () => Buffer.concat([Buffer.of(0xf9), uvarint(2 ** 24)])),
    ]),
  ),
  footer('structures nested deep', () => Buffer.alloc(1 << 20, 0x1c)),
  footer('a number without end', () => Buffer.concat([Buffer.of(0x16), Buffer.alloc(1 << 20, 0xff)])),
  footer('a binary of 2^31 - 1 bytes', () => Buffer.concat([Buffer.of(0x18), uvarint(2 ** 31 - 1)])),
  footer('a binary of -1 bytes', () => Buffer.concat([Buffer.of(0x18), uvarint(2 ** 32 - 1)])),
  footer(
    'a schema that claims 10^6 children',
    () => struct({ 1: i32(1), 2: list([struct({ 4: text('r'), 5: i32(1_000_000) })]), 3: i64(0), 4: list([]) })[1],
  ),
  footer(
    'groups nested deep',
    () =>
      struct({
        1: i32(1),
        2: list(Array.from({ length: 50_000 }, () => struct({ 3: i32(0), 4: text('g'), 5: i32(1) }))),
        3: i64(0),
        4: list([]),
      })[1],
  ),
  file('2^31 rows of nothing', { rows: 2 ** 31 - 8, page: levels(2 ** 31 - 8, 0) }),
  file('10^9 rows of nothing', { rows: 1e9, page: levels(1e9, 0) }),
  file('2^27 rows of nothing', { rows: 2 ** 27, page: levels(2 ** 27, 0) }),
  file('2^53 - 1 rows', { rows: 2 ** 53 - 1 }),
  file('10^9 values in 5 rows', { values: 1e9 }),
  file('a page of 10^9 values', { pageValues: 1e9 }),
  file('a page of -1 values', { pageValues: -1 }),
  file('ten thousand row groups of 10^9 rows', { rows: 1e9, groups: 10_000 }),
  ...(['none', 'snappy', 'lz4', 'lz4raw', 'gzip', 'zstd', 'brotli'] as const).map((codec) =>
    file(`${codec}: a page of 2^31 - 1 bytes`, { codec, pageBytes: 2 ** 31 - 1, uncompressedBytes: 2 ** 40 }),
  ),
  file('a zstd bomb', { codec: 'zstd', pageBytes: 300 * M }, () => ({
    page: zstdCompressSync(Buffer.alloc(300 * M)),
  })),
  file('a gzip bomb', { codec: 'gzip', pageBytes: 200 * M }, () => ({ page: gzipSync(Buffer.alloc(200 * M)) })),
  file('a zstd bomb that claims little', { codec: 'zstd', pageBytes: 20 }, () => ({
    page: zstdCompressSync(Buffer.alloc(200 * M)),
  })),
  file('a dictionary of 10^9 values', {
    physical: 'byteArray',
    encoding: 8,
    dictionary: { values: 1e9, bytes: 8, page: Buffer.alloc(8) },
  }),
  file('a dictionary of 2^28 values in a zstd bomb', {
    physical: 'byteArray',
    encoding: 8,
    codec: 'zstd',
    dictionary: { values: 2 ** 26, bytes: 2 ** 28, page: zstdCompressSync(Buffer.alloc(2 ** 28)) },
  }),
  ...(['int32', 'int64'] as const).flatMap((physical) => [
    file(`${physical}: delta of 2^31 - 1 miniblocks`, {
      physical,
      optional: false,
      encoding: 5,
      page: delta(2 ** 31 - 1, 2 ** 31 - 1, 5, 0, 0, 0, 0),
    }),
    file(`${physical}: delta of no miniblocks`, {
      physical,
      optional: false,
      encoding: 5,
      page: delta(128, 0, 5, ...Array.from({ length: 100 }, () => 1)),
    }),
    file(`${physical}: delta of empty blocks`, {
      physical,
      optional: false,
      encoding: 5,
      page: delta(0, 4, 5, ...Array.from({ length: 100 }, () => 0)),
    }),
    file(`${physical}: a page that is shorter than its values`, {
      physical,
      optional: false,
      page: Buffer.alloc(7),
      rows: 5,
    }),
  ]),
  file('delta strings that grow by 2^30 each', {
    physical: 'byteArray',
    optional: false,
    encoding: 7,
    page: Buffer.concat([
      delta(128, 4, 5, 0, 32, 0, 0, 0, ...Array.from({ length: 32 }, () => [0, 0, 0, 0x20]).flat()),
      delta(128, 4, 5, 0, 0, 0, 0, 0),
      Buffer.alloc(40),
    ]),
  }),
  file('delta strings behind the end', {
    physical: 'byteArray',
    optional: false,
    encoding: 6,
    page: delta(128, 4, 5, 0x80, 0x80, 0x40, 0, 0, 0, 0),
  }),
  file('fixed values of 2^31 - 1 bytes', { physical: 'fixed', optional: false, typeLength: 2 ** 31 - 1 }),
  file('fixed values of -1 bytes', { physical: 'fixed', optional: false, typeLength: -1 }),
  file('fixed values of a gigabyte, split', { physical: 'fixed', optional: false, typeLength: 2 ** 30, encoding: 9 }),
  file('a string of 2^32 - 1 bytes', { physical: 'byteArray', optional: false, page: Buffer.alloc(64, 0xff) }),
]

/** A blob in its frame, with a checksum that holds. */
function vector(bitmap: Buffer): Buffer {
  const content = Buffer.concat([Buffer.from('d1d33964', 'hex'), bitmap])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(content.length)
  checksum.writeUInt32BE(crc32(content))
  return Buffer.concat([length, content, checksum])
}
/** In the place of the first blob, which starts at 4. */
const puffin = (name: string, bitmap: () => Buffer): Bomb => ({
  name: `Puffin: ${name}`,
  make: bombed('vectors', 'vectors', (bytes) => {
    const size = bytes.readUInt32BE(4)
    const room = size - 4
    const content = Buffer.concat([bitmap(), Buffer.alloc(room)]).subarray(0, room)
    return Buffer.concat([bytes.subarray(0, 4), vector(content), bytes.subarray(4 + size + 8)])
  }),
})
const PUFFIN: readonly Bomb[] = [
  puffin('2^64 - 1 bitmaps', () => Buffer.alloc(8, 0xff)),
  puffin('65,536 containers', () => Buffer.from('0100000000000000000000003a30000000000100', 'hex')),
  puffin('a run of every row', () => Buffer.from('0100000000000000000000003b300000010000ffff01000000ffff', 'hex')),
  puffin('65,536 containers of runs', () => Buffer.from('0100000000000000000000003b30ffff', 'hex')),
  puffin('a bitmap of the last key', () =>
    Buffer.from('0100000000000000ffffffff3a30000001000000000000001000000000000000', 'hex'),
  ),
]

export const PARQUET_BOMBS: readonly Bomb[] = [...PARQUET, ...PUFFIN]
