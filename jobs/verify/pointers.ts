/** Refs, the snapshot log and the version hint: how readers find a snapshot. */

import { snapshotById, type Table } from '../../table/index.ts'
import { type AbortableOptions, getIfExists } from '../../table/io/object-store.ts'
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

const VERSIONED = /^metadata\/v(\d+)(?:\.gz)?\.metadata\.json$/

/** Tables of other catalogs have no numbered metadata files, and no hint to check. */
export async function verifyVersionHint(
  table: Table,
  findings: Findings,
  options: AbortableOptions = {},
): Promise<void> {
  let newest: bigint | undefined
  for await (const { key } of table.store.list('metadata/v', options)) {
    const version = VERSIONED.exec(key)?.[1]
    if (version !== undefined && (newest === undefined || BigInt(version) > newest)) newest = BigInt(version)
  }
  if (newest === undefined) return
  const hint = await getIfExists(table.store, 'metadata/version-hint.text', options)
  const text = hint === undefined ? 'missing' : JSON.stringify(Buffer.from(hint.bytes).toString('utf8'))
  if (text !== `"${newest}"`) {
    findings.add(
      'version-hint-stale',
      `${table.location}/metadata/version-hint.text`,
      `it is ${text}, the newest metadata file is v${newest}; readers that trust the hint see another table`,
    )
  }
}
