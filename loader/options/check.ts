/** Checks that the options share: what is refused is named together with what is allowed. */
import { FirnError } from '../../table/errors.ts'

/** @throws {FirnError} `FIRN_INVALID_OPTION` for what is no object, and for a member that `names` does not have. */
export function checkNames(group: string, value: unknown, names: readonly string[]): void {
  if (typeof value !== 'object' || value === null) throw invalid(group, `{ ${names.join(', ')} }`, value)
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) throw invalid(`${group}: option "${name}"`, `one of ${names.join(', ')}`, name)
  }
}

export function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw invalid(name, `an integer from ${least} to ${most}`, value)
}

export function oneOf<T extends string | boolean>(name: string, value: unknown, allowed: readonly T[]): T {
  if (allowed.includes(value as T)) return value as T
  throw invalid(
    name,
    allowed.map((each) => (typeof each === 'string' ? `'${each}'` : String(each))).join(' or '),
    value,
  )
}

export const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

const UNITS: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KIB', 2 ** 10],
  ['MIB', 2 ** 20],
  ['GIB', 2 ** 30],
  ['TIB', 2 ** 40],
])

/** Bytes of `64_000_000`, `'512MB'` (decimal), `'1.5GiB'` (binary). */
export function sizeBytes(name: string, value: unknown): number {
  const match = typeof value === 'string' ? /^(\d{1,15}(?:\.\d{1,6})?) ?([KMGT]?i?B)$/i.exec(value.trim()) : null
  const unit = UNITS.get(match?.[2]?.toUpperCase() ?? '')
  const bytes = typeof value === 'number' ? value : Math.round(Number(match?.[1]) * (unit ?? Number.NaN))
  if (Number.isSafeInteger(bytes) && bytes >= 1) return bytes
  throw invalid(name, "a number of bytes, at least 1, or a text like '512MB' or '1GiB'", value)
}

/** @throws {FirnError} `FIRN_INVALID_OPTION` for what could not be sent to a worker thread. */
export function checkPlain(name: string, value: unknown, expected: string): void {
  try {
    structuredClone(value)
  } catch {
    throw invalid(name, expected, value)
  }
}

export function invalid(what: string, expected: string, got: unknown): FirnError {
  const shown = textOf(got)
  return new FirnError('invalid', 'FIRN_INVALID_OPTION', `${what}: expected ${expected}, got ${shown.slice(0, 200)}`, {
    detail: { option: what },
    help: `Set it to ${expected}.`,
  })
}

function textOf(value: unknown): string {
  try {
    const text = JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? `${part}n` : (part as unknown)))
    return text ?? String(value)
  } catch {
    return `a value of type ${typeof value}` // it holds itself
  }
}
