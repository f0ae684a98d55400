/** Where settings come from, before they are checked: flags > environment > file. Each layer says which it is. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { FirnError } from '../../table/errors.ts'
import { type Environment, environmentName, isTruthy, switchOf } from '../variables.ts'
import { withCatalogUri } from './catalog.ts'

/** How the text of a variable is read. */
export type LeafKind = 'string' | 'number' | 'boolean' | 'list' | 'json'
/** By the path of a setting, like `run.land.cron`. */
export type Leaves = Readonly<Record<string, LeafKind>>

export interface ConfigLayer {
  /** For people: a variable, a file, a flag. */
  readonly source: string
  /** Nested as the settings are; may hold anything. */
  readonly values: object
}

export interface LoadConfigOptions {
  /** Settings given as flags; `undefined` values do not count. */
  readonly flags?: Readonly<Record<string, unknown>>
  readonly env: Environment
  readonly cwd: string
  /** `--config`: must exist. Else `FIRN_CONFIG` (must exist too), else `firn.config.json` in `cwd` when there is one. */
  readonly configFile?: string | undefined
}

/** `FIRN_CATALOG_URI`, not `FIRN_CATALOG__URI`: those settings are the command line's own, not a tree of a job's. */
export function variableOfSetting(path: string): string {
  const name = environmentName(path)
  return path.startsWith('catalog.') ? name.replace('__', '_') : name
}

/** Lowest first. @throws {FirnError} `FIRN_CONFIG_INVALID`, `FIRN_CONFIG_NOT_FOUND`, both of kind `invalid`. */
export function configLayers(options: LoadConfigOptions, leaves: Leaves): readonly ConfigLayer[] {
  const file = readConfigFile(options)
  const flags = Object.entries(options.flags ?? {}).filter(([, value]) => value !== undefined)
  return [
    { source: file.path, values: file.values },
    ...environmentLayers(options.env, leaves),
    ...flags.map(([name, value]) => ({ source: flagName(name), values: { [name]: value } })),
  ].map(({ source, values }) => ({ source, values: withCatalogUri(values) }))
}

const flagName = (setting: string): string => `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

export const configFilePath = ({ configFile, env, cwd }: LoadConfigOptions): string =>
  resolve(cwd, configFile ?? env['FIRN_CONFIG'] ?? 'firn.config.json')

function readConfigFile(options: LoadConfigOptions): { path: string; values: object } {
  const { configFile, env } = options
  const named = configFile ?? env['FIRN_CONFIG']
  const path = configFilePath(options)
  let content: string
  try {
    content = readFileSync(path, 'utf8')
  } catch (error) {
    if (named === undefined && isMissing(error)) return { path, values: {} }
    throw new FirnError('invalid', 'FIRN_CONFIG_NOT_FOUND', `cannot read the configuration file ${path}`, {
      cause: error,
      help: 'check --config and FIRN_CONFIG, or leave both out to use firn.config.json of the current folder',
    })
  }
  try {
    const values: unknown = JSON.parse(content)
    if (typeof values !== 'object' || values === null || Array.isArray(values)) throw new Error('not a JSON object')
    return { path, values: nestDottedKeys(values) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `${path} is not a JSON object: ${reason}`, {
      cause: error,
      help: 'correct the file, or name another one with --config',
    })
  }
}

/** `{"s3.endpoint": x}` to `{s3: {endpoint: x}}`, so that a block written for another Iceberg tool can be pasted. */
function nestDottedKeys(values: object): object {
  return Object.entries(values).reduce<object>((all, [key, value]) => merge(all, nest(key.split('.'), value)), {})
}

function environmentLayers(env: Environment, leaves: Leaves): readonly ConfigLayer[] {
  const layer = (source: string, path: string, value: unknown): ConfigLayer => ({
    source,
    values: nest(path.split('.'), value),
  })
  const ours = Object.entries(leaves).flatMap(([path, kind]) => {
    const name = variableOfSetting(path)
    const value = env[name]
    return value === undefined || value === '' ? [] : [layer(name, path, coerce(name, value, kind))]
  })
  return [...awsSettings(env).map(([path, source]) => layer(source, path, env[source])), ...ours]
}

/** Settings and the variables of the AWS SDK that they are taken from, so that one serves every tool on the machine. */
function awsSettings(env: Environment): readonly (readonly [path: string, variable: string])[] {
  const firstSet = (path: string, names: readonly string[]): [string, string][] => {
    const name = names.find((candidate) => env[candidate])
    return name === undefined ? [] : [[path, name]]
  }
  const endpoints = isTruthy(env['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'])
    ? []
    : (['S3', 'KINESIS'] as const).flatMap((name) =>
        firstSet(`${name.toLowerCase()}.endpoint`, [`AWS_ENDPOINT_URL_${name}`, 'AWS_ENDPOINT_URL']),
      )
  const regions = ['s3.region', 'kinesis.region'].flatMap((path) =>
    firstSet(path, ['AWS_REGION', 'AWS_DEFAULT_REGION']),
  )
  return [...endpoints, ...regions]
}

function coerce(name: string, value: string, kind: LeafKind): unknown {
  switch (kind) {
    case 'string':
      return value
    case 'number':
      return Number(value)
    case 'boolean':
      return switchOf(name, value)
    case 'list':
      return value.split(',').map((item) => item.trim())
    case 'json':
      try {
        return JSON.parse(value)
      } catch (error) {
        throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `${name} is not JSON`, { cause: error })
      }
  }
}

export const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException | null)?.code === 'ENOENT'

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const nest = (path: readonly string[], value: unknown): object =>
  path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object

// By entries, not by assignment: a member called `__proto__` then is a member, and the schema refuses it.
export function merge(below: object, above: object): object {
  const result = new Map<string, unknown>(Object.entries(below))
  for (const [key, value] of Object.entries(above)) {
    const old = result.get(key)
    result.set(key, isPlain(old) && isPlain(value) ? merge(old, value) : value)
  }
  return Object.fromEntries(result)
}

/** Leaves by their paths; lists are leaves. */
export function flattened(values: object, prefix = ''): Readonly<Record<string, unknown>> {
  const leaves = new Map<string, unknown>()
  for (const [key, value] of Object.entries(values)) {
    const path = prefix === '' ? key : `${prefix}.${key}`
    if (isPlain(value)) for (const [name, leaf] of Object.entries(flattened(value, path))) leaves.set(name, leaf)
    else leaves.set(path, value)
  }
  return Object.fromEntries(leaves)
}
