/** The names and the words of environment variables. Pure: the environment itself is read in config.ts. */
import { FirnError } from '../table/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** `run.land.cron` or `max-bad-ratio` to `FIRN_RUN__LAND__CRON`, `FIRN_MAX_BAD_RATIO`. */
export function environmentName(path: string): string {
  const segment = (part: string): string =>
    part
      .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
      .replaceAll('-', '_')
      .toUpperCase()
  return `FIRN_${path.split('.').map(segment).join('__')}`
}

/** True for `1 true yes on`: what a variable that stands for a flag without a value may say. */
export const isTruthy = (value: string | undefined): boolean => /^(1|true|yes|on)$/i.test(value ?? '')

/**
 * What variable `name` says for a flag without a value. Anything unclear is refused: `FIRN_DRY_RUN=y` must not write.
 * @throws {FirnError} `FIRN_CONFIG_INVALID`.
 */
export function switchOf(name: string, value: string): boolean {
  if (isTruthy(value)) return true
  if (/^(0|false|no|off)?$/i.test(value)) return false
  throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `${name} is ${JSON.stringify(value)}, neither yes nor no`, {
    help: `set ${name} to 1 or 0, or unset it`,
  })
}

/**
 * What Kubernetes puts into every container for a service called `firn`, or `firn-` and more: addresses of that
 * service, no settings of ours.
 */
const SERVICE_LINK = /^FIRN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/

/**
 * A misspelt variable would otherwise silently mean "the default", e.g. another warehouse.
 * @param flagOnly names that options would have which are given by their flags only.
 * @throws {FirnError} `FIRN_CONFIG_INVALID` for a `FIRN_` variable that is not in `known`.
 */
export function refuseUnknownVariables(
  env: Environment,
  known: ReadonlySet<string>,
  flagOnly: ReadonlySet<string> = new Set(),
): void {
  const ours = (name: string): boolean => name.startsWith('FIRN_') && !SERVICE_LINK.test(name)
  const unknown = Object.keys(env).filter((name) => ours(name) && !known.has(name))
  if (unknown.length === 0) return
  throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `unknown variable ${unknown.join(', ')} in the environment`, {
    help: unknown.map((name) => nextStep(name, known, flagOnly)).join('; '),
  })
}

function nextStep(name: string, known: ReadonlySet<string>, flagOnly: ReadonlySet<string>): string {
  if (flagOnly.has(name)) {
    return `unset ${name}: --${name.slice('FIRN_'.length).toLowerCase().replaceAll('_', '-')} is given by its flag only`
  }
  const near = [...known]
    .map((each) => ({ each, edits: editsBetween(name, each) }))
    .filter(({ edits }) => edits <= MAX_EDITS)
    .sort((a, b) => a.edits - b.edits || (a.each < b.each ? -1 : 1))
    .slice(0, MAX_SUGGESTIONS)
    .map(({ each }) => each)
  const meant = near.length === 0 ? '' : `did you mean ${near.join(' or ')}? Otherwise `
  return `${meant}unset ${name}; firn <command> --help names the variable of each option, firn config show the settings`
}

const MAX_EDITS = 3
const MAX_SUGGESTIONS = 3

/** Characters to insert, to remove or to replace (Levenshtein). */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
