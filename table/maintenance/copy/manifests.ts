/**
 * Manifest lists and manifests of a copy: the source's records with other paths. They are changed as Avro records, by
 * field id, so that all else that a foreign writer put there stays: unknown fields, its schema, its file metadata.
 */

import { FirnError } from '../../errors.ts'
import { type AvroRecord, type AvroSchema, readAvro, recordFields, writeAvro } from '../../format/avro.ts'
import { DELETE_PATH_ID } from '../../scan/delete-index.ts'
import type { RewrittenDeletes } from './deletes.ts'
import type { PathMap } from './paths.ts'

/** @param lengths of the new manifests, by the old path. */
export async function movedManifestList(
  bytes: Uint8Array,
  where: string,
  paths: PathMap,
  lengths: ReadonlyMap<string, number>,
): Promise<Uint8Array> {
  const file = await readAvro(bytes, where)
  const { path, length } = namesOf(file.schema, { path: 500, length: 501 }, where)
  const records = file.records.map((record) => {
    const old = String(record[path])
    return { ...record, [path]: paths.targetPath(old), [length]: BigInt(lengths.get(paths.sourceKey(old))!) }
  })
  return writeAvro(file.schema, headerOf(file.metadata), records)
}

/** @param deletes the position delete files as they are in the copy, by the key that they have in the source. */
export async function movedManifest(
  bytes: Uint8Array,
  where: string,
  paths: PathMap,
  deletes: ReadonlyMap<string, RewrittenDeletes>,
): Promise<Uint8Array> {
  const file = await readAvro(bytes, where)
  const { status, dataFile } = namesOf(file.schema, { status: 0, dataFile: 2 }, where)
  const schema = recordFields(file.schema).find(({ name }) => name === dataFile)!.type
  const move = fileMover(schema, where, paths, deletes)
  const records = file.records.map((record) => ({
    ...record,
    [dataFile]: move(record[dataFile] as AvroRecord, record[status] === DELETED),
  }))
  return writeAvro(file.schema, headerOf(file.metadata), records)
}

const DELETED = 2
const POSITION_DELETES = 1

function fileMover(
  schema: AvroSchema,
  where: string,
  paths: PathMap,
  deletes: ReadonlyMap<string, RewrittenDeletes>,
): (file: AvroRecord, isDeleted: boolean) => AvroRecord {
  const { path, size } = namesOf(schema, { path: 100, size: 104 }, where)
  const names = new Map(recordFields(schema).map((field) => [field['field-id'], field.name]))
  const content = names.get(134)
  const referenced = names.get(143)
  return (file, isDeleted) => {
    const old = String(file[path])
    const moved: Record<string, unknown> = { ...file, [path]: paths.targetPath(old) }
    if (referenced !== undefined && typeof file[referenced] === 'string') {
      moved[referenced] = paths.targetPath(file[referenced])
    }
    if (content === undefined || Number(file[content]) !== POSITION_DELETES) return moved
    const rewritten = isDeleted ? undefined : deletes.get(paths.sourceKey(old))
    moveBounds(moved, schema, names, rewritten)
    if (rewritten === undefined) return moved
    moved[size] = BigInt(rewritten.sizeBytes)
    const sizes = names.get(108)
    if (sizes !== undefined && moved[sizes] !== null) moved[sizes] = columnSizes(typeOf(schema, 108), rewritten)
    const offsets = names.get(132)
    if (offsets !== undefined && moved[offsets] !== null) moved[offsets] = rewritten.splitOffsets.map(BigInt)
    return moved
  }
}

/** Bounds of the paths inside; those of a file that is not copied are left out. */
function moveBounds(
  moved: Record<string, unknown>,
  schema: AvroSchema,
  names: ReadonlyMap<number | undefined, string>,
  rewritten: RewrittenDeletes | undefined,
): void {
  for (const [id, bound] of [
    [125, rewritten?.lowerPath],
    [128, rewritten?.upperPath],
  ] as const) {
    const name = names.get(id)
    const entries = name === undefined ? null : (moved[name] as readonly AvroRecord[] | null)
    if (name === undefined || entries === null) continue
    const [key, value] = pairNames(typeOf(schema, id))
    moved[name] = entries.flatMap((entry) => {
      if (Number(entry[key]) !== DELETE_PATH_ID) return [entry]
      return bound === undefined ? [] : [{ ...entry, [value]: Buffer.from(bound, 'utf8') }]
    })
  }
}

function columnSizes(schema: AvroSchema, rewritten: RewrittenDeletes): readonly AvroRecord[] {
  const [key, value] = pairNames(schema)
  return [...rewritten.columnSizes].map(([id, bytes]) => ({ [key]: id, [value]: BigInt(bytes) }))
}

const typeOf = (schema: AvroSchema, id: number): AvroSchema =>
  recordFields(schema).find((field) => field['field-id'] === id)!.type

/** Names of key and value in the records that Iceberg writes a map with integer keys as. */
function pairNames(schema: AvroSchema): readonly [string, string] {
  const array = Array.isArray(schema) ? (schema as readonly AvroSchema[]).find((branch) => branch !== 'null') : schema
  const fields = recordFields((array as { readonly items?: AvroSchema }).items ?? 'null')
  return [fields[0]?.name ?? 'key', fields[1]?.name ?? 'value']
}

function namesOf<K extends string>(
  schema: AvroSchema,
  ids: Readonly<Record<K, number>>,
  where: string,
): Readonly<Record<K, string>> {
  const fields = recordFields(schema)
  const named = Object.entries<number>(ids).map(([key, id]) => {
    const name = fields.find((field) => field['field-id'] === id)?.name
    if (name !== undefined) return [key, name] as const
    throw new FirnError('corrupt', 'FIRN_AVRO_CORRUPT', `${where}: its schema has no field with the id ${id}`)
  })
  return Object.fromEntries(named) as Record<K, string>
}

/** The writer compresses in its own way, whatever the source was compressed with. */
const headerOf = (metadata: ReadonlyMap<string, string>): Readonly<Record<string, string>> =>
  Object.fromEntries([...metadata].filter(([key]) => key !== 'avro.codec'))
