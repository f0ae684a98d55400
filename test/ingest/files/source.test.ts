/** Files as a stream: positions, growth, change, compression. */
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { fileShardId } from '../../../ingest/files/paths.ts'
import { fileSource, type LandOptions, type LandResult, land, objectSource } from '../../../ingest/index.ts'
import { openMemoryStore } from '../../../table/io/memory.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { openStore } from '../../../table/io/open-store.ts'
import { stagedMetas, stagedRecords } from '../staged-records.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { virtualClock, virtualStart } from '../virtual-clock.ts'

const folder = temporaryFolder()
afterAll(() => folder.remove())

let store: ObjectStore
let stores = 0
beforeEach(() => {
  store = openMemoryStore(`replay-${++stores}`)
})

type Extra = Partial<LandOptions> & { as?: string; maxLineBytes?: number }
function landFiles(paths: string | string[], { as, maxLineBytes, ...rest }: Extra = {}): Promise<LandResult> {
  const clock = virtualClock()
  const named = { ...(as === undefined ? {} : { as }), ...(maxLineBytes === undefined ? {} : { maxLineBytes }) }
  return land({ store, source: fileSource({ paths: [paths].flat(), clock, ...named }), clock, ...rest })
}
const texts = async (stream = 'files'): Promise<string[]> =>
  (await stagedRecords(store, stream)).map(({ text }) => text)
const line = (i: number): string => `{"i":${i},"word":"straße ${i}"}`
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `${line(from + i)}\n`).join('')
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

test('a file lands line by line; its line numbers are the positions', async () => {
  const path = folder.write('plain.ndjson', lines(1, 6))
  const result = await landFiles(path)
  const shardId = encodeURIComponent(pathToFileURL(path).href)
  expect(result).toEqual({
    stream: 'files',
    endedBy: 'tip',
    throttled: 0,
    expiredIterators: 0,
    created: 0,
    records: 5,
    bytes: Buffer.byteLength(lines(1, 6)) - 5,
    chunks: 1,
    gaps: [],
    shards: [{ shardId, records: 5, lastSequenceNumber: '5', millisBehindLatest: null, ended: false }],
  })
  expect(await stagedRecords(store, 'files')).toEqual(
    [1, 2, 3, 4, 5].map((i) => ({ shardId, sequence: String(i), partitionKey: '', text: line(i) })),
  )
  expect(await stagedMetas(store, 'files')).toMatchObject([
    {
      after: '0',
      last: '5',
      parents: [],
      minArrivalMillis: virtualStart,
      maxArrivalMillis: virtualStart,
      file: { byteOffset: Buffer.byteLength(lines(1, 6)), sha256: sha256(lines(1, 6)) },
    },
  ])
})

test('landing a file twice adds nothing; lines appended since are added', async () => {
  const path = folder.write('grows.ndjson', lines(1, 4))
  await landFiles(path)
  expect(await landFiles(path)).toMatchObject({ records: 0, chunks: 0, shards: [{ lastSequenceNumber: '3' }] })
  folder.append('grows.ndjson', lines(4, 9))
  expect(await landFiles(path)).toMatchObject({ records: 5, shards: [{ lastSequenceNumber: '8' }] })
  expect((await texts()).join('\n')).toBe(lines(1, 9).trimEnd())
})

test.each([
  ['gz', gzipSync],
  ['zst', zstdCompressSync],
] as const)('a .%s file lands, and goes on with members appended to it', async (extension, compress) => {
  const name = `grows.ndjson.${extension}`
  const path = folder.write(name, compress(Buffer.from(lines(1, 4) + line(4).slice(0, 5))))
  expect(await landFiles(path)).toMatchObject({ records: 3, shards: [{ pendingBytes: 5 }] })
  folder.append(name, compress(Buffer.from(`${line(4).slice(5)}\n${lines(5, 7)}`)))
  expect(await landFiles(path)).toMatchObject({ records: 3 })
  expect((await texts()).join('\n')).toBe(lines(1, 7).trimEnd())
  const [, second] = await stagedMetas(store, 'files')
  expect(second?.file?.sha256).toBe(sha256(lines(1, 7))) // of the decompressed bytes
})

test.each(['gz', 'zst'])('a damaged .%s file is corrupt, by name', async (extension) => {
  const good = (extension === 'gz' ? gzipSync : zstdCompressSync)(Buffer.from(lines(1, 500)))
  const cut = folder.write(`cut.ndjson.${extension}`, good.subarray(0, good.length - 20))
  await expect(landFiles(cut)).rejects.toMatchObject({
    code: 'FIRN_FILE_CORRUPT',
    message: expect.stringContaining(cut),
  })
  const noise = folder.write(`noise.ndjson.${extension}`, 'not compressed at all')
  await expect(landFiles(noise)).rejects.toMatchObject({ code: 'FIRN_FILE_CORRUPT', kind: 'corrupt' })
})

test.each([
  ['edited', lines(1, 4).replace('straße 2', 'strasse2')],
  ['shortened', lines(1, 3)],
  ['replaced', lines(11, 30)],
  ['emptied', ''],
])('a file whose beginning was %s is refused, and nothing is added', async (how, content) => {
  const path = folder.write(`${how}.ndjson`, lines(1, 4))
  await landFiles(path)
  folder.write(`${how}.ndjson`, content)
  const refused = { code: 'FIRN_FILE_CHANGED', kind: 'invalid', message: expect.stringContaining(path) }
  await expect(landFiles(path)).rejects.toMatchObject(refused)
  expect(await texts()).toHaveLength(3)
})

test('blank lines are skipped and counted', async () => {
  const path = folder.write('blank.ndjson', `\n${line(2)}\r\n  \t\r\n\n${line(5)}\n\n`)
  await landFiles(path)
  const staged = await stagedRecords(store, 'files')
  expect(staged.map(({ sequence, text }) => [sequence, text])).toEqual([
    ['2', `${line(2)}\r`],
    ['5', line(5)],
  ])
  folder.append('blank.ndjson', `\n${line(8)}\n`)
  await landFiles(path)
  expect((await stagedRecords(store, 'files')).at(-1)).toMatchObject({ sequence: '8', text: line(8) })
})

test('every line that is not blank lands as it is, good or bad', async () => {
  const bad = [
    Buffer.from('{"open":'),
    Buffer.from([0xff, 0xfe, 0x7b]),
    Buffer.from('[1]'),
    Buffer.from([0]),
    Buffer.from('12'),
  ]
  const content = Buffer.concat(bad.flatMap((bytes) => [bytes, Buffer.from('\n')]))
  await landFiles(folder.write('bad.ndjson', content))
  const [meta] = await stagedMetas(store, 'files')
  expect(meta).toMatchObject({ count: 5, last: '5' })
})

test.each([
  ['an object', '{"a":1}', 1],
  ['an object before blanks', '{"a":1} \t', 1],
  ['half an object', '{"a":', 0],
  ['a number, which may grow', '12', 0],
  ['a cut multi-byte character', Buffer.from('{"a":"ß"}').subarray(0, 7), 0],
  ['blanks only', '  ', 0],
])('an unterminated last line of %s', async (name, tail, landed) => {
  const file = `tail-${name.replaceAll(/\W/g, '-')}.ndjson`
  const path = folder.write(file, Buffer.concat([Buffer.from(lines(1, 3)), Buffer.from(tail)]))
  const result = await landFiles(path)
  expect(result.records).toBe(2 + landed)
  const pendingBytes = landed === 1 || name === 'blanks only' ? undefined : Buffer.from(tail).length
  expect(result.shards[0]?.pendingBytes).toBe(pendingBytes)
  expect(await landFiles(path)).toMatchObject({ records: 0, chunks: 0 })
})

test('an unterminated line that landed may be ended later, not changed', async () => {
  const path = folder.write('ended-later.ndjson', `${lines(1, 3)}${line(3)}`)
  expect(await landFiles(path)).toMatchObject({ records: 3 })
  folder.append('ended-later.ndjson', ` \r\n${line(4)}\n`)
  expect(await landFiles(path)).toMatchObject({ records: 1, shards: [{ lastSequenceNumber: '4' }] })
  expect((await texts()).join('\n')).toBe(lines(1, 5).trimEnd())

  const grown = folder.write('grown.ndjson', line(1))
  await landFiles(grown, { as: 'grown' })
  folder.append('grown.ndjson', `,${line(2)}\n`)
  await expect(landFiles(grown, { as: 'grown' })).rejects.toMatchObject({ code: 'FIRN_FILE_CHANGED' })
})

test('a pending last line lands once it is whole', async () => {
  const path = folder.write('pending.ndjson', `${line(1)}\n${line(2).slice(0, 7)}`)
  expect(await landFiles(path)).toMatchObject({ records: 1 })
  folder.append('pending.ndjson', line(2).slice(7))
  expect(await landFiles(path)).toMatchObject({ records: 1 })
  expect(await texts()).toEqual([line(1), line(2)])
})

test('any cutting of any content into appends gives the records of the whole file (fast-check)', async () => {
  const piece = fc.oneof(
    fc.constantFrom('\n', '\r\n', '{"a":1}\n', '{"a":"ü"}', '\n\n', ' ', '"x"\n', 'broken\n', '[]'),
    fc.string({ maxLength: 6 }).map((text) => `${JSON.stringify({ text })}\n`),
  )
  let files = 0
  const property = fc.asyncProperty(
    fc.array(fc.array(piece, { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
    fc.integer({ min: 1, max: 3 }),
    async (appends, maxRecords) => {
      const [stepwise, whole] = [`stepwise-${++files}`, `whole-${files}`]
      const path = folder.write(`${stepwise}.ndjson`, '')
      const limits = { chunkLimits: { maxBytes: 1e6, maxRecords } }
      for (const append of appends) {
        folder.append(`${stepwise}.ndjson`, append.join(''))
        // What looked whole may turn out to have been a beginning; then, and only then, the file is refused.
        const refused = await landFiles(path, { as: stepwise, ...limits }).then(
          () => false,
          (error: unknown) => (error as { code?: string }).code === 'FIRN_FILE_CHANGED',
        )
        if (refused) return
      }
      const copy = folder.write(`${whole}.ndjson`, appends.flat().join(''))
      await landFiles(copy, { as: whole })
      const inSteps = (await stagedRecords(store, stepwise)).map(({ sequence, text }) => [sequence, text.trimEnd()])
      const atOnce = (await stagedRecords(store, whole)).map(({ sequence, text }) => [sequence, text.trimEnd()])
      expect(inSteps).toEqual(atOnce)
    },
  )
  await fc.assert(property, { numRuns: 150 })
})

test('lines across block borders come out whole, and the digest of every chunk is that of the file so far', async () => {
  const big = Array.from({ length: 40 }, (_, i) => `{"i":${i},"text":"${'ß'.repeat(50_000 + i * 777)}"}`)
  const content = `${big.join('\n')}\n`
  const path = folder.write('big.ndjson', content)
  expect(statSync(path).size).toBeGreaterThan(4 * 1024 * 1024)
  await landFiles(path, { chunkLimits: { maxBytes: 700_000, maxRecords: 100 } })
  expect(await texts()).toEqual(big)
  const bytes = Buffer.from(content)
  const metas = await stagedMetas(store, 'files')
  expect(metas.length).toBeGreaterThan(5)
  for (const { file, last } of metas) {
    const end = big.slice(0, Number(last)).reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0)
    expect(file).toEqual({ byteOffset: end, sha256: createHash('sha256').update(bytes.subarray(0, end)).digest('hex') })
  }
})

test.each([
  ['zstd frame', 'tail.ndjson.zst', Buffer.concat([zstdCompressSync(lines(1, 3)), Buffer.from(lines(3, 5))])],
  ['gzip member and zeros', 'tail.ndjson.gz', Buffer.concat([gzipSync(lines(1, 3)), Buffer.alloc(9), gzipSync('{}')])],
])('what follows a %s and is none is told, not left out', async (_name, file, bytes) => {
  const path = folder.write(file, bytes)
  await expect(landFiles(path)).rejects.toMatchObject({ code: 'FIRN_FILE_CORRUPT', kind: 'corrupt' })
})

test('a line over the limit stops the run with its number', async () => {
  const path = folder.write('long.ndjson', `${line(1)}\n{"x":"${'y'.repeat(3_000_000)}`)
  const error = { code: 'FIRN_LINE_TOO_LONG', detail: { line: 2, maxLineBytes: 1_000_000, path } }
  await expect(landFiles(path, { maxLineBytes: 1_000_000 })).rejects.toMatchObject(error)
})

test('a directory means its record files, by name; a pattern means what it matches', async () => {
  for (const name of ['b.ndjson', 'a.jsonl', 'c.json', 'd.ndjson.gz', 'notes.txt', '.hidden.txt', 'sub/e.ndjson']) {
    const content = `{"in":"${name}"}\n`
    folder.write(join('many', name), name.endsWith('.gz') ? gzipSync(content) : content)
  }
  await landFiles(join(folder.path, 'many'), { as: 'directory' })
  expect(await texts('directory')).toEqual(
    ['a.jsonl', 'b.ndjson', 'c.json', 'd.ndjson.gz'].map((name) => `{"in":"${name}"}`),
  )
  await landFiles(join(folder.path, 'many', '?.js*'), { as: 'pattern' })
  expect(await texts('pattern')).toEqual(['a.jsonl', 'c.json'].map((name) => `{"in":"${name}"}`))
  const twice = [join(folder.path, 'many', 'b.ndjson'), pathToFileURL(join(folder.path, 'many', 'b.ndjson')).href]
  expect(await landFiles(twice, { as: 'twice' })).toMatchObject({ records: 1 })
})

test.each([
  ['a missing file', 'gone.ndjson'],
  ['a missing folder', 'gone/x.ndjson'],
  ['an empty folder', 'empty-folder'],
  ['a pattern without a match', 'gone*.ndjson'],
])('%s is not found, and nothing is staged for the files beside it', async (_what, name) => {
  folder.write('empty-folder/readme.txt', '')
  const good = folder.write('good.ndjson', lines(1, 3))
  const error = { code: 'FIRN_FILE_NOT_FOUND', kind: 'not-found' }
  await expect(landFiles([good, join(folder.path, name)])).rejects.toMatchObject(error)
  for await (const { key } of store.list('')) expect.fail(`found ${key}`)
})

test('a file that was landed as an object is refused, not taken as done for ever', async () => {
  const path = folder.write('as-object/a.ndjson', lines(1, 3))
  const place = { store: openStore(pathToFileURL(join(folder.path, 'as-object')).href), name: '' }
  await land({ store, source: objectSource({ places: [place], as: 'files' }), clock: virtualClock() })
  folder.append('as-object/a.ndjson', lines(3, 4))
  await expect(landFiles(path)).rejects.toMatchObject({
    code: 'FIRN_FILE_CHANGED',
    message: expect.stringContaining('as an object'),
  })
  expect(await landFiles(path, { as: 'lines' })).toMatchObject({ records: 3 })
})

test('an empty file lands nothing', async () => {
  expect(await landFiles(folder.write('empty.ndjson', ''))).toMatchObject({ records: 0, chunks: 0 })
})

test('a stream name that cannot be a folder is refused', async () => {
  const path = folder.write('named.ndjson', lines(1, 2))
  await expect(landFiles(path, { as: 'a/b' })).rejects.toMatchObject({ code: 'FIRN_STREAM_NAME_INVALID' })
})

test('a path too long for a file name gets a short shard id, different for every path', () => {
  const long = (name: string): string => `/data/${'ünïcode folder/'.repeat(30)}${name}`
  const [a, b] = [fileShardId(long('a.ndjson')), fileShardId(long('b.ndjson'))]
  expect(a).not.toBe(b)
  for (const id of [a, b]) {
    expect(id.length).toBeLessThanOrEqual(200)
    expect(id).toMatch(/^[0-9a-f]{64}~(%[0-9A-F]{2}|[\w.~-])*$/)
    expect(id.endsWith('.ndjson')).toBe(true)
  }
})

test('a file lands once, whichever links lead to it', async () => {
  const path = folder.write('real/one.ndjson', lines(1, 4))
  const byFile = folder.link('by-file.ndjson', path)
  const byFolder = join(folder.link('by-folder', join(folder.path, 'real')), 'one.ndjson')
  const shardId = encodeURIComponent(pathToFileURL(path).href)
  expect(await landFiles(byFile)).toMatchObject({ records: 3, shards: [{ shardId }] })
  for (const way of [path, byFolder, join(folder.path, 'by-folder'), join(folder.path, 'by-file*'), byFile]) {
    expect(await landFiles(way), way).toMatchObject({ records: 0, shards: [{ shardId }] })
  }
  expect(await landFiles([path, byFile, byFolder], { as: 'together' })).toMatchObject({ records: 3, chunks: 1 })
  folder.append('real/one.ndjson', lines(4, 6))
  expect(await landFiles(byFolder)).toMatchObject({ records: 2 })
})
