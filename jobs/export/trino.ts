/** Trino: a table of its own metastore is registered at one metadata file; a REST catalog is shared. */
import {
  comment,
  type ExportSubject,
  firstQuestion,
  namesOf,
  quoted,
  type RestAccess,
  SECRET_VARIABLES,
  sql,
} from './subject.ts'

export const trino = (subject: ExportSubject): string =>
  subject.rest === undefined ? registered(subject) : throughRest(subject, subject.rest)

function registered(subject: ExportSubject): string {
  const { name, location, metadataLocation } = subject
  const { namespace, table } = namesOf(subject)
  const schema = `iceberg.${quoted(namespace)}`
  const inFolder = metadataLocation.startsWith(`${location}/metadata/`)
  const file = inFolder ? `, ${sql(metadataLocation.slice(location.length + '/metadata/'.length))}` : ''
  return `-- Trino: ${comment(name)} at its current snapshot. The catalog "iceberg" needs
-- iceberg.register-table-procedure.enabled=true. Only read it there: what Trino commits is not seen here.
CREATE SCHEMA IF NOT EXISTS ${schema};
CALL iceberg.system.register_table(${sql(namespace)}, ${sql(table)}, ${sql(location)}${file});
SELECT ${firstQuestion(subject)} FROM ${schema}.${quoted(table)};
-- for a newer snapshot, before the two lines above:
-- CALL iceberg.system.unregister_table(${sql(namespace)}, ${sql(table)});
`
}

function throughRest(subject: ExportSubject, rest: RestAccess): string {
  const { namespace, table } = namesOf(subject)
  const properties = [
    'connector.name=iceberg',
    'iceberg.catalog.type=rest',
    `iceberg.rest-catalog.uri=${rest.uri}`,
    ...optional('iceberg.rest-catalog.warehouse', rest.warehouse),
    ...optional('iceberg.rest-catalog.prefix', rest.prefix),
    ...(namespace.includes('.') ? ['iceberg.rest-catalog.nested-namespace-enabled=true'] : []),
    ...security(rest),
    ...(subject.location.startsWith('s3') ? ['fs.native-s3.enabled=true'] : []),
    ...optional('s3.endpoint', subject.endpoint),
    ...(subject.endpoint === undefined ? [] : ['s3.path-style-access=true']),
    ...optional('s3.region', subject.region),
  ]
  return `-- Trino: ${comment(subject.name)} through its REST catalog, to read and to write.
-- etc/catalog/lake.properties:
${properties.map((line) => `--   ${comment(line)}\n`).join('')}SELECT ${firstQuestion(subject)} FROM lake.${quoted(namespace)}.${quoted(table)};
`
}

function security({ auth, scope, oauth2ServerUri, signingName, signingRegion }: RestAccess): readonly string[] {
  switch (auth) {
    case 'none':
      return []
    case 'token':
      return [
        'iceberg.rest-catalog.security=OAUTH2',
        `iceberg.rest-catalog.oauth2.token=\${ENV:${SECRET_VARIABLES.token}}`,
      ]
    case 'credential':
      return [
        'iceberg.rest-catalog.security=OAUTH2',
        `iceberg.rest-catalog.oauth2.credential=\${ENV:${SECRET_VARIABLES.credential}}`,
        ...optional('iceberg.rest-catalog.oauth2.scope', scope),
        ...optional('iceberg.rest-catalog.oauth2.server-uri', oauth2ServerUri),
      ]
    case 'sigv4':
      return [
        'iceberg.rest-catalog.security=SIGV4',
        ...optional('iceberg.rest-catalog.signing-name', signingName),
        ...optional('s3.region', signingRegion),
        'iceberg.rest-catalog.view-endpoints-enabled=false',
      ]
  }
}

const optional = (key: string, value: string | undefined): readonly string[] =>
  value === undefined ? [] : [`${key}=${value}`]
