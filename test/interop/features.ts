/**
 * `npm run test:features [COUNT [SEED [FILE]]]`: the feature groups `quality` and `statistics` against datatrove's own classes
 * over generated texts. FILE is where datatrove's answers are saved. Installs datatrove first (`.cache/features/`).
 *
 * A word is a run of characters that are not White_Space on both sides: datatrove's tokenizers, one for each language,
 * are replaced by that. White space differs in four control characters, U+001C to U+001F, which Python takes for
 * spaces; they are not in the texts, and the comparison of all characters demands that these are the only ones.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
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
} from '../../jobs/compaction/enrich/features/characters.ts'
import { compareMeasured, type Measured } from './feature-comparison.ts'
import { type FeatureText, featureTexts } from './feature-texts.ts'
import { installDatatrove } from './install.ts'

const SCRIPT: string = fileURLToPath(new URL('features_datatrove.py', import.meta.url))
/** Six between Unicode 14 and 17. */
const MOST_CHANGED = 30

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

async function measuredBy(executable: string, texts: readonly FeatureText[]): Promise<readonly Measured[]> {
  const output = await python(executable, [], texts.map(({ text }) => `${JSON.stringify({ text })}\n`).join(''))
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Measured)
}

const [count = '2000', seed = '1', save] = process.argv.slice(2)
const executable = await installDatatrove(say)
const characters = await compareCharacters(executable)
const texts = featureTexts(Number(count), Number(seed))
const measured = await measuredBy(executable, texts)
const outcome = compareMeasured(texts, measured)
if (save !== undefined) await writeFile(save, `${JSON.stringify(measured)}\n`)
const differences = [...characters, ...outcome.differences]
say(
  `texts: ${texts.length} of ${new Set(texts.map(({ kind }) => kind)).size} kinds, ${outcome.values} values compared, ${outcome.differences.length} differ`,
)
for (const [reason, number] of [...outcome.reasons].sort(([, a], [, b]) => b - a))
  say(`  ${String(number).padStart(5)} ${reason}`)
for (const line of differences.slice(0, 40)) say(`  ${line}`)
process.exitCode = differences.length === 0 ? 0 : 1
