/** Objects made to do harm: small ones that claim to be large, deep or endless, and paths that lead elsewhere. */
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { joinAvro, splitAvro, varint } from './avro-bytes.ts'
import { type Bomb, bombed } from './bombed.ts'
import { PARQUET_BOMBS } from './parquet-bombs.ts'

const json = (name: string, change: (text: string) => string): Bomb => ({
  name: `metadata: ${name}`,
  make: bombed('flat', 'metadata', (bytes) => Buffer.from(change(bytes.toString('utf8')), 'utf8')),
})
const gzip = (name: string, change: () => Buffer): Bomb => ({
  name: `gzip: ${name}`,
  make: bombed('gzip', 'metadata', () => gzipSync(change())),
})
/** A member with another value. */
const member = (name: string, value: string): Bomb =>
  json(`${name} is ${value.slice(0, 40)}`, (text) =>
    text.replace(new RegExp(`"${name}": ("[^"]*"|-?\\d+)`), `"${name}": ${value}`),
  )
const added = (name: string, members: string): Bomb => json(name, (text) => text.replace('{', `{${members},`))

const DEEP = 200_000
const deep = (open: string, close: string, depth = DEEP): string => open.repeat(depth) + close.repeat(depth)

const METADATA: readonly Bomb[] = [
  added('arrays nested deep', `"x": ${deep('[', ']')}`),
  added('objects nested deep', `"x": ${deep('{"a":', '}').replace(':}', ':1}')}`),
  // Deep enough for a printer of JSON, not for its parser.
  ...[500, 2_000, 5_000, 8_000].flatMap((depth) => [
    added(`arrays nested ${depth} deep`, `"x": ${deep('[', ']', depth)}`),
    member('table-uuid', deep('[', ']', depth)),
    member('format-version', deep('{"a":', '}', depth).replace(':}', ':1}')),
  ]),
  json('never closed', () => '['.repeat(DEEP)),
  json('types nested deep', (text) => {
    const list = '{"type":"list","element-id":9,"element-required":false,"element":'
    return text.replace('"type": "string"', `"type": ${list.repeat(3000)}"int"${'}'.repeat(3000)}`)
  }),
  json('a name of a hundred thousand characters', (text) =>
    text.replace('"name": "n"', `"name": "${'n'.repeat(1e5)}"`),
  ),
  json('many empty snapshots', (text) => text.replace('"snapshots": [', `"snapshots": [${'{},'.repeat(1e5)}`)),
  json('a number of a million digits', (text) =>
    text.replace(/"last-updated-ms": \d+/, `"last-updated-ms": ${'9'.repeat(1e6)}`),
  ),
  member('last-sequence-number', '1e999'),
  member('last-column-id', '-1e999'),
  member('current-snapshot-id', '9999999999999999999999999'),
  member('format-version', '"2"'),
  member('format-version', '99'),
  member('location', '"\\ud800"'),
  member('location', '"http://127.0.0.1:9/x"'),
  member('location', '""'),
  member('location', '"/"'),
  member('location', '"../.."'),
  ...[
    'file:///etc/passwd',
    '/etc/passwd',
    'http://127.0.0.1:9/list.avro',
    's3://elsewhere/list.avro',
    '../list.avro',
    'memory://fuzz-flat/t/events/../../../list.avro',
    'memory://fuzz-flat/t/events/metadata//list.avro',
    'memory://fuzz-flat/t/eventsx/list.avro',
    '',
    '\\u0000',
    `memory://fuzz-flat/t/events/${'x'.repeat(2000)}`,
  ].map((path) =>
    json(`manifest list at ${path.slice(0, 60)}`, (text) =>
      text.replaceAll(/"manifest-list": "[^"]*"/g, `"manifest-list": "${path}"`),
    ),
  ),
  json('fixed of two gigabytes', (text) =>
    text
      .replace('"type": "date"', '"type": "fixed[2147483647]"')
      .replace('"id": 6', '"id": 66')
      .replace('"last-column-id": 6', '"last-column-id": 66'),
  ),
  json('fixed beyond every number', (text) => text.replace('"type": "date"', `"type": "fixed[${'9'.repeat(400)}]"`)),
  json('decimal of a long precision', (text) =>
    text.replace('"type": "date"', `"type": "decimal(${'9'.repeat(400)}, 2)"`),
  ),
  json('bucket of endless buckets', (text) =>
    text.replace('"transform": "day"', `"transform": "bucket[${'9'.repeat(400)}]"`),
  ),
  added('prototype', '"__proto__": {"format-version": 1, "location": "file:///etc"}'),
  json('refs with the name of a prototype', (text) =>
    text.replace('"refs": {', '"refs": {"__proto__": {"snapshot-id": 1, "type": "branch"},'),
  ),
  json('properties with the name of a prototype', (text) =>
    text.replace('"properties": {', '"properties": {"__proto__": "x", "constructor": "y",'),
  ),
  json('no schema', (text) => text.replace(/"schemas": \[[\s\S]*?\n {2}\],/, '"schemas": [],')),
  json('no schema and no id', (text) =>
    text.replace(/"schemas": \[[\s\S]*?\n {2}\],/, '"schemas": [],').replace(/"current-schema-id": \d+,/, ''),
  ),
  json('no spec and no id', (text) =>
    text
      .replace(/"partition-specs": \[[\s\S]*?\n {2}\],/, '"partition-specs": [],')
      .replace(/"default-spec-id": \d+,/, ''),
  ),
  json('null', () => 'null'),
  json('an array', () => '[]'),
  json('nothing', () => ''),
  json('bytes that are no UTF-8', (text) => text.replace('"n"', '"\udcff"')),
  gzip('many spaces', () => Buffer.alloc(100 << 20, ' ')),
  gzip('zeros', () => Buffer.alloc(50 << 20)),
  gzip('gzip in gzip', () => gzipSync(Buffer.alloc(1000, '[')) as Buffer),
]

/** Header with another schema, and blocks as given. */
const avro = (
  name: string,
  kind: 'list' | 'manifest',
  change: (parts: ReturnType<typeof splitAvro>) => Buffer | undefined,
  table = 'flat',
): Bomb => ({
  name: `${kind}: ${name}`,
  make: bombed(table, kind, (bytes) => {
    const parts = splitAvro(bytes)
    return change(parts) ?? joinAvro(parts)
  }),
})

const schemaOf = (parts: ReturnType<typeof splitAvro>): { fields: { name: string; type: unknown }[] } =>
  JSON.parse(parts.metadata.get('avro.schema')!.toString()) as never
function withSchema(parts: ReturnType<typeof splitAvro>, schema: unknown): void {
  parts.metadata.set('avro.schema', Buffer.from(typeof schema === 'string' ? schema : JSON.stringify(schema)))
}
/** One more field before all others, and what each record has of it. */
function firstField(parts: ReturnType<typeof splitAvro>, type: unknown, bytes: Buffer): void {
  const schema = schemaOf(parts)
  schema.fields.unshift({ name: 'first', type })
  withSchema(parts, schema)
  for (const block of parts.blocks) block.data = Buffer.concat([bytes, block.data])
}
/** Blocks of an array that ask for as many items as there are bytes behind them, over and over. */
const endlessItems = (size: number): Buffer =>
  Buffer.concat(Array.from({ length: size / 4 }, (_, n) => varint(BigInt(size - n * 4 - 8)).subarray(0, 3)))

/** A block of zeros that unpacks to `size`, framed by hand: `joinAvro` would need the memory. */
function packedZeros(
  parts: ReturnType<typeof splitAvro>,
  codec: 'deflate' | 'zstandard',
  size: number,
  blocks: number,
): Buffer {
  parts.metadata.set('avro.codec', Buffer.from(codec))
  const data = codec === 'deflate' ? deflateRawSync(Buffer.alloc(size)) : zstdCompressSync(Buffer.alloc(size))
  const { blocks: _none, ...rest } = parts
  const head = joinAvro({ ...rest, blocks: [] })
  const block = Buffer.concat([varint(BigInt(size)), varint(BigInt(data.length)), data, parts.sync])
  return Buffer.concat([head, ...Array.from({ length: blocks }, () => block)])
}

const AVRO: readonly Bomb[] = (['list', 'manifest'] as const).flatMap((kind) => [
  avro('2^62 records', kind, (parts) => {
    parts.blocks[0]!.count = 1n << 62n
    return undefined
  }),
  avro('-1 records', kind, (parts) => {
    parts.blocks[0]!.count = -1n
    return undefined
  }),
  avro('a string of 2^40 bytes', kind, (parts) => firstField(parts, 'string', varint(1n << 40n)) as undefined),
  avro(
    'an array of 2^62 items',
    kind,
    (parts) => firstField(parts, { type: 'array', items: 'long' }, varint(1n << 62n)) as undefined,
  ),
  avro(
    'a fixed type of 2^40 bytes',
    kind,
    (parts) => firstField(parts, { type: 'fixed', name: 'f', size: 2 ** 40 }, Buffer.alloc(0)) as undefined,
  ),
  avro(
    'a fixed type of no size',
    kind,
    (parts) => firstField(parts, { type: 'fixed', name: 'f', size: 'x' }, Buffer.alloc(0)) as undefined,
  ),
  avro(
    'an array of nothing, without end',
    kind,
    (parts) => firstField(parts, { type: 'array', items: 'null' }, endlessItems(1 << 20)) as undefined,
  ),
  avro(
    'an array of empty records, without end',
    kind,
    (parts) =>
      firstField(
        parts,
        { type: 'array', items: { type: 'record', name: 'e', fields: [] } },
        endlessItems(1 << 20),
      ) as undefined,
  ),
  avro(
    'a record that is itself',
    kind,
    (parts) =>
      firstField(
        parts,
        { type: 'record', name: 'me', fields: [{ name: 'a', type: 'me' }] },
        Buffer.alloc(0),
      ) as undefined,
  ),
  avro(
    'a list of itself, nested deep',
    kind,
    (parts) =>
      firstField(
        parts,
        { type: 'record', name: 'me', fields: [{ name: 'a', type: ['null', 'me'] }] },
        Buffer.alloc(1 << 20, 2),
      ) as undefined,
  ),
  avro('a schema nested deep', kind, (parts) => {
    withSchema(parts, deep('{"type":"array","items":', '}', 20_000).replace(':}', ':"int"}'))
    return undefined
  }),
  avro('a schema of nothing', kind, (parts) => withSchema(parts, 'null') as undefined),
  avro('a schema that is a number', kind, (parts) => withSchema(parts, '7') as undefined),
  avro('a field without a type', kind, (parts) => {
    const schema = schemaOf(parts)
    delete (schema.fields[0] as { type?: unknown }).type
    return withSchema(parts, schema) as undefined
  }),
  avro(
    'fields that are none',
    kind,
    (parts) => withSchema(parts, { type: 'record', name: 'r', fields: [null, 7, 'x'] }) as undefined,
  ),
  avro('a type named like a prototype', kind, (parts) => firstField(parts, '__proto__', Buffer.alloc(0)) as undefined),
  avro('a field named like a prototype', kind, (parts) => {
    const schema = schemaOf(parts)
    schema.fields[0]!.name = '__proto__'
    return withSchema(parts, schema) as undefined
  }),
  avro('an unknown codec', kind, (parts) => {
    const bytes = joinAvro(parts).toString('latin1').replace('deflate', 'rot13xx')
    return Buffer.from(bytes, 'latin1')
  }),
  avro('a deflate bomb', kind, (parts) => packedZeros(parts, 'deflate', 16 << 20, 32)),
  avro('a zstd bomb', kind, (parts) => packedZeros(parts, 'zstandard', 128 << 20, 32)),
  avro('a snappy block that claims 2^31 bytes', kind, (parts) => {
    parts.metadata.set('avro.codec', Buffer.from('snappy'))
    const head = joinAvro({ metadata: parts.metadata, sync: parts.sync, blocks: [] })
    const data = Buffer.from('ffffffff07000000000000', 'hex')
    return Buffer.concat([head, varint(1n), varint(BigInt(data.length)), data, parts.sync])
  }),
  avro('a header of endless entries', kind, () =>
    Buffer.concat([Buffer.from('Obj\u0001'), Buffer.from('feffffffffffffffff01', 'hex')]),
  ),
  avro('nothing', kind, () => Buffer.alloc(0)),
  avro('a header alone', kind, (parts) => joinAvro({ ...parts, blocks: [] })),
])

export const BOMBS: readonly Bomb[] = [...METADATA, ...AVRO, ...PARQUET_BOMBS]
