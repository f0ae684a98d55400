/**
 * Groups of features that a definition may ask for: which columns each makes. How they are computed is in
 * jobs/compaction/features; docs/features.md has the definitions.
 */
import type { DatasetColumn, FeatureGroup, FieldType } from './definition.ts'

export type GroupName = 'quality' | 'statistics' | 'near-duplicates' | 'segmentation'

/**
 * Number of the definitions of all groups, in column `feature_version` of tables that use one. Any change of what a
 * group gives for any text is a new number: rows of two numbers do not compare.
 */
export const FEATURE_VERSION = 1

/** One column of a group, by what it is called without the prefix. */
interface GroupColumn {
  readonly type: FieldType
  readonly doc: string
}

const int = (doc: string): GroupColumn => ({ type: 'int', doc })
const double = (doc: string): GroupColumn => ({ type: 'double', doc })

const QUALITY: Readonly<Record<string, GroupColumn>> = {
  quality_pass: { type: 'boolean', doc: 'No rule is broken' },
  quality_reason: { type: 'string', doc: 'The first rule that is broken; null when none is' },
  quality_word_count: int('Words that are more than punctuation'),
  quality_mean_word_length: double('Mean code points of these words'),
  quality_hash_ratio: double('Characters # by words'),
  quality_ellipsis_ratio: double('Occurrences of ... and … by words'),
  quality_alpha_word_ratio: double('Words with a letter by words'),
  quality_stop_word_count: int('Different words of: the be to of and that have with'),
  quality_bullet_line_ratio: double('Lines that start with • or -'),
  quality_ellipsis_line_ratio: double('Lines that end in ... or …'),
  quality_duplicate_paragraph_ratio: double('Paragraphs that were there before'),
  quality_duplicate_paragraph_char_ratio: double('Code points in repeated paragraphs'),
  quality_duplicate_line_ratio: double('Lines that were there before'),
  quality_duplicate_line_char_ratio: double('Code points in repeated lines'),
  quality_top_2_gram_ratio: double('Code points in the most frequent run of 2 words'),
  quality_top_3_gram_ratio: double('Code points in the most frequent run of 3 words'),
  quality_top_4_gram_ratio: double('Code points in the most frequent run of 4 words'),
  quality_duplicate_5_gram_ratio: double('Code points in repeated runs of 5 words'),
  quality_duplicate_6_gram_ratio: double('Code points in repeated runs of 6 words'),
  quality_duplicate_7_gram_ratio: double('Code points in repeated runs of 7 words'),
  quality_duplicate_8_gram_ratio: double('Code points in repeated runs of 8 words'),
  quality_duplicate_9_gram_ratio: double('Code points in repeated runs of 9 words'),
  quality_duplicate_10_gram_ratio: double('Code points in repeated runs of 10 words'),
}

const STATISTICS: Readonly<Record<string, GroupColumn>> = {
  length: int('Code points'),
  white_space_ratio: double('White_Space by code points'),
  non_alpha_digit_ratio: double('Neither letter nor digit, by code points'),
  digit_ratio: double('Digits by code points'),
  uppercase_ratio: double('Uppercase by code points'),
  ellipsis_ratio: double('Code points of ... and … by code points'),
  punctuation_ratio: double('Punctuation and control characters by code points'),
  line_count: int('Lines by LF'),
  avg_line_length: double('Mean code points of a line'),
  short_line_ratio_10: double('Lines of at most 10 code points'),
  short_line_ratio_30: double('Lines of at most 30 code points'),
  long_line_ratio_2000: double('Lines of at least 2000 code points'),
  long_line_ratio_10000: double('Lines of at least 10000 code points'),
  terminal_mark_line_ratio: double('Lines that end in . ? ! " or \''),
  bullet_line_ratio: double('Lines that start with - * or •'),
  duplicate_line_ratio: double('Lines that were there before'),
  duplicate_line_char_ratio: double('Code points of lines in repeated ones'),
  paragraph_count: int('Paragraphs that are not blank, by LF LF'),
  avg_paragraph_length: double('Mean code points of a paragraph'),
  short_paragraph_ratio: double('Paragraphs of at most 100 code points'),
  long_paragraph_ratio: double('Paragraphs of at least 1000 code points'),
  duplicate_paragraph_ratio: double('Paragraphs that were there before'),
  duplicate_paragraph_char_ratio: double('Code points of paragraphs in repeated ones'),
  avg_word_length: double('Mean code points of a word'),
  avg_words_per_line: double('Words by lines of any line break'),
  short_word_ratio: double('Words of at most 3 code points'),
  long_word_ratio: double('Words of at least 7 code points'),
  type_token_ratio: double('Different words by words'),
  uppercase_word_ratio: double('Words without lowercase letters'),
  capitalized_word_ratio: double('Words in title case'),
  stop_word_ratio: double('Words of: the be to of and that have with'),
}

const NEAR_DUPLICATES: Readonly<Record<string, GroupColumn>> = {
  simhash64: { type: 'long', doc: 'Simhash of runs of 8 code points; near copies differ in few bits' },
}

const SEGMENTATION: Readonly<Record<string, GroupColumn>> = {
  segment_word_count: int('Words by Intl.Segmenter; depends on the ICU version'),
  segment_sentence_count: int('Sentences by Intl.Segmenter; depends on the ICU version'),
}

const COLUMNS: Readonly<Record<GroupName, Readonly<Record<string, GroupColumn>>>> = {
  quality: QUALITY,
  statistics: STATISTICS,
  'near-duplicates': NEAR_DUPLICATES,
  segmentation: SEGMENTATION,
}

/**
 * The columns that `groups` add to a table, in their order, and `feature_version` last; none without a group. All but
 * the last may be null: where the text is, and what is not measured of very long ones.
 */
export function columnsOfGroups(groups: readonly FeatureGroup[]): readonly DatasetColumn[] {
  if (groups.length === 0) return []
  const columns = groups.flatMap((group): DatasetColumn[] =>
    Object.entries(COLUMNS[group.group]).map(([value, { type, doc }]) => ({
      name: `${group.prefix}${value}`,
      type,
      required: false,
      doc,
      from: { kind: 'group', group, value },
    })),
  )
  return [
    ...columns,
    {
      name: 'feature_version',
      type: 'int',
      required: true,
      doc: 'Number of the definitions of the feature groups',
      from: { kind: 'feature_version' },
    },
  ]
}
