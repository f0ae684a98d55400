import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeRecord } from '../../../ingest/index.ts'
import { sniffCompression } from '../../../ingest/records/inflate.ts'

const maxBytes = 1_000_000
const decode = (bytes: Uint8Array, limit = maxBytes) => decodeRecord(bytes, { maxBytes: limit })
const text = Buffer.from('{"a":"ß"}')
const value = { a: 'ß' }

const deflateAt =
  (level: number) =>
  (bytes: Uint8Array): Buffer =>
    deflateSync(bytes, { level })

const forms = [
  { form: 'gzip', compress: (bytes: Uint8Array) => gzipSync(bytes) },
  { form: 'zlib', compress: deflateAt(6) },
  { form: 'zlib', compress: deflateAt(0) },
  { form: 'zlib', compress: deflateAt(3) },
  { form: 'zlib', compress: deflateAt(9) },
  { form: 'zstd', compress: (bytes: Uint8Array) => zstdCompressSync(bytes) },
] as const

test.each(forms)('$form is inflated by its first bytes', ({ compress }) => {
  expect(decode(compress(text))).toEqual({ ok: true, value })
})

test.each(forms)('a record of $form decodes as it would without (fast-check)', ({ compress }) => {
  const anything = fc
    .oneof(fc.json(), fc.string())
    .map((content) => Buffer.from(content))
    // a text that begins like compressed data is taken for it, and refused under another name
    .filter((bytes) => sniffCompression(bytes) === undefined)
  fc.assert(
    fc.property(anything, (bytes) => {
      expect(decode(compress(bytes))).toEqual(decode(bytes))
    }),
  )
})

test.each(forms)('$form cut anywhere behind its mark is refused by name', ({ form, compress }) => {
  const whole = compress(text)
  for (let length = form === 'zstd' ? 4 : 2; length < whole.length; length++) {
    expect(decode(whole.subarray(0, length)), `${length} bytes`).toMatchObject({ ok: false, reason: `decode.${form}` })
  }
})

test.each(forms)('$form with one wrong byte never throws and never makes another record (fast-check)', (one) => {
  const whole = one.compress(text)
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(whole)
      damaged[at]! ^= flip
      const decoded = decode(damaged)
      // a zstd frame has no checksum unless its writer asked for one
      if (decoded.ok && one.form !== 'zstd') expect(decoded.value).toEqual(value)
    }),
  )
})

test('any bytes behind a mark decode or are refused, and nothing is thrown (fast-check)', () => {
  const marks = ['1f8b', '1f8b0800', '7801', '789c', '78da', '28b52ffd', '28b52ffd20', '28b52ffd00'].map((hex) =>
    Buffer.from(hex, 'hex'),
  )
  fc.assert(
    fc.property(fc.constantFrom(...marks), fc.uint8Array({ maxLength: 80 }), (mark, rest) => {
      const decoded = decode(Buffer.concat([mark, rest]), 1000)
      if (!decoded.ok) expect(decoded.reason).toMatch(/^(decode\.(gzip|zlib|zstd|utf8|json)|too_large)$/)
    }),
    { numRuns: 2_000 },
  )
})

test.each(forms)('$form may inflate to the limit and not to one byte more', ({ compress }) => {
  if (compress(Buffer.alloc(5000)).length > 5000) return // stored, not compressed
  const long = Buffer.from(JSON.stringify({ a: 'x'.repeat(5000) }))
  expect(decode(compress(long), long.length)).toMatchObject({ ok: true })
  expect(decode(compress(long), long.length - 1)).toMatchObject({ ok: false, reason: 'too_large' })
})

test.each(forms)('bytes behind the end of $form are refused, not dropped', ({ form, compress }) => {
  const rest = form === 'gzip' ? Buffer.from('{"b":1}') : Buffer.from('\0{"b":1}')
  expect(decode(Buffer.concat([compress(text), rest]))).toMatchObject({ ok: false, reason: `decode.${form}` })
})

test('several gzip members and several zstd frames are one text, zeros behind gzip are padding', () => {
  for (const compress of [gzipSync, zstdCompressSync]) {
    const halves = [text.subarray(0, 3), text.subarray(3)].map((half) => compress(half))
    expect(decode(Buffer.concat(halves))).toEqual({ ok: true, value })
    const cut = Buffer.concat(halves).subarray(0, -2)
    expect(decode(cut)).toMatchObject({ ok: false, reason: compress === gzipSync ? 'decode.gzip' : 'decode.zstd' })
  }
  expect(decode(Buffer.concat([gzipSync(text), Buffer.alloc(20)]))).toEqual({ ok: true, value })
})

test('only the outermost compression is taken off', () => {
  for (const { compress } of forms) {
    expect(decode(compress(gzipSync(text)))).toMatchObject({ ok: false, reason: 'decode.utf8' })
  }
})

test('a bomb is given up at the limit', () => {
  const zeros = Buffer.alloc(200 * 1024 * 1024)
  for (const bomb of [gzipSync(zeros), zstdCompressSync(zeros), deflateSync(zeros)]) {
    expect(bomb.length).toBeLessThan(maxBytes)
    const before = process.memoryUsage().arrayBuffers
    expect(decode(bomb)).toMatchObject({ ok: false, reason: 'too_large' })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * maxBytes)
  }
})

test('a zstd frame that asks for a window of 128 MiB does not get it', () => {
  // magic, no size of the content, window of 2^27, one raw block
  const blockHeader = (text.length << 3) | 1
  const frame = Buffer.concat([Buffer.from('28b52ffd0088', 'hex'), Buffer.of(blockHeader, 0, 0), text])
  expect(decode(frame)).toMatchObject({ ok: false, reason: 'decode.zstd' })
  expect(decode(frame, 128 * 1024 * 1024)).toEqual({ ok: true, value })
})

test('an x at the beginning is only compression when the header of zlib follows', () => {
  expect(decode(Buffer.from('x\x01'))).toMatchObject({ ok: false, reason: 'decode.zlib' })
  expect(decode(Buffer.from('xy'))).toMatchObject({ ok: false, reason: 'decode.json' })
  expect(decode(Buffer.from('x'))).toMatchObject({ ok: false, reason: 'decode.json' })
})

test('reasons do not quote what was inflated', () => {
  const secret = Buffer.from('{"password":"hunter2')
  for (const { compress } of forms) expect(JSON.stringify(decode(compress(secret)))).not.toContain('hunter2')
})
