/**
 * `npm run test:features [COUNT [SEED]]`: the feature groups `quality` and `statistics` against datatrove's own classes
 * over generated texts. Installs datatrove first (`.cache/features/`).
 *
 * A word is a run of characters that are not White_Space on both sides: datatrove's tokenizers, one for each language,
 * are replaced by that. White space differs in four control characters, U+001C to U+001F, which Python takes for
 * spaces; they are not in the texts, and the comparison of all characters demands that these are the only ones.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text as textOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import {
  characterFlags,
  DIGIT,
  LETTER,
  LOWER,
  PUNCTUATION,
  SPACE,
  SYMBOL,
  TITLE,
  UPPER,
} from '../../jobs/compaction/features/characters.ts'
import { textMeasurer } from '../../jobs/compaction/features/groups.ts'
import { type FeatureText, featureTexts } from './feature-texts.ts'
import { installDatatrove } from './install.ts'

const SCRIPT: string = fileURLToPath(new URL('features_datatrove.py', import.meta.url))
/** The two divide the same integers; the last digit may be printed otherwise. */
const TOLERANCE = 1e-9

/** Six between Unicode 14 and 17. */
const MOST_CHANGED = 30

/** Ours by datatrove's name, where they differ. */
const NAMES: Readonly<Record<string, string>> = {
  elipsis_ratio: 'ellipsis_ratio',
  n_lines: 'line_count',
  short_line_ratio_chars_10: 'short_line_ratio_10',
  short_line_ratio_chars_30: 'short_line_ratio_30',
  long_line_ratio_chars_2000: 'long_line_ratio_2000',
  long_line_ratio_chars_10000: 'long_line_ratio_10000',
  lines_ending_with_terminal_mark_ratio: 'terminal_mark_line_ratio',
  bullet_point_lines_ratio: 'bullet_line_ratio',
  line_duplicates: 'duplicate_line_ratio',
  line_char_duplicates: 'duplicate_line_char_ratio',
  n_paragraphs: 'paragraph_count',
  short_paragraph_ratio_100: 'short_paragraph_ratio',
  long_paragraph_ratio_1000: 'long_paragraph_ratio',
  paragraph_duplicates: 'duplicate_paragraph_ratio',
  paragraph_char_duplicates: 'duplicate_paragraph_char_ratio',
  short_word_ratio_3: 'short_word_ratio',
  long_word_ratio_7: 'long_word_ratio',
}
/** `word_count` is a feature of its own. */
const NOT_OURS = new Set(['n_words'])

interface Measured {
  readonly pass: boolean
  readonly reason: string | null
  readonly statistics: Readonly<Record<string, number>>
  readonly repetition: Readonly<Record<string, number>>
}

interface Outcome {
  readonly values: number
  readonly reasons: ReadonlyMap<string, number>
  readonly differences: readonly string[]
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function python(executable: string, args: readonly string[], input: string): Promise<string> {
  const child = spawn(executable, [SCRIPT, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  child.stdin.end(input)
  const output = await textOf(child.stdout)
  const [code] = (await closed) as [number | null]
  if (code !== 0) throw new Error(`${SCRIPT} ended with exit code ${code}`)
  return output
}

/** Code points on which the two differ, by what they differ in. */
async function compareCharacters(executable: string): Promise<readonly string[]> {
  const output = JSON.parse(await python(executable, ['characters'], '')) as {
    unicode: string
    runs: [number, number, string][]
  }
  const letters: readonly (readonly [string, number])[] = [
    ['s', SPACE],
    ['a', LETTER],
    ['d', DIGIT],
    ['u', UPPER],
    ['l', LOWER],
    ['t', TITLE],
    ['p', PUNCTUATION],
    ['y', SYMBOL],
  ]
  // the fixed lists and spaces must agree; case of some characters was corrected from version to version
  const otherUnicode = output.unicode.split('.')[0] !== process.versions['unicode']?.split('.')[0]
  const withoutCase = (flags: string): string => flags.replaceAll(/[ault]/g, '')
  const changed: string[] = []
  const differences: string[] = []
  let compared = 0
  for (const [first, last, theirs] of output.runs) {
    for (let point = first; point <= last; point++) {
      compared++
      const flags = characterFlags(point)
      const ours = letters.flatMap(([letter, flag]) => ((flags & flag) !== 0 ? [letter] : [])).join('')
      const known = point >= 0x1c && point <= 0x1f && `s${ours}` === theirs
      if (ours === theirs || known) continue
      const line = `U+${point.toString(16)}: ${ours || '-'}, Python has ${theirs || '-'}`
      if (otherUnicode && withoutCase(ours) === withoutCase(theirs)) changed.push(line)
      else differences.push(line)
    }
  }
  say(
    `characters: ${compared} of Unicode ${output.unicode} compared with Unicode ${process.versions['unicode']}, ${differences.length} differ (white space of U+001C to U+001F apart)`,
  )
  for (const line of changed) say(`  by the version of Unicode: ${line}`)
  if (changed.length > MOST_CHANGED) differences.push(`${changed.length} characters differ in case`)
  return differences
}

async function compareTexts(executable: string, texts: readonly FeatureText[]): Promise<Outcome> {
  const output = await python(executable, [], texts.map(({ text }) => `${JSON.stringify({ text })}\n`).join(''))
  const measured = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Measured)
  const measure = textMeasurer([
    { group: 'quality', of: 'text', prefix: '', stopWords: 'english' },
    { group: 'statistics', of: 'text', prefix: '' },
  ])
  const reasons = new Map<string, number>()
  const differences: string[] = []
  let values = 0
  for (const [index, { kind, text }] of texts.entries()) {
    const theirs = measured[index]!
    const [quality, statistics] = measure(text)
    const where = `text ${index} (${kind})`
    const compare = (name: string, ours: unknown, other: unknown): void => {
      values++
      const close = typeof ours === 'number' && typeof other === 'number' && Math.abs(ours - other) <= TOLERANCE
      if (!close && ours !== other)
        differences.push(`${where}: ${name} is ${String(ours)}, datatrove has ${String(other)}`)
    }
    compare('quality_pass', quality!['quality_pass'], theirs.pass)
    compare('quality_reason', quality!['quality_reason'], theirs.reason)
    for (const [name, value] of Object.entries(theirs.repetition)) compare(name, quality![name], value)
    for (const [name, value] of Object.entries(theirs.statistics)) {
      if (!NOT_OURS.has(name)) compare(name, statistics![NAMES[name] ?? name], value)
    }
    const reason = theirs.reason ?? 'passes'
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  if (measured.length !== texts.length) differences.push(`${measured.length} answers for ${texts.length} texts`)
  return { values, reasons, differences }
}

const [count = '2000', seed = '1'] = process.argv.slice(2)
const executable = await installDatatrove(say)
const characters = await compareCharacters(executable)
const texts = featureTexts(Number(count), Number(seed))
const outcome = await compareTexts(executable, texts)
const differences = [...characters, ...outcome.differences]
say(
  `texts: ${texts.length} of ${new Set(texts.map(({ kind }) => kind)).size} kinds, ${outcome.values} values compared, ${outcome.differences.length} differ`,
)
for (const [reason, number] of [...outcome.reasons].sort(([, a], [, b]) => b - a))
  say(`  ${String(number).padStart(5)} ${reason}`)
for (const line of differences.slice(0, 40)) say(`  ${line}`)
process.exitCode = differences.length === 0 ? 0 : 1
