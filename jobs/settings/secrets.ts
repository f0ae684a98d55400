/**
 * Secrets by reference: a setting that is a secret may say where it is kept instead, so that no file and no variable of
 * ours holds it. `file:/run/secrets/token` · `ssm:/name` (a SecureString of the parameter store) ·
 * `secretsmanager:id`, or `secretsmanager:id#member` for one member of a JSON secret.
 *
 * Resolved once, when a command begins; the value is in no message and no log line.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import type { Config } from '../config.ts'

/** Settings that are secrets. */
const SECRET_SETTINGS = ['token', 'credential'] as const
const REFERENCE = /^(file|ssm|secretsmanager):(.+)$/s
/** A secret is a word or a small document; what is longer is a wrong path. */
const MAX_SECRET_BYTES = 64 * 1024

export const isSecretReference = (value: unknown): boolean => typeof value === 'string' && REFERENCE.test(value)

/** `config` with every reference replaced by what it leads to. @throws {FirnError} `FIRN_SECRET_UNREADABLE` (invalid). */
export async function resolveSecrets(config: Config, options: AbortableOptions = {}): Promise<Config> {
  const { catalog } = config
  if (catalog === undefined || !SECRET_SETTINGS.some((name) => isSecretReference(catalog[name]))) return config
  const region = config.s3.region ?? config.kinesis.region
  const resolved = { ...catalog }
  for (const name of SECRET_SETTINGS) {
    const value = catalog[name]
    if (value !== undefined) resolved[name] = await resolveSecret(`catalog.${name}`, value, { ...options, region })
  }
  return Object.freeze({ ...config, catalog: Object.freeze(resolved) })
}

/**
 * @param setting names the secret in messages.
 * @returns `value` itself when it is no reference.
 * @throws {FirnError} `FIRN_SECRET_UNREADABLE` (invalid).
 */
export async function resolveSecret(
  setting: string,
  value: string,
  options: AbortableOptions & { readonly region?: string | undefined } = {},
): Promise<string> {
  const [, scheme, name = ''] = REFERENCE.exec(value) ?? []
  if (scheme === undefined) return value
  let secret: string
  try {
    secret = await READERS[scheme as keyof typeof READERS](name, options)
  } catch (cause) {
    options.signal?.throwIfAborted()
    throw unreadable(setting, value, cause instanceof Error ? reasonOf(cause) : 'unknown failure', cause)
  }
  if (secret === '') throw unreadable(setting, value, 'it is empty')
  return secret
}

interface ReaderOptions extends AbortableOptions {
  readonly region?: string | undefined
}

const READERS: Readonly<
  Record<'file' | 'ssm' | 'secretsmanager', (name: string, options: ReaderOptions) => Promise<string>>
> = { file: readSecretFile, ssm: readParameter, secretsmanager: readManagedSecret }

/** Tools that write such files mostly end them with a line end, which is no part of the secret. */
async function readSecretFile(path: string, { signal }: ReaderOptions): Promise<string> {
  const file = path.startsWith('//') ? fileURLToPath(`file:${path}`) : path
  const bytes = await readFile(file, signal === undefined ? {} : { signal })
  if (bytes.length > MAX_SECRET_BYTES) throw new Error(`it holds ${bytes.length} bytes, at most ${MAX_SECRET_BYTES}`)
  return bytes.toString('utf8').replace(/\r?\n$/, '')
}

async function readParameter(name: string, { region, signal }: ReaderOptions): Promise<string> {
  const { GetParameterCommand, SSMClient } = await import('@aws-sdk/client-ssm').catch(() => notInstalled('client-ssm'))
  const client = new SSMClient(region === undefined ? {} : { region })
  try {
    const command = new GetParameterCommand({ Name: name, WithDecryption: true })
    const { Parameter } = await client.send(command, signal === undefined ? {} : { abortSignal: signal })
    return Parameter?.Value ?? ''
  } finally {
    client.destroy()
  }
}

async function readManagedSecret(reference: string, { region, signal }: ReaderOptions): Promise<string> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager').catch(() =>
    notInstalled('client-secrets-manager'),
  )
  const [id = '', member] = reference.split(/#(?=[^#]*$)/)
  const client = new SecretsManagerClient(region === undefined ? {} : { region })
  try {
    const command = new GetSecretValueCommand({ SecretId: id })
    const { SecretString = '' } = await client.send(command, signal === undefined ? {} : { abortSignal: signal })
    return member === undefined ? SecretString : memberOf(SecretString, member)
  } finally {
    client.destroy()
  }
}

function memberOf(secret: string, member: string): string {
  let json: unknown
  try {
    json = JSON.parse(secret)
  } catch {
    throw new Error('it is not JSON, so it has no members') // the parser's own message would quote it
  }
  const value =
    typeof json === 'object' && json !== null && Object.hasOwn(json, member) ? Reflect.get(json, member) : ''
  if (typeof value === 'string' && value !== '') return value
  throw new Error(`it has no text under ${JSON.stringify(member)}`)
}

function notInstalled(name: string): never {
  throw new Error(`the package @aws-sdk/${name} is not installed: npm install @aws-sdk/${name}`)
}

/** A code of the system or of the service, and what it says; neither repeats the secret. */
const reasonOf = (error: Error): string => (error.name === 'Error' ? error.message : `${error.name}: ${error.message}`)

const unreadable = (setting: string, reference: string, why: string, cause?: unknown): FirnError =>
  new FirnError(
    'invalid',
    'FIRN_SECRET_UNREADABLE',
    `${setting} refers to ${reference}, which gives no secret: ${why}`,
    {
      cause,
      detail: { setting },
      help: 'check that the reference exists and that this process may read it',
    },
  )
