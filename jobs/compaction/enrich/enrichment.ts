/**
 * The user's own enrichment: a module of the operator's that gives values for the columns that the dataset declares
 * `{"kind": "enrichment"}`.
 *
 * The module is code that runs here with all rights of the job, so it is only ever named by the operator (flag,
 * environment, configuration), never by a table or its properties: who may write to the catalog must not be able to
 * choose code.
 */
import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { RecordBatch, Vector } from 'apache-arrow'
import type { Clock } from '../../../table/clock.ts'
import { FirnError } from '../../../table/errors.ts'
import type { AbortableOptions } from '../../../table/io/object-store.ts'
import type { DatasetColumn } from '../../datasets/index.ts'
import { cellsOf } from './enriched-values.ts'
import type { CellValue, Refusal } from './validate.ts'

/**
 * The columns that a module adds to a batch: by name, one value for each row. `null` is no value. Which values fit
 * which type is in docs/datasets.md.
 */
export type EnrichmentColumns = Readonly<Record<string, readonly unknown[] | ArrayBufferView | Vector>>

/**
 * What a module exports as `default` or `enrich`. The batch has the record's columns and the features, at most 512
 * rows. It may be called again for single rows of a batch that failed, so it must not count on being called once.
 */
export type EnrichmentFunction = (batch: RecordBatch) => EnrichmentColumns | Promise<EnrichmentColumns>

export interface EnrichmentModule {
  /** For messages. */
  readonly url: string
  readonly enrich: EnrichmentFunction
}

export const DEFAULT_ENRICHMENT_TIMEOUT_MILLIS = 30_000

/**
 * The file URL under which tasks load the module of `file`.
 * @throws {FirnError} `FIRN_ENRICHMENT_NOT_FOUND` (not-found).
 */
export async function enrichmentUrl(file: string): Promise<string> {
  const path = file.startsWith('file:') ? fileURLToPath(file) : resolve(file)
  try {
    await access(path)
  } catch (cause) {
    throw notFound(path, cause)
  }
  return pathToFileURL(path).href
}

/**
 * Import a module of the operator's.
 * @param fileUrl from `enrichmentUrl`.
 * @throws {FirnError} `FIRN_ENRICHMENT_NOT_FOUND` (not-found); `FIRN_ENRICHMENT_INVALID` (invalid) when it is no file
 *   URL, does not load, or exports no function.
 */
export async function loadEnrichment(fileUrl: string): Promise<EnrichmentModule> {
  if (!fileUrl.startsWith('file:')) {
    throw invalid(`enrichment ${fileUrl} is no file URL`, 'give the path of a file on this machine')
  }
  const path = fileURLToPath(fileUrl)
  await access(path).catch((cause: unknown) => {
    throw notFound(path, cause)
  })
  let exported: Readonly<Record<string, unknown>>
  try {
    exported = (await import(fileUrl)) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw invalid(`enrichment ${path} does not load: ${String(cause)}`, 'run it with node alone to see why', cause)
  }
  const enrich = exported['enrich'] ?? exported['default']
  if (typeof enrich === 'function') return { url: fileUrl, enrich: enrich as EnrichmentFunction }
  throw invalid(
    `enrichment ${path} exports no function "enrich" or "default"`,
    'export default (batch) => ({ column: values })',
  )
}

const notFound = (path: string, cause: unknown): FirnError =>
  new FirnError('not-found', 'FIRN_ENRICHMENT_NOT_FOUND', `there is no enrichment module ${path}`, {
    cause,
    help: 'give the path of a JavaScript module; every machine that runs tasks needs it under this path',
  })

const invalid = (message: string, help: string, cause?: unknown): FirnError =>
  new FirnError('invalid', 'FIRN_ENRICHMENT_INVALID', message, { cause, help })

export interface EnrichmentCallOptions extends AbortableOptions {
  /** The declared columns. */
  readonly fields: readonly DatasetColumn[]
  readonly clock: Clock
  readonly timeoutMillis: number
}

/** Values of the declared columns, in their order, each as long as the batch; or why there are none. */
export type EnrichmentOutcome =
  | { readonly ok: true; readonly cells: readonly (readonly CellValue[])[] }
  | { readonly ok: false; readonly refusal: Refusal }

/**
 * One call of the module. What the module does wrong is an outcome, never an exception.
 *
 * The time-out is for what waits: a loop that never gives way cannot be stopped from within its own thread.
 * @throws `signal.reason` on abort; what the module still does then is not waited for.
 */
export async function callEnrichment(
  module: EnrichmentModule,
  batch: RecordBatch,
  options: EnrichmentCallOptions,
): Promise<EnrichmentOutcome> {
  options.signal?.throwIfAborted()
  let given: unknown
  try {
    given = module.enrich(batch)
    if (isThenable(given)) given = await withinTime(given, options)
  } catch (error) {
    options.signal?.throwIfAborted()
    return failed(`the enrichment threw ${className(error)}`)
  }
  if (given === TIMED_OUT) {
    const message = `the enrichment took longer than ${options.timeoutMillis} ms`
    return { ok: false, refusal: { reason: 'enrich.timeout', message } }
  }
  try {
    const cells = cellsOf(given, batch.numRows, options.fields)
    return typeof cells === 'string' ? failed(cells) : { ok: true, cells }
  } catch (error) {
    // getters and proxies are code of the module as well
    return failed(`reading what the enrichment gave threw ${className(error)}`)
  }
}

const failed = (message: string): EnrichmentOutcome => ({ ok: false, refusal: { reason: 'enrich.error', message } })

const TIMED_OUT: unique symbol = Symbol('timed out')

async function withinTime(
  work: PromiseLike<unknown>,
  { clock, timeoutMillis, signal }: EnrichmentCallOptions,
): Promise<unknown> {
  const done = new AbortController()
  const stop = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal])
  const timer = clock.sleep(timeoutMillis, stop).then(() => TIMED_OUT)
  timer.catch(() => {}) // given up once the work is done
  try {
    return await Promise.race([work, timer])
  } finally {
    done.abort()
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

/** Only the class: a message may quote the record. */
function className(error: unknown): string {
  if (typeof error !== 'object' || error === null) return `a ${error === null ? 'null' : typeof error}`
  const name: unknown = (error as { constructor?: { name?: unknown } }).constructor?.name
  return typeof name === 'string' && /^[A-Za-z_$][\w$]{0,63}$/.test(name) ? name : 'an error'
}
