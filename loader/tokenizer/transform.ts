/**
 * The module behind `tokenize()`: loaded where rows are decoded, once per thread. Ids go from the column's UTF-8 bytes
 * to where they stay.
 */
import { type Schema as ArrowSchema, type Data, DataType } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import { bytesAt, isValidAt } from '../../table/index.ts'
import type { Transform, TransformColumn } from '../read/transform.ts'
import type { ColumnSettings, TokenizeSettings } from './tokenize.ts'
import { loadTokenizer, type Tokenizer } from './tokenizer.ts'

type ColumnEncoder = (data: Data) => TransformColumn

export default async function tokenizing(
  options: unknown,
  { schema }: { readonly schema: ArrowSchema },
): Promise<Transform> {
  const settings = options as TokenizeSettings // tokenize() made them
  const tokenizer = await loadTokenizer(settings.tokenizer)
  const columns = settings.columns.map((column) => ({
    to: column.to,
    index: textIndex(schema, column.from),
    encode: columnEncoder(tokenizer, column),
  }))
  for (const name of settings.keep) indexOf(schema, name)
  const kept = Object.fromEntries(settings.keep.map((name) => [name, name]))
  return (batch) => ({
    ...Object.fromEntries(columns.map(({ to, index, encode }) => [to, encode(batch.data.children[index] as Data)])),
    ...kept,
  })
}

function columnEncoder(tokenizer: Tokenizer, column: ColumnSettings): ColumnEncoder {
  const idOf = (name: string | undefined): number | undefined => {
    if (name === undefined) return undefined
    const id = tokenizer.idOf(name)
    if (id !== undefined) return id
    throw new FirnError(
      'invalid',
      'FIRN_INVALID_OPTION',
      `the tokenizer has no token ${name} for column ${column.to}`,
      {
        detail: { token: name, column: column.to },
        help: `Name one of its special tokens: ${tokenizer.specialTokens.join(', ')}`,
      },
    )
  }
  const row: RowWriter = rowWriter(tokenizer, column, idOf(column.bos), idOf(column.eos))
  const pad = idOf(column.pad)
  return pad === undefined || column.maxTokens === undefined ? ragged(row) : padded(row, column.maxTokens, pad)
}

interface RowWriter {
  /** Most ids that row `row` of the column can have. */
  bound(data: Data, row: number): number
  /** Writes its ids to `out` from `at` on, which has room for them; returns how many there are. */
  write(data: Data, row: number, out: Int32Array, at: number): number
}

function rowWriter(
  tokenizer: Tokenizer,
  { from, maxTokens = Number.POSITIVE_INFINITY, leadingSpace, nulls }: ColumnSettings,
  bos: number | undefined,
  eos: number | undefined,
): RowWriter {
  const framing = Number(bos !== undefined) + Number(eos !== undefined)
  const textOf = (data: Data, row: number): Uint8Array => {
    if (isValidAt(data, row)) return bytesAt(data, row)
    if (nulls === 'empty') return NO_TEXT
    throw new FirnError('invalid', 'FIRN_TENSOR_NULL', `column ${from} has a null, which has no token ids`, {
      detail: { column: from },
      help: "Filter such rows out, or set nulls: 'empty' for the column.",
    })
  }
  return {
    bound: (data, row) => {
      const offsets = data.valueOffsets as Int32Array
      return Math.min(maxTokens, offsets[row + 1]! - offsets[row]! + Number(leadingSpace) + framing)
    },
    write(data, row, out, at) {
      const text = leadingSpace ? spaced(textOf(data, row)) : textOf(data, row)
      let to = at
      if (bos !== undefined) out[to++] = bos
      to += tokenizer.encodeInto(text, out, to, Math.min(text.length, maxTokens - framing))
      if (eos !== undefined) out[to++] = eos
      return to - at
    },
  }
}

const NO_TEXT = new Uint8Array(0)

const SPACE = 32
/** Of the text that `spaced` made last; each thread has its own. */
let scratch = new Uint8Array(8192)

/** @returns a view that holds until the next call. An empty text stays empty. */
function spaced(text: Uint8Array): Uint8Array {
  if (text.length === 0 || text[0] === SPACE) return text
  if (scratch.length <= text.length) scratch = new Uint8Array(2 * text.length)
  scratch[0] = SPACE
  scratch.set(text, 1)
  return scratch.subarray(0, text.length + 1)
}

/** Rows of `width` ids. */
function padded(writer: RowWriter, width: number, pad: number): ColumnEncoder {
  return (data) => {
    const values = new Int32Array(data.length * width)
    for (let row = 0; row < data.length; row++) {
      const at = row * width
      const count = writer.write(data, row, values, at)
      if (pad !== 0) values.fill(pad, at + count, at + width)
    }
    return { values, width }
  }
}

/** Rows as long as they are. */
function ragged(writer: RowWriter): ColumnEncoder {
  return (data) => {
    const offsets = new Int32Array(data.length + 1)
    let values = new Int32Array(data.length * 64)
    let to = 0
    for (let row = 0; row < data.length; row++) {
      const most = to + writer.bound(data, row)
      if (most > values.length) {
        const more = new Int32Array(Math.max(most, values.length * 2))
        more.set(values.subarray(0, to))
        values = more
      }
      to += writer.write(data, row, values, to)
      offsets[row + 1] = to
    }
    return { values: values.slice(0, to), offsets }
  }
}

function textIndex(schema: ArrowSchema, name: string): number {
  const index = indexOf(schema, name)
  const { type } = schema.fields[index]!
  if (DataType.isUtf8(type) || DataType.isBinary(type)) return index
  throw new FirnError('invalid', 'FIRN_TENSOR_TYPE', `column ${name} of type ${String(type)} is not text`, {
    detail: { column: name },
    help: 'Tokenize columns of type string or binary.',
  })
}

function indexOf(schema: ArrowSchema, name: string): number {
  const index = schema.fields.findIndex((field) => field.name === name)
  if (index >= 0) return index
  throw new FirnError('invalid', 'FIRN_COLUMN_NOT_FOUND', `column "${name}" is not in the batch`, {
    detail: { column: name },
    help: `The columns are: ${schema.fields.map((field) => field.name).join(', ')}`,
  })
}
