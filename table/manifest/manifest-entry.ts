/** One line of a manifest: a file and what happened to it. Spec: "Manifest Entry Fields". */
import type { SnapshotId } from '../ids.ts'
import type { DataFile } from './data-file.ts'

export type EntryStatus = 'existing' | 'added' | 'deleted'

export interface ManifestEntry {
  readonly status: EntryStatus
  /** The snapshot that added the file, or deleted it. `undefined`: inherited from the manifest list. */
  readonly snapshotId: SnapshotId | undefined
  /** `undefined` only on added entries: inherited from the manifest list. */
  readonly sequenceNumber: number | undefined
  readonly fileSequenceNumber: number | undefined
  readonly dataFile: DataFile
}
