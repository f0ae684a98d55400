import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeRecord } from '../../../ingest/index.ts'
import { sniffCompression } from '../../../ingest/records/inflate.ts'

const maxBytes = 1_000_000
const decode = (input: string | Uint8Array) => decodeRecord(Buffer.from(input), { maxBytes })

/** The definition: strict text, then JSON, then an object. */
function oracle(bytes: Uint8Array): { ok: true; value: unknown } | { ok: false; reason: string } {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return { ok: false, reason: 'decode.utf8' }
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ok: true, value }
  } catch {}
  return { ok: false, reason: 'decode.json' }
}

function expectAgreement(bytes: Uint8Array): void {
  fc.pre(sniffCompression(bytes) === undefined)
  const decoded = decodeRecord(bytes, { maxBytes })
  const expected = oracle(bytes)
  if (expected.ok) expect(decoded).toEqual(expected)
  else expect(decoded).toMatchObject(expected)
}

test('agrees with strict TextDecoder and JSON.parse on any bytes (fast-check)', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), expectAgreement), { numRuns: 500 })
})

test('agrees with strict TextDecoder and JSON.parse on JSON and damaged JSON (fast-check)', () => {
  const damaged = fc
    .tuple(fc.json(), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean())
    .map(([json, at, byte, damage]) => {
      const bytes = Buffer.from(json)
      if (damage && bytes.length > 0) bytes[at % bytes.length] = byte
      return bytes
    })
  fc.assert(fc.property(damaged, expectAgreement), { numRuns: 1_000 })
})

test('reads a view in the middle of a larger buffer', () => {
  const buffer = Buffer.from('xx{"a":"ß"}yy')
  expect(decodeRecord(buffer.subarray(2, buffer.length - 2), { maxBytes })).toEqual({ ok: true, value: { a: 'ß' } })
})

test.each([
  ['overlong encoding', [0x22, 0xc0, 0xaf, 0x22]],
  ['encoded surrogate', [0xed, 0xa0, 0x80]],
  ['cut character', [0x7b, 0xe2, 0x82]],
  ['lone continuation', [0x80]],
  ['past U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
])('%s is not UTF-8', (_what, bytes) => {
  expect(decodeRecord(Uint8Array.from(bytes), { maxBytes })).toMatchObject({ ok: false, reason: 'decode.utf8' })
})

test.each(['', ' ', '{', '{"a":1}}', '{"a":NaN}', "{'a':1}", '{"a":01}', '{"a":"\t"}', '{"a":1,}', '\u00a0{}'])(
  '%j is not JSON',
  (text) => {
    expect(decode(text)).toMatchObject({ ok: false, reason: 'decode.json' })
  },
)

test.each([
  ['null', 'null'],
  ['[1]', 'an array'],
  ['"x"', 'a string'],
  ['1', 'a number'],
  ['true', 'a boolean'],
])('%s is JSON, but no record', (text, kind) => {
  expect(decode(text)).toEqual({ ok: false, reason: 'decode.json', message: `expected a JSON object, got ${kind}` })
})

test('one byte order mark is skipped', () => {
  expect(decode('\ufeff{"a":1}')).toEqual({ ok: true, value: { a: 1 } })
  expect(decode('\ufeff\ufeff{}')).toMatchObject({ ok: false })
})

test('the last of duplicate keys counts', () => {
  expect(decode('{"a":1,"a":2}')).toEqual({ ok: true, value: { a: 2 } })
})

test('__proto__ is a key like any other', () => {
  const decoded = decode('{"__proto__":{"polluted":true},"constructor":1}')
  if (!decoded.ok) throw new Error('expected a record')
  expect(Object.getPrototypeOf(decoded.value)).toBe(Object.prototype)
  expect(Object.hasOwn(decoded.value, '__proto__')).toBe(true)
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})

test('nesting as deep as a record can hold neither throws nor ends the process', () => {
  const depth = 200_000
  expect(decode(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`).ok).toBe(true)
  expect(decode('['.repeat(depth))).toMatchObject({ ok: false, reason: 'decode.json' })
  expect(decode('{"a":'.repeat(depth / 10))).toMatchObject({ ok: false, reason: 'decode.json' })
})

test('a record over the limit is refused unseen', () => {
  expect(decodeRecord(Buffer.from('{"a":12}'), { maxBytes: 7 })).toMatchObject({ ok: false, reason: 'too_large' })
  expect(decodeRecord(Buffer.from('{"a":12}'), { maxBytes: 8 })).toMatchObject({ ok: true })
})

test('reasons do not quote the record', () => {
  for (const text of ['{"password":"hunter2', '{"password": hunter2}', 'hunter2', '{"a":1} hunter2']) {
    expect(JSON.stringify(decode(text))).not.toContain('hunter2')
  }
})
