/** Refs and the snapshot log: how readers find a snapshot. */

import { snapshotById, type Table } from '../../table/index.ts'
import type { Findings } from './problems.ts'

export function verifyRefs(table: Table, findings: Findings): void {
  const { metadata, metadataLocation } = table
  for (const [name, ref] of Object.entries(metadata.refs)) {
    if (snapshotById(metadata, ref.snapshotId) === undefined) {
      findings.add(
        'ref-broken',
        metadataLocation,
        `${ref.type} ${name} names snapshot ${ref.snapshotId}, which is not in the table`,
      )
    }
  }
  const current = metadata.currentSnapshotId
  const main = metadata.refs['main']?.snapshotId
  if (main !== current) {
    findings.add(
      'ref-broken',
      metadataLocation,
      `the current snapshot is ${current ?? 'none'}, branch main names ${main ?? 'none'}`,
    )
  }
  const logged = metadata.snapshotLog.at(-1)?.snapshotId
  if (logged !== undefined && logged !== current) {
    findings.add(
      'ref-broken',
      metadataLocation,
      `the current snapshot is ${current ?? 'none'}, the snapshot log ends at ${logged}`,
    )
  }
}
