/**
 * Byte pair encoding, learned from counted words: the pair of neighbours that occurs most often becomes a token, again
 * and again. Of pairs that occur equally often the one whose left id is lower comes first, then the one whose right id
 * is lower; so the order of the words does not matter. Hugging Face's `BpeTrainer` decides alike, and the tests hold
 * the vocabularies equal.
 *
 * A merge visits only the words that hold its pair. Counts in the heap may be outdated: an entry is checked when it
 * comes up, and goes back with its count of then.
 */
import { setImmediate } from 'node:timers/promises'
import type { Merge } from './merges.ts'
import { pairHeap } from './pair-heap.ts'
import { ALPHABET, spell } from './vocabulary.ts'

export interface CountedWords {
  readonly size: number
  bytesOf(word: number): Uint8Array
  countOf(word: number): number
}

export interface LearnOptions {
  /** Its ids come first; no merge may spell one of them. */
  readonly specialTokens: readonly string[]
  readonly vocabSize: number
  /** Pairs that occur less often are not merged. */
  readonly minFrequency: number
  readonly signal?: AbortSignal | undefined
}

export interface Learned {
  /** As `tokenizer.json` spells them; their ids follow those of the bytes. */
  readonly merged: readonly string[]
  readonly merges: readonly Merge[]
}

interface Pair {
  count: number
  /** Where it occurs, or did. */
  words: number[]
}

/** Ids are below 2^18: a pair of them is an integer below 2^53, and pairs compare as their keys do. */
const KEY_BASE = 2 ** 20

/** Merges between two looks at the signal and turns of the event loop. */
const MERGES_PER_TURN = 64

export async function learnMerges(words: CountedWords, options: LearnOptions): Promise<Learned> {
  const { specialTokens, vocabSize, signal } = options
  const minFrequency = Math.max(1, options.minFrequency)
  const firstByte = specialTokens.length
  const tokens = [...specialTokens, ...ALPHABET.map((byte) => spell(Uint8Array.of(byte)))]
  const firstMerged = tokens.length
  const ids = new Map(tokens.map((token, id) => [token, id]))
  const corpus = corpusOf(words, firstByte)
  const heap = pairHeap()
  for (const [key, pair] of corpus.pairs) heap.push(key, pair.count)
  const merges: Merge[] = []

  for (let turn = 1; tokens.length < vocabSize; turn++) {
    if (turn % MERGES_PER_TURN === 0) await setImmediate()
    signal?.throwIfAborted()
    const top = heap.pop()
    if (top === undefined || top.count < minFrequency) break
    const count = corpus.pairs.get(top.key)?.count ?? 0
    if (count !== top.count) {
      if (count >= minFrequency) heap.push(top.key, count)
      continue
    }
    const left = Math.floor(top.key / KEY_BASE)
    const right = top.key % KEY_BASE
    const token = `${tokens[left]}${tokens[right]}`
    const known = ids.get(token)
    if (known !== undefined && known < firstByte) continue // would be a special token
    const result = known ?? tokens.length
    if (known === undefined) {
      ids.set(token, result)
      tokens.push(token)
    }
    merges.push({ left, right, result })
    for (const key of corpus.merge(left, right, result)) heap.push(key, corpus.pairs.get(key)!.count)
  }
  return { merged: tokens.slice(firstMerged), merges }
}

interface Corpus {
  readonly pairs: Map<number, Pair>
  /** Makes one token of the pair wherever it occurs; returns the pairs that became more frequent. */
  merge(left: number, right: number, result: number): Iterable<number>
}

function corpusOf(words: CountedWords, firstByte: number): Corpus {
  const idOfByte = new Int32Array(256)
  ALPHABET.forEach((byte, index) => {
    idOfByte[byte] = firstByte + index
  })
  const starts = new Float64Array(words.size)
  const lengths = new Int32Array(words.size)
  let total = 0
  for (let word = 0; word < words.size; word++) {
    starts[word] = total
    lengths[word] = words.bytesOf(word).length
    total += lengths[word]!
  }
  const symbols = new Int32Array(total)
  const pairs = new Map<number, Pair>()
  const change = (left: number, right: number, by: number, word: number): number => {
    const key = left * KEY_BASE + right
    let pair = pairs.get(key)
    if (pair === undefined) {
      pair = { count: 0, words: [] }
      pairs.set(key, pair)
    }
    pair.count += by
    if (by > 0 && pair.words.at(-1) !== word) pair.words.push(word)
    return key
  }
  for (let word = 0; word < words.size; word++) {
    const start = starts[word]!
    const count = words.countOf(word)
    words.bytesOf(word).forEach((byte, index) => {
      symbols[start + index] = idOfByte[byte]!
      if (index > 0) change(symbols[start + index - 1]!, symbols[start + index]!, count, word)
    })
  }

  const mergeIn = (word: number, left: number, right: number, result: number, grown: Set<number>): void => {
    const start = starts[word]!
    const end = start + lengths[word]!
    const count = words.countOf(word)
    let to = start
    for (let from = start; from < end; to++) {
      if (from + 1 === end || symbols[from] !== left || symbols[from + 1] !== right) {
        symbols[to] = symbols[from++]!
        continue
      }
      if (to > start) {
        change(symbols[to - 1]!, left, -count, word)
        grown.add(change(symbols[to - 1]!, result, count, word))
      }
      if (from + 2 < end) {
        change(right, symbols[from + 2]!, -count, word)
        grown.add(change(result, symbols[from + 2]!, count, word))
      }
      symbols[to] = result
      from += 2
    }
    lengths[word] = to - start
  }
  const merge = (left: number, right: number, result: number): Iterable<number> => {
    const key = left * KEY_BASE + right
    const grown = new Set<number>()
    for (const word of pairs.get(key)!.words) mergeIn(word, left, right, result, grown)
    // overlapping occurrences (aaa) were counted twice: none is left
    pairs.delete(key)
    grown.delete(key)
    return grown
  }
  return { pairs, merge }
}
