import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatBytes, plural, renderCsv, renderFields, renderTable, toJson, toJsonLines } from '../../jobs/render.ts'

describe('JSON', () => {
  test('64-bit ids become strings with every digit, bytes base64, dates ISO, maps objects', () => {
    const value = {
      snapshot_id: 9223372036854775807n,
      bytes: new Uint8Array([0, 255]),
      at: new Date(0),
      map: new Map([[1, 2n]]),
      gone: undefined,
      none: null,
    }
    expect(JSON.parse(toJson(value))).toEqual({
      snapshot_id: '9223372036854775807',
      bytes: 'AP8=',
      at: '1970-01-01T00:00:00.000Z',
      map: { 1: '2' },
      none: null,
    })
  })

  test('plain JSON values come back unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(JSON.parse(toJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('each row of JSON lines is one line, whatever its text holds', () => {
    const rows = [{ text: 'a\nb\r\u2028c' }, { text: '' }]
    const lines = toJsonLines(rows).split('\n')
    expect(lines).toHaveLength(3)
    expect(lines.slice(0, 2).map((line) => JSON.parse(line))).toEqual(rows)
  })
})

describe('table', () => {
  test('columns are aligned, numbers to the right, nulls a dash, and no line has trailing blanks', () => {
    const text = renderTable([
      { name: 'a', count: 5 },
      { name: 'longer', count: 1234n },
      { name: null, count: null },
    ])
    expect(text).toBe('name    count\na           5\nlonger   1234\n-           -\n')
  })

  test('wide characters and combining marks keep the columns straight', () => {
    const text = renderTable([
      { a: '日本', b: 'x' },
      { a: 'e\u0301', b: 'y' },
    ])
    expect(text).toBe('a     b\n日本  x\ne\u0301     y\n')
  })

  test('stored text cannot send escape sequences to the terminal or break lines', () => {
    const text = renderTable([{ evil: '\u001b[2Jgone\nnext\u202e' }])
    expect(text).toBe('evil\n\\u001b[2Jgone next\\u202e\n')
    expect(renderFields({ evil: '\u001b[0m' })).toBe('evil  \\u001b[0m\n')
  })

  test('long cells are cut at a code point, not inside a surrogate pair', () => {
    expect(renderTable([{ a: '😀'.repeat(5) }], { maxCellChars: 3 })).toBe('a\n😀😀…\n')
  })

  test('no rows: says so', () => {
    expect(renderTable([])).toBe('(no rows)\n')
    expect(renderTable([], { columns: ['a', 'b'] })).toBe('a  b\n(no rows)\n')
  })
})

describe('CSV', () => {
  test('an empty string and null stay apart, quotes are doubled', () => {
    expect(renderCsv([{ a: '', b: null, c: 'say "x", y\nz' }])).toBe('a,b,c\n"",,"say ""x"", y\nz"\n')
  })

  test('parses back to the same text', () => {
    const cellText = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'é') })
    fc.assert(
      fc.property(fc.array(fc.tuple(cellText, cellText), { minLength: 1 }), (rows) => {
        const text = renderCsv(rows.map(([a, b]) => ({ a, b })))
        expect(parseCsv(text).slice(1)).toEqual(rows)
      }),
    )
  })
})

test('sizes and counts read well', () => {
  expect([0, 1023, 1536, 2 ** 40].map(formatBytes)).toEqual(['0 B', '1023 B', '1.5 KiB', '1.0 TiB'])
  expect([plural(1, 'record'), plural(1000, 'record')]).toEqual(['1 record', '1,000 records'])
})

/** RFC 4180, as a reader would do it. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let field = ''
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (quoted) {
      if (char !== '"') field += char
      else if (text[at + 1] === '"') field += text[++at]
      else quoted = false
    } else if (char === '"') quoted = true
    else if (char === ',' || char === '\n') {
      row.push(field)
      field = ''
      if (char === '\n') {
        rows.push(row)
        row = []
      }
    } else field += char
  }
  return rows
}
