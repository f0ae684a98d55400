/**
 * A decoded record against its dataset: the values of the row, or the reason why there is none.
 * Written by hand instead of through a JSON Schema compiler: it runs once a record and converts while it checks.
 */
import type { DecodeReason } from '../../../ingest/index.ts'
import { assertNever } from '../../../table/errors.ts'
import { parseDateDays, parseTimestampMicros } from '../../../table/index.ts'
import type { DatasetDefinition, DatasetField } from '../../datasets/index.ts'

/** Why a record was refused; the set is closed, so that it can label a metric. `<path>` is a JSON pointer. */
export type RefusalReason =
  | DecodeReason
  | 'missing_key'
  | 'bad_timestamp'
  | `schema.required:${string}`
  | `schema.type:${string}`
  /** The user's module threw on the record alone, or gave values that do not fit. */
  | 'enrich.error'
  | 'enrich.timeout'

export interface Refusal {
  readonly reason: RefusalReason
  /** For people; never the record's own values. */
  readonly message: string
}

/** int, date, double: number; long, timestamptz: bigint. */
export type CellValue = string | number | bigint | boolean | null

/**
 * Checks a record and fills `cells`, one per field that comes from the record, in the definition's order.
 * @returns the reason when the record is refused; `cells` is meaningless then.
 */
export type RecordValidator = (record: Readonly<Record<string, unknown>>, cells: CellValue[]) => Refusal | undefined

const INT_MIN = -0x8000_0000
const INT_MAX = 0x7fff_ffff

/** The key is checked first, then the fields in the definition's order: the first fault is the reason. */
export function recordValidator(dataset: DatasetDefinition): RecordValidator {
  const fields = recordFields(dataset)
  const readers = fields.map((field) => fieldReader(field, field.name === dataset.key))
  const keyIndex = fields.findIndex((field) => field.name === dataset.key)
  const keyReader = readers[keyIndex]!
  return (record, cells) => {
    const keyRefusal = keyReader(record, cells, keyIndex)
    if (keyRefusal !== undefined) return keyRefusal
    for (let index = 0; index < readers.length; index++) {
      if (index === keyIndex) continue
      const refusal = readers[index]!(record, cells, index)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }
}

/** Fields whose values a record carries, in the definition's order. */
export const recordFields = (dataset: DatasetDefinition): readonly DatasetField[] =>
  dataset.fields.filter((field) => field.from.kind === 'record')

type FieldReader = (record: Readonly<Record<string, unknown>>, cells: CellValue[], index: number) => Refusal | undefined

function fieldReader(field: DatasetField, isKey: boolean): FieldReader {
  const member = (field.from.kind === 'record' && field.from.member) || field.name
  const pointer = `/${member.replaceAll('~', '~0').replaceAll('/', '~1')}`
  const missing: Refusal = isKey
    ? { reason: 'missing_key', message: `the key ${pointer} is absent or null` }
    : { reason: `schema.required:${pointer}`, message: `${pointer} is required and absent` }
  const convert = converter(field, pointer)
  return (record, cells, index) => {
    // own members only: a record has no say over what an object inherits
    const value = Object.hasOwn(record, member) ? record[member] : undefined
    if (value === undefined || value === null) {
      if (!field.required) {
        cells[index] = null
        return undefined
      }
      return value === undefined || isKey ? missing : wrongType(field, pointer, 'null')
    }
    if (isKey && value === '') return { reason: 'missing_key', message: `the key ${pointer} is empty` }
    return convert(value, cells, index)
  }
}

type Converter = (value: unknown, cells: CellValue[], index: number) => Refusal | undefined

function converter(field: DatasetField, pointer: string): Converter {
  const put = (accept: (value: unknown) => CellValue | undefined): Converter => {
    return (value, cells, index) => {
      const cell = accept(value)
      if (cell === undefined) return wrongType(field, pointer, nameOf(value))
      cells[index] = cell
      return undefined
    }
  }
  switch (field.type) {
    case 'string':
      return (value, cells, index) => {
        if (typeof value !== 'string') return wrongType(field, pointer, nameOf(value))
        if (!value.isWellFormed()) {
          return { reason: 'decode.utf8', message: `${pointer} has half a surrogate pair, which UTF-8 cannot hold` }
        }
        cells[index] = value
        return undefined
      }
    case 'int':
      return put((value) =>
        Number.isInteger(value) && within(value as number, INT_MIN, INT_MAX) ? (value as number) : undefined,
      )
    case 'long':
      // larger integers have already lost digits in JSON.parse
      return put((value) => (Number.isSafeInteger(value) ? BigInt(value as number) : undefined))
    case 'double':
      return put((value) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined))
    case 'boolean':
      return put((value) => (typeof value === 'boolean' ? value : undefined))
    case 'date':
      return time(field, pointer, parseDateDays)
    case 'timestamptz':
      return time(field, pointer, parseTimestampMicros)
    default:
      return assertNever(field.type)
  }
}

function time(field: DatasetField, pointer: string, parse: (text: string) => CellValue | undefined): Converter {
  return (value, cells, index) => {
    if (typeof value !== 'string') return wrongType(field, pointer, nameOf(value))
    const cell = parse(value)
    if (cell === undefined) {
      const expected = field.type === 'date' ? 'a date YYYY-MM-DD' : 'an ISO 8601 timestamp with offset'
      return { reason: 'bad_timestamp', message: `${pointer} is not ${expected} in years 0001 to 9999` }
    }
    cells[index] = cell
    return undefined
  }
}

const wrongType = (field: DatasetField, pointer: string, got: string): Refusal => ({
  reason: `schema.type:${pointer}`,
  message: `${pointer} must be ${jsonTypeOf(field)}, got ${got}`,
})

function jsonTypeOf(field: DatasetField): string {
  switch (field.type) {
    case 'int':
    case 'long':
      return `an integer of type ${field.type}`
    case 'double':
      return 'a finite number'
    case 'boolean':
      return 'a boolean'
    default:
      return 'a string'
  }
}

function nameOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'number' && !Number.isInteger(value) ? 'a fractional number' : `a ${typeof value}`
}

const within = (value: number, min: number, max: number): boolean => value >= min && value <= max
