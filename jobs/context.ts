/**
 * What a command may use. Made before the command line is parsed (commands close over it) and filled in once the
 * configuration is known; the store and the catalog are loaded only then, so that `firn --help` stays quick.
 */
import { type Clock, systemClock } from '../table/clock.ts'
import { FirnError } from '../table/errors.ts'
import type { Catalog, RestCatalogOptions, Table } from '../table/index.ts'
import type { ObjectStore } from '../table/io/object-store.ts'
import type { StoreOptions } from '../table/io/open-store.ts'
import { type Config, type ExplainedSetting, redact } from './config.ts'
import { type Printable, renderCsv, renderFields, renderTable, toJson, toJsonLines } from './render.ts'
import type { CatalogConfig } from './settings/catalog.ts'
import type { Logger, Telemetry } from './telemetry.ts'
import { countChanges } from './written.ts'

export type { Printable } from './render.ts'

export interface CommandContext {
  readonly config: Config
  readonly clock: Clock
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** Who listens to what is done: counts, a server. */
  readonly telemetry: Telemetry
  /** The warehouse's root. */
  warehouse(): ObjectStore
  catalog(): Catalog
  /** `namespace.name` in the catalog, or the URL of a table's folder or of one of its metadata files. */
  openTable(nameOrLocation: string): Promise<Table>
  /** Every setting that holds, and where it comes from; secrets are replaced. */
  explainConfig(): readonly ExplainedSetting[]
  /** How stores are opened here; plain data, for workers. */
  readonly storeOptions: Omit<StoreOptions, 'clock'>
  /** Write a command's result to standard output in the format that was asked for. */
  print(result: Printable): void
  /** Write one piece of a long result; resolves when the reader took it. */
  write(chunk: string | Uint8Array): Promise<void>
  /** True when a person watches standard output. */
  readonly terminal: boolean
  /** All of standard input. @throws {FirnError} `FIRN_USAGE` when it is a terminal; the signal's reason. */
  readInput(): Promise<string>
  /** Show a plan on standard error and ask whether to go on; `undefined` when nobody is there to answer. */
  confirm(plan: string, question: string): Promise<boolean | undefined>
  /** Set an exit code without an error, e.g. for a check that did its work and found a problem. */
  fail(exitCode: number): void
}

export interface ContextHandle {
  readonly context: CommandContext
  activate(config: Config, explainConfig?: () => readonly ExplainedSetting[]): Promise<void>
  readonly exitCode: number
  /** Ends what listened to the command: its metrics and events are written. Never throws. */
  close(): Promise<void>
}

export interface ContextOptions {
  readonly signal: AbortSignal
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  /** Where answers come from; none: nobody is asked. */
  readonly stdin?: (NodeJS.ReadableStream & { readonly isTTY?: boolean }) | undefined
  readonly clock?: Clock
}

export function createContext({ signal, stdout, stderr, stdin, clock = systemClock }: ContextOptions): ContextHandle {
  let active: Active | undefined
  let exitCode = 0
  let explain = (): readonly ExplainedSetting[] => []
  const need = (): Active => {
    if (active === undefined) throw new Error('the context is used before the command line was parsed')
    return active
  }
  const context: CommandContext = {
    clock,
    signal,
    terminal: stdout.isTTY === true,
    get config() {
      return need().config
    },
    get log() {
      return need().log
    },
    get telemetry() {
      return need().telemetry
    },
    get storeOptions() {
      return storeOptionsOf(need().config)
    },
    explainConfig: () => explain(),
    warehouse: () => need().warehouse(),
    catalog: () => need().catalog(),
    openTable: (nameOrLocation) => need().openTable(nameOrLocation),
    print: (result) => stdout.write(renderResult(result, need().config, stdout.isTTY === true)),
    write: (chunk) => writeChunk(stdout, chunk),
    readInput: () => readAll(stdin, signal),
    confirm: async (plan, question) => {
      if (stdin?.isTTY !== true || stderr.isTTY !== true) return undefined
      const { askYesNo } = await import('./ask.ts')
      return await askYesNo(`${plan}${question} [y/N] `, { stdin, stderr, signal })
    },
    fail: (code) => {
      exitCode = Math.max(exitCode, code)
    },
  }
  return {
    context,
    activate: async (config, explainConfig = explain) => {
      explain = explainConfig
      active = await activate(config, clock, signal, stderr)
    },
    get exitCode() {
      return exitCode
    },
    close: async () => await active?.telemetry.close(),
  }
}

interface Active {
  readonly config: Config
  readonly log: Logger
  readonly telemetry: Telemetry
  warehouse(): ObjectStore
  catalog(): Catalog
  openTable(nameOrLocation: string): Promise<Table>
}

const storeOptionsOf = ({ s3 }: Config): Omit<StoreOptions, 'clock'> => ({
  s3: {
    ...(s3.endpoint === undefined ? {} : { endpoint: s3.endpoint }),
    ...(s3.region === undefined ? {} : { region: s3.region }),
    ...(s3.expectedBucketOwner === undefined ? {} : { expectedBucketOwner: s3.expectedBucketOwner }),
    ...(s3.sse === undefined ? {} : { encryption: { type: s3.sse.type, keyId: s3.sse.key } }),
  },
})

async function activate(
  config: Config,
  clock: Clock,
  signal: AbortSignal,
  stderr: ContextOptions['stderr'],
): Promise<Active> {
  const [{ startTelemetry }, { openStore }, { openCatalog, openRestCatalog, openTableAt }] = await Promise.all([
    import('./telemetry.ts'),
    import('../table/io/open-store.ts'),
    import('../table/index.ts'),
  ])
  const options: StoreOptions = { ...storeOptionsOf(config), clock }
  let store: ObjectStore | undefined
  let catalog: Catalog | undefined
  const warehouse = (): ObjectStore => {
    store ??= countChanges(openStore(config.warehouse, options))
    return store
  }
  const openCatalogOnce = (): Catalog => {
    catalog ??=
      config.catalog === undefined
        ? openCatalog(warehouse(), { clock })
        : openRestCatalog({ ...restOptionsOf(config.catalog), clock, storeOptions: storeOptionsOf(config) })
    return catalog
  }
  const telemetry = await startTelemetry({ config, clock, stderr, warehouse, catalog: openCatalogOnce })
  const { log } = telemetry
  log.debug({ config: redact(config) }, 'settings')
  return {
    config,
    log,
    telemetry,
    warehouse,
    catalog: openCatalogOnce,
    openTable: async (nameOrLocation) => {
      const target = parseTableTarget(nameOrLocation)
      if (target.kind === 'name') return await openCatalogOnce().loadTable(target.name, { signal })
      const { folder, metadataFile } = target
      return await openTableAt(openStore(folder, options), {
        clock,
        ...(metadataFile === undefined ? {} : { metadataFile }),
      })
    },
  }
}

function restOptionsOf(config: CatalogConfig): Omit<RestCatalogOptions, 'clock' | 'storeOptions'> {
  const { sigv4, signingName, signingRegion, ...rest } = config
  // naming a service or a region to sign for says that requests are signed
  const signs = sigv4 || signingName !== undefined || signingRegion !== undefined
  return signs ? { ...rest, sigv4: { signingName, signingRegion } } : rest
}

export type TableTarget =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'location'; readonly folder: string; readonly metadataFile: string | undefined }

/** @throws {FirnError} `FIRN_TABLE_NAME_INVALID` (invalid). */
export function parseTableTarget(text: string): TableTarget {
  if (/^(s3|file|memory):/.test(text)) {
    const split = /^(.*?)\/+metadata\/([^/]+\.metadata\.json)$/.exec(text)
    return split
      ? { kind: 'location', folder: split[1]!, metadataFile: `metadata/${split[2]}` }
      : { kind: 'location', folder: text.replace(/\/+$/, ''), metadataFile: undefined }
  }
  // a REST catalog may have namespaces in namespaces; the file catalog refuses them itself
  if (/^[A-Za-z0-9][\w-]*(\.[A-Za-z0-9][\w-]*)+$/.test(text)) return { kind: 'name', name: text }
  throw new FirnError('invalid', 'FIRN_TABLE_NAME_INVALID', `not a table: ${JSON.stringify(text)}`, {
    help: 'name it namespace.table, like news.articles; reading commands also take the s3:// or file:// URL of its folder or of one metadata file',
  })
}

function renderResult(result: Printable, { output }: Config, color: boolean): string {
  const rows = result.rows ?? (Array.isArray(result.json) ? (result.json as Record<string, unknown>[]) : undefined)
  switch (output) {
    case 'json':
      return `${toJson(result.json, 2)}\n`
    case 'jsonl':
      return rows === undefined ? `${toJson(result.json)}\n` : toJsonLines(rows)
    case 'csv':
      if (rows !== undefined) return renderCsv(rows)
      throw new Error('a document cannot be printed as csv: jobs/commands/formats.ts lets it through')
    case 'arrow':
      throw new Error('only batches can be printed as arrow: jobs/commands/formats.ts lets it through')
    case 'table': {
      if (result.text !== undefined) return result.text.endsWith('\n') ? result.text : `${result.text}\n`
      if (rows !== undefined) return renderTable(rows, { color })
      return renderFields(result.json as Record<string, unknown>)
    }
  }
}

/** Waits while the reader of the pipe is behind, so that a long result does not pile up in memory. */
function writeChunk(stdout: NodeJS.WritableStream, chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(chunk, (error) => (error ? reject(error) : resolve()))
  })
}

/** More is no article: memory is bounded whatever is piped in. */
const LARGEST_INPUT_BYTES = 64 * 1024 * 1024

async function readAll(stdin: ContextOptions['stdin'], signal: AbortSignal): Promise<string> {
  const refused = (what: string, help: string): FirnError => new FirnError('invalid', 'FIRN_USAGE', what, { help })
  if (stdin === undefined || stdin.isTTY === true) {
    throw refused('this command reads standard input, which is a terminal', 'redirect a file into it, or pipe')
  }
  const { addAbortSignal, Readable } = await import('node:stream')
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of addAbortSignal(signal, Readable.from(stdin, { objectMode: false }))) {
      chunks.push(Buffer.from(chunk as Uint8Array))
      bytes += chunks.at(-1)!.length
      if (bytes > LARGEST_INPUT_BYTES) throw refused('standard input holds more than 64 MiB', 'give it one article')
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
  return Buffer.concat(chunks).toString('utf8')
}
