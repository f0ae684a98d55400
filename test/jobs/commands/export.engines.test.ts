/** What is printed for engines that need a catalog, and for tables of a REST catalog. No secret is ever in it. */
import { describe, expect, test } from 'vitest'
import { glueType } from '../../../jobs/export/athena.ts'
import { ENGINES } from '../../../jobs/export/engines.ts'
import { cautionFor, snippet } from '../../../jobs/export/index.ts'
import type { ExportSubject, RestAccess } from '../../../jobs/export/subject.ts'

const subject = (more: Partial<ExportSubject> = {}): ExportSubject => ({
  name: 'news.articles',
  metadataLocation: 's3://lake/news/articles/metadata/v3.metadata.json',
  location: 's3://lake/news/articles',
  endpoint: undefined,
  region: 'eu-west-1',
  columns: [
    { name: 'id', type: 'string' },
    { name: 'word_count', type: 'int' },
    { name: 'At', type: 'timestamptz' },
  ],
  ...more,
})
const rest = (more: Partial<RestAccess> = {}): RestAccess => ({
  uri: 'https://catalog.example.com',
  warehouse: "w'1",
  prefix: undefined,
  scope: undefined,
  oauth2ServerUri: undefined,
  auth: 'none',
  signingName: undefined,
  signingRegion: undefined,
  ...more,
})
const withRest = (more: Partial<RestAccess> = {}): ExportSubject => subject({ rest: rest(more) })

describe('by the current metadata file', () => {
  test('trino registers the table at it', () => {
    const text = snippet('trino', subject())
    expect(text).toContain('CREATE SCHEMA IF NOT EXISTS iceberg."news";')
    expect(text).toContain(
      "CALL iceberg.system.register_table('news', 'articles', 's3://lake/news/articles', 'v3.metadata.json');",
    )
    expect(text).toContain('SELECT avg(word_count) FROM iceberg."news"."articles";')
  })

  test('athena is given a table of Glue that names it: a CREATE TABLE would start an empty one', () => {
    const text = snippet('athena', subject())
    const input = JSON.parse(/--table-input '(.*)'/.exec(text)![1]!)
    expect(input).toEqual({
      Name: 'articles',
      TableType: 'EXTERNAL_TABLE',
      Parameters: { table_type: 'ICEBERG', metadata_location: 's3://lake/news/articles/metadata/v3.metadata.json' },
      StorageDescriptor: {
        Location: 's3://lake/news/articles',
        Columns: [
          { Name: 'id', Type: 'string' },
          { Name: 'word_count', Type: 'int' },
          { Name: 'at', Type: 'timestamp' },
        ],
      },
    })
    expect(text).toContain("aws glue --region 'eu-west-1' create-table --database-name 'news'")
    expect(text).toContain('CREATE DATABASE IF NOT EXISTS `news`;')
    expect(text).toContain('SELECT avg(word_count) FROM "news"."articles";')
    expect(text).not.toMatch(/CREATE (EXTERNAL )?TABLE/)
  })

  test('a table without that column is counted', () => {
    const columns = [{ name: 'id', type: 'string' as const }]
    expect(snippet('trino', subject({ columns }))).toContain('SELECT count(*) FROM')
    expect(snippet('athena', subject({ columns }))).toContain('SELECT count(*) FROM')
  })

  test('a table that was opened by its location takes the names of its folders', () => {
    expect(snippet('trino', subject({ name: 's3://lake/news/articles' }))).toContain("('news', 'articles', ")
  })

  test('quotes in names stay inside of their strings', () => {
    const text = snippet(
      'athena',
      subject({ name: "n.it's", location: "s3://lake/it's", metadataLocation: "s3://lake/it's/metadata/x" }),
    )
    expect(text).toContain("s3://lake/it'\\''s/metadata/x")
    expect(snippet('trino', subject({ name: "n.it's" }))).toContain("'it''s'")
  })

  test('what these engines cannot reach is said', () => {
    const local = subject({ location: 'file:///w/news/articles' })
    expect(cautionFor('athena', local)).toMatch(/AWS S3 only/)
    expect(cautionFor('trino', local)).toMatch(/no file:/)
    expect(cautionFor('athena', subject({ endpoint: 'http://127.0.0.1:9000' }))).toMatch(/AWS S3 only/)
    expect(cautionFor('athena', subject())).toBeUndefined()
    expect(cautionFor('trino', subject({ endpoint: 'http://127.0.0.1:9000' }))).toBeUndefined()
  })

  test.each([
    ['long', 'bigint'],
    ['timestamptz', 'timestamp'],
    ['uuid', 'string'],
    ['fixed[4]', 'binary'],
    ['decimal(9, 2)', 'decimal(9,2)'],
    [{ type: 'list', elementId: 1, elementRequired: true, element: 'long' }, 'array<bigint>'],
    [
      {
        type: 'map',
        keyId: 1,
        key: 'string',
        valueId: 2,
        valueRequired: false,
        value: { type: 'struct', fields: [{ id: 3, name: 'a', required: true, type: 'time' }] },
      },
      'map<string,struct<a:string>>',
    ],
  ] as const)('%j is %s in Glue', (type, expected) => {
    expect(glueType(type)).toBe(expected)
  })
})

describe('through a REST catalog', () => {
  test('every engine that speaks its protocol is given its URI', () => {
    for (const engine of ['duckdb', 'spark', 'pyiceberg', 'trino'] as const) {
      const text = snippet(engine, withRest())
      expect(text).toContain('https://catalog.example.com')
      expect(text).not.toContain('v3.metadata.json')
    }
    expect(snippet('duckdb', withRest())).toContain(
      "ATTACH 'w''1' AS lake (TYPE iceberg, ENDPOINT 'https://catalog.example.com', AUTHORIZATION_TYPE 'none');",
    )
    expect(snippet('pyiceberg', withRest())).toContain('catalog.load_table(("news", "articles"))')
    expect(snippet('spark', withRest())).toContain('.config("spark.sql.catalog.lake.warehouse", "w\'1")')
  })

  test('athena knows the tables of Glue and of S3 Tables, and no other catalog', () => {
    const glue = withRest({ uri: 'https://glue.eu-west-1.amazonaws.com/iceberg', auth: 'sigv4' })
    expect(snippet('athena', glue)).toMatch(/^-- .*\nSELECT avg\(word_count\) FROM "news"\."articles";\n$/)
    const warehouse = 'arn:aws:s3tables:eu-west-1:1:bucket/b'
    const tables = withRest({ uri: 'https://s3tables.eu-west-1.amazonaws.com/iceberg', auth: 'sigv4', warehouse })
    expect(snippet('athena', tables)).toContain('FROM "s3tablescatalog/b"."news"."articles";')
    expect(snippet('duckdb', tables)).toContain(
      `ATTACH '${warehouse}' AS lake (TYPE iceberg, ENDPOINT_TYPE 's3_tables');`,
    )
    expect(snippet('athena', withRest())).toContain('aws glue')
  })

  test('a namespace of several levels', () => {
    const nested = { ...withRest(), name: 'a.b.t' }
    expect(snippet('trino', nested)).toContain('nested-namespace-enabled=true')
    expect(snippet('trino', nested)).toContain('lake."a.b"."t"')
    expect(snippet('spark', nested)).toContain('`lake`.`a`.`b`.`t`')
    expect(snippet('pyiceberg', nested)).toContain('("a", "b", "t")')
  })

  test.each(ENGINES)('%s takes secrets from the variables that we take them from', (engine) => {
    if (engine === 'athena') return
    expect(snippet(engine, withRest({ auth: 'token' }))).toContain('FIRN_CATALOG_TOKEN')
    expect(snippet(engine, withRest({ auth: 'credential' }))).toContain('FIRN_CATALOG_CREDENTIAL')
    expect(snippet(engine, withRest({ auth: 'sigv4', signingName: 'glue' }))).toMatch(/sigv4|glue/i)
  })
})
