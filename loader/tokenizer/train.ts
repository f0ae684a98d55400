/** A vocabulary made from texts. */
import { invalid } from '../options.ts'
import { WordCounter } from './count.ts'
import { learnMerges } from './learn.ts'
import { Tokenizer } from './tokenizer.ts'
import { ALPHABET, checkSpecialTokens, DEFAULT_SPECIAL_TOKENS, MAX_VOCABULARY, vocabularyOf } from './vocabulary.ts'

export interface TrainTokenizerOptions {
  /** Special tokens, 256 bytes and merged tokens; fewer when the texts do not give as many. At most 262,144. */
  readonly vocabSize: number
  /** Names; they have the ids from 0. Default `<pad>`, `<bos>`, `<eos>`. */
  readonly specialTokens?: readonly string[] | undefined
  /** Pairs that occur less often are not merged. Default 2. */
  readonly minFrequency?: number | undefined
  /** Bytes of text to learn from; reading stops with the text that reaches it. Default 1 GiB. */
  readonly maxBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const DEFAULT_MAX_BYTES = 2 ** 30

/**
 * Learns a byte-level BPE vocabulary. The texts stream through: memory depends on the number of different words, of
 * which at most half a million are counted (then the rarest are forgotten). The same texts in the same order give the
 * same vocabulary.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid), and what `texts` throws.
 */
export async function trainTokenizer(
  texts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  options: TrainTokenizerOptions,
): Promise<Tokenizer> {
  const specialTokens = checkSpecialTokens([...(options.specialTokens ?? DEFAULT_SPECIAL_TOKENS)])
  const { vocabSize, minFrequency = 2, maxBytes = DEFAULT_MAX_BYTES, signal } = options
  const least = specialTokens.length + ALPHABET.length
  checkInteger('vocabSize', vocabSize, least, MAX_VOCABULARY)
  checkInteger('minFrequency', minFrequency, 1, Number.MAX_SAFE_INTEGER)
  checkInteger('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER)
  const counter = new WordCounter()
  let bytes = 0
  for await (const text of texts) {
    signal?.throwIfAborted()
    const utf8 = typeof text === 'string' ? Buffer.from(text, 'utf8') : text
    counter.add(utf8)
    bytes += utf8.length
    if (bytes >= maxBytes) break
  }
  const { merged, merges } = await learnMerges(counter, { specialTokens, vocabSize, minFrequency, signal })
  return new Tokenizer(vocabularyOf(specialTokens, merged, merges))
}

function checkInteger(name: string, value: number, from: number, to: number): void {
  if (!Number.isSafeInteger(value) || value < from || value > to) {
    throw invalid(name, `an integer from ${from} to ${to}`, value)
  }
}
