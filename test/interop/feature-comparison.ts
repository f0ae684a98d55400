/** What datatrove measured of texts against what the groups give for them. */
import { textMeasurer } from '../../jobs/compaction/enrich/features/groups.ts'
import type { FeatureText } from './feature-texts.ts'

/** The two divide the same integers; the last digit may be printed otherwise. */
const TOLERANCE = 1e-9

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

/** One line of features_datatrove.py. */
export interface Measured {
  readonly pass: boolean
  readonly reason: string | null
  readonly statistics: Readonly<Record<string, number>>
  readonly repetition: Readonly<Record<string, number>>
}

export interface Outcome {
  readonly values: number
  readonly reasons: ReadonlyMap<string, number>
  readonly differences: readonly string[]
}

/** Every value that datatrove gives, by text. */
export function compareMeasured(texts: readonly FeatureText[], measured: readonly Measured[]): Outcome {
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
