/**
 * Athena finds tables in the Glue data catalog. Its SQL cannot name an existing metadata file (a CREATE TABLE starts an
 * empty table in the same folder), so that part is a call to Glue.
 */
import { type IcebergType, isPrimitive } from '../../table/index.ts'
import {
  comment,
  type ExportColumn,
  type ExportSubject,
  firstQuestion,
  namesOf,
  quoted,
  shell,
  signingService,
} from './subject.ts'

export function athena(subject: ExportSubject): string {
  const { rest } = subject
  const service = rest?.auth === 'sigv4' ? (rest.signingName ?? signingService(rest.uri)) : undefined
  if (service === 'glue') return inGlue(subject)
  if (service === 's3tables') return inS3Tables(subject, rest?.warehouse ?? '')
  return registered(subject)
}

const question = (subject: ExportSubject, from: string): string => `SELECT ${firstQuestion(subject)} FROM ${from};\n`

function inGlue(subject: ExportSubject): string {
  const { namespace, table } = namesOf(subject)
  return `-- Athena: ${comment(subject.name)}, in the Glue data catalog already; always its current snapshot
${question(subject, `${quoted(namespace)}.${quoted(table)}`)}`
}

/** The bucket's catalog, once the integration of S3 Tables with AWS analytics services is on. */
function inS3Tables(subject: ExportSubject, warehouse: string): string {
  const { namespace, table } = namesOf(subject)
  const catalog = `s3tablescatalog/${warehouse.split('/').at(-1)}`
  return `-- Athena: ${comment(subject.name)} of the table bucket; always its current snapshot
${question(subject, `${quoted(catalog)}.${quoted(namespace)}.${quoted(table)}`)}`
}

function registered(subject: ExportSubject): string {
  const { name, location, metadataLocation, region } = subject
  const { namespace, table } = namesOf(subject)
  const database = namespace.toLowerCase()
  const input = JSON.stringify({
    Name: table.toLowerCase(),
    TableType: 'EXTERNAL_TABLE',
    Parameters: { table_type: 'ICEBERG', metadata_location: metadataLocation },
    StorageDescriptor: { Location: location, Columns: subject.columns.map(glueColumn) },
  })
  const aws = `aws glue${region === undefined ? '' : ` --region ${shell(region)}`}`
  const target = `--database-name ${shell(database)} --table-input ${shell(input)}`
  return `-- Athena: ${comment(name)} at its current snapshot. Only read it there: what Athena commits is not seen here.
-- 1. in Athena:
CREATE DATABASE IF NOT EXISTS \`${database.replaceAll('`', '``')}\`;
-- 2. in a shell, the table as it is now; for a newer snapshot the same with update-table instead of create-table:
/*
${aws} create-table ${target.replaceAll('*/', '*\\u002f')}
*/
-- 3. in Athena:
${question(subject, `${quoted(database)}.${quoted(table.toLowerCase())}`)}`
}

const glueColumn = ({ name, type }: ExportColumn): Readonly<Record<string, string>> => ({
  Name: name.toLowerCase(),
  Type: glueType(type),
})

/** Types as Glue names them. Only for people and tools that list tables: Athena reads the metadata file. */
export function glueType(type: IcebergType): string {
  if (isPrimitive(type)) {
    if (type === 'long') return 'bigint'
    if (type === 'timestamptz') return 'timestamp'
    if (type === 'time' || type === 'uuid') return 'string'
    if (type.startsWith('fixed')) return 'binary'
    return type.replaceAll(' ', '')
  }
  switch (type.type) {
    case 'struct':
      return `struct<${type.fields.map((field) => `${field.name}:${glueType(field.type)}`).join(',')}>`
    case 'list':
      return `array<${glueType(type.element)}>`
    case 'map':
      return `map<${glueType(type.key)},${glueType(type.value)}>`
    default:
      return 'string'
  }
}
