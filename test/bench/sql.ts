/** Pieces of SQL that the benchmark and its check share. */

export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Characters with the Unicode property White_Space, as a class of RE2, whose `\s` is ASCII only. */
const WHITE_SPACE = String.raw`\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}`

export type WordDefinition = 'unicode' | 'spaces'

/** Words of `content`. */
export const WORD_COUNTS: Readonly<Record<WordDefinition, string>> = {
  // the fastest of seven forms that count right
  unicode: `len(regexp_extract_all(content, '[^${WHITE_SPACE}]+'))`,
  // what people write first: fast, and wrong for line breaks and runs of spaces
  spaces: "len(string_split(content, ' '))",
}
