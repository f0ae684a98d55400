/**
 * The peer: DuckDB doing the comparable part of a compaction, in a process of its own.
 * `node duckdb-compact.ts <articles.ndjson> <out.parquet>`
 *
 * The word count is by the same definition as ours, Unicode White_Space, spelt out as a character class: `\s` means
 * something else in every engine.
 */
import { DuckDBInstance } from '@duckdb/node-api'

const WHITE_SPACE =
  '\\t\\n\\x0B\\f\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}'
const [source, target] = process.argv.slice(2)

const instance = await DuckDBInstance.create(':memory:')
const connection = await instance.connect()
await connection.run(`SET TimeZone = 'UTC'`)
await connection.run(`
  COPY (
    SELECT *, len(regexp_extract_all(content, '[^${WHITE_SPACE}]+'))::INTEGER AS word_count
    FROM read_ndjson('${source}', columns = {
      article_id: 'VARCHAR', title: 'VARCHAR', author: 'VARCHAR', publish_date: 'TIMESTAMPTZ', content: 'VARCHAR'})
    ORDER BY publish_date NULLS FIRST, article_id
  ) TO '${target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)`)
connection.closeSync()
