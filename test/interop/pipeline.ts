/**
 * The product's own pipeline, by its own commands: from files into a `file:` warehouse, and from a local Kinesis into
 * a local S3. Each lands and compacts twice, so that the table has two snapshots.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openKinesis } from '../../ingest/index.ts'
import { type Article, articleAt } from '../../jobs/demo/articles.ts'
import { feedArticles } from '../../jobs/demo/feed.ts'
import { kinesisLocalRegion, startKinesisLocal } from '../../jobs/demo/kinesis.ts'
import { type Clock, systemClock } from '../../table/clock.ts'
import { epochMillis } from '../../table/ids.ts'
import { currentSchema, openCatalog, openStore, type Table } from '../../table/index.ts'
import type { PrimitiveType } from '../../table/spec/types.ts'
import { type FirnOptions, firnJson } from '../firn-process.ts'
import { digestRows, type FlatColumn, type Row } from './digest.ts'
import type { S3Access } from './engines.ts'
import { type ExpectedSnapshot, type ExpectedTable, filtersOf, mustEqual, ownRows } from './expected.ts'

const TABLE = 'news.articles'
const STREAM = 'MyStream'
const SEED = 7
/** Articles a cycle. */
const RECORDS = 1_000
const NEWEST_MILLIS = Date.parse('2026-11-20T12:00:00Z')

/** Two cycles of `land --from` and `compact`. @param folder the warehouse goes there. */
export async function pipelineOverFiles(folder: string): Promise<{ url: string; tables: ExpectedTable[] }> {
  const inbox = join(folder, 'inbox')
  await mkdir(inbox, { recursive: true })
  const url = pathToFileURL(join(folder, 'warehouse')).href
  const firn: FirnOptions = { cwd: folder, warehouse: url }
  for (const cycle of [0, 1]) {
    const path = join(inbox, `articles-${cycle}.ndjson`)
    await writeFile(
      path,
      articlesOf(cycle)
        .map((article) => `${JSON.stringify(article)}\n`)
        .join(''),
    )
    await firnJson(['land', '--from', path], firn)
    await compactOnce(firn)
  }
  return { url, tables: [await expectedArticles(firn)] }
}

/** Two cycles of `run --once` on a stream, into a bucket. */
export async function pipelineOverS3(folder: string, warehouse: string, s3: S3Access): Promise<ExpectedTable[]> {
  const kinesis = await startKinesisLocal({ streams: { [STREAM]: 2 } })
  const client = openKinesis({ endpoint: kinesis.endpoint, region: kinesisLocalRegion })
  try {
    const firn: FirnOptions = {
      cwd: folder,
      warehouse,
      env: {
        AWS_REGION: s3.region,
        AWS_ACCESS_KEY_ID: s3.accessKeyId,
        AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
        AWS_ENDPOINT_URL_S3: s3.endpoint,
        AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
      },
    }
    // the articles' dates follow the clock: stand still, so that they are known
    const clock: Clock = { ...systemClock, nowMillis: () => epochMillis(NEWEST_MILLIS) }
    for (const cycle of [0, 1]) {
      const startIndex = cycle * RECORDS
      await feedArticles({ client, stream: STREAM, count: RECORDS, seed: SEED, startIndex, clock })
      await firnJson(['run', '--once', '--stream', STREAM, '--table', TABLE, '--dataset', 'articles'], firn)
    }
    return [await expectedArticles(firn, s3)]
  } finally {
    client.close()
    await kinesis.close()
  }
}

const articlesOf = (cycle: number): Article[] =>
  Array.from({ length: RECORDS }, (_, index) =>
    articleAt({ seed: SEED, index: cycle * RECORDS + index, newestMillis: NEWEST_MILLIS }),
  )

/** A second run finds nothing to do and makes no snapshot. */
async function compactOnce(firn: FirnOptions): Promise<void> {
  const first = await firnJson<{ rows_added: number }>(['compact', TABLE], firn)
  if (first.rows_added !== RECORDS) throw new Error(`compact added ${first.rows_added} rows, expected ${RECORDS}`)
  const again = await firnJson<{ snapshot_id: string | null }>(['compact', TABLE], firn)
  if (again.snapshot_id !== null) throw new Error('compact with nothing new made a snapshot')
}

/** Columns that follow from the articles alone, and their values by a definition that is not the product's. */
const KNOWN: readonly FlatColumn[] = [
  { name: 'article_id', type: 'string' },
  { name: 'title', type: 'string' },
  { name: 'author', type: 'string' },
  { name: 'publish_date', type: 'timestamptz' },
  { name: 'content', type: 'string' },
  { name: 'word_count', type: 'int' },
  { name: 'char_count', type: 'int' },
]

const knownRow = (article: Article): Row => ({
  article_id: article.article_id,
  title: article.title,
  author: article.author,
  publish_date: BigInt(Date.parse(article.publish_date)) * 1000n,
  content: article.content,
  word_count: article.content.split(/\p{White_Space}+/u).filter((word) => word !== '').length,
  char_count: [...article.content].length,
})

async function expectedArticles(firn: FirnOptions, s3?: S3Access): Promise<ExpectedTable> {
  const table = await openTable(firn.warehouse, s3)
  const columns = currentSchema(table.metadata).fields.map(
    ({ name, type }): FlatColumn => ({ name, type: type as PrimitiveType }),
  )
  const snapshots: ExpectedSnapshot[] = []
  const known: Row[] = []
  let rows: readonly Row[] = []
  for (const [cycle, { snapshotId }] of table.metadata.snapshots.entries()) {
    known.push(...articlesOf(cycle).map(knownRow))
    rows = (await ownRows(table.scan({ snapshotId }))) as Row[]
    mustEqual(`${TABLE} at ${snapshotId}`, KNOWN, rows, digestRows(KNOWN, known))
    const id = String(snapshotId)
    const averages = await firnJson<{ average_word_count: number }>(['averages', TABLE, '--snapshot', id], firn)
    const entries = await firnJson<readonly unknown[]>(['inspect', 'entries', TABLE, '--snapshot', id], firn)
    const averageWordCount = averages.average_word_count
    snapshots.push({ id, digests: digestRows(columns, rows), files: entries.length, averageWordCount })
  }
  if (snapshots.length !== 2) throw new Error(`${TABLE} has ${snapshots.length} snapshots, expected 2`)
  const key = columns.find(({ name }) => name === 'article_id')!
  const filtered = columns.filter(({ name }) => !['content', 'content_sha256'].includes(name))
  const filters = filtersOf({ columns: filtered, key, rows, byTime: true, literals: 4 })
  return { name: TABLE, folder: table.location, columns, key, snapshots, filters, without: [] }
}

async function openTable(warehouse: string, s3: S3Access | undefined): Promise<Table> {
  const endpoint = s3 === undefined ? {} : { s3: { endpoint: s3.endpoint, region: s3.region } }
  const store = openStore(warehouse, { clock: systemClock, ...endpoint })
  return await openCatalog(store, { clock: systemClock }).loadTable(TABLE)
}
