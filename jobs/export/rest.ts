/** Tables through their REST catalog: always the current snapshot, to read and to write. */
import {
  comment,
  type ExportSubject,
  namesOf,
  py,
  quoted,
  type RestAccess,
  SECRET_VARIABLES,
  signingService,
  sql,
} from './subject.ts'

export function pyicebergRest(subject: ExportSubject, rest: RestAccess): string {
  const { namespace, table } = namesOf(subject)
  const settings = javaSettings(rest).filter(([key]) => key !== 'type')
  const properties = [
    ...settings.map(([key, value]) => [key, py(value)] as const),
    ...secretOf(rest).map(([key, variable]) => [key, `os.environ[${py(variable)}]`] as const),
    ...s3Settings(subject).map(([key, value]) => [key, py(value)] as const),
  ]
  return `# PyIceberg (pip install "pyiceberg[pyarrow]"): ${comment(subject.name)} through its REST catalog
import os
from pyiceberg.catalog import load_catalog

catalog = load_catalog("lake", **{
    "type": "rest",
${properties.map(([key, value]) => `    ${py(key)}: ${value},\n`).join('')}})
table = catalog.load_table((${[...namespace.split('.'), table].map(py).join(', ')}))
print(table.scan(limit=10).to_arrow())
`
}

export function sparkRest(subject: ExportSubject, rest: RestAccess): string {
  const { namespace, table } = namesOf(subject)
  const packages = ['org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0']
  if (subject.location.startsWith('s3') || rest.auth === 'sigv4') {
    packages.push('org.apache.iceberg:iceberg-aws-bundle:1.10.0')
  }
  const prefix = 'spark.sql.catalog.lake'
  const plain: readonly (readonly [string, string])[] = [
    ['spark.jars.packages', packages.join(',')],
    ['spark.sql.extensions', 'org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions'],
    [prefix, 'org.apache.iceberg.spark.SparkCatalog'],
    ...[...javaSettings(rest), ...sparkS3Settings(subject)].map(([key, value]) => [`${prefix}.${key}`, value] as const),
  ]
  const lines = [
    ...plain.map(([key, value]) => `    .config(${py(key)}, ${py(value)})\n`),
    ...secretOf(rest).map(([key, variable]) => `    .config(${py(`${prefix}.${key}`)}, os.environ[${py(variable)}])\n`),
  ]
  const name = ['lake', ...namespace.split('.'), table].map((level) => `\`${level.replaceAll('`', '``')}\``).join('.')
  return `# Spark 3.5 (pyspark): ${comment(subject.name)} through its REST catalog
import os
from pyspark.sql import SparkSession

spark = (
    SparkSession.builder
${lines.join('')}    .getOrCreate()
)
spark.table(${py(name)}).show(10)
`
}

export function duckdbRest(subject: ExportSubject, rest: RestAccess): string {
  const { namespace, table } = namesOf(subject)
  const { auth, uri, warehouse = '', scope, oauth2ServerUri } = rest
  const variable = (name: string): string => `getenv(${sql(name)})`
  const credential = variable(SECRET_VARIABLES.credential)
  const attach = ['TYPE iceberg', ...duckdbEndpoint(rest)]
  const lines = ['INSTALL iceberg; LOAD iceberg;', 'INSTALL httpfs; LOAD httpfs;']
  if (auth === 'sigv4') {
    lines.push('INSTALL aws; LOAD aws;', 'CREATE OR REPLACE SECRET firn (TYPE s3, PROVIDER credential_chain);')
  } else if (auth === 'none') {
    attach.push("AUTHORIZATION_TYPE 'none'")
  } else {
    const secret =
      auth === 'token'
        ? [`TOKEN ${variable(SECRET_VARIABLES.token)}`]
        : [
            `CLIENT_ID split_part(${credential}, ':', 1)`,
            `CLIENT_SECRET split_part(${credential}, ':', 2)`,
            `OAUTH2_SERVER_URI ${sql(oauth2ServerUri ?? `${uri}/v1/oauth/tokens`)}`,
            ...(scope === undefined ? [] : [`OAUTH2_SCOPE ${sql(scope)}`]),
          ]
    lines.push(`CREATE OR REPLACE SECRET firn_catalog (TYPE iceberg, ${secret.join(', ')});`)
    attach.push('SECRET firn_catalog')
  }
  return `-- DuckDB: ${comment(subject.name)} through its REST catalog
${lines.join('\n')}
ATTACH ${sql(warehouse)} AS lake (${attach.join(', ')});
SELECT * FROM lake.${quoted(namespace)}.${quoted(table)} LIMIT 10;
`
}

/** DuckDB knows the two AWS catalogs by name, and wants a signed endpoint without its scheme. */
function duckdbEndpoint({ uri, auth, signingName }: RestAccess): readonly string[] {
  if (auth !== 'sigv4') return [`ENDPOINT ${sql(uri)}`]
  const service = signingName ?? signingService(uri)
  if (service === 'glue') return ["ENDPOINT_TYPE 'glue'"]
  if (service === 's3tables') return ["ENDPOINT_TYPE 's3_tables'"]
  return [`ENDPOINT ${sql(uri.replace(/^https?:\/\//, ''))}`, "AUTHORIZATION_TYPE 'sigv4'"]
}

/** As the Java library and PyIceberg name them. */
function javaSettings(rest: RestAccess): readonly (readonly [string, string])[] {
  const { uri, warehouse, prefix, scope, oauth2ServerUri, auth, signingName, signingRegion } = rest
  const all: readonly (readonly [string, string | undefined])[] = [
    ['type', 'rest'],
    ['uri', uri],
    ['warehouse', warehouse],
    ['prefix', prefix],
    ['scope', auth === 'credential' ? scope : undefined],
    ['oauth2-server-uri', auth === 'credential' ? oauth2ServerUri : undefined],
    ['rest.sigv4-enabled', auth === 'sigv4' ? 'true' : undefined],
    ['rest.signing-name', auth === 'sigv4' ? signingName : undefined],
    ['rest.signing-region', auth === 'sigv4' ? signingRegion : undefined],
  ]
  return all.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]))
}

const secretOf = ({ auth }: RestAccess): readonly (readonly [string, string])[] =>
  auth === 'token' || auth === 'credential' ? [[auth, SECRET_VARIABLES[auth]]] : []

const s3Settings = ({ endpoint, region }: ExportSubject): readonly (readonly [string, string])[] => [
  ...(endpoint === undefined ? [] : [['s3.endpoint', endpoint] as const]),
  ...(region === undefined ? [] : [['s3.region', region] as const]),
]

const sparkS3Settings = ({ endpoint, region }: ExportSubject): readonly (readonly [string, string])[] => [
  ...(endpoint === undefined ? [] : [['s3.endpoint', endpoint] as const, ['s3.path-style-access', 'true'] as const]),
  ...(region === undefined ? [] : [['client.region', region] as const]),
]
