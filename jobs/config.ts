/**
 * Settings: flags > environment > firn.config.json > defaults, merged once into one frozen value. The only file
 * that reads or writes the environment. Every setting has a `FIRN_` name, nested by `__`:
 * `run.land.cron` is `FIRN_RUN__LAND__CRON`.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseEnv } from 'node:util'
import * as z from 'zod'
import { FirnError } from '../table/errors.ts'
import { CATALOG_LEAVES, type CatalogConfig, catalogSchema, serviceUrl } from './settings/catalog.ts'
import { COMPACTION_LEAVES, type CompactionSettings, compactionShape } from './settings/compaction.ts'
import {
  configFilePath,
  configLayers,
  flattened,
  isMissing,
  type LeafKind,
  type LoadConfigOptions,
  merge,
  variableOfSetting,
} from './settings/layers.ts'
import { type MaintainConfig, maintainSchema } from './settings/maintain.ts'
import { RUN_LEAVES, type RunConfig, runSchema } from './settings/run.ts'
import { isSecretReference } from './settings/secrets.ts'
import { TELEMETRY_LEAVES, type TelemetrySettings, telemetryShape } from './settings/telemetry.ts'
import { type Environment, isTruthy } from './variables.ts'

export type OutputFormat = 'table' | 'json' | 'jsonl' | 'csv' | 'arrow'

const text = z.string().min(1)

const endpoint = serviceUrl('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile')
const service = z.strictObject({ endpoint: endpoint.optional(), region: text.optional() })
const s3Service = z.strictObject({
  endpoint: endpoint.optional(),
  region: text.optional(),
  expectedBucketOwner: z
    .string()
    .regex(/^\d{12}$/, 'must be an account id of 12 digits')
    .optional(),
  sse: z.strictObject({ type: z.enum(['s3', 'kms', 'dsse-kms']), key: text.optional() }).optional(),
})

/** How to reach one AWS service; left out, the SDK's own chain decides. */
export interface ServiceConfig {
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
}

export interface S3Config extends ServiceConfig {
  /** Account id: requests to a bucket of another account are refused. */
  readonly expectedBucketOwner?: string | undefined
  /** How objects are encrypted at rest; `key` is the full ARN of a KMS key. Default: as the bucket says. */
  readonly sse?: { readonly type: 's3' | 'kms' | 'dsse-kms'; readonly key?: string | undefined } | undefined
}

/** All settings, validated and frozen. */
export interface Config extends TelemetrySettings, CompactionSettings {
  readonly $schema?: string | undefined
  /** URL of the warehouse; `table/io/open-store.ts` knows the schemes. */
  readonly warehouse: string
  /** The REST catalog that has the tables; without one they are in the warehouse's folders. */
  readonly catalog?: CatalogConfig | undefined
  readonly stream?: string | undefined
  readonly table?: string | undefined
  readonly dataset?: string | undefined
  readonly output: OutputFormat
  readonly verbose: boolean
  readonly quiet: boolean
  readonly logFormat: 'text' | 'json'
  /** Share of a compaction's records that may be refused before the run fails instead of committing. */
  readonly maxBadRatio: number
  readonly s3: S3Config
  readonly kinesis: ServiceConfig
  /** What `firn maintain` may do; left out, safe defaults. */
  readonly maintain?: MaintainConfig | undefined
  readonly run: RunConfig
}

const schema: z.ZodType<Config> = z.strictObject({
  $schema: text.optional(),
  warehouse: text,
  catalog: catalogSchema().optional(),
  stream: text.optional(),
  table: text.optional(),
  dataset: text.optional(),
  output: z.enum(['table', 'json', 'jsonl', 'csv', 'arrow']).default('table'),
  verbose: z.boolean().default(false),
  quiet: z.boolean().default(false),
  logFormat: z.enum(['text', 'json']).default('text'),
  maxBadRatio: z.number().min(0).max(1).default(0.05),
  s3: s3Service.prefault({}),
  kinesis: service.prefault({}),
  maintain: maintainSchema(),
  run: runSchema(),
  ...compactionShape,
  ...telemetryShape,
})

const LEAVES: Readonly<Record<string, LeafKind>> = {
  warehouse: 'string',
  catalog: 'string',
  ...CATALOG_LEAVES,
  stream: 'string',
  table: 'string',
  dataset: 'string',
  output: 'string',
  verbose: 'boolean',
  quiet: 'boolean',
  logFormat: 'string',
  maxBadRatio: 'number',
  's3.endpoint': 'string',
  's3.region': 'string',
  's3.expectedBucketOwner': 'string',
  's3.sse.type': 'string',
  's3.sse.key': 'string',
  'kinesis.endpoint': 'string',
  'kinesis.region': 'string',
  ...RUN_LEAVES,
  ...COMPACTION_LEAVES,
  ...TELEMETRY_LEAVES,
}

/** Names of the settings that this file takes from the environment. */
export const settingNames: readonly string[] = [...Object.keys(LEAVES).map(variableOfSetting), 'FIRN_CONFIG']

export type { LoadConfigOptions } from './settings/layers.ts'

/** @throws {FirnError} `FIRN_CONFIG_INVALID`, `FIRN_CONFIG_NOT_FOUND`, both of kind `invalid`. */
export function loadConfig(options: LoadConfigOptions): Config {
  const defaults = { warehouse: defaultWarehouse(options.cwd) }
  const merged = configLayers(options, LEAVES)
    .map(({ values }) => values)
    .reduce(merge, defaults)
  const parsed = schema.safeParse(merged)
  if (!parsed.success) throw invalidConfig(parsed.error, configFilePath(options))
  return deepFreeze(parsed.data)
}

/** One setting as `firn config show` prints it. */
export interface ExplainedSetting {
  /** Like `run.land.cron`. */
  readonly setting: string
  /** Secrets are replaced. */
  readonly value: unknown
  /** A flag, a variable, the settings file, or `default`. */
  readonly source: string
}

/** Every setting that has a value, with where it comes from. @throws what `loadConfig` throws. */
export function explainConfig(options: LoadConfigOptions): readonly ExplainedSetting[] {
  const layers = configLayers(options, LEAVES)
  return Object.entries(flattened(loadConfig(options))).map(([setting, value]) => {
    const layer = layers.findLast(({ values }) =>
      Object.keys(flattened(values)).some((name) => overlaps(name, setting)),
    )
    return {
      setting,
      value: isSecretReference(value) ? value : redact(value, setting),
      source: layer?.source ?? 'default',
    }
  })
}

/** A list given whole is one setting, whatever it holds. */
const overlaps = (given: string, setting: string): boolean => given === setting || setting.startsWith(`${given}.`)

/** Where a table goes when nothing else is said: `file://<cwd>/.firn/warehouse`. */
export const defaultWarehouse = (cwd: string): string => pathToFileURL(resolve(cwd, '.firn/warehouse')).href

/**
 * The process's environment, with `.env` of the current folder below it. Real variables win. The merged values are
 * put into `process.env`, because the AWS SDK and commander look there.
 */
export function loadEnvironment(cwd: string): Environment {
  for (const [name, value] of Object.entries(readDotEnv(resolve(cwd, '.env')))) process.env[name] ??= value
  return process.env
}

function readDotEnv(path: string): Readonly<Record<string, string | undefined>> {
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch (error) {
    if (isMissing(error)) return {}
    throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `cannot read ${path}`, { cause: error })
  }
}

/**
 * Put `settings` in place of every firn and AWS variable of this process and of its children: the demo must not reach
 * anything but the servers it has started.
 */
export function replaceServiceSettings(settings: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(process.env)) if (/^(FIRN|AWS)_/.test(name)) delete process.env[name]
  Object.assign(process.env, settings)
}

/** `RECORDS` and `LOOP` of the demo and the populate script. @throws {FirnError} `FIRN_CONFIG_INVALID`. */
export function demoSettings(env: Environment = process.env): { readonly records: number; readonly loop: boolean } {
  const records = Number(env['RECORDS'] || 1000)
  if (!Number.isInteger(records) || records < 1 || records > 1_000_000) {
    throw new FirnError('invalid', 'FIRN_CONFIG_INVALID', `RECORDS must be 1 to 1000000, got ${env['RECORDS']}`)
  }
  return { records, loop: isTruthy(env['LOOP']) }
}

/** A copy fit for printing: values under secret-looking names, and what may be secret of URLs, are replaced. */
export function redact(value: unknown, key = ''): unknown {
  if (/secret|token|password|credential|access_?key/i.test(key) && value !== undefined) return '[redacted]'
  if (typeof value === 'string') return redactUrl(value)
  if (Array.isArray(value)) return value.map((item) => redact(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, redact(item, name)]))
}

/** User and password; and the query, where collectors want their keys. */
function redactUrl(text: string): string {
  const [, scheme, authority, rest] = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)(.*)$/is.exec(text) ?? []
  if (scheme === undefined || authority === undefined || rest === undefined) return text
  // a password that should have been percent-encoded: nobody can tell where it ends
  if (!URL.canParse(text) && rest.includes('@')) return `${scheme}[redacted]@${rest.slice(rest.lastIndexOf('@') + 1)}`
  const host = authority.replace(/^.*@/s, '[redacted]@')
  return scheme + host + (/^https?:/i.test(scheme) ? rest.replace(/\?[^#]+/, '?[redacted]') : rest)
}

function invalidConfig(error: z.ZodError, path: string): FirnError {
  const lines = error.issues.map((issue) => {
    const at = issue.path.map(String).join('.')
    if (issue.code !== 'unrecognized_keys') return `${at || 'the configuration'}: ${issue.message}`
    const keys = issue.keys.map((key) => [...issue.path.map(String), key].join('.')).join(', ')
    return `unknown key ${keys}; allowed here: ${allowedKeys(issue.path).join(', ')}`
  })
  return new FirnError('invalid', 'FIRN_CONFIG_INVALID', `invalid configuration: ${lines.join('; ')}`, {
    help: `correct ${path}, the flag, or the variable of that setting (FIRN_…; endpoints also AWS_ENDPOINT_URL…)`,
  })
}

/** The names that the schema knows below `path`. */
function allowedKeys(path: readonly PropertyKey[]): string[] {
  let node: unknown = z.toJSONSchema(schema, { io: 'input' })
  for (const step of path) {
    const { properties, items } = node as { properties?: Record<string, unknown>; items?: unknown }
    node = typeof step === 'number' ? items : properties?.[String(step)]
  }
  return Object.keys((node as { properties?: object } | undefined)?.properties ?? {})
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) deepFreeze(item)
  return Object.freeze(value)
}
