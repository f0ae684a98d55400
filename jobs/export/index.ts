/** The text that opens a table in one engine. Credentials are named, never printed. */
import { athena } from './athena.ts'
import type { Engine } from './engines.ts'
import { duckdb, pyiceberg, spark } from './files.ts'
import { duckdbRest, pyicebergRest, sparkRest } from './rest.ts'
import type { ExportSubject } from './subject.ts'
import { trino } from './trino.ts'

/**
 * Why the engine will not find the files of a table, or `undefined`. The URLs in its metadata are right, but PyIceberg,
 * DuckDB and Spark look for `a%23b` where `file:///a%23b` means `a#b`, and end an S3 path at `#` and `?`.
 */
export function cautionFor(engine: Engine, { location, endpoint }: ExportSubject): string | undefined {
  const local = location.startsWith('file:')
  if (engine === 'athena' && (local || endpoint !== undefined)) {
    return 'Athena cannot open this table: it reads AWS S3 only'
  }
  if (engine === 'trino' && local) return 'Trino cannot open this table: it reads no file:// locations'
  if (!(local ? /%[0-9a-f]{2}/i : /[?#]/).test(location)) return undefined
  const what = local ? 'a folder with %, ? or # in its name' : 'a prefix with ? or #'
  return `other engines cannot open this table: the warehouse is in ${what}; keep it elsewhere`
}

export function snippet(engine: Engine, subject: ExportSubject): string {
  const caution = cautionFor(engine, subject)
  const mark = engine === 'spark' || engine === 'pyiceberg' ? '#' : '--'
  return (caution === undefined ? '' : `${mark} Caution: ${caution}\n`) + opening(engine, subject)
}

function opening(engine: Engine, subject: ExportSubject): string {
  const { rest } = subject
  switch (engine) {
    case 'duckdb':
      return rest === undefined ? duckdb(subject) : duckdbRest(subject, rest)
    case 'spark':
      return rest === undefined ? spark(subject) : sparkRest(subject, rest)
    case 'pyiceberg':
      return rest === undefined ? pyiceberg(subject) : pyicebergRest(subject, rest)
    case 'trino':
      return trino(subject)
    case 'athena':
      return athena(subject)
  }
}
