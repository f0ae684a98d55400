import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JsonTextCutter } from '../../../ingest/objects/json-texts.ts'

/** The records of `bytes`, handed over in blocks that end at `cuts`. */
function cut(bytes: Uint8Array, cuts: readonly number[] = [], maxTextBytes = 1_000_000): string[] {
  const cutter = new JsonTextCutter('memory://x/y', maxTextBytes)
  const found: string[] = []
  const take = (texts: ReturnType<JsonTextCutter['push']>): void => {
    for (const { number, bytes: text } of texts) {
      if (number !== found.length + 1) throw new Error(`${number} follows ${found.length}`)
      found.push(Buffer.from(text).toString('latin1'))
    }
  }
  const ends = [...cuts.map((at) => at % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  let start = 0
  for (const end of ends) {
    take(cutter.push(bytes.subarray(start, end)))
    start = end
  }
  take(cutter.end())
  return found
}

const cutText = (text: string, maxTextBytes?: number): string[] =>
  cut(Buffer.from(text), [], maxTextBytes).map((found) => Buffer.from(found, 'latin1').toString())

test.each<[string, string, string[]]>([
  ['lines', '{"a":1}\n{"a":2}\n', ['{"a":1}', '{"a":2}']],
  ['lines with carriage returns, blank ones between', '{"a":1}\r\n\r\n  \n{"a":2}', ['{"a":1}', '{"a":2}']],
  ['texts without a delimiter', '{"a":1}{"a":2}[3]{}', ['{"a":1}', '{"a":2}', '[3]', '{}']],
  ['brackets and quotes in strings', '{"a":"}{\\"}{"}{"b":"\\\\"}{}', ['{"a":"}{\\"}{"}', '{"b":"\\\\"}', '{}']],
  ['texts over several lines', '{\n "a": [\n1,\n2]\n}{\n"b":{}\n}\n', ['{\n "a": [\n1,\n2]\n}', '{\n"b":{}\n}']],
  ['a byte order mark', '\ufeff{"a":1}{"a":2}', ['{"a":1}', '{"a":2}']],
  ['nothing', '', []],
  ['blanks', ' \n\r\n\t', []],
  ['a broken line', '{"a":\n{"a":2}\n{"a":3}', ['{"a":', '{"a":2}', '{"a":3}']],
  ['a cut line', '{"a":1,"b":{"c":"x\n{"a":2}\n', ['{"a":1,"b":{"c":"x', '{"a":2}']],
  ['a line cut in an array', '{"a":[1,\n{"a":2}\n{"a":3}\n', ['{"a":[1,', '{"a":2}', '{"a":3}']],
  ['a line that is no JSON', 'hello {"a":1}\n{"a":2}', ['hello {"a":1}', '{"a":2}']],
  ['scalars', '1\n"x"\nnull', ['1', '"x"', 'null']],
  ['garbage behind a text', '{"a":1} x {"b":1}\n{"a":2}', ['{"a":1}', 'x {"b":1}', '{"a":2}']],
  ['a bad value between texts', '{"a":1}{"a":-}{"a":1 2}{"a":3}', ['{"a":1}', '{"a":-}', '{"a":1 2}', '{"a":3}']],
  ['broken inside its brackets', '{"a":{"b":1}{"c":2}}{"a":3}', ['{"a":{"b":1}{"c":2}}', '{"a":3}']],
  ['a text cut off between others', '{"a":1}{"a":2{"a":3}{"a":4}', ['{"a":1}', '{"a":2', '{"a":3}', '{"a":4}']],
  ['a text cut off in a string', '{"a":"x{"a":3}\n{"a":4}', ['{"a":"x{"a":3}', '{"a":4}']],
  ['mismatched brackets', '{"a":[1}]}{"b":2}\n{"c":3}', ['{"a":[1}]', '}{"b":2}', '{"c":3}']],
  ['a control character in a string', '{"a":"x\u0001y"}{"b":2}', ['{"a":"x\u0001y"}', '{"b":2}']],
  ['a closing bracket too many', '{"a":1}}\n{"b":2}', ['{"a":1}', '}', '{"b":2}']],
  ['an unended object', '{"a":1}\n{"b":', ['{"a":1}', '{"b":']],
  ['an unended text over lines', '{"a":1}\n{"b":\n{"c":\n', ['{"a":1}', '{"b":', '{"c":']],
])('%s', (_what, text, records) => {
  expect(cutText(text)).toEqual(records)
})

const value = fc.json({ maxDepth: 4, noUnicodeString: false }).map((json) => `{"v":${json}}`)
const pretty = value.map((json) => JSON.stringify(JSON.parse(json), undefined, 2))
const between = fc.constantFrom('', '\n', '\r\n', ' ', '\n\n')
const brokenLine = fc.oneof(
  value.chain((json) => fc.nat(json.length - 1).map((at) => json.slice(0, at))),
  value.chain((json) => fc.nat(json.length - 1).map((at) => json.slice(0, at) + json.slice(at + 1))),
  fc.string(),
)
const cuts = fc.array(fc.nat(), { maxLength: 12 })

test('whole texts come out as they went in, whatever stands between them and however they arrive (fast-check)', () => {
  const texts = fc.array(fc.tuple(fc.oneof(value, pretty), between), { maxLength: 12 })
  fc.assert(
    fc.property(texts, cuts, (parts, at) => {
      const bytes = Buffer.from(parts.flat().join(''))
      expect(cut(bytes, at)).toEqual(parts.map(([text]) => Buffer.from(text).toString('latin1')))
    }),
    { numRuns: 300 },
  )
})

test('a broken line never takes a whole one with it (fast-check)', () => {
  const line = fc.oneof(
    value.map((text) => ({ text, whole: true })),
    brokenLine.map((text) => ({ text: text.replaceAll('\n', ' '), whole: false })),
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 15 }), cuts, (lines, at) => {
      const bytes = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''))
      const found = cut(bytes, at)
      const wanted = lines.filter(({ whole }) => whole).map(({ text }) => Buffer.from(text).toString('latin1'))
      let next = 0
      for (const record of found) if (record === wanted[next]) next++
      expect(next).toBe(wanted.length)
    }),
    { numRuns: 300 },
  )
})

const anything = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        '"',
        '\\',
        ',',
        ':',
        '\n',
        ' ',
        '1',
        'null',
        '\u0001',
        '{"a":',
        '}{',
        '\ufeff',
      ),
      fc.string(),
      value,
    ),
    { maxLength: 60 },
  )
  .map((parts) => Buffer.from(parts.join('')))

test('every byte that is not blank is in one record, in order, however the bytes arrive (fast-check)', () => {
  fc.assert(
    fc.property(anything, cuts, (bytes, at) => {
      const found = cut(bytes)
      expect(cut(bytes, at)).toEqual(found)
      const squeezed = (text: string): string => text.replaceAll(/[ \t\r\n]/g, '')
      const all = squeezed(bytes.toString('latin1').replace(/^\u00ef\u00bb\u00bf/, ''))
      expect(squeezed(found.join(''))).toBe(all)
    }),
    { numRuns: 1_000 },
  )
})

test('a text over the limit is refused, in the same place however the bytes arrive (fast-check)', () => {
  const outcome = (bytes: Uint8Array, at: readonly number[], max: number): unknown => {
    try {
      return cut(bytes, at, max)
    } catch (error) {
      return (error as { code: string; message: string }).message
    }
  }
  fc.assert(
    fc.property(anything, cuts, fc.integer({ min: 1, max: 60 }), (bytes, at, max) => {
      expect(outcome(bytes, at, max)).toEqual(outcome(bytes, [], max))
    }),
    { numRuns: 1_000 },
  )
  expect(() => cutText(`{"a":"${'x'.repeat(100)}"}`, 50)).toThrow(/text 1 is over 50 bytes/)
  expect(() => cutText(`{"a":1}\n${'x'.repeat(100)}`, 50)).toThrow(/text 2 is over 50 bytes/)
})

test('a text over lines that is never closed gives its lines back at the limit', () => {
  const lines = Array.from({ length: 30 }, (_, n) => `{"n":${n}}`)
  // each further line is one more element
  expect(cutText(`{"a":[\n${lines.join(',\n')},\n`, 60)).toEqual(['{"a":[', ...lines.flatMap((line) => [line, ','])])
})

test('lines that each begin a text without an end are not all looked at again for each', () => {
  // to the end for each line would take minutes
  const bytes = Buffer.from('[\n'.repeat(200_000))
  expect(cut(bytes, [], bytes.length).length).toBe(200_000)
})

test('nesting as deep as the text is long', () => {
  const deep = `${'[{"a":'.repeat(100_000)}1${'}]'.repeat(100_000)}`
  expect(cutText(`${deep}{"b":2}`)).toEqual([deep, '{"b":2}'])
})
