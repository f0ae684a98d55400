/**
 * Values to text: an aligned table for people, JSON, JSON lines and CSV for programs. 64-bit ids are strings in
 * JSON (jq and JavaScript would round them), binary is base64, times are ISO.
 */
import { styleText } from 'node:util'

export type Row = Readonly<Record<string, unknown>>

/** What a command hands to `ctx.print`: the document for `json`, the rows for `table`, `jsonl` and `csv`. */
export interface Printable {
  readonly json: unknown
  readonly rows?: readonly Row[]
  /** What a person reads in table mode, when a table of `rows` is not it. */
  readonly text?: string
}

/** JSON as the command line prints it. `space` as in `JSON.stringify`. */
export function toJson(value: unknown, space?: number): string {
  return JSON.stringify(plain(value), undefined, space) ?? 'null'
}

/** `value` in JSON's own types: bigint to string, bytes to base64, dates to ISO, maps to objects. */
export function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<unknown>, plain)
  if (Array.isArray(value)) return value.map(plain)
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined).map(([key, item]) => [key, plain(item)]))
}

export const toJsonLines = (rows: readonly Row[]): string => rows.map((row) => `${toJson(row)}\n`).join('')

export interface TableOptions {
  /** Bold headings. */
  readonly color?: boolean
  /** Longest cell in characters; longer ones end in `…`. */
  readonly maxCellChars?: number
  /** Column order; default: the keys in the order in which they first appear. */
  readonly columns?: readonly string[]
}

/** Aligned columns, two spaces apart; numbers to the right. No rows: one line that says so. */
export function renderTable(rows: readonly Row[], options: TableOptions = {}): string {
  const columns = options.columns ?? columnsOf(rows)
  if (rows.length === 0) return columns.length === 0 ? '(no rows)\n' : `${columns.join('  ')}\n(no rows)\n`
  const cells = rows.map((row) => columns.map((name) => cell(row[name], options.maxCellChars ?? 60)))
  const right = columns.map((name) => rows.every((row) => isNumeric(row[name])))
  const widths = columns.map((name, at) =>
    Math.max(displayWidth(name), ...cells.map((line) => displayWidth(line[at]!))),
  )
  const line = (values: readonly string[]): string =>
    values
      .map((value, at) => pad(value, widths[at]!, right[at]!))
      .join('  ')
      .trimEnd()
  const heading = line(columns)
  const lines = [options.color ? styleText('bold', heading, { validateStream: false }) : heading, ...cells.map(line)]
  return `${lines.join('\n')}\n`
}

/** `name  value` lines for one object. */
export function renderFields(value: Row, options: TableOptions = {}): string {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  const width = Math.max(0, ...entries.map(([name]) => displayWidth(name)))
  return entries
    .map(([name, item]) => `${pad(name, width, false)}  ${cell(item, options.maxCellChars ?? 200)}\n`)
    .join('')
}

export const csvHeader = (columns: readonly string[]): string => `${columns.map(csvCell).join(',')}\n`
export const csvLine = (columns: readonly string[], row: Row): string =>
  `${columns.map((name) => csvCell(row[name])).join(',')}\n`

/** RFC 4180 with `\n`: null is an empty field, an empty string is `""`. */
export function renderCsv(rows: readonly Row[], columns: readonly string[] = columnsOf(rows)): string {
  // nothing is known of rows that are not there
  if (columns.length === 0) return ''
  return csvHeader(columns) + rows.map((row) => csvLine(columns, row)).join('')
}

export function columnsOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))]
}

function csvCell(value: unknown): string {
  if (value === null || value === undefined) return ''
  const item = plain(value)
  const text = typeof item === 'object' ? JSON.stringify(item) : String(item)
  return text === '' || /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text
}

function cell(value: unknown, maxChars: number): string {
  if (value === null || value === undefined) return '-'
  const item = plain(value)
  const text = printable(typeof item === 'object' ? JSON.stringify(item) : String(item))
  const chars = [...text]
  return chars.length <= maxChars ? text : `${chars.slice(0, maxChars - 1).join('')}…`
}

/** Control characters become visible: a stored value must not be able to steer the terminal it is shown on. */
const printable = (text: string): string =>
  text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) =>
    char === '\n' || char === '\r' || char === '\t' ? ' ' : `\\u${char.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  )

const isNumeric = (value: unknown): boolean =>
  value === null || value === undefined || typeof value === 'number' || typeof value === 'bigint'

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u
const ZERO = /\p{Mn}|\p{Me}|\p{Cf}/u

/** Terminal columns: East Asian wide characters and pictographs take two, combining marks none. */
function displayWidth(text: string): number {
  let width = 0
  for (const char of text) width += ZERO.test(char) ? 0 : WIDE.test(char) ? 2 : 1
  return width
}

function pad(text: string, width: number, right: boolean): string {
  const fill = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return right ? fill + text : text + fill
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const
/** `1536` to `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1024 ? 0 : Math.floor(Math.log2(bytes) / 10))
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}

/** `1234567` to `1,234,567`. */
export const formatCount = (count: number | bigint): string => count.toLocaleString('en-US')

/** `1 record`, `2 records`. */
export const plural = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
