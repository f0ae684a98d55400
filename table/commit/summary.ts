/** What a snapshot says of itself. Spec: Appendix F "Optional Snapshot Summary Fields"; totals as Java derives them. */
import type { DataFile } from '../manifest/data-file.ts'
import { partitionKey } from '../spec/partition.ts'
import type { Snapshot } from '../spec/snapshot.ts'

export type SnapshotOperation = 'append' | 'replace' | 'overwrite' | 'delete'

type Counted = Pick<DataFile, 'content' | 'recordCount' | 'fileSizeBytes' | 'specId' | 'partition'>

/** One side of a change, counted by the names of the summary. */
interface Counts {
  readonly dataFiles: number
  readonly records: number
  readonly bytes: number
  readonly deleteFiles: number
  readonly positionDeleteFiles: number
  readonly positionDeletes: number
  readonly equalityDeleteFiles: number
  readonly equalityDeletes: number
}

function countFiles(files: readonly Counted[]): Counts {
  const sum = (some: readonly Counted[], value: (file: Counted) => number): number =>
    some.reduce((total, file) => total + value(file), 0)
  const data = files.filter((file) => file.content === 'data')
  const position = files.filter((file) => file.content === 'position-deletes')
  const equality = files.filter((file) => file.content === 'equality-deletes')
  return {
    dataFiles: data.length,
    records: sum(data, (file) => file.recordCount),
    bytes: sum(files, (file) => file.fileSizeBytes),
    deleteFiles: position.length + equality.length,
    positionDeleteFiles: position.length,
    positionDeletes: sum(position, (file) => file.recordCount),
    equalityDeleteFiles: equality.length,
    equalityDeletes: sum(equality, (file) => file.recordCount),
  }
}

/** Counter of added, counter of removed, and the total that they move, where there is one. */
const MEMBERS: readonly (readonly [count: keyof Counts, added: string, removed: string, total?: string])[] = [
  ['dataFiles', 'added-data-files', 'deleted-data-files', 'total-data-files'],
  ['records', 'added-records', 'deleted-records', 'total-records'],
  ['bytes', 'added-files-size', 'removed-files-size', 'total-files-size'],
  ['deleteFiles', 'added-delete-files', 'removed-delete-files', 'total-delete-files'],
  ['positionDeleteFiles', 'added-position-delete-files', 'removed-position-delete-files'],
  ['positionDeletes', 'added-position-deletes', 'removed-position-deletes', 'total-position-deletes'],
  ['equalityDeleteFiles', 'added-equality-delete-files', 'removed-equality-delete-files'],
  ['equalityDeletes', 'added-equality-deletes', 'removed-equality-deletes', 'total-equality-deletes'],
]

/**
 * The summary of a snapshot on top of `parent`. A counter of zero is left out. A total is written only when it follows
 * from the parent's and is not negative: a wrong total is worse than none.
 * @param extra members of the caller's; none of them stands in for a counter.
 */
export function snapshotSummary(
  parent: Snapshot | undefined,
  operation: SnapshotOperation,
  added: readonly Counted[],
  removed: readonly Counted[],
  extra: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const summary: Record<string, string> = { ...extra, operation }
  const plus = countFiles(added)
  const minus = countFiles(removed)
  for (const [count, addedName, removedName, totalName] of MEMBERS) {
    setCounter(summary, addedName, plus[count])
    setCounter(summary, removedName, minus[count])
    if (totalName === undefined) continue
    const before = previousTotal(parent, totalName)
    const after = before === undefined ? undefined : before + BigInt(plus[count]) - BigInt(minus[count])
    if (after === undefined || after < 0n) delete summary[totalName]
    else summary[totalName] = after.toString()
  }
  summary['changed-partition-count'] = String(new Set([...added, ...removed].map(partitionKey)).size)
  return summary
}

function setCounter(summary: Record<string, string>, name: string, value: number): void {
  if (value > 0) summary[name] = String(value)
  else delete summary[name]
}

function previousTotal(parent: Snapshot | undefined, name: string): bigint | undefined {
  if (parent === undefined) return 0n
  const text = parent.summary[name]
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : undefined
}

/** The totals of a snapshot, as members for one that holds the same files. */
export const totalsOf = ({ summary }: Snapshot): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(summary).filter(([name]) => name.startsWith('total-')))
