/**
 * A vocabulary of byte pairs. Ids: the special tokens, then the 256 bytes, then what the merges made, in the order in
 * which they were learned. Every text can be written with the bytes alone, so no token for unknown text is needed.
 */
import { FirnError } from '../../table/errors.ts'
import { invalid } from '../options.ts'
import type { Merge } from './merges.ts'

export interface Vocabulary {
  /** With the ids from 0. No text encodes to one of them. */
  readonly specialTokens: readonly string[]
  /** By id, as `tokenizer.json` spells them: special tokens as they are, others with a printable character a byte. */
  readonly tokens: readonly string[]
  /** By id; special tokens have no bytes. */
  readonly bytes: readonly Uint8Array[]
  readonly merges: readonly Merge[]
}

/** Padding has id 0, which layers mask; then the beginning and the end of a text. */
export const DEFAULT_SPECIAL_TOKENS: readonly string[] = ['<pad>', '<bos>', '<eos>']

/** Two ids make one key of a pair; see learn.ts. */
export const MAX_VOCABULARY: number = 1 << 18

const isPrintable = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173)

/** A character for each byte: printable Latin-1 stands for itself, the others follow from U+0100, as GPT-2 did it. */
const CHARACTERS: readonly string[] = ((): string[] => {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++))
})()
const BYTE_OF: ReadonlyMap<string, number> = new Map(CHARACTERS.map((character, byte) => [character, byte]))

/** The bytes in the order of their characters, which is the order of their ids. */
export const ALPHABET: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte).sort((left, right) =>
  CHARACTERS[left]! < CHARACTERS[right]! ? -1 : 1,
)

/** Bytes as `tokenizer.json` spells them. */
export const spell = (bytes: Uint8Array): string => Array.from(bytes, (byte) => CHARACTERS[byte]!).join('')

/** Inverse of `spell`; `undefined` for text that spells no bytes. */
export function unspell(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length)
  for (let index = 0; index < token.length; index++) {
    const byte = BYTE_OF.get(token[index]!)
    if (byte === undefined) return undefined
    bytes[index] = byte
  }
  return bytes
}

/** Special tokens and bytes; what `merged` spells follows, one per id. */
export function vocabularyOf(
  specialTokens: readonly string[],
  merged: readonly string[],
  merges: readonly Merge[],
): Vocabulary {
  const tokens = [...specialTokens, ...ALPHABET.map((byte) => CHARACTERS[byte]!), ...merged]
  const none = new Uint8Array(0)
  const bytes = tokens.map((token, id) => (id < specialTokens.length ? none : (unspell(token) ?? none)))
  return { specialTokens, tokens, bytes, merges }
}

/** @throws {FirnError} `FIRN_INVALID_OPTION` (invalid) for names that are empty, doubled, or spell a byte. */
export function checkSpecialTokens(names: readonly string[]): readonly string[] {
  const fit = Array.isArray(names) && names.length <= 256 && new Set(names).size === names.length
  if (!fit || !names.every((name) => typeof name === 'string' && name !== '' && !BYTE_OF.has(name))) {
    throw invalid('specialTokens', 'at most 256 distinct names, none of them a single character', names)
  }
  return names
}

/** What is wrong with a file that should hold a tokenizer. */
export const notOurs = (what: string): FirnError =>
  new FirnError('invalid', 'FIRN_TOKENIZER_INVALID', `not a tokenizer of this loader: ${what}`, {
    help: 'Load a file that trainTokenizer made, or run another tokenizer in a transform of your own.',
  })
