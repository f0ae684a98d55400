/**
 * Lists and manifests that state the length of a damaged object as it is now. Without that, most damage is noticed by
 * the length, and nothing behind that check is ever tried.
 */
import { readAvro, writeAvro } from '../../table/format/avro.ts'
import type { FuzzTable } from './tables.ts'

type Record = { readonly [member: string]: unknown }

/** What has to be replaced beside `key` itself. */
export async function seal(
  { objects, targets }: FuzzTable,
  key: string,
  sizeBytes: number,
  rows?: number,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const changed = new Map<string, Uint8Array>()
  const rewrite = async (at: string, change: (record: Record) => Record): Promise<number | undefined> => {
    const before = changed.get(at) ?? objects.get(at)!
    const { schema, metadata, records } = await readAvro(before, at)
    const after = records.map(change)
    if (after.every((record, index) => record === records[index])) return undefined
    const rest = Object.fromEntries([...metadata].filter(([name]) => !name.startsWith('avro.')))
    const bytes = await writeAvro(schema, rest, after)
    changed.set(at, bytes)
    return bytes.length
  }
  const names = (path: unknown, named: string): boolean => typeof path === 'string' && path.endsWith(`/${named}`)
  const list = targets.find(({ kind }) => kind === 'list')!.key
  const sealManifest = (manifest: string, length: number): Promise<unknown> =>
    rewrite(list, (record) =>
      names(record['manifest_path'], manifest) ? { ...record, manifest_length: BigInt(length) } : record,
    )
  for (const target of targets) {
    if (target.kind !== 'manifest') continue
    if (target.key === key) await sealManifest(key, sizeBytes)
    const length = await rewrite(target.key, (record) => {
      const file = record['data_file'] as Record
      if (!names(file['file_path'], key)) return record
      const counted = rows === undefined ? {} : { record_count: BigInt(rows) }
      return { ...record, data_file: { ...file, ...counted, file_size_in_bytes: BigInt(sizeBytes) } }
    })
    if (length !== undefined) await sealManifest(target.key, length)
  }
  return changed
}
