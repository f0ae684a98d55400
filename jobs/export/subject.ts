/** What a snippet is made from, and how text becomes part of it. */
import { fileURLToPath } from 'node:url'
import type { IcebergType } from '../../table/index.ts'

export interface ExportSubject {
  readonly name: string
  /** URL of the current metadata file. */
  readonly metadataLocation: string
  /** URL of the table's folder. */
  readonly location: string
  /** Only when the store is not AWS itself. */
  readonly endpoint: string | undefined
  readonly region: string | undefined
  readonly columns: readonly ExportColumn[]
  /** The catalog that has the table; `undefined`: its own folder. */
  readonly rest?: RestAccess | undefined
}

export interface ExportColumn {
  readonly name: string
  readonly type: IcebergType
}

/** A REST catalog without its secrets. */
export interface RestAccess {
  readonly uri: string
  readonly warehouse: string | undefined
  readonly prefix: string | undefined
  readonly scope: string | undefined
  readonly oauth2ServerUri: string | undefined
  readonly auth: 'none' | 'token' | 'credential' | 'sigv4'
  readonly signingName: string | undefined
  readonly signingRegion: string | undefined
}

/** Where each engine takes the secret from: the same variables as we do. */
export const SECRET_VARIABLES = { token: 'FIRN_CATALOG_TOKEN', credential: 'FIRN_CATALOG_CREDENTIAL' } as const

// DuckDB and Hadoop take a local table by its path.
export const pathOrUrl = (url: string): string => {
  if (!url.startsWith('file:')) return url
  return fileURLToPath(url.replace(/^file:\/+/, 'file:///'))
}

export const sql = (text: string): string => `'${text.replaceAll("'", "''")}'`
/** A name in SQL. */
export const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`
export const py = (text: string): string => JSON.stringify(text)
export const comment = (text: string): string => text.replaceAll(/[\r\n]/g, ' ')
/** One word of a shell's command line. */
export const shell = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** `outer.inner` and `table` of the name, or of the last folders of a table that was opened by its location. */
export function namesOf({ name, location }: ExportSubject): { readonly namespace: string; readonly table: string } {
  const levels = /^[a-z0-9]+:\//i.test(name) ? location.split('/').filter(Boolean).slice(-2) : name.split('.')
  return { namespace: levels.slice(0, -1).join('.') || 'default', table: levels.at(-1) ?? 'table' }
}

/** What to ask a table first. */
export const firstQuestion = ({ columns }: ExportSubject): string =>
  columns.some(({ name }) => name === 'word_count') ? 'avg(word_count)' : 'count(*)'

/** The AWS service that a catalog's host name says, or `undefined`. */
export const signingService = (uri: string): string | undefined => /^(glue|s3tables)\./.exec(new URL(uri).hostname)?.[1]
