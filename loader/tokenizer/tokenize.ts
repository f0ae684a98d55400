/** The tokenizer as the `transform` of a dataset: text columns become columns of ids, where the rows are decoded. */
import { resolve } from 'node:path'
import { checkNames, invalid, type TransformSpec } from '../options.ts'
import type { TokenizerJson } from './json.ts'
import { Tokenizer } from './tokenizer.ts'

export interface TokenizeOptions {
  /** Path or `file:` URL of a `tokenizer.json`, which every worker reads, or the tokenizer itself, which it is sent. */
  readonly tokenizer: string | URL | Tokenizer | TokenizerJson
  /** What becomes of each text column; a list makes several columns of one. */
  readonly columns: Readonly<Record<string, TokenizeColumn | readonly TokenizeColumn[]>>
  /** Columns that stay in the batches as they are. */
  readonly keep?: readonly string[] | undefined
}

export interface TokenizeColumn {
  /** Name of the column of ids. Default: that of the text, which it replaces. */
  readonly to?: string | undefined
  /** Ids of a row at most, with `bos` and `eos`: longer texts are cut. 1 to 1,048,576; needed with `pad`. */
  readonly maxTokens?: number | undefined
  /**
   * Fills rows up to `maxTokens` with `<pad>`, or the token of this name: each row has `maxTokens` ids. Default: when
   * there is a `maxTokens`. `false`: rows as long as their texts.
   */
  readonly pad?: boolean | string | undefined
  /** Puts `<bos>`, or the token of this name, before the text. Default `false`. */
  readonly bos?: boolean | string | undefined
  /** Puts `<eos>`, or the token of this name, behind the text, also behind a text that is cut. Default `false`. */
  readonly eos?: boolean | string | undefined
  /**
   * Puts a space before texts that begin with none, so that the first word has the ids that it has elsewhere in a text.
   * Default `false`.
   */
  readonly leadingSpace?: boolean | undefined
  /** What a null is: an error (`'raise'`, the default) or a text without characters. */
  readonly nulls?: 'raise' | 'empty' | undefined
}

/** What the module is given; plain data. */
export interface TokenizeSettings {
  readonly tokenizer: string | TokenizerJson
  readonly columns: readonly ColumnSettings[]
  readonly keep: readonly string[]
}

export interface ColumnSettings {
  readonly from: string
  readonly to: string
  readonly maxTokens: number | undefined
  /** Names of tokens. */
  readonly pad: string | undefined
  readonly bos: string | undefined
  readonly eos: string | undefined
  readonly leadingSpace: boolean
  readonly nulls: 'raise' | 'empty'
}

/** The sources run as they are in development (`.ts`) and compiled in the package (`.js`). */
const MODULE_URL: URL = new URL(import.meta.url.endsWith('.ts') ? './transform.ts' : './transform.js', import.meta.url)

const LONGEST_ROW = 1 << 20

/**
 * For `openDataset({ transform })`: batches with int32 columns of ids, one list a row, in place of the text. Whether
 * the columns exist and the tokenizer has the tokens is found out when the dataset opens.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid). Opening also throws `FIRN_TOKENIZER_NOT_FOUND` (not-found),
 *   `FIRN_TOKENIZER_INVALID`, `FIRN_COLUMN_NOT_FOUND`, `FIRN_TENSOR_TYPE` (invalid); reading `FIRN_TENSOR_NULL` (invalid).
 */
export function tokenize(options: TokenizeOptions): TransformSpec {
  checkNames('tokenize', options, ['tokenizer', 'columns', 'keep'])
  const { tokenizer, columns, keep = [] } = options
  const list = Object.entries(columns ?? {}).flatMap(([from, specs]) =>
    [specs].flat().map((spec) => settingsOf(from, spec as TokenizeColumn)),
  )
  if (list.length === 0) throw invalid('columns', 'at least one text column', columns)
  const names = [...list.map(({ to }) => to), ...keep]
  const double = names.find((name, index) => names.indexOf(name) !== index)
  if (double !== undefined) throw invalid('columns', 'names that differ in the batch', double)
  const settings: TokenizeSettings = { tokenizer: sourceOf(tokenizer), columns: list, keep: [...keep] }
  return { module: MODULE_URL, options: settings }
}

function sourceOf(tokenizer: TokenizeOptions['tokenizer']): string | TokenizerJson {
  if (tokenizer instanceof URL) return tokenizer.href
  if (tokenizer instanceof Tokenizer) return tokenizer.toJSON()
  if (typeof tokenizer === 'string') return tokenizer.startsWith('file:') ? tokenizer : resolve(tokenizer)
  if (typeof tokenizer === 'object' && tokenizer !== null) return tokenizer
  throw invalid('tokenizer', 'a path, or a tokenizer', tokenizer)
}

function settingsOf(from: string, spec: TokenizeColumn): ColumnSettings {
  const name = `columns.${from}`
  checkNames(name, spec, ['to', 'maxTokens', 'pad', 'bos', 'eos', 'leadingSpace', 'nulls'])
  const { to = from, maxTokens, leadingSpace = false, nulls = 'raise' } = spec
  if (typeof to !== 'string' || to === '') throw invalid(`${name}.to`, 'a name', to)
  if (nulls !== 'raise' && nulls !== 'empty') throw invalid(`${name}.nulls`, "'raise' or 'empty'", nulls)
  if (typeof leadingSpace !== 'boolean') throw invalid(`${name}.leadingSpace`, 'true or false', leadingSpace)
  const pad = tokenName(`${name}.pad`, spec.pad ?? maxTokens !== undefined, '<pad>')
  const bos = tokenName(`${name}.bos`, spec.bos, '<bos>')
  const eos = tokenName(`${name}.eos`, spec.eos, '<eos>')
  const least = Math.max(1, Number(bos !== undefined) + Number(eos !== undefined))
  if (
    maxTokens === undefined
      ? pad !== undefined
      : !(Number.isInteger(maxTokens) && maxTokens >= least && maxTokens <= LONGEST_ROW)
  ) {
    throw invalid(
      `${name}.maxTokens`,
      `an integer from ${least} to ${LONGEST_ROW}${pad === undefined ? '' : ' with pad'}`,
      maxTokens,
    )
  }
  return { from, to, maxTokens, pad, bos, eos, leadingSpace, nulls }
}

function tokenName(option: string, value: boolean | string | undefined, usual: string): string | undefined {
  if (value === undefined || value === false) return undefined
  if (value === true) return usual
  if (typeof value === 'string' && value !== '') return value
  throw invalid(option, 'true, false or the name of a token', value)
}
