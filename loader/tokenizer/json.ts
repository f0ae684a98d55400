/**
 * `tokenizer.json` of Hugging Face, as far as this tokenizer needs it: a byte-level BPE whose words are cut by
 * `WORD_PATTERN`. Python's `tokenizers`, `transformers` and `@huggingface/tokenizers` load it and encode alike.
 */
import type { Merge } from './merges.ts'
import { ALPHABET, MAX_VOCABULARY, notOurs, unspell, type Vocabulary, vocabularyOf } from './vocabulary.ts'
import { WORD_PATTERN } from './words.ts'

/** Plain JSON. */
export type TokenizerJson = Readonly<Record<string, unknown>>

const PRE_TOKENIZER = {
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: WORD_PATTERN }, behavior: 'Isolated', invert: false },
    // only spells the bytes: the words are cut already
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
} as const

export function vocabularyToJson({ specialTokens, tokens, merges }: Vocabulary): TokenizerJson {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: structuredClone(PRE_TOKENIZER),
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      // as text: readable for every version of the libraries; no token has a space in it
      merges: merges.map(({ left, right }) => `${tokens[left]} ${tokens[right]}`),
    },
  }
}

/** @throws {FirnError} `FIRN_TOKENIZER_INVALID` (invalid) for anything that would encode differently here. */
export function vocabularyFromJson(json: TokenizerJson): Vocabulary {
  if (!isObject(json)) throw notOurs('it is no JSON object')
  const { model } = json
  if (!isObject(model) || model['type'] !== 'BPE') throw notOurs('its model is not BPE')
  if (!sameJson(json['pre_tokenizer'], PRE_TOKENIZER)) throw notOurs('it cuts words in another way')
  for (const key of ['normalizer', 'post_processor']) {
    if (json[key] !== null && json[key] !== undefined) throw notOurs(`it has a ${key}`)
  }
  for (const key of ['dropout', 'unk_token', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[key]) throw notOurs(`its model has a ${key}`)
  }
  for (const key of ['byte_fallback', 'ignore_merges']) if (model[key]) throw notOurs(`its model has ${key}`)
  const tokens = tokensOf(model['vocab'])
  const specialTokens = specialsOf(json['added_tokens'], tokens)
  const first = specialTokens.length
  const merged = tokens.slice(first + ALPHABET.length)
  const known = vocabularyOf(specialTokens, merged, [])
  if (known.tokens.some((token, id) => token !== tokens[id])) {
    throw notOurs('its ids are not special tokens, then the 256 bytes, then merged tokens')
  }
  if (merged.some((token) => unspell(token) === undefined)) throw notOurs('a token of its vocabulary spells no bytes')
  return { ...known, merges: mergesOf(model['merges'], tokens, first) }
}

function tokensOf(vocab: unknown): string[] {
  if (!isObject(vocab)) throw notOurs('its model has no vocab')
  const entries = Object.entries(vocab)
  if (entries.length > MAX_VOCABULARY) throw notOurs(`more than ${MAX_VOCABULARY} tokens`)
  const tokens = new Array<string>(entries.length)
  for (const [token, id] of entries) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= entries.length || id in tokens) {
      throw notOurs(`its ids are not the numbers from 0 to ${entries.length - 1}, each once`)
    }
    tokens[id] = token
  }
  return tokens
}

function specialsOf(added: unknown, tokens: readonly string[]): string[] {
  if (!Array.isArray(added)) throw notOurs('it has no added_tokens')
  return added.map((entry: unknown, id) => {
    const fits = isObject(entry) && entry['id'] === id && entry['special'] === true
    if (!fits || entry['content'] !== tokens[id])
      throw notOurs(`added token ${id} is not special token ${id} of the vocab`)
    return tokens[id]!
  })
}

function mergesOf(merges: unknown, tokens: readonly string[], first: number): Merge[] {
  if (!Array.isArray(merges)) throw notOurs('its model has no merges')
  const ids = new Map(tokens.map((token, id) => [token, id]))
  return merges.map((entry: unknown, rank) => {
    const parts = typeof entry === 'string' ? entry.split(' ') : Array.isArray(entry) ? entry : []
    const left = ids.get(parts[0])
    const right = ids.get(parts[1])
    const result = ids.get(`${parts[0]}${parts[1]}`)
    const known = left !== undefined && right !== undefined && result !== undefined
    if (parts.length !== 2 || !known || Math.min(left, right, result) < first) {
      throw notOurs(`merge ${rank} is not of two tokens of the vocab into a third`)
    }
    return { left, right, result }
  })
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Equal but for the order of keys. */
function sameJson(left: unknown, right: unknown): boolean {
  if (Array.isArray(right)) {
    return Array.isArray(left) && left.length === right.length && right.every((item, at) => sameJson(left[at], item))
  }
  if (!isObject(right)) return left === right
  const keys = Object.keys(right)
  return (
    isObject(left) && Object.keys(left).length === keys.length && keys.every((key) => sameJson(left[key], right[key]))
  )
}
