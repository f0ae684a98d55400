/** Log lines on standard error; standard output belongs to results. */
import { type Logger, pino } from 'pino'
import type { Clock } from '../../table/clock.ts'

export type { Logger } from 'pino'

export interface LoggerOptions {
  readonly format: 'text' | 'json'
  readonly level: 'debug' | 'info' | 'error'
  readonly clock: Clock
  /** Where lines go: standard error, for a command. */
  readonly write: (line: string) => void
}

/** Names whose values never reach a log line, at any of the depths that our lines have. */
const SECRETS = ['secretAccessKey', 'sessionToken', 'accessKeyId', 'password', 'token', 'authorization', 'credentials']

/** @returns a pino logger: one JSON object a line, or `level message key=value …` for people. */
export function createLogger(options: LoggerOptions): Logger {
  const { write } = options
  const destination = { write: options.format === 'json' ? write : (line: string) => write(textLine(line)) }
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(options.clock.nowMillis()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    },
    destination,
  )
}

function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, kind, help, detail } = error as Error & Record<'code' | 'kind' | 'help' | 'detail', unknown>
  return { message: error.message, code, kind, help, detail }
}

function textLine(line: string): string {
  const { level, time: _time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${textValue(value)}`)
  return `${[String(level), msg, ...fields].filter((part) => part !== undefined && part !== '').join(' ')}\n`
}

function textValue(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value) return JSON.stringify(value.message)
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}
