/**
 * The rows that came after one snapshot, up to and with another.
 *
 * A table whose runs stamp their rows (`compacted_at`) is asked for a range of stamps: rewrites keep the stamp, so the
 * rows are found however the files were rewritten since, and whatever has expired between. Other tables are asked
 * which files append snapshots added; where something else hides rows from that, it is refused.
 */
import { FirnError } from '../../table/errors.ts'
import {
  ancestorsOf,
  type ColumnReference,
  type DataFile,
  decodeBound,
  type Expression,
  type Schema,
  type Snapshot,
  snapshotById,
  type Table,
} from '../../table/index.ts'
import type { DeltaRange } from '../options.ts'

/** Member of a snapshot's summary: microseconds that its run wrote into `compacted_at` of its rows. */
const STAMP = 'firn.compacted-at'
const STAMP_COLUMN = 'compacted_at'
/** Table property: the dataset's definition as JSON, whose field `from` `compacted_at` may have a name of its own. */
const DATASET = 'firn.dataset'

export interface Delta {
  /** Range of the stamps. */
  readonly where?: Expression
  /** Paths of the files that were added. */
  readonly files?: ReadonlySet<string>
}

interface Abortable {
  readonly signal?: AbortSignal | undefined
}

/**
 * @param to snapshot of `range.upTo`.
 * @throws {FirnError} `FIRN_DELTA_HIDDEN`, `FIRN_SNAPSHOT_NOT_ANCESTOR`, `FIRN_INVALID_OPTION` (invalid);
 *   `FIRN_SNAPSHOT_NOT_FOUND`, `FIRN_REF_NOT_FOUND` (not-found).
 */
export async function deltaOf(
  table: Table,
  range: DeltaRange,
  to: Snapshot,
  schema: Schema,
  options: Abortable,
): Promise<Delta> {
  const after = table.snapshotFor(range.after)
  if (after === undefined) {
    throw new FirnError('not-found', 'FIRN_SNAPSHOT_NOT_FOUND', `snapshot.after: ${table.location} has no snapshot`)
  }
  const stampName = stampColumn(table)
  const stamp = schema.fields.find(({ name, type }) => name === stampName && type === 'timestamptz')
  const upper = stamp === undefined ? undefined : stampOf(table, to)
  if (stamp === undefined || upper === undefined) return { files: await appendedFiles(table, after, to, options) }
  await refuseUnstamped(table, after, to, stamp.id, options)
  const lower = stampOf(table, after) ?? (await newestStamp(table, after, stamp.id, options))
  if (lower !== undefined && lower > upper) {
    const message = `snapshot.after (${after.snapshotId}) is newer than snapshot.upTo (${to.snapshotId})`
    throw new FirnError('invalid', 'FIRN_INVALID_OPTION', message, { help: 'Name the older snapshot as `after`.' })
  }
  const column: ColumnReference = { fieldId: stamp.id, name: stampName, type: 'timestamptz' }
  const right: Expression = { kind: 'compare', operator: '<=', column, value: upper }
  if (lower === undefined) return { where: right }
  return { where: { kind: 'and', left: { kind: 'compare', operator: '>', column, value: lower }, right } }
}

function stampColumn({ metadata: { properties } }: Table): string {
  try {
    const dataset = JSON.parse(properties[DATASET] ?? '{}') as {
      readonly fields?: readonly { readonly name?: unknown; readonly from?: { readonly kind?: unknown } }[]
    }
    const name = dataset.fields?.find(({ from }) => from?.kind === STAMP_COLUMN)?.name
    return typeof name === 'string' ? name : STAMP_COLUMN
  } catch {
    return STAMP_COLUMN // not ours to judge: commands that need the definition refuse it
  }
}

/** Of the snapshot or of the nearest one that it stands on: commits that add no rows have no stamp of their own. */
function stampOf({ metadata }: Table, snapshot: Snapshot): bigint | undefined {
  for (const id of ancestorsOf(metadata, snapshot.snapshotId)) {
    const stamp = ownStamp(snapshotById(metadata, id)!)
    if (stamp !== undefined) return stamp
  }
  return undefined
}

function ownStamp({ summary }: Snapshot): bigint | undefined {
  const text = Object.hasOwn(summary, STAMP) ? summary[STAMP] : undefined
  return text !== undefined && /^\d{1,19}$/.test(text) ? BigInt(text) : undefined
}

/** What the bounds of its files say, where the snapshot that had the stamp has expired. No rows: no stamp. */
async function newestStamp(
  table: Table,
  { snapshotId }: Snapshot,
  fieldId: number,
  options: Abortable,
): Promise<bigint | undefined> {
  let newest: bigint | undefined
  for (const { file } of await table.scan({ snapshotId }).planFiles(options)) {
    const bytes = file.upperBounds.get(fieldId)
    const bound = bytes === undefined ? undefined : (decodeBound('timestamptz', bytes) as bigint)
    const nulls = file.nullValueCounts.get(fieldId)
    if (bound === undefined && nulls !== file.recordCount && file.recordCount > 0) {
      throw hidden(
        table,
        `snapshot ${snapshotId} does not say when its rows were added: ${file.filePath} has no bounds`,
      )
    }
    if (bound !== undefined && (newest === undefined || bound > newest)) newest = bound
  }
  return newest
}

/**
 * Rows of another writer have no stamp, or one of their own making. What an overwrite writes is old rows as well: it is
 * refused where more rows without a stamp came than went.
 */
async function refuseUnstamped(
  table: Table,
  after: Snapshot,
  to: Snapshot,
  fieldId: number,
  options: Abortable,
): Promise<void> {
  const { metadata } = table
  for (const id of ancestorsOf(metadata, to.snapshotId)) {
    if (id === after.snapshotId) return
    const snapshot = snapshotById(metadata, id)!
    const { operation } = snapshot.summary
    if (ownStamp(snapshot) !== undefined || operation === 'replace' || !addsRows(snapshot)) continue
    if (operation === 'append') throw hidden(table, `snapshot ${id} appended rows without ${STAMP}`)
    for await (const { added, removed } of table.changes(snapshot.parentSnapshotId, { snapshotId: id }, options)) {
      if (unstampedRows(added, fieldId) <= unstampedRows(removed, fieldId)) continue
      throw hidden(table, `snapshot ${id} (${operation ?? 'no operation'}) wrote rows without a stamp`)
    }
  }
}

/** A file that does not tell has none with a stamp. */
const unstampedRows = (files: readonly DataFile[], fieldId: number): number =>
  files
    .filter(({ content }) => content === 'data')
    .reduce((sum, { nullValueCounts, upperBounds, recordCount }) => {
      return sum + (nullValueCounts.get(fieldId) ?? (upperBounds.has(fieldId) ? 0 : recordCount))
    }, 0)

const addsRows = ({ summary }: Snapshot): boolean =>
  summary['added-records'] !== '0' && summary['added-data-files'] !== '0'

/** Files of append snapshots that nothing has rewritten since; what was deleted of them since is deleted. */
async function appendedFiles(
  table: Table,
  after: Snapshot,
  to: Snapshot,
  options: Abortable,
): Promise<ReadonlySet<string>> {
  const files = new Set<string>()
  for await (const change of table.changes(after.snapshotId, { snapshotId: to.snapshotId }, options)) {
    const { operation, snapshot, added, removed } = change
    const data = added.filter(({ content }) => content === 'data')
    if (operation === 'append') for (const { filePath } of data) files.add(filePath)
    else if (operation !== 'replace' && data.length > 0) {
      throw hidden(
        table,
        `snapshot ${snapshot.snapshotId} (${operation ?? 'no operation'}) wrote new rows and old ones together`,
      )
    } else if (operation === 'replace' && removed.some(({ filePath }) => files.has(filePath))) {
      throw hidden(table, `snapshot ${snapshot.snapshotId} (replace) wrote new rows into files with old ones`)
    }
  }
  return files
}

const hidden = ({ location }: Table, why: string): FirnError =>
  new FirnError(
    'invalid',
    'FIRN_DELTA_HIDDEN',
    `table ${location}: the rows of the delta cannot be told apart: ${why}`,
    {
      detail: { table: location },
      help: 'Name a later snapshot as `after`, or select the rows by a column of the table with `filter`.',
    },
  )
