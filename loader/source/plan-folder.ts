/** The plan of a folder of plain Parquet files, from its listing and the footers of all of them. */
import { createHash } from 'node:crypto'
import { FirnError } from '../../table/errors.ts'
import {
  arrowSchema,
  compareStrings,
  describeParquetFile,
  type IcebergType,
  isPrimitive,
  type NestedField,
  nameMappingFor,
  type ObjectInfo,
  type ObjectStore,
  type ParquetDescription,
  prefetch,
  printSchema,
  printWhere,
  projectSchema,
  type Schema,
} from '../../table/index.ts'
import type { ResolvedOptions } from '../options.ts'
import { leavesRead, readColumns } from './columns.ts'
import { type CutFile, cutUnits } from './cut-units.ts'
import type { FileRef, LoaderPlan } from './plan.ts'
import { planHash } from './plan-hash.ts'
import { expressionOf, type PlanContext, sharedSetup } from './plan-table.ts'
import { checkSplit } from './split.ts'

/** Footers read at once. */
const FOOTER_DEPTH = 16

/**
 * Files that end in `.parquet`, at any depth, but for names that begin with `_` or `.`. The first one in path order
 * says which columns there are; the others have the same.
 * @param store rooted at the folder.
 * @throws {FirnError} `FIRN_FOLDER_EMPTY` (not-found): no such file; `FIRN_FOLDER_MIXED` (invalid): a file with other
 *   columns; `FIRN_PARQUET_CORRUPT` (corrupt); `FIRN_STORE_UNAVAILABLE`; as `planTable` for columns, filter and split.
 */
export async function planFolder(
  store: ObjectStore,
  options: ResolvedOptions,
  { storeOptions, signal }: PlanContext,
): Promise<LoaderPlan> {
  const listed = await listFiles(store, signal)
  const described = await describe(store, listed, signal)
  const schema: Schema = { schemaId: 0, fields: described[0]!.fields, identifierFieldIds: [] }
  const projected = projectSchema(schema, readColumns(options, schema))
  const arrow = arrowSchema(projected)
  const { split, filter } = options
  if (split !== undefined) checkSplit(split, schema)
  const where = expressionOf(filter, schema)
  const nameMapping = described[0]!.hasIds ? undefined : nameMappingFor(schema.fields)
  const files = listed.map(
    ({ key, sizeBytes, etag }, index): FileRef => ({
      filePath: `${store.url}/${key}`,
      fileFormat: 'PARQUET',
      fileSizeBytes: sizeBytes,
      recordCount: described[index]!.rowCount,
      partition: [],
      deletes: [],
      etag,
      ...(nameMapping === undefined ? {} : { nameMapping }),
    }),
  )
  const cut = files.map((ref, index): CutFile => {
    const { rowGroups } = described[index]!
    return { ref, splitOffsets: rowGroups.map(({ offset }) => offset), rowGroups }
  })
  const { units } = await cutUnits(cut, { store, location: store.url, schema, signal })
  const origin = {
    name: store.url,
    filesSkipped: 0,
    filter: where === undefined ? undefined : printWhere(where, schema),
    split,
    footersRead: files.length,
    fileBytes: listed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    columnBytes: columnBytesOf(described, leavesRead(schema, projected, where, split)),
    deleteFiles: 0,
  }
  const readable = { ...schema, fields: schema.fields.filter(({ type }) => isReadable(type)) }
  const read = {
    storeUrl: store.url,
    storeOptions,
    location: store.url,
    schema: printSchema(readable),
    columns: projected.fields.map(({ name }) => name),
    ...(where === undefined ? {} : { where }),
    ...(split === undefined ? {} : { split }),
    ...sharedSetup(options),
  }
  const rows = files.reduce((sum, { recordCount }) => sum + recordCount, 0)
  const rowCount = where === undefined && split === undefined ? rows : undefined
  const { tableUuid, snapshotId } = identityOf(listed)
  const hash = planHash({ tableUuid, files, units, filter: origin.filter, split }, options)
  return { tableUuid, snapshotId, files, units, hash, rowCount, read, schema: projected, arrow, origin }
}

/** Files without field ids do not tell columns apart here: then all of them count. */
function columnBytesOf(files: readonly ParquetDescription[], leaves: ReadonlySet<number>): number {
  let bytes = 0
  for (const { columnSizes, compressedBytes } of files.flatMap(({ rowGroups }) => rowGroups)) {
    if (columnSizes.size === 0) bytes += compressedBytes
    for (const [id, size] of columnSizes) if (leaves.has(id)) bytes += size
  }
  return bytes
}

async function listFiles(store: ObjectStore, signal: AbortSignal | undefined): Promise<readonly ObjectInfo[]> {
  const files: ObjectInfo[] = []
  for await (const info of store.list('', { signal })) {
    const hidden = info.key.split('/').some((part) => part.startsWith('_') || part.startsWith('.'))
    if (!hidden && info.key.toLowerCase().endsWith('.parquet')) files.push(info)
  }
  if (files.length > 0) return files.sort((a, b) => compareStrings(a.key, b.key))
  throw new FirnError('not-found', 'FIRN_FOLDER_EMPTY', `folder ${store.url} has no Parquet file`, {
    detail: { folder: store.url },
    help: 'Name the folder above files that end in .parquet; names that begin with _ or . are left out.',
  })
}

async function describe(
  store: ObjectStore,
  files: readonly ObjectInfo[],
  signal: AbortSignal | undefined,
): Promise<readonly ParquetDescription[]> {
  const read = ({ key, sizeBytes }: ObjectInfo, abort: AbortSignal): Promise<ParquetDescription> =>
    describeParquetFile(store, key, sizeBytes, { signal: abort })
  const described: ParquetDescription[] = []
  for await (const each of prefetch(files, read, { depth: FOOTER_DEPTH, signal })) {
    const first = described[0]
    const difference = first === undefined ? undefined : differenceOf(first, each)
    if (difference !== undefined) {
      const message = `folder ${store.url}: ${files[described.length]!.key} ${difference}, other than ${files[0]!.key}`
      throw new FirnError('invalid', 'FIRN_FOLDER_MIXED', message, {
        detail: { folder: store.url, file: files[described.length]!.key },
        help: 'Put files with other columns into folders of their own, or make a table of them.',
      })
    }
    described.push(each)
  }
  return described
}

function differenceOf(first: ParquetDescription, other: ParquetDescription): string | undefined {
  if (first.hasIds !== other.hasIds) return other.hasIds ? 'carries field ids' : 'carries no field ids'
  const columns = new Map(other.fields.map((field) => [field.name, field]))
  for (const { name, ...field } of first.fields) {
    const same = columns.get(name)
    if (same === undefined) return `has no column ${name}`
    if (shapeOf(field.type, first.hasIds) !== shapeOf(same.type, first.hasIds)) return `has another type for ${name}`
    if (first.hasIds && field.id !== same.id) return `has another field id for ${name}`
  }
  const known = new Set(first.fields.map(({ name }) => name))
  const more = other.fields.find(({ name }) => !known.has(name))
  return more === undefined ? undefined : `has the column ${more.name}`
}

/** Without the ids, where they only number the columns. Members of structs go by name: their order is free. */
function shapeOf(type: IcebergType, withIds: boolean): string {
  if (isPrimitive(type)) return type
  const part = (id: number, inner: IcebergType): string => `${withIds ? id : ''}${shapeOf(inner, withIds)}`
  switch (type.type) {
    case 'struct': {
      const members = type.fields.map(
        ({ id, name, type: inner }: NestedField) => `${JSON.stringify(name)}:${part(id, inner)}`,
      )
      return `struct<${members.sort().join()}>`
    }
    case 'list':
      return `list<${part(type.elementId, type.element)}>`
    case 'map':
      return `map<${part(type.keyId, type.key)},${part(type.valueId, type.value)}>`
    case 'unsupported':
      return `unsupported<${type.name}>`
  }
}

function isReadable(type: IcebergType): boolean {
  if (isPrimitive(type)) return true
  switch (type.type) {
    case 'struct':
      return type.fields.every((field) => isReadable(field.type))
    case 'list':
      return isReadable(type.element)
    case 'map':
      return isReadable(type.key) && isReadable(type.value)
    case 'unsupported':
      return false
  }
}

/** Of the names, sizes and ETags: a file that was written anew makes another folder of it, which tokens refuse. */
function identityOf(files: readonly ObjectInfo[]): { readonly tableUuid: string; readonly snapshotId: bigint } {
  const hash = createHash('sha256')
  for (const { key, sizeBytes, etag } of files) hash.update(`${JSON.stringify([key, sizeBytes, etag])}\n`)
  const digest = hash.digest()
  const hex = digest.toString('hex')
  const tableUuid = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  )
  return { tableUuid, snapshotId: digest.readBigUInt64BE(16) & 0x7fff_ffff_ffff_ffffn }
}
