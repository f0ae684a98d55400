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
 * @throws {FirnError} `FIRN_CONFIG_INVALID` for a `FIRN_` variable that is not in `known`.
 */
export function refuseUnknownVariables(env: Environment, known: ReadonlySet<string>): void {
  const ours = (name: string): boolean => name.startsWith('FIRN_') && !SERVICE_LINK.test(name)
  const unknown = Object.keys(env).filter((name) => ours(name) && !known.has(name))
  if (unknown.length === 0) return
  throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `unknown variable ${unknown.join(', ')} in the environment`, {
    help: `unset it, or use one of ${[...known].sort().join(' ')}`,
  })
}
