/** Poison that is text: JSON that is deep, long, ambiguous or not quite JSON, and values that do not fit. */
import type { Poison, PoisonKind } from './poison.ts'

const key = (n: number): string => `p-${String(n).padStart(6, '0')}`

const refused =
  (what: string, reason: string, text: (n: number) => string): PoisonKind =>
  (n) => ({ what, data: Buffer.from(text(n)), outcomes: [{ refused: reason }] })

const accepted =
  (what: string, text: (n: number) => string, content: string): PoisonKind =>
  (n) => ({ what, data: Buffer.from(text(n)), outcomes: [{ row: key(n), content }] })

/** A record with these members, written out as they stand. */
const withMembers =
  (members: string) =>
  (n: number): string =>
    `{"article_id":"${key(n)}","content":"c",${members}}`

const good = (what: string, members: string): PoisonKind => accepted(what, withMembers(members), 'c')
const bad = (what: string, reason: string, members: string): PoisonKind => refused(what, reason, withMembers(members))

const values: readonly PoisonKind[] = [
  good('largest safe integer', '"big":9007199254740991,"count":2147483647'),
  good('smallest integers', '"big":-9007199254740991,"count":-2147483648'),
  good('minus zero', '"big":-0,"count":-0,"score":-0'),
  good('an integer with an exponent', '"count":1e3'),
  good('the smallest double', '"score":5e-324'),
  bad('64 bits and one', 'schema.type:/big', '"big":9223372036854775808'),
  bad('an integer that loses digits', 'schema.type:/big', '"big":9007199254740993'),
  bad('a hundred digits', 'schema.type:/big', `"big":1${'0'.repeat(99)}`),
  bad('a number of ten thousand digits', 'schema.type:/big', `"big":${'9'.repeat(10_000)}`),
  bad('32 bits and one', 'schema.type:/count', '"count":2147483648'),
  bad('less than 32 bits', 'schema.type:/count', '"count":-2147483649'),
  bad('a fraction for an integer', 'schema.type:/count', '"count":1.5'),
  bad('an integer as a string', 'schema.type:/count', '"count":"5"'),
  bad('a long as a string', 'schema.type:/big', '"big":"9007199254740993"'),
  bad('a double as a string', 'schema.type:/score', '"score":"NaN"'),
  bad('a double that overflows', 'schema.type:/score', '"score":1e999'),
  bad('a double that overflows below', 'schema.type:/score', '"score":-1e999'),
  bad('a number for a boolean', 'schema.type:/flag', '"flag":1'),
  bad('a string for a boolean', 'schema.type:/flag', '"flag":"true"'),
  bad('an object for a string', 'schema.type:/title', '"title":{}'),
  bad('an array for a string', 'schema.type:/title', '"title":["x"]'),
  refused('a number for the key', 'schema.type:/article_id', () => '{"article_id":5,"content":"c"}'),
  refused('an array for the key', 'schema.type:/article_id', () => '{"article_id":["a"],"content":"c"}'),
  refused('no key', 'missing_key', () => '{"content":"c"}'),
  refused('null for the key', 'missing_key', () => '{"article_id":null,"content":"c"}'),
  refused('an empty key', 'missing_key', () => '{"article_id":"","content":"c"}'),
  refused('no members', 'missing_key', () => '{}'),
  refused('no content', 'schema.required:/content', (n) => `{"article_id":"${key(n)}"}`),
  refused('null for the content', 'schema.type:/content', (n) => `{"article_id":"${key(n)}","content":null}`),
  accepted('empty content', (n) => `{"article_id":"${key(n)}","content":""}`, ''),
  accepted('content of blanks', (n) => `{"article_id":"${key(n)}","content":" \\t\\n\\u3000"}`, ' \t\n\u3000'),
]

const times: readonly PoisonKind[] = [
  good('the first instant', '"publish_date":"0001-01-01T00:00:00Z"'),
  good('the last instant', '"publish_date":"9999-12-31T23:59:59.999999Z"'),
  good('the first and the last day', '"day":"9999-12-31","publish_date":null'),
  bad('year 0', 'bad_timestamp', '"publish_date":"0000-01-01T00:00:00Z"'),
  bad('year 10000', 'bad_timestamp', '"publish_date":"10000-01-01T00:00:00Z"'),
  bad('an expanded year', 'bad_timestamp', '"publish_date":"+010000-01-01T00:00:00Z"'),
  bad('a year before', 'bad_timestamp', '"publish_date":"-0001-01-01T00:00:00Z"'),
  bad('year 10000 by its offset', 'bad_timestamp', '"publish_date":"9999-12-31T23:59:59-01:00"'),
  bad('year 0 by its offset', 'bad_timestamp', '"publish_date":"0001-01-01T00:00:00+01:00"'),
  bad('30 February', 'bad_timestamp', '"publish_date":"2026-02-30T00:00:00Z"'),
  bad('hour 25', 'bad_timestamp', '"publish_date":"2026-01-01T25:00:00Z"'),
  bad('an empty time', 'bad_timestamp', '"publish_date":""'),
  bad('digits of another script', 'bad_timestamp', '"publish_date":"٢٠٢٦-01-01T00:00:00Z"'),
  bad('a time as a number', 'schema.type:/publish_date', '"publish_date":1795262400'),
  bad('day 0', 'bad_timestamp', '"day":"2026-01-00"'),
  bad('a time for a day', 'bad_timestamp', '"day":"2026-01-01T00:00:00Z"'),
  bad('no leap year', 'bad_timestamp', '"day":"2100-02-29"'),
]

const notJson: readonly PoisonKind[] = [
  ...['NaN', 'Infinity', '-Infinity', '+1', '01', '.5', '1.', '0x10', 'undefined', "'x'", 'True', '1 2', '', '--1'].map(
    (literal) => bad(`the literal ${literal}`, 'decode.json', `"score":${literal}`),
  ),
  bad('a comment', 'decode.json', '/* x */"flag":true'),
  refused('a comma too many', 'decode.json', (n) => `{"article_id":"${key(n)}","content":"c",}`),
  refused('a bracket too many', 'decode.json', (n) => `{"article_id":"${key(n)}","content":"c"}}`),
  refused('two records', 'decode.json', (n) => `{"article_id":"${key(n)}"}{"content":"c"}`),
  refused('cut', 'decode.json', (n) => `{"article_id":"${key(n)}","content":"c`),
  refused('a control character in a string', 'decode.json', (n) => `{"article_id":"${key(n)}","content":"a\u0001b"}`),
  refused('NUL in a string', 'decode.json', (n) => `{"article_id":"${key(n)}","content":"a\0b"}`),
  refused('a bad escape', 'decode.json', (n) => `{"article_id":"${key(n)}","content":"\\x41"}`),
  refused('an array', 'decode.json', (n) => `[{"article_id":"${key(n)}","content":"c"}]`),
  refused('a string', 'decode.json', (n) => JSON.stringify(`{"article_id":"${key(n)}"}`)),
  refused('null', 'decode.json', () => 'null'),
  refused('a number', 'decode.json', (n) => String(n)),
  refused('CSV', 'decode.json', (n) => `${key(n)},c`),
  refused('markup', 'decode.json', (n) => `<article id="${key(n)}">c</article>`),
  refused('two byte order marks', 'decode.json', (n) => `\ufeff\ufeff${withMembers('"flag":true')(n)}`),
  refused('a no-break space before', 'decode.json', (n) => `\u00a0${withMembers('"flag":true')(n)}`),
]

const strange: readonly PoisonKind[] = [
  accepted('a byte order mark', (n) => `\ufeff${withMembers('"flag":true')(n)}`, 'c'),
  accepted(
    'the key twice',
    (n) => `{"article_id":"x","content":"old","article_id":"${key(n)}","content":"new"}`,
    'new',
  ),
  accepted('a bad value, then a good one', (n) => `{"content":5,"article_id":"${key(n)}","content":"c"}`, 'c'),
  bad('a good value, then a bad one', 'schema.type:/content', '"content":5'),
  good('__proto__ beside the members', '"__proto__":{"content":5,"toString":1}'),
  good('names of Object', '"constructor":1,"toString":null,"hasOwnProperty":false,"valueOf":{},"__defineGetter__":[]'),
  refused('members of __proto__ only', 'missing_key', (n) => `{"__proto__":{"article_id":"${key(n)}","content":"c"}}`),
  refused(
    'content in __proto__',
    'schema.required:/content',
    (n) => `{"article_id":"${key(n)}","__proto__":{"content":"c"}}`,
  ),
  good('an empty name', '"":1," ":2,"\\u0000":3'),
  bad('half a pair in the title', 'decode.utf8', '"title":"\\ud800"'),
  refused('half a pair in the content', 'decode.utf8', (n) => `{"article_id":"${key(n)}","content":"x\\udc00y"}`),
  refused('half a pair in the key', 'decode.utf8', () => '{"article_id":"\\ud83d","content":"c"}'),
  refused('a pair the wrong way round', 'decode.utf8', (n) => `{"article_id":"${key(n)}","content":"\\udc00\\ud800"}`),
  good('half a pair where nobody looks', '"other":"\\ud800"'),
  accepted('NUL, escaped', (n) => `{"article_id":"${key(n)}","content":"a\\u0000b"}`, 'a\0b'),
  accepted('noncharacters', (n) => `{"article_id":"${key(n)}","content":"\\uffff\\ufdd0"}`, '\uffff\ufdd0'),
  accepted('the last character', (n) => `{"article_id":"${key(n)}","content":"\\udbff\\udfff"}`, '\u{10ffff}'),
  accepted(
    'right to left',
    (n) => `{"article_id":"${key(n)}","content":"\u202e\u05d0\u0301\u200f"}`,
    '\u202e\u05d0\u0301\u200f',
  ),
  accepted(
    'SQL and paths',
    (n) => `{"article_id":"${key(n)}","content":"'; DROP TABLE x; --../../etc"}`,
    "'; DROP TABLE x; --../../etc",
  ),
  // the same key as the record before: the later one stays
  (n) => ({
    what: 'a key that was there',
    data: Buffer.from(`{"article_id":"twice-${n % 7}","content":"${key(n)}"}`),
    outcomes: [{ row: `twice-${n % 7}`, content: key(n) }],
  }),
  good('a thousand members', Array.from({ length: 1000 }, (_, index) => `"m${index}":${index}`).join(',')),
]

export const textKinds: readonly PoisonKind[] = [...values, ...times, ...notJson, ...strange]

const DEEP = 100_000

/** Deep and long ones, few of each: they take their time. */
export function heavyTexts(): readonly Poison[] {
  const text = (what: string, data: string, outcome: Poison['outcomes'][number]): Poison => ({
    what,
    data: Buffer.from(data),
    outcomes: [outcome],
  })
  const row = (name: string, members: string): Poison =>
    text(name, `{"article_id":"${name}","content":"c",${members}}`, { row: name, content: 'c' })
  const long = 'long words '.repeat(900_000)
  const solid = 'x'.repeat(10_000_000)
  const record = (id: string, content: string): string => `{"article_id":"${id}","content":"${content}"}`
  return [
    row('deep arrays', `"extra":${'['.repeat(DEEP)}${']'.repeat(DEEP)}`),
    row('deep objects', `"extra":${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`),
    text('deep, cut', '['.repeat(DEEP), { refused: 'decode.json' }),
    text('deep objects, cut', '{"a":'.repeat(DEEP), { refused: 'decode.json' }),
    text('a deep array', '['.repeat(DEEP) + ']'.repeat(DEEP), { refused: 'decode.json' }),
    text('deep content', `{"article_id":"d","content":${'['.repeat(DEEP)}${']'.repeat(DEEP)}}`, {
      refused: 'schema.type:/content',
    }),
    text('10 MB of words', record('10 MB of words', long), { row: '10 MB of words', content: long }),
    text('10 MB without a blank', record('10 MB without a blank', solid), {
      row: '10 MB without a blank',
      content: solid,
    }),
    text('10 MB, cut', `{"article_id":"10 MB, cut","content":"${solid}`, { refused: 'decode.json' }),
    text('over the limit', record('over the limit', 'x'.repeat(10 * 1024 * 1024)), { refused: 'too_large' }),
    text('a key of 1 MB', record('k'.repeat(1_000_000), 'c'), { row: 'k'.repeat(1_000_000), content: 'c' }),
    row('100,000 members', Array.from({ length: 100_000 }, (_, index) => `"m${index}":0`).join(',')),
    text('a number of 5 MB', `{"article_id":"n","content":"c","big":${'1'.repeat(5_000_000)}}`, {
      refused: 'schema.type:/big',
    }),
    text('5 MB of escapes', record('5 MB of escapes', '\\u0041'.repeat(800_000)), {
      row: '5 MB of escapes',
      content: 'A'.repeat(800_000),
    }),
    text('5 MB of backslashes', `{"a":"${'\\'.repeat(4_999_999)}"}`, { refused: 'decode.json' }),
  ]
}
