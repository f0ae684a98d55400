/**
 * Group `statistics`: what corpus reports are made of. Values are those of datatrove's DocStats, LineStats,
 * ParagraphStats and WordStats with their defaults, for words split at white space; `npm run test:features` compares.
 * Ratios and means are 0 where there is nothing to divide by.
 */
import { characterFlags, LOWER, TITLE, UPPER } from './characters.ts'
import { between, brokenLines, firstNonSpace, isBlank, occurrences, Repetitions } from './pieces.ts'
import { STOP_WORDS } from './quality.ts'
import { codePoints, type GroupValues, ratio, type ScannedText } from './scan.ts'

export function statisticsOf(scan: ScannedText): GroupValues {
  return { ...documentStatistics(scan), ...lineStatistics(scan), ...paragraphStatistics(scan), ...wordStatistics(scan) }
}

function documentStatistics({ text, length, spaces, digits, uppercase, punctuation, others }: ScannedText) {
  return {
    length,
    white_space_ratio: ratio(spaces, length),
    non_alpha_digit_ratio: ratio(others, length),
    digit_ratio: ratio(digits, length),
    uppercase_ratio: ratio(uppercase, length),
    ellipsis_ratio: ratio(3 * occurrences(text, '...') + occurrences(text, '…'), length),
    punctuation_ratio: ratio(punctuation, length),
  }
}

const SHORT_LINES = [10, 30] as const
const LONG_LINES = [2000, 10_000] as const

/** Lines end at LF alone here; a text of none has one line, which is empty. */
function lineStatistics({ text }: ScannedText) {
  const lines = new Repetitions()
  let [total, terminal, bullets] = [0, 0, 0]
  const short = [0, 0]
  const long = [0, 0]
  for (const line of between(text, '\n')) {
    lines.add(line)
    const length = codePoints(line)
    total += length
    for (const [index, most] of SHORT_LINES.entries()) if (length <= most) short[index]!++
    for (const [index, least] of LONG_LINES.entries()) if (length >= least) long[index]!++
    if (/[.?!"']$/.test(line.slice(-1))) terminal++
    if (/[-*•]/.test(line[firstNonSpace(line)] ?? '')) bullets++
  }
  const share = (part: number): number => ratio(part, lines.count)
  return {
    line_count: lines.count,
    avg_line_length: share(total),
    short_line_ratio_10: share(short[0]!),
    short_line_ratio_30: share(short[1]!),
    long_line_ratio_2000: share(long[0]!),
    long_line_ratio_10000: share(long[1]!),
    terminal_mark_line_ratio: share(terminal),
    bullet_line_ratio: share(bullets),
    duplicate_line_ratio: share(lines.repeated),
    duplicate_line_char_ratio: ratio(lines.repeatedLength, total),
  }
}

const SHORT_PARAGRAPH = 100
const LONG_PARAGRAPH = 1000

function paragraphStatistics({ text }: ScannedText) {
  const paragraphs = new Repetitions()
  let [total, short, long] = [0, 0, 0]
  for (const paragraph of between(text, '\n\n')) {
    if (isBlank(paragraph)) continue
    paragraphs.add(paragraph)
    const length = codePoints(paragraph)
    total += length
    if (length <= SHORT_PARAGRAPH) short++
    if (length >= LONG_PARAGRAPH) long++
  }
  const share = (part: number): number => ratio(part, paragraphs.count)
  return {
    paragraph_count: paragraphs.count,
    avg_paragraph_length: share(total),
    short_paragraph_ratio: share(short),
    long_paragraph_ratio: share(long),
    duplicate_paragraph_ratio: share(paragraphs.repeated),
    duplicate_paragraph_char_ratio: ratio(paragraphs.repeatedLength, total),
  }
}

const SHORT_WORD = 3
const LONG_WORD = 7

function wordStatistics(scan: ScannedText) {
  const { text, wordCount, wordLength, starts, ends, lengths } = scan
  const types = new Set<string>()
  let [short, long, uppercase, capitalized, stopWords, lines] = [0, 0, 0, 0, 0, 0]
  for (let index = 0; index < wordCount; index++) {
    const word = text.slice(starts[index]!, ends[index]!)
    types.add(word)
    if (lengths[index]! <= SHORT_WORD) short++
    if (lengths[index]! >= LONG_WORD) long++
    if (isUppercase(word)) uppercase++
    if (isCapitalized(word)) capitalized++
    if (STOP_WORDS.has(word)) stopWords++
  }
  for (const _ of brokenLines(text)) lines++
  const share = (part: number): number => ratio(part, wordCount)
  return {
    avg_word_length: share(wordLength),
    avg_words_per_line: ratio(wordCount, lines),
    short_word_ratio: share(short),
    long_word_ratio: share(long),
    type_token_ratio: share(types.size),
    uppercase_word_ratio: share(uppercase),
    capitalized_word_ratio: share(capitalized),
    stop_word_ratio: share(stopWords),
  }
}

/** At least one uppercase letter, and no lowercase or titlecase one. */
export function isUppercase(word: string): boolean {
  let found = false
  for (const character of word) {
    const flags = characterFlags(character.codePointAt(0)!)
    if ((flags & (LOWER | TITLE)) !== 0) return false
    if ((flags & UPPER) !== 0) found = true
  }
  return found
}

/** Upper- and titlecase letters only at the start of a run of letters with case, lowercase ones only inside of one. */
export function isCapitalized(word: string): boolean {
  let found = false
  let inRun = false
  for (const character of word) {
    const flags = characterFlags(character.codePointAt(0)!)
    const starts = (flags & (UPPER | TITLE)) !== 0
    if (!starts && (flags & LOWER) === 0) {
      inRun = false
      continue
    }
    if (starts === inRun) return false
    inRun = true
    found = true
  }
  return found
}
