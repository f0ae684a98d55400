/**
 * Straight sequential decode of the same files, batches of 64 rows with title and content as strings, in a process of
 * its own: `node peers.ts parquet-wasm|hyparquet|duckdb <folder of files> time|digest`. Each in the way that suits it
 * best: parquet-wasm by row group through Arrow, hyparquet with Node's native zstd, DuckDB by its streaming result.
 */
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { tableFromIPC, type Utf8, type Vector } from 'apache-arrow'
import { type FileMetaData, parquetMetadataAsync, parquetRead } from 'hyparquet'
import { quoted } from '../sql.ts'
import { addRow, emptyDigest } from './digest.ts'

const BATCH = 64

export interface PeerReport {
  readonly rows: number
  readonly bytes: number
  readonly sum: number
  readonly firstBatchMillis: number
  readonly millis: number
}

interface Rows {
  readonly length: number
  title(row: number): string
  content(row: number): string
}

/** Whole files are read first: the peers get the bytes for free, as from a warm cache. */
async function filesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).sort().map((name) => join(folder, name))
}

async function* byParquetWasm(folder: string): AsyncGenerator<Rows> {
  const parquet = createRequire(import.meta.url)('parquet-wasm/node') as typeof import('parquet-wasm')
  for (const path of await filesOf(folder)) {
    const bytes = await readFile(path)
    const groups = (await metadataOf(bytes)).row_groups.length
    for (let group = 0; group < groups; group++) {
      const read = parquet.readParquet(bytes, { rowGroups: [group], columns: ['title', 'content'] })
      for (const batch of tableFromIPC(read.intoIPCStream()).batches) {
        const column = (name: string): Vector<Utf8> => batch.getChild(name) as Vector<Utf8>
        const [titles, contents] = [column('title'), column('content')]
        yield { length: batch.numRows, title: (row) => titles.get(row)!, content: (row) => contents.get(row)! }
      }
    }
  }
}

const bufferOf = (bytes: Buffer): { byteLength: number; slice(start: number, end?: number): ArrayBuffer } => ({
  byteLength: bytes.length,
  slice: (start, end) =>
    bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + (end ?? bytes.length)) as ArrayBuffer,
})

const metadataOf = (bytes: Buffer): Promise<FileMetaData> => parquetMetadataAsync(bufferOf(bytes))

async function* byHyparquet(folder: string): AsyncGenerator<Rows> {
  for (const path of await filesOf(folder)) {
    const bytes = await readFile(path)
    const metadata = await metadataOf(bytes)
    let start = 0
    for (const group of metadata.row_groups) {
      const rows = Number(group.num_rows)
      const columns: Record<string, string[]> = { title: new Array(rows), content: new Array(rows) }
      const first = start
      await parquetRead({
        file: bufferOf(bytes),
        metadata,
        columns: ['title', 'content'],
        rowStart: first,
        rowEnd: first + rows,
        compressors: { ZSTD: (input, length) => zstdDecompressSync(input, { chunkSize: Math.max(64, length + 64) }) },
        onChunk: ({ columnName, columnData, rowStart }) => {
          const column = columns[columnName]!
          for (let row = 0; row < columnData.length; row++) column[rowStart - first + row] = columnData[row] as string
        },
      })
      start += rows
      yield { length: rows, title: (row) => columns['title']![row]!, content: (row) => columns['content']![row]! }
    }
  }
}

async function* byDuckdb(folder: string): AsyncGenerator<Rows> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const list = (await filesOf(folder)).map(quoted).join(', ')
  const result = await connection.stream(
    `SELECT title, content FROM read_parquet([${list}], hive_partitioning = false)`,
  )
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    const [titles, contents] = chunk.getColumns() as [string[], string[]]
    yield { length: chunk.rowCount, title: (row) => titles[row]!, content: (row) => contents[row]! }
  }
  connection.closeSync()
}

const PEERS = { 'parquet-wasm': byParquetWasm, hyparquet: byHyparquet, duckdb: byDuckdb } as const

async function run(peer: keyof typeof PEERS, folder: string, digesting: boolean): Promise<PeerReport> {
  const digest = emptyDigest()
  const started = performance.now()
  let firstBatchMillis = 0
  let batch: { titles: string[]; contents: string[] } = { titles: [], contents: [] }
  const deliver = (): void => {
    if (firstBatchMillis === 0) firstBatchMillis = performance.now() - started
    if (digesting) for (const [row, title] of batch.titles.entries()) addRow(digest, title, batch.contents[row]!)
    else digest.rows += batch.titles.length
    batch = { titles: [], contents: [] }
  }
  for await (const rows of PEERS[peer](folder)) {
    for (let row = 0; row < rows.length; row++) {
      batch.titles.push(rows.title(row))
      batch.contents.push(rows.content(row))
      if (batch.titles.length === BATCH) deliver()
    }
  }
  if (batch.titles.length > 0) deliver()
  return { ...digest, firstBatchMillis, millis: performance.now() - started }
}

const [peer, folder = '', mode] = process.argv.slice(2)
process.stdout.write(JSON.stringify(await run(peer as keyof typeof PEERS, folder, mode === 'digest')))
