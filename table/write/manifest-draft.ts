/**
 * Manifests written before the try that commits them. A try only fills in its sequence number, so that the same file
 * serves every try. Spec: "Sequence Number Inheritance".
 */
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions, ObjectStore } from '../io/object-store.ts'
import { writeManifest } from '../manifest/manifest.ts'
import type { ManifestEntry } from '../manifest/manifest-entry.ts'
import { describeManifest, type ManifestFile } from '../manifest/manifest-list.ts'
import { keyOfPath } from '../spec/location.ts'
import { currentSchema, schemaForSpec, specById, type TableMetadata } from '../spec/metadata.ts'

/** Entries of one new manifest; about 8 MB with the statistics of 15 columns. */
const MAX_ENTRIES = 10_000

/** The list entry of a manifest of ours, with the sequence number still open. */
export interface ManifestDraft {
  readonly manifest: ManifestFile
}

export interface DraftWriter {
  /**
   * Write `entries`, all of one spec and one content, as one manifest.
   * @throws {FirnError} as `writeManifest`; `FIRN_STORE_UNAVAILABLE`.
   */
  write(
    metadata: TableMetadata,
    specId: number,
    entries: readonly ManifestEntry[],
    options?: AbortableOptions,
  ): Promise<ManifestDraft>
}

/** Stands for "the sequence number of the try": above every real one. */
const OPEN = Number.MAX_SAFE_INTEGER

/**
 * @param store rooted at the table's folder.
 * @param prefix unique to the run: manifests are `metadata/<prefix>-m<n>.avro`.
 */
export function draftWriter(store: ObjectStore, prefix: string, snapshotId: SnapshotId): DraftWriter {
  let written = 0
  return {
    async write(metadata, specId, entries, options = {}) {
      const spec = specById(metadata, specId)
      const schema = schemaForSpec(metadata, spec, currentSchema(metadata))
      const bytes = await writeManifest(entries, spec, schema)
      const path = `${metadata.location}/metadata/${prefix}-m${written++}.avro`
      await store.put(keyOfPath(metadata.location, path), bytes, { signal: options.signal })
      const added = { snapshotId, sequenceNumber: OPEN }
      return { manifest: describeManifest(path, bytes.length, entries, spec, schema, added) }
    },
  }
}

/** The list entry in a try that has `sequenceNumber`. */
export const atSequenceNumber = ({ manifest }: ManifestDraft, sequenceNumber: number): ManifestFile => ({
  ...manifest,
  sequenceNumber,
  minSequenceNumber: Math.min(manifest.minSequenceNumber, sequenceNumber),
})

/** Manifests for `entries`: one spec and one content each, none too large. */
export async function writeDrafts(
  writer: DraftWriter,
  metadata: TableMetadata,
  entries: readonly ManifestEntry[],
  options: AbortableOptions = {},
): Promise<readonly ManifestDraft[]> {
  const groups = new Map<string, ManifestEntry[]>()
  for (const entry of entries) {
    const { specId, content } = entry.dataFile
    const key = `${specId} ${content === 'data'}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [entry])
    else group.push(entry)
  }
  const drafts: ManifestDraft[] = []
  for (const group of groups.values()) {
    for (let start = 0; start < group.length; start += MAX_ENTRIES) {
      const part = group.slice(start, start + MAX_ENTRIES)
      drafts.push(await writer.write(metadata, part[0]!.dataFile.specId, part, options))
    }
  }
  return drafts
}
