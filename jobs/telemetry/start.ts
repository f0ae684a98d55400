/**
 * Everything that listens while one command works, by its settings. A part that nobody asked for is not loaded, and
 * where none is, the libraries tell nothing.
 */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { Catalog } from '../../table/index.ts'
import type { AbortableOptions, ObjectStore } from '../../table/io/object-store.ts'
import type { Config } from '../config.ts'
import type { SkipReason } from '../runs.ts'
import { version } from '../version.ts'
import type { HealthServer } from './health.ts'
import { createLogger, type Logger } from './logs.ts'
import type { MetricSink } from './metrics.ts'
import type { PrometheusSink } from './prometheus.ts'
import type { Recorder } from './recorder.ts'
import { logReports } from './report-lines.ts'

export interface TelemetryOptions {
  readonly config: Config
  readonly clock: Clock
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }
  readonly warehouse: () => ObjectStore
  readonly catalog: () => Catalog
}

export interface Telemetry {
  readonly log: Logger
  /** A run that did not begin. */
  skipped(reason: SkipReason): void
  /**
   * Answer on `listen` until `close`. What was done before is not in its metrics.
   * @param status members of `/status` beside those that every command has.
   * @throws {FirnError} `FIRN_LISTEN_FAILED` (invalid).
   */
  serve(listen: string, status?: () => object): Promise<HealthServer>
  /** Ends everything: the metrics file is written, events are delivered. Never throws. */
  close(): Promise<void>
}

/** For an SDK whose collector does not answer. */
const FLUSH_MILLIS = 5_000

type Closing = (() => void | Promise<void>)[]

/** @throws {FirnError} `FIRN_LINEAGE_TARGET` (invalid). */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { config, clock } = options
  const closing: Closing = []
  const log = await openLog(options, closing)
  if (config.logFormat === 'json' || config.verbose) {
    closing.push(logReports(log, config.logFormat === 'json' ? 'info' : 'debug'))
  }
  let recorder: Recorder | undefined
  let prometheus: PrometheusSink | undefined
  const record = async (sink: MetricSink): Promise<void> => {
    const { createRecorder } = await import('./recorder.ts')
    recorder ??= createRecorder({ clock, onError: (error) => log.debug({ err: error }, 'not counted') })
    recorder.addSink(sink)
  }
  const recordForScrapes = async (): Promise<PrometheusSink> => {
    if (prometheus === undefined) {
      prometheus = (await import('./prometheus.ts')).prometheusSink()
      await record(prometheus)
    }
    return prometheus
  }
  if (hasOpenTelemetry()) {
    const sink = (await import('./otel.ts')).otelSink()
    closing.push(async () => {
      await withinMillis(clock, FLUSH_MILLIS, sink.flush())
      sink.close()
    })
    await record(sink)
  }
  if (config.metricsFile !== undefined) await recordForScrapes()
  if (config.lineage !== undefined) closing.push(await openLineage(options, config.lineage, log))
  const finish = async (): Promise<void> => {
    const failures: unknown[] = []
    const attempt = async (work: () => void | Promise<void>): Promise<void> => {
      try {
        await work()
      } catch (error) {
        failures.push(error)
      }
    }
    const write = async (): Promise<void> => {
      const [file, sink] = [config.metricsFile, prometheus]
      if (file !== undefined && sink !== undefined) await writeFile(file, sink, clock)
    }
    // before and after: a collector that does not answer may take what is left of the time after a signal
    await attempt(write)
    for (const close of closing.splice(0).reverse()) await attempt(close)
    recorder?.close()
    await attempt(write)
    if (failures.length > 0) throw failures[0]
  }
  return {
    log,
    skipped: (reason) => recorder?.skipped(reason),
    serve: async (listen, status) => {
      const server = await openServer(options, listen, { metrics: await recordForScrapes(), status }, closing)
      log.info({ url: server.url }, 'listening')
      return server
    },
    close: () => finish().catch((error: unknown) => log.warn({ err: error }, 'not everything could be told')),
  }
}

async function writeFile(path: string, sink: PrometheusSink, clock: Clock): Promise<void> {
  const { writeMetricsFile } = await import('./metrics-file.ts')
  await writeMetricsFile(path, await sink.text(), clock)
}

/** `work`, or its time is up; what it throws is thrown. */
async function withinMillis(clock: Clock, millis: number, work: Promise<void>): Promise<void> {
  const done = new AbortController()
  const late = clock.sleep(millis, done.signal).catch(() => {}) // done in time
  try {
    await Promise.race([work, late])
  } finally {
    done.abort()
  }
}

/** The name under which every copy of the OpenTelemetry API finds what an SDK registered: without it nobody listens. */
const hasOpenTelemetry = (): boolean => Symbol.for('opentelemetry.js.api.1') in globalThis

/** Log lines; and, for people who watch, how far the work is. */
async function openLog({ config, clock, stderr }: TelemetryOptions, closing: Closing): Promise<Logger> {
  const { logFormat, quiet, verbose } = config
  const level = verbose ? 'debug' : quiet ? 'error' : 'info'
  const write = (text: string): void => void stderr.write(text)
  if (quiet || logFormat === 'json') return createLogger({ format: logFormat, level, clock, write })
  const { showProgress } = await import('./progress.ts')
  const progress = showProgress({ clock, terminal: stderr.isTTY === true, columns: () => stderr.columns, write })
  closing.push(progress.close)
  const writeLine = (line: string): void => {
    progress.clear()
    write(line)
  }
  return createLogger({ format: logFormat, level, clock, write: writeLine })
}

async function openLineage(options: TelemetryOptions, target: string, log: Logger): Promise<() => Promise<void>> {
  const { config, clock, catalog } = options
  const [{ startLineage }, { describeTable }] = await Promise.all([
    import('./lineage.ts'),
    import('./lineage-table.ts'),
  ])
  const { endpoint, region } = config.kinesis
  const warehouse = config.warehouse.replace(/\/+$/, '')
  const surroundings = {
    jobNamespace: config.lineageNamespace,
    warehouse,
    // a service decides itself where its tables lie
    locationOf: (name: string) => (config.catalog === undefined ? `${warehouse}/${name.replace('.', '/')}` : undefined),
    kinesisHost: endpoint === undefined ? (region ?? 'default') : new URL(endpoint).host,
  }
  const describe = async (name: string, abort: AbortableOptions) =>
    describeTable(await catalog().loadTable(name, abort))
  return startLineage({ target, clock, log, surroundings, describeTable: describe }).close
}

interface Served {
  readonly metrics: PrometheusSink
  readonly status: (() => object) | undefined
}

async function openServer(
  options: TelemetryOptions,
  listen: string,
  { metrics, status }: Served,
  closing: Closing,
): Promise<HealthServer> {
  const [{ startHealthServer }, { statusBoard }] = await Promise.all([
    import('./health.ts'),
    import('./status-board.ts'),
  ])
  const { clock, warehouse, catalog } = options
  const board = statusBoard()
  const ready = {
    // what every job may do
    store: async (signal: AbortSignal) => {
      for await (const _info of warehouse().list('_staging/', { signal })) return
    },
    catalog: async (signal: AbortSignal) => await reachCatalog(options.config, catalog(), signal),
  }
  const server = await startHealthServer({
    listen,
    clock,
    metrics,
    ready,
    status: () => ({ schema: 'firn.status/1', version, ...board.snapshot(), ...status?.() }),
  }).catch((error: unknown) => {
    board.close()
    throw error
  })
  closing.push(server.close, board.close)
  return server
}

/** A file catalog is its store; a service is asked for a table that is worked on, which need not be there. */
async function reachCatalog(config: Config, catalog: Catalog, signal: AbortSignal): Promise<void> {
  if (catalog.kind === 'file') return
  const table = config.run.compact.tables[0]?.table ?? config.table
  if (table === undefined) {
    await catalog.listTables({ signal })
    return
  }
  await catalog.loadTable(table, { signal }).catch((error: unknown) => {
    if (!FirnError.is(error) || error.kind !== 'not-found') throw error
  })
}
