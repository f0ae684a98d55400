/** Text to token ids and back. Encoding works on UTF-8 bytes: a column's buffer becomes ids without a string between. */
import { readFile } from 'node:fs/promises'
import { FirnError } from '../../table/errors.ts'
import { type TokenizerJson, vocabularyFromJson, vocabularyToJson } from './json.ts'
import { type MergeTable, mergeTable, mergeWord } from './merges.ts'
import { notOurs, type Vocabulary } from './vocabulary.ts'
import { hashOf, WordTable } from './word-table.ts'
import { MAX_WORD_BYTES, wordEnd } from './words.ts'

/** Words whose ids are remembered, and their longest: about 10 MB, then it starts anew. */
const CACHED_WORDS = 1 << 17
const CACHED_WORD_BYTES = 48

/** Longer texts get room of their own for their ids. */
const KEPT_SCRATCH = 1 << 18

/**
 * Made by `trainTokenizer` or `loadTokenizer`. Texts are data: the name of a special token in a text is encoded as the
 * characters it is made of.
 */
export class Tokenizer {
  /** Ids are below. */
  readonly vocabSize: number
  /** With the ids from 0. */
  readonly specialTokens: readonly string[]
  readonly #vocabulary: Vocabulary
  readonly #merges: MergeTable
  readonly #byteIds: Int32Array
  readonly #ids: ReadonlyMap<string, number>
  #cached = new WordTable()
  /** Word `n` of the cache has the ids `#cachedIds[#cachedEnds[n - 1] .. #cachedEnds[n])`. */
  #cachedEnds = new Int32Array(1 << 10)
  #cachedIds = new Int32Array(1 << 12)
  /** Of one word. */
  readonly #word = new Int32Array(MAX_WORD_BYTES)
  readonly #ranks = new Int32Array(MAX_WORD_BYTES)
  #scratch = new Int32Array(1 << 12)

  /** Use `trainTokenizer` or `loadTokenizer`. */
  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary
    this.vocabSize = vocabulary.tokens.length
    this.specialTokens = vocabulary.specialTokens
    this.#merges = mergeTable(vocabulary.merges)
    this.#ids = new Map(vocabulary.tokens.map((token, id) => [token, id]))
    this.#byteIds = new Int32Array(256)
    vocabulary.bytes.forEach((bytes, id) => {
      if (bytes.length === 1) this.#byteIds[bytes[0]!] = id
    })
  }

  /** Id of a token as `tokenizer.json` spells it, for special tokens their name; `undefined` when there is none. */
  idOf(token: string): number | undefined {
    return this.#ids.get(token)
  }

  /** Ids of a text, or of its UTF-8 bytes. Bytes that are not UTF-8 are kept as bytes. */
  encode(text: string | Uint8Array): Int32Array<ArrayBuffer> {
    const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text
    let room = this.#scratch
    if (room.length < bytes.length) {
      room = new Int32Array(bytes.length)
      if (bytes.length <= KEPT_SCRATCH) this.#scratch = room
    }
    return room.slice(0, this.encodeInto(bytes, room, 0, bytes.length))
  }

  /**
   * Writes the first `max` ids of a text's UTF-8 bytes to `out` from `at` on and returns how many there were. A text
   * has at most as many ids as bytes. Stops reading when `max` is reached.
   */
  encodeInto(bytes: Uint8Array, out: Int32Array, at: number, max: number): number {
    const limit = Math.min(at + max, out.length)
    let to = at
    for (let from = 0; from < bytes.length && to < limit; ) {
      const end = wordEnd(bytes, from, bytes.length)
      const hash = hashOf(bytes, from, end)
      let word = this.#cached.find(bytes, from, end, hash)
      if (word < 0) word = this.#encodeWord(bytes, from, end, hash)
      from = end
      if (word < 0) {
        for (let index = 0; index < -word && to < limit; index++) out[to++] = this.#word[index]!
      } else {
        const stop = this.#cachedEnds[word]!
        for (let index = word === 0 ? 0 : this.#cachedEnds[word - 1]!; index < stop && to < limit; index++) {
          out[to++] = this.#cachedIds[index]!
        }
      }
    }
    return to - at
  }

  /** The text of the ids, without special tokens. Bytes that are not UTF-8, of a cut text say, become U+FFFD. */
  decode(ids: Iterable<number>): string {
    const parts: Uint8Array[] = []
    for (const id of ids) {
      const bytes = this.#vocabulary.bytes[id]
      if (bytes === undefined) {
        throw new FirnError('invalid', 'FIRN_TOKEN_ID', `id ${id} is not in the vocabulary`, {
          detail: { id, vocabSize: this.vocabSize },
          help: `Decode with the tokenizer that encoded; ids are 0 to ${this.vocabSize - 1}.`,
        })
      }
      parts.push(bytes)
    }
    return Buffer.concat(parts).toString('utf8')
  }

  /** `tokenizer.json` as Hugging Face's libraries load it. */
  toJSON(): TokenizerJson {
    return vocabularyToJson(this.#vocabulary)
  }

  /** Number of the word in the cache, or minus the number of its ids in `#word` when it is too long for that. */
  #encodeWord(bytes: Uint8Array, from: number, end: number, hash: number): number {
    const ids = this.#word
    for (let at = from, index = 0; at < end; at++, index++) ids[index] = this.#byteIds[bytes[at]!]!
    const count = mergeWord(this.#merges, ids, this.#ranks, end - from)
    if (end - from > CACHED_WORD_BYTES) return -count
    if (this.#cached.size === CACHED_WORDS) this.#cached = new WordTable()
    const word = this.#cached.add(bytes, from, end, hash)
    const start = word === 0 ? 0 : this.#cachedEnds[word - 1]!
    this.#cachedEnds = withRoom(this.#cachedEnds, word + 1)
    this.#cachedIds = withRoom(this.#cachedIds, start + count)
    this.#cachedIds.set(ids.subarray(0, count), start)
    this.#cachedEnds[word] = start + count
    return word
  }
}

function withRoom(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array
  const more = new Int32Array(Math.max(length, array.length * 2))
  more.set(array)
  return more
}

/**
 * A tokenizer from the path or `file:` URL of its `tokenizer.json`, or from what that holds.
 * @throws {FirnError} `FIRN_TOKENIZER_NOT_FOUND` (not-found), `FIRN_TOKENIZER_INVALID` (invalid).
 */
export async function loadTokenizer(
  source: string | URL | TokenizerJson,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Tokenizer> {
  if (typeof source !== 'string' && !(source instanceof URL)) return new Tokenizer(vocabularyFromJson(source))
  const { signal } = options
  const path = typeof source === 'string' && source.startsWith('file:') ? new URL(source) : source
  const text = await readFile(path, { encoding: 'utf8', ...(signal === undefined ? {} : { signal }) }).catch(
    (cause: unknown) => {
      signal?.throwIfAborted()
      throw new FirnError('not-found', 'FIRN_TOKENIZER_NOT_FOUND', `cannot read the tokenizer ${String(source)}`, {
        help: 'Name the tokenizer.json that was saved beside the model.',
        cause,
      })
    },
  )
  let json: TokenizerJson
  try {
    json = JSON.parse(text) as TokenizerJson
  } catch {
    throw notOurs(`${String(source)} is not JSON`)
  }
  return new Tokenizer(vocabularyFromJson(json))
}
