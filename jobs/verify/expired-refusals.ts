/** Refused records of runs that have expired count until they are replayed, though no snapshot leads to them any more. */
import { committedMarks, expiredRefusals, type RefusedSource } from '../compaction/refused/refused-objects.ts'
import type { Findings } from './problems.ts'
import { verifyQuarantine } from './snapshots.ts'

/**
 * That the JSON manifests of those runs can be read, and that the objects which they list are there.
 * @param used as in `firn.replayed`.
 */
export async function verifyExpiredRefusals(
  source: RefusedSource,
  used: ReadonlySet<string>,
  findings: Findings,
): Promise<void> {
  const { store, tableName, signal } = source
  const marked = await committedMarks(store, tableName, { signal })
  const manifests = await expiredRefusals(source, marked, (error) =>
    findings.add('json-manifest-mismatch', `${store.url}/${String(error.detail?.['key'])}`, error.message),
  )
  for (const manifest of manifests) await verifyQuarantine(store, manifest, used, findings, { signal })
}
