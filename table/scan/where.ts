/**
 * The text form of a filter: `word_count >= 100 and (author is null or title in ('a', 'b')) and not publish_date <
 * '2026-01-01'`. Column names may stand in double quotes, text and times in single quotes (doubled inside).
 */
import { FirnError } from '../errors.ts'
import { fieldByName, type Schema } from '../spec/schema.ts'
import { parseDateDays, parseTimestampMicros } from '../spec/timestamp.ts'
import { decimalOf, isPrimitive, type PrimitiveType, type PrimitiveValue } from '../spec/types.ts'
import type { ColumnReference, ComparisonOperator, Expression } from './expression.ts'

interface Token {
  readonly kind: 'name' | 'quoted-name' | 'text' | 'number' | 'operator' | 'end'
  readonly text: string
  /** Offset in the filter. */
  readonly at: number
}

const TOKEN =
  /\s*(?:(?<name>[A-Za-z_][A-Za-z0-9_.]*)|"(?<quoted>(?:[^"]|"")*)"|'(?<text>(?:[^']|'')*)'|(?<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<operator><=|>=|!=|<>|=|<|>|\(|\)|,))/y

/** `(`, `not` and the like nest no deeper than this. */
const MAX_DEPTH = 100
/** Conditions of one filter; they nest when they are evaluated. */
const MAX_CONDITIONS = 1_000

/**
 * @throws {FirnError} `FIRN_WHERE_INVALID` (invalid) with the place of the mistake; `FIRN_COLUMN_NOT_FOUND` (invalid).
 */
export function parseWhere(text: string, schema: Schema): Expression {
  const parser = new Parser(text, schema)
  return parser.parse()
}

class Parser {
  readonly #text: string
  readonly #schema: Schema
  readonly #tokens: readonly Token[]
  #next = 0
  #depth = 0
  #conditions = 0

  constructor(text: string, schema: Schema) {
    this.#text = text
    this.#schema = schema
    this.#tokens = this.#tokenise()
  }

  parse(): Expression {
    const expression = this.#or()
    const rest = this.#peek()
    if (rest.kind !== 'end') throw this.#fail(`expected "and", "or" or the end, got "${rest.text}"`, rest)
    return expression
  }

  #tokenise(): readonly Token[] {
    const tokens: Token[] = []
    TOKEN.lastIndex = 0
    let at = 0
    while (this.#text.slice(at).trim() !== '') {
      TOKEN.lastIndex = at
      const match = TOKEN.exec(this.#text)
      if (match === null) throw this.#fail('cannot read on', { kind: 'end', text: '', at })
      const { name, quoted, text, number, operator } = match.groups as Record<string, string | undefined>
      if (name !== undefined) tokens.push({ kind: 'name', text: name, at })
      else if (quoted !== undefined) tokens.push({ kind: 'quoted-name', text: quoted.replaceAll('""', '"'), at })
      else if (text !== undefined) tokens.push({ kind: 'text', text: text.replaceAll("''", "'"), at })
      else if (number !== undefined) tokens.push({ kind: 'number', text: number, at })
      else tokens.push({ kind: 'operator', text: operator === '<>' ? '!=' : operator!, at })
      at = TOKEN.lastIndex
    }
    return [...tokens, { kind: 'end', text: 'the end', at: this.#text.length }]
  }

  #or(): Expression {
    let left = this.#and()
    while (this.#takeWord('or')) left = { kind: 'or', left, right: this.#and() }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.#takeWord('and')) left = { kind: 'and', left, right: this.#not() }
    return left
  }

  #not(): Expression {
    if (++this.#depth > MAX_DEPTH) throw this.#fail(`nested deeper than ${MAX_DEPTH}`, this.#peek())
    try {
      if (this.#takeWord('not')) return { kind: 'not', operand: this.#not() }
      if (this.#takeOperator('(')) {
        const inner = this.#or()
        this.#expectOperator(')')
        return inner
      }
      return this.#predicate()
    } finally {
      this.#depth--
    }
  }

  #predicate(): Expression {
    if (++this.#conditions > MAX_CONDITIONS) throw this.#fail(`more than ${MAX_CONDITIONS} conditions`, this.#peek())
    const column = this.#column()
    if (this.#takeWord('is')) {
      const negated = this.#takeWord('not')
      if (!this.#takeWord('null')) throw this.#fail('expected "null"', this.#peek())
      const isNull: Expression = { kind: 'is-null', column }
      return negated ? { kind: 'not', operand: isNull } : isNull
    }
    const negated = this.#takeWord('not')
    if (this.#takeWord('in')) {
      const isIn: Expression = { kind: 'in', column, values: this.#list(column) }
      return negated ? { kind: 'not', operand: isIn } : isIn
    }
    const token = this.#peek()
    if (negated || token.kind !== 'operator' || !['=', '!=', '<', '<=', '>', '>='].includes(token.text)) {
      throw this.#fail(`expected = != < <= > >=, "in" or "is null", got "${token.text}"`, token)
    }
    this.#next++
    return { kind: 'compare', operator: token.text as ComparisonOperator, column, value: this.#literal(column) }
  }

  #list(column: ColumnReference): readonly PrimitiveValue[] {
    this.#expectOperator('(')
    const values = [this.#literal(column)]
    while (this.#takeOperator(',')) values.push(this.#literal(column))
    this.#expectOperator(')')
    return values
  }

  #column(): ColumnReference {
    const token = this.#peek()
    if (token.kind !== 'name' && token.kind !== 'quoted-name') {
      throw this.#fail(`expected a column, got "${token.text}"`, token)
    }
    const field = fieldByName(this.#schema, token.text)
    if (!isPrimitive(field.type)) throw this.#fail(`column ${field.name} is nested and cannot be compared`, token)
    this.#next++
    return { fieldId: field.id, name: field.name, type: field.type }
  }

  #literal(column: ColumnReference): PrimitiveValue {
    const token = this.#peek()
    const value = literalValue(token, column.type)
    if (value === undefined) {
      throw this.#fail(`column ${column.name} is ${column.type}: "${token.text}" is no such value`, token)
    }
    this.#next++
    return value
  }

  #peek(): Token {
    return this.#tokens[this.#next]!
  }

  #takeWord(word: string): boolean {
    const token = this.#peek()
    if (token.kind !== 'name' || token.text.toLowerCase() !== word) return false
    this.#next++
    return true
  }

  #takeOperator(operator: string): boolean {
    const token = this.#peek()
    if (token.kind !== 'operator' || token.text !== operator) return false
    this.#next++
    return true
  }

  #expectOperator(operator: string): void {
    if (!this.#takeOperator(operator)) throw this.#fail(`expected "${operator}"`, this.#peek())
  }

  #fail(message: string, token: Token): FirnError {
    const near = `at character ${token.at + 1} of: ${this.#text}`
    return new FirnError('invalid', 'FIRN_WHERE_INVALID', `filter: ${message}, ${near}`, {
      detail: { at: token.at },
      help: "Write a filter like: word_count >= 100 and author = 'Ada'",
    })
  }
}

const INT_RANGE = 2n ** 31n
const LONG_RANGE = 2n ** 63n

/** The token as a value of `type`; `undefined` when it is none. */
function literalValue(token: Token, type: PrimitiveType): PrimitiveValue | undefined {
  const isNumber = token.kind === 'number'
  const isText = token.kind === 'text'
  const integer = isNumber && /^-?\d+$/.test(token.text) ? BigInt(token.text) : undefined
  const within = (limit: bigint): boolean => integer !== undefined && integer >= -limit && integer < limit
  switch (type) {
    case 'boolean':
      return token.kind === 'name' && /^(true|false)$/i.test(token.text)
        ? token.text.toLowerCase() === 'true'
        : undefined
    case 'int':
      return within(INT_RANGE) ? Number(integer) : undefined
    case 'long':
      return within(LONG_RANGE) ? integer : undefined
    case 'float':
      return isNumber ? Math.fround(Number(token.text)) : undefined
    case 'double':
      return isNumber ? Number(token.text) : undefined
    case 'string':
      return isText ? token.text : undefined
    case 'date':
      return isText ? parseDateDays(token.text) : undefined
    case 'timestamp':
      return isText
        ? parseTimestampMicros(/[Zz]$|[+-]\d\d:?\d\d$/.test(token.text) ? 'no' : withZone(token.text))
        : undefined
    case 'timestamptz':
      return isText ? parseTimestampMicros(token.text) : undefined
    case 'time':
    case 'uuid':
    case 'binary':
      return undefined
    default:
      return decimalOf(type) && isNumber ? unscaledValue(token.text, decimalOf(type)!.scale) : undefined
  }
}

const withZone = (text: string): string => (/[Tt ]/.test(text) ? `${text}Z` : text)

/** `-12.5` with scale 2 is -1250; more digits than the scale are no value of the type. */
function unscaledValue(text: string, scale: number): bigint | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text)
  if (match === null || (match[3]?.length ?? 0) > scale) return undefined
  const digits = BigInt(match[2]! + (match[3] ?? '').padEnd(scale, '0'))
  return match[1] === '-' ? -digits : digits
}
