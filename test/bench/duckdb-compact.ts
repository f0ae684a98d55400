/**
 * What DuckDB does beside `firn compact`, in a process of its own: the same NDJSON, count the words of each article,
 * sort, write zstd Parquet. `node duckdb-compact.ts <input> <output> unicode|spaces`
 */
import { DuckDBInstance } from '@duckdb/node-api'
import { quoted, WORD_COUNTS, type WordDefinition } from './sql.ts'

const [input, output, words] = process.argv.slice(2) as [string, string, WordDefinition]

const instance = await DuckDBInstance.create(':memory:')
const connection = await instance.connect()
await connection.run("SET TimeZone = 'UTC'")
const columns = `{article_id: 'VARCHAR', title: 'VARCHAR', author: 'VARCHAR', publish_date: 'TIMESTAMPTZ', content: 'VARCHAR'}`
await connection.run(`
  COPY (
    SELECT *, ${WORD_COUNTS[words]}::INTEGER AS word_count
    FROM read_json(${quoted(input)}, format = 'newline_delimited', columns = ${columns})
    ORDER BY publish_date, article_id
  ) TO ${quoted(output)} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)`)
connection.closeSync()
instance.closeSync()
