/** Runs an engine's script over some tables and compares what it found with what it must find. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Digests } from './digest.ts'
import type { ExpectedSnapshot, ExpectedTable } from './expected.ts'
import type { Engines } from './install.ts'

export type EngineName = 'pyiceberg' | 'duckdb' | 'spark'

/** How the engine reaches an S3 endpoint. */
export interface S3Access {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export interface ReadRequest {
  readonly engine: EngineName
  readonly engines: Engines
  /** Folder of the warehouse; Spark's Hadoop catalog reads it. */
  readonly warehouse: string
  readonly tables: readonly ExpectedTable[]
  readonly s3?: S3Access
  /** URI of a REST catalog to write to. */
  readonly rest?: string
}

interface Found extends Digests {
  readonly average_word_count?: number
  readonly files?: number
}

interface FoundTable {
  /** Why the engine could not read the table; then there is nothing else. */
  readonly error?: string
  readonly current: Found
  readonly snapshots: Readonly<Record<string, Found>>
  readonly through_catalog?: Found
  /** By name; engines that have no way to name one give none. */
  readonly refs?: Readonly<Record<string, Found>>
  readonly filters: readonly string[]
  readonly metadata_rows: Readonly<Record<string, number>>
}

/** @returns one line per difference. @throws {Error} when the engine itself failed. */
export async function readWith(request: ReadRequest): Promise<readonly string[]> {
  const { engine } = request
  const tables = request.tables
    .filter((table) => !table.without.includes(engine))
    .map((table) => ({ ...table, filters: filtersFor(engine, table) }))
  const found = await runScript<Record<string, FoundTable>>(request, `${engine}_read`, tables)
  return tables.flatMap((table) => {
    const result = found[table.name]
    if (result === undefined) return [`${table.name}: no result`]
    return result.error === undefined ? compare(engine, table, result) : [`${table.name}: ${result.error}`]
  })
}

const filtersFor = (engine: EngineName, { filters }: ExpectedTable): ExpectedTable['filters'] =>
  filters.filter(({ without }) => !without.includes(engine))

/** Runs `<script>.py` with a job; what it wrote as its result. @throws {Error} with the end of its log. */
export async function runScript<T>(request: ReadRequest, name: string, tables: readonly ExpectedTable[]): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'firn-interop-job-'))
  try {
    const [job, result] = [join(folder, 'job.json'), join(folder, 'result.json')]
    await writeFile(job, JSON.stringify(jobOf(request, tables, folder)))
    const script = fileURLToPath(new URL(`./${name}.py`, import.meta.url))
    const child = spawn(request.engines.python, [script, job, result], {
      cwd: folder,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', SPARK_LOCAL_IP: '127.0.0.1', TZ: 'UTC' },
      stdio: ['ignore', 'inherit', 'pipe'],
    })
    let log = ''
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-20_000)
    })
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    if (code !== 0) throw new Error(`${name} failed (${code ?? signal}):\n${log}`)
    return JSON.parse(await readFile(result, 'utf8')) as T
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A hundred queries over a few rows each: what takes time is starting them, and compiling what then runs once. */
export const SPARK_FOR_SMALL_TABLES: Readonly<Record<string, string>> = {
  'spark.driver.extraJavaOptions': '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC',
  'spark.sql.codegen.wholeStage': 'false',
  'spark.sql.codegen.factoryMode': 'NO_CODEGEN',
  'spark.sql.shuffle.partitions': '1',
  'spark.sql.adaptive.enabled': 'false',
}

function jobOf(
  { engines, warehouse, s3, rest }: ReadRequest,
  tables: readonly ExpectedTable[],
  folder: string,
): object {
  return {
    warehouse,
    ...(rest === undefined ? {} : { rest }),
    tables: tables.map(({ name, folder, columns, key, filters, snapshots, refs = [] }) => ({
      name,
      folder,
      columns,
      key,
      // a snapshot shows the columns that were there when it was made
      snapshot_columns: Object.fromEntries(snapshots.map((each) => [each.id, each.columns ?? columns])),
      refs: refs.map((ref) => ({ name: ref.name, type: ref.type, columns: ref.columns, now_columns: ref.nowColumns })),
      // what must come out stays here
      filters: filters.map(({ keys: _keys, without: _without, ...filter }) => filter),
    })),
    ...(s3 === undefined ? {} : { pyiceberg: pyicebergProperties(s3), duckdb: duckdbStatements(s3) }),
    spark: {
      'spark.jars': engines.icebergJar,
      'spark.ui.enabled': 'false',
      'spark.ui.showConsoleProgress': 'false',
      'spark.driver.host': '127.0.0.1',
      'spark.driver.bindAddress': '127.0.0.1',
      'spark.sql.session.timeZone': 'UTC',
      ...SPARK_FOR_SMALL_TABLES,
      'spark.sql.warehouse.dir': join(folder, 'spark-warehouse'),
      'spark.sql.extensions': 'org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions',
      'spark.sql.catalog.firn': 'org.apache.iceberg.spark.SparkCatalog',
      'spark.sql.catalog.firn.type': 'hadoop',
      'spark.sql.catalog.firn.warehouse': warehouse,
    },
  }
}

const pyicebergProperties = (s3: S3Access): Record<string, string> => ({
  's3.endpoint': s3.endpoint,
  's3.region': s3.region,
  's3.access-key-id': s3.accessKeyId,
  's3.secret-access-key': s3.secretAccessKey,
})

const duckdbStatements = (s3: S3Access): readonly string[] => [
  `CREATE SECRET (TYPE s3, PROVIDER config, KEY_ID '${s3.accessKeyId}', SECRET '${s3.secretAccessKey}',` +
    ` REGION '${s3.region}', ENDPOINT '${new URL(s3.endpoint).host}', URL_STYLE 'path', USE_SSL false)`,
]

function compare(engine: EngineName, table: ExpectedTable, found: FoundTable): string[] {
  const { name, snapshots, filters } = table
  const ids = snapshots.map(({ id }) => id).sort()
  const foundIds = Object.keys(found.snapshots).sort()
  if (JSON.stringify(ids) !== JSON.stringify(foundIds)) return [`${name}: snapshots ${foundIds}, expected ${ids}`]
  const last = snapshots.at(-1)!
  const now: Wanted = { ...last, digests: table.now ?? last.digests, files: undefined }
  const differences = [...difference(engine, `${name} now`, now, found.current)]
  if (found.through_catalog !== undefined) {
    differences.push(...difference(engine, `${name} by catalog`, now, found.through_catalog))
  }
  for (const ref of table.refs ?? []) {
    const read = found.refs?.[ref.name]
    if (read === undefined) continue
    const digests = engine === 'spark' && ref.type === 'branch' ? ref.now : ref.digests
    differences.push(...difference(engine, `${name} at ${ref.type} ${ref.name}`, { digests, files: undefined }, read))
  }
  for (const snapshot of snapshots) {
    differences.push(...difference(engine, `${name} at ${snapshot.id}`, snapshot, found.snapshots[snapshot.id]!))
  }
  filters.forEach(({ column, op, literal, keys }, index) => {
    if (found.filters[index] !== keys) differences.push(`${name} where ${column} ${op} ${literal}: other rows`)
  })
  const { entries, snapshots: listed } = found.metadata_rows
  if (last.files !== undefined && entries !== last.files)
    differences.push(`${name}: ${entries} entries, expected ${last.files}`)
  if (listed !== snapshots.length) differences.push(`${name}: ${listed} snapshots listed`)
  return differences
}

type Wanted = Pick<ExpectedSnapshot, 'digests' | 'files' | 'averageWordCount'>

function* difference(engine: EngineName, where: string, wanted: Wanted, found: Found): Generator<string> {
  const { digests } = wanted
  const { count, sha256 } = engine === 'pyiceberg' ? (digests.pyiceberg ?? digests) : digests
  if (found.count !== count) yield `${where}: ${found.count} rows, expected ${count}`
  const wrong = Object.keys(sha256).filter((column) => found.sha256[column] !== sha256[column])
  if (wrong.length > 0) yield `${where}: other values in ${wrong.join(', ')}`
  if (found.files !== undefined && wanted.files !== undefined && found.files !== wanted.files) {
    yield `${where}: ${found.files} files, expected ${wanted.files}`
  }
  const { averageWordCount } = wanted
  if (averageWordCount === undefined) return
  const average = found.average_word_count
  if (average === undefined || Math.abs(average - averageWordCount) > 1e-9 * averageWordCount) {
    yield `${where}: average word count ${average}, expected ${averageWordCount}`
  }
}
