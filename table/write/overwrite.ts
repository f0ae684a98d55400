/** Files in the place of rows: of those that a filter names, or of all in the files' own partitions. */
import type { TableState } from '../catalog/catalog.ts'
import type { DataFile } from '../manifest/data-file.ts'
import { readEntries } from '../manifest/entries.ts'
import { carriedManifests } from '../manifest/snapshot-manifests.ts'
import type { Expression } from '../scan/expression.ts'
import { specById } from '../spec/metadata.ts'
import { isUnpartitioned, partitionKey } from '../spec/partition.ts'
import type { PlannedChange, WriteContext } from './context.ts'
import { planDelete } from './delete.ts'
import { type ProduceOptions, produceSnapshot } from './produce.ts'
import { headOf } from './snapshot-options.ts'

export interface OverwriteOptions extends ProduceOptions {
  /** Rows for which it is true go; `'dynamic-partitions'`: those in the partitions of the added files. */
  readonly filter: Expression | 'dynamic-partitions'
}

export async function planOverwrite(
  context: Pick<WriteContext, 'store' | 'clock' | 'operations'>,
  state: TableState,
  added: readonly DataFile[],
  { filter, ...options }: OverwriteOptions,
): Promise<PlannedChange | undefined> {
  if (filter !== 'dynamic-partitions') return planDelete(context, state, filter, added, options)
  if (added.length === 0 && options.setProperties === undefined) return undefined
  const { metadata } = state
  const head = headOf(metadata, options.branch)
  const partitions = new Set(added.map(partitionKey))
  // A file of an unpartitioned spec stands for the whole table, whatever spec its files have.
  const everything = added.some((file) => isUnpartitioned(specById(metadata, file.specId)))
  const specIds = new Set(added.map((file) => file.specId))
  const abort = { signal: options.signal }
  const manifests = (await carriedManifests(context.store, metadata, head, abort)).filter(
    (manifest) => everything || specIds.has(manifest.partitionSpecId),
  )
  const removed: DataFile[] = []
  const seen = new Set(partitions)
  for await (const entries of readEntries(context.store, metadata, manifests, abort)) {
    for (const { status, dataFile } of entries) {
      const key = partitionKey(dataFile)
      if (status === 'deleted' || !(everything || partitions.has(key))) continue
      // Deletes of a partition apply to nothing outside it.
      removed.push(dataFile)
      seen.add(key)
    }
  }
  const validation = {
    startSnapshotId: head?.snapshotId ?? ('empty' as const),
    partitions: everything ? ('all' as const) : seen,
    deletes: true,
    ignoreEqualityDeletes: false,
  }
  const summary = { ...options.summary, 'replace-partitions': 'true' }
  const change = { operation: 'overwrite' as const, added, removed, validation }
  return produceSnapshot(context.store, metadata, change, context.clock, { ...options, summary })
}
