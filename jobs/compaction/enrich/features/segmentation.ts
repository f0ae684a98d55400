/**
 * Group `segmentation`: words and sentences by the rules of a language, which white space does not show in Chinese,
 * Japanese or Thai. From ICU's tables and dictionaries: the numbers may change with the version of Node, which is why
 * these are columns of their own and `verify` does not recompute them.
 */
import { isBlank } from './pieces.ts'
import type { GroupValues } from './scan.ts'

/** @param locale one that ICU knows; the definition was checked for it. */
export function segmentationOf(locale: string): (text: string) => GroupValues {
  const words = new Intl.Segmenter(locale, { granularity: 'word' })
  const sentences = new Intl.Segmenter(locale, { granularity: 'sentence' })
  return (text) => {
    let [wordCount, sentenceCount] = [0, 0]
    for (const { isWordLike } of words.segment(text)) if (isWordLike === true) wordCount++
    for (const { segment } of sentences.segment(text)) if (!isBlank(segment)) sentenceCount++
    return { segment_word_count: wordCount, segment_sentence_count: sentenceCount }
  }
}
