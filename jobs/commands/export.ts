/** `firn export <table> --for ENGINE`: the snippet that opens this table there. */
import { fileURLToPath } from 'node:url'
import { Command, Option } from 'commander'
import { FirnError } from '../../table/errors.ts'
import type { Config } from '../config.ts'
import type { CommandContext } from '../context.ts'

type Engine = 'duckdb' | 'spark' | 'pyiceberg'
const LATER = ['trino', 'athena'] as const

export interface ExportSubject {
  readonly name: string
  /** URL of the current metadata file. */
  readonly metadataLocation: string
  /** URL of the table's folder. */
  readonly location: string
  /** Only when the store is not AWS itself. */
  readonly endpoint: string | undefined
  readonly region: string | undefined
}

export function exportCommand(ctx: CommandContext): Command {
  return new Command('export')
    .description('print how to open this table in another engine')
    .argument('<table>', 'namespace.name, or the URL of a table')
    .addOption(new Option('--for <engine>', 'duckdb, spark or pyiceberg').makeOptionMandatory())
    .addHelpText('after', '\nExample:\n  $ firn export news.articles --for duckdb | duckdb')
    .action(async (name: string, flags: { readonly for: string }) => {
      const engine = engineOf(flags.for)
      const table = await ctx.openTable(name)
      const { metadataLocation, location } = table
      const text = snippet(engine, { name, metadataLocation, location, ...s3Of(ctx.config, metadataLocation) })
      const caution = cautionFor(location)
      // also for those who pipe the text into the engine, which does not show comments
      if (caution !== undefined) ctx.log.warn({ table: name, location }, caution)
      ctx.print({
        json: {
          schema: 'firn.export/1',
          table: name,
          engine,
          metadata_location: metadataLocation,
          caution: caution ?? null,
          snippet: text,
        },
        text,
      })
    })
}

function engineOf(text: string): Engine {
  if (text === 'duckdb' || text === 'spark' || text === 'pyiceberg') return text
  const later = (LATER as readonly string[]).includes(text)
  const why = later ? `there is no snippet for ${text} yet` : `${JSON.stringify(text)} is not an engine firn knows`
  throw new FirnError('invalid', 'FIRN_ENGINE_UNKNOWN', why, {
    help: 'use --for duckdb, spark or pyiceberg; any engine that reads Iceberg v2 can open the current metadata file',
  })
}

function s3Of(config: Config, url: string): Pick<ExportSubject, 'endpoint' | 'region'> {
  if (!url.startsWith('s3://')) return { endpoint: undefined, region: undefined }
  return { endpoint: config.s3.endpoint, region: config.s3.region }
}

/**
 * Why engines will not find the files of a table at `location`, or `undefined`. The URLs in its metadata are right, but
 * PyIceberg, DuckDB and Spark look for `a%23b` where `file:///a%23b` means `a#b`, and end an S3 path at `#` and `?`.
 */
export function cautionFor(location: string): string | undefined {
  const local = location.startsWith('file:')
  if (!(local ? /%[0-9a-f]{2}/i : /[?#]/).test(location)) return undefined
  const what = local ? 'a folder with %, ? or # in its name' : 'a prefix with ? or #'
  return `other engines cannot open this table: the warehouse is in ${what}; keep it elsewhere`
}

/** The text for one engine. Credentials are named, never printed: each engine takes them from the environment. */
export function snippet(engine: Engine, subject: ExportSubject): string {
  const caution = cautionFor(subject.location)
  const mark = engine === 'duckdb' ? '--' : '#'
  return (caution === undefined ? '' : `${mark} Caution: ${caution}\n`) + opening(engine, subject)
}

function opening(engine: Engine, subject: ExportSubject): string {
  switch (engine) {
    case 'duckdb':
      return duckdb(subject)
    case 'spark':
      return spark(subject)
    case 'pyiceberg':
      return pyiceberg(subject)
  }
}

function duckdb({ name, metadataLocation, endpoint, region }: ExportSubject): string {
  const s3 = metadataLocation.startsWith('s3://')
  const host = endpoint === undefined ? undefined : new URL(endpoint)
  const settings = [
    'TYPE s3',
    'PROVIDER credential_chain',
    ...(region === undefined ? [] : [`REGION ${sql(region)}`]),
    ...(host === undefined
      ? []
      : [`ENDPOINT ${sql(host.host)}`, "URL_STYLE 'path'", `USE_SSL ${host.protocol === 'https:'}`]),
  ]
  const setup = s3
    ? `INSTALL httpfs; LOAD httpfs;\nINSTALL aws; LOAD aws;\nCREATE OR REPLACE SECRET firn (${settings.join(', ')});\n`
    : ''
  return `-- DuckDB: ${comment(name)} at its current snapshot
INSTALL iceberg; LOAD iceberg;
INSTALL avro; LOAD avro;
${setup}SELECT * FROM iceberg_scan(${sql(pathOrUrl(metadataLocation))}) LIMIT 10;
`
}

function pyiceberg({ name, metadataLocation, endpoint, region }: ExportSubject): string {
  const properties = [
    ...(endpoint === undefined ? [] : [`"s3.endpoint": ${py(endpoint)}, "s3.force-virtual-addressing": "false"`]),
    ...(region === undefined ? [] : [`"s3.region": ${py(region)}`]),
  ]
  const second = properties.length === 0 ? '' : `, {${properties.join(', ')}}`
  return `# PyIceberg (pip install "pyiceberg[pyarrow]"): ${comment(name)} at its current snapshot
from pyiceberg.table import StaticTable

table = StaticTable.from_metadata(${py(metadataLocation)}${second})
print(table.scan(limit=10).to_arrow())
`
}

function spark({ name, metadataLocation, location, endpoint, region }: ExportSubject): string {
  const s3 = location.startsWith('s3://')
  const setting = (key: string, value: string): string => `    .config(${py(key)}, ${py(value)})\n`
  const packages = `org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0${s3 ? ',org.apache.hadoop:hadoop-aws:3.3.4' : ''}`
  const hadoop = !s3
    ? ''
    : setting('spark.hadoop.fs.s3.impl', 'org.apache.hadoop.fs.s3a.S3AFileSystem') +
      (endpoint === undefined
        ? ''
        : setting('spark.hadoop.fs.s3a.endpoint', endpoint) +
          setting('spark.hadoop.fs.s3a.path.style.access', 'true')) +
      (region === undefined ? '' : setting('spark.hadoop.fs.s3a.endpoint.region', region))
  return `# Spark 3.5 (pyspark): ${comment(name)}, always the newest snapshot of its folder
from pyspark.sql import SparkSession

spark = (
    SparkSession.builder
${setting('spark.jars.packages', packages)}${hadoop}    .getOrCreate()
)
spark.read.format("iceberg").load(${py(pathOrUrl(location))}).show(10)
# the state of this moment for good: .load(${py(pathOrUrl(metadataLocation))})
`
}

// DuckDB and Hadoop take a local table by its path.
const pathOrUrl = (url: string): string => (url.startsWith('file:') ? fileURLToPath(url) : url)
const sql = (text: string): string => `'${text.replaceAll("'", "''")}'`
const py = (text: string): string => JSON.stringify(text)
const comment = (text: string): string => text.replaceAll(/[\r\n]/g, ' ')
