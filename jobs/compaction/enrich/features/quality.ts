/**
 * Group `quality`: the signals behind the rules of MassiveText ("Gopher", table A1 and section A1.1 of its paper) and
 * what the rules say. Nothing is dropped by them: a query or a reader decides.
 *
 * Values and reasons are those of datatrove's GopherQualityFilter, then GopherRepetitionFilter, with their defaults,
 * for words split at white space; `npm run test:features` compares.
 */
import { MAX_N_GRAM_WORDS, repeatedNGramLength, topNGramLength, wordRuns } from './n-grams.ts'
import { afterLastNonSpace, betweenLineFeeds, brokenLines, firstNonSpace, occurrences, Repetitions } from './pieces.ts'
import { type GroupValues, ratio, type ScannedText } from './scan.ts'

/** English; Gopher wants two of them. */
export const STOP_WORDS: ReadonlySet<string> = new Set(['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with'])

type Signals = Readonly<
  ReturnType<typeof wordSignals> &
    ReturnType<typeof lineSignals> &
    ReturnType<typeof pieceSignals> &
    ReturnType<typeof nGramSignals>
>

/** A signal outside of `[min, max]` is the reason. In the order in which they are asked. */
interface Rule {
  readonly reason: string
  readonly signal: keyof Signals
  readonly min?: number
  readonly max?: number
}

const RULES: readonly Rule[] = [
  { reason: 'gopher_short_doc', signal: 'quality_word_count', min: 50 },
  { reason: 'gopher_long_doc', signal: 'quality_word_count', max: 100_000 },
  { reason: 'gopher_below_avg_threshold', signal: 'quality_mean_word_length', min: 3 },
  { reason: 'gopher_above_avg_threshold', signal: 'quality_mean_word_length', max: 10 },
  { reason: 'gopher_too_many_hashes', signal: 'quality_hash_ratio', max: 0.1 },
  { reason: 'gopher_too_many_ellipsis', signal: 'quality_ellipsis_ratio', max: 0.1 },
  { reason: 'gopher_too_many_bullets', signal: 'quality_bullet_line_ratio', max: 0.9 },
  { reason: 'gopher_too_many_end_ellipsis', signal: 'quality_ellipsis_line_ratio', max: 0.3 },
  { reason: 'gopher_below_alpha_threshold', signal: 'quality_alpha_word_ratio', min: 0.8 },
  { reason: 'gopher_enough_stop_words', signal: 'quality_stop_word_count', min: 2 },
  { reason: 'dup_para_frac', signal: 'quality_duplicate_paragraph_ratio', max: 0.3 },
  { reason: 'dup_para_char_frac', signal: 'quality_duplicate_paragraph_char_ratio', max: 0.2 },
  { reason: 'dup_line_frac', signal: 'quality_duplicate_line_ratio', max: 0.3 },
  { reason: 'dup_line_char_frac', signal: 'quality_duplicate_line_char_ratio', max: 0.2 },
  { reason: 'top_2_gram', signal: 'quality_top_2_gram_ratio', max: 0.2 },
  { reason: 'top_3_gram', signal: 'quality_top_3_gram_ratio', max: 0.18 },
  { reason: 'top_4_gram', signal: 'quality_top_4_gram_ratio', max: 0.16 },
  { reason: 'duplicated_5_n_grams', signal: 'quality_duplicate_5_gram_ratio', max: 0.15 },
  { reason: 'duplicated_6_n_grams', signal: 'quality_duplicate_6_gram_ratio', max: 0.14 },
  { reason: 'duplicated_7_n_grams', signal: 'quality_duplicate_7_gram_ratio', max: 0.13 },
  { reason: 'duplicated_8_n_grams', signal: 'quality_duplicate_8_gram_ratio', max: 0.12 },
  { reason: 'duplicated_9_n_grams', signal: 'quality_duplicate_9_gram_ratio', max: 0.11 },
  { reason: 'duplicated_10_n_grams', signal: 'quality_duplicate_10_gram_ratio', max: 0.1 },
]

const RULES_OF_ANY_LANGUAGE = RULES.filter(({ signal }) => signal !== 'quality_stop_word_count')

/** @param options.stopWords whether the rule about English stop words applies; they are counted in any case. */
export function qualityOf(scan: ScannedText, options: { readonly stopWords: boolean }): GroupValues {
  const signals: Signals = { ...wordSignals(scan), ...lineSignals(scan), ...pieceSignals(scan), ...nGramSignals(scan) }
  const failed = (options.stopWords ? RULES : RULES_OF_ANY_LANGUAGE).find(({ signal, min, max }) => {
    const value = signals[signal]
    return value !== null && ((min !== undefined && value < min) || (max !== undefined && value > max))
  })
  return { quality_pass: failed === undefined, quality_reason: failed?.reason ?? null, ...signals }
}

function wordSignals(scan: ScannedText) {
  const { text, wordCount, properWords, properWordLength, letterWords, starts, ends, lengths } = scan
  const stopWords = new Set<string>()
  for (let word = 0; word < wordCount; word++) {
    // the longest has four letters; no slice for most words
    if (lengths[word]! > 4) continue
    const spelled = text.slice(starts[word]!, ends[word]!)
    if (STOP_WORDS.has(spelled)) stopWords.add(spelled)
  }
  return {
    quality_word_count: properWords,
    quality_mean_word_length: ratio(properWordLength, properWords),
    quality_hash_ratio: ratio(occurrences(text, '#'), wordCount),
    quality_ellipsis_ratio: ratio(occurrences(text, '...') + occurrences(text, '…'), wordCount),
    quality_alpha_word_ratio: ratio(letterWords, wordCount),
    quality_stop_word_count: stopWords.size,
  }
}

function lineSignals({ text }: ScannedText) {
  let [lines, bullets, ellipses] = [0, 0, 0]
  for (const line of brokenLines(text)) {
    lines++
    const first = line[firstNonSpace(line)]
    if (first === '•' || first === '-') bullets++
    const end = afterLastNonSpace(line)
    if (line.endsWith('...', end) || line.endsWith('…', end)) ellipses++
  }
  return { quality_bullet_line_ratio: ratio(bullets, lines), quality_ellipsis_line_ratio: ratio(ellipses, lines) }
}

function pieceSignals({ text, length }: ScannedText) {
  const [paragraphs, lines] = [new Repetitions(), new Repetitions()]
  const trimmed = text.slice(firstNonSpace(text), afterLastNonSpace(text))
  for (const paragraph of betweenLineFeeds(trimmed, 2)) paragraphs.add(paragraph)
  for (const line of betweenLineFeeds(text, 1)) lines.add(line)
  return {
    quality_duplicate_paragraph_ratio: ratio(paragraphs.repeated, paragraphs.count),
    quality_duplicate_paragraph_char_ratio: ratio(paragraphs.repeatedLength, length),
    quality_duplicate_line_ratio: ratio(lines.repeated, lines.count),
    quality_duplicate_line_char_ratio: ratio(lines.repeatedLength, length),
  }
}

function nGramSignals(scan: ScannedText) {
  const measured = scan.wordCount <= MAX_N_GRAM_WORDS
  const spaced = measured ? wordRuns(scan, ' ') : undefined
  const joined = measured ? wordRuns(scan, '') : undefined
  const top = (n: number): number | null =>
    spaced === undefined ? null : ratio(topNGramLength(scan, spaced, n) ?? 0, scan.length)
  const repeated = (n: number): number | null =>
    joined === undefined ? null : ratio(repeatedNGramLength(scan, joined, n), scan.length)
  return {
    quality_top_2_gram_ratio: top(2),
    quality_top_3_gram_ratio: top(3),
    quality_top_4_gram_ratio: top(4),
    quality_duplicate_5_gram_ratio: repeated(5),
    quality_duplicate_6_gram_ratio: repeated(6),
    quality_duplicate_7_gram_ratio: repeated(7),
    quality_duplicate_8_gram_ratio: repeated(8),
    quality_duplicate_9_gram_ratio: repeated(9),
    quality_duplicate_10_gram_ratio: repeated(10),
  }
}
