/** Tables by their files: the engines that need no catalog. */
import { comment, type ExportSubject, pathOrUrl, py, sql } from './subject.ts'

export function duckdb({ name, metadataLocation, endpoint, region }: ExportSubject): string {
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

export function pyiceberg({ name, metadataLocation, endpoint, region }: ExportSubject): string {
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

export function spark({ name, metadataLocation, location, endpoint, region }: ExportSubject): string {
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
