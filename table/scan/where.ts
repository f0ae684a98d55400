/**
 * The text form of a filter: `word_count >= 100 and (author is null or title in ('a', 'b')) and not publish_date <
 * '2026-01-01'`. Also `between 1 and 5`, `starts with 'a'`, `is nan`, each with `not`. Text and times stand in single
 * quotes, bytes as `X'0aff'`. Column names may stand in double quotes; a dot leads into a struct, `author.name`, and is
 * part of the name inside of quotes, `"author.name"`. Quotes are doubled inside of quotes.
 */
import { FirnError } from '../errors.ts'
import { fieldByName, fieldByPath, fieldChain, type Schema } from '../spec/schema.ts'
import { isPrimitive, type NestedField, type PrimitiveValue } from '../spec/types.ts'
import type { ColumnReference, ComparisonOperator, Expression } from './expression.ts'
import { type LiteralKind, literalExample, literalValue } from './literals.ts'

interface Token {
  readonly kind: LiteralKind | 'operator' | 'end'
  readonly text: string
  /** Offset in the filter. */
  readonly at: number
}

const TOKEN =
  /\s*(?:[xX]'(?<hex>[^']*)'|(?<name>(?:[A-Za-z_][A-Za-z0-9_]*|"(?:[^"]|"")*")(?:\.(?:[A-Za-z0-9_]+|"(?:[^"]|"")*"))*)|'(?<text>(?:[^']|'')*)'|(?<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<operator><=|>=|!=|<>|=|<|>|\(|\)|,))/y
const NAME_PART = /([A-Za-z0-9_]+)|"((?:[^"]|"")*)"/g

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
      const { name, hex, text, number, operator } = match.groups as Record<string, string | undefined>
      if (hex !== undefined) tokens.push({ kind: 'hex', text: hex, at })
      else if (name !== undefined) tokens.push({ kind: 'name', text: name, at })
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
      return this.#negatedIf(negated, this.#property(column))
    }
    const negated = this.#takeWord('not')
    const special = this.#special(column)
    if (special !== undefined) return this.#negatedIf(negated, special)
    const token = this.#peek()
    if (negated || token.kind !== 'operator' || !['=', '!=', '<', '<=', '>', '>='].includes(token.text)) {
      const expected = '= != < <= > >=, "in", "between", "starts with", "is null" or "is nan"'
      throw this.#fail(`expected ${expected}, got "${token.text}"`, token)
    }
    this.#next++
    return { kind: 'compare', operator: token.text as ComparisonOperator, column, value: this.#literal(column) }
  }

  #negatedIf(negated: boolean, operand: Expression): Expression {
    return negated ? { kind: 'not', operand } : operand
  }

  /** What follows "is" and "is not". */
  #property(column: ColumnReference): Expression {
    const token = this.#peek()
    if (this.#takeWord('null')) return { kind: 'is-null', column }
    if (!this.#takeWord('nan')) throw this.#fail('expected "null" or "nan"', token)
    if (column.type === 'float' || column.type === 'double') return { kind: 'is-nan', column }
    throw this.#fail(`column ${column.name} is ${column.type}, and only floats can be NaN`, token)
  }

  /** What may follow "not". */
  #special(column: ColumnReference): Expression | undefined {
    const token = this.#peek()
    if (this.#takeWord('in')) return { kind: 'in', column, values: this.#list(column) }
    if (this.#takeWord('between')) {
      const lower = this.#literal(column)
      if (!this.#takeWord('and')) throw this.#fail('expected "and"', this.#peek())
      const left: Expression = { kind: 'compare', operator: '>=', column, value: lower }
      return { kind: 'and', left, right: { kind: 'compare', operator: '<=', column, value: this.#literal(column) } }
    }
    if (!this.#takeWord('starts')) return undefined
    if (!this.#takeWord('with')) throw this.#fail('expected "with"', this.#peek())
    if (column.type !== 'string') throw this.#fail(`column ${column.name} is ${column.type}, not text`, token)
    return { kind: 'starts-with', column, prefix: this.#literal(column) as string }
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
    if (token.kind !== 'name') throw this.#fail(`expected a column, got "${token.text}"`, token)
    const field = this.#field(token.text)
    const chain = fieldChain(this.#schema, field.id)!
    if (chain.slice(0, -1).some((above) => isPrimitive(above.type) || above.type.type !== 'struct')) {
      throw this.#fail(`column ${token.text} is inside a list or map and cannot be compared`, token)
    }
    if (!isPrimitive(field.type)) {
      const problem = field.type.type === 'unsupported' ? `has the type ${field.type.name}` : 'is nested'
      throw this.#fail(`column ${token.text} ${problem} and cannot be compared`, token)
    }
    this.#next++
    return { fieldId: field.id, name: chain.map((above) => above.name).join('.'), type: field.type }
  }

  /** Without quotes a dot may lead into a struct or be part of a name; with quotes every part is a name. */
  #field(text: string): NestedField {
    if (!text.includes('"')) return fieldByPath(this.#schema, text)
    const names = Array.from(text.matchAll(NAME_PART), (match) => match[1] ?? match[2]!.replaceAll('""', '"'))
    let field = fieldByName(this.#schema, names[0]!)
    for (const name of names.slice(1)) {
      const members = !isPrimitive(field.type) && field.type.type === 'struct' ? field.type.fields : []
      const member = members.find((one) => one.name === name)
      if (member === undefined) return fieldByName(this.#schema, text)
      field = member
    }
    return field
  }

  #literal(column: ColumnReference): PrimitiveValue {
    const token = this.#peek()
    const value =
      token.kind === 'operator' || token.kind === 'end' ? undefined : literalValue(token.kind, token.text, column.type)
    if (value === undefined) {
      const example = `write it like ${literalExample(column.type)}`
      throw this.#fail(`column ${column.name} is ${column.type}: "${token.text}" is no such value (${example})`, token)
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
