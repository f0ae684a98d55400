/**
 * Rewriting manifests: the same files, listed in fewer manifests and sorted by partition, as one snapshot that changes
 * no file. Commits of others in between are kept: what they added stays in its own manifests.
 */
import { type Clock, newSnapshotId, newUuid } from '../clock.ts'
import type { Change } from '../commit/commit.ts'
import { snapshotSummary } from '../commit/summary.ts'
import { FirnError } from '../errors.ts'
import type { SnapshotId } from '../ids.ts'
import type { AbortableOptions } from '../io/object-store.ts'
import { type ResolvedEntry, readEntries } from '../manifest/entries.ts'
import { type ManifestFile, mayHaveLiveFiles } from '../manifest/manifest-list.ts'
import { carriedManifests } from '../manifest/snapshot-manifests.ts'
import { compareStrings, compareValues } from '../spec/compare.ts'
import { currentSchema, schemaForSpec, snapshotById, specById, type TableMetadata } from '../spec/metadata.ts'
import { partitionTypes } from '../spec/partition.ts'
import type { Table } from '../table.ts'
import { existingEntry } from '../write/filter-manifests.ts'
import { atSequenceNumber, draftWriter, type ManifestDraft } from '../write/manifest-draft.ts'
import { manifestCounts, publish, snapshotRequirements } from '../write/produce.ts'
import { headOf } from '../write/snapshot-options.ts'
import type { ManifestGroup, ManifestPlan } from './manifests/plan.ts'

export interface ManifestRunOptions extends AbortableOptions {
  /** Of the new snapshot; default: a fresh one. */
  readonly snapshotId?: SnapshotId | undefined
}

/** Plain JSON. */
export interface ManifestResult {
  /** Decimal; `null` when there was nothing left to do. */
  readonly snapshotId: string | null
  readonly replaced: number
  readonly created: number
  readonly kept: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** Groups of the plan of which another writer has replaced a manifest since: they are as that one left them. */
  readonly conflicts: number
}

/** One group, written. Serves every try whose base still lists its inputs. */
interface WrittenGroup {
  readonly inputs: ReadonlySet<string>
  readonly drafts: readonly ManifestDraft[]
}

/**
 * @throws {FirnError} `FIRN_PLAN_STALE` (invalid): of another table; as `Table.append`.
 */
export async function runManifests(
  table: Table,
  plan: ManifestPlan,
  options: ManifestRunOptions,
  clock: Clock,
): Promise<{ readonly table: Table; readonly result: ManifestResult }> {
  if (plan.tableUuid !== table.metadata.tableUuid || plan.location !== table.location) {
    const message = `the plan is for ${plan.location} (${plan.tableUuid}), the table is ${table.location}`
    throw new FirnError('invalid', 'FIRN_PLAN_STALE', message, { help: 'Plan again.' })
  }
  const { signal, snapshotId = newSnapshotId(clock) } = options
  const nothing = { snapshotId: null, replaced: 0, created: 0, kept: 0, bytesBefore: 0, bytesAfter: 0, conflicts: 0 }
  if (plan.groups.length === 0) return { table, result: nothing }
  const run: Run = { table, plan, snapshotId, commitUuid: newUuid(clock), written: new Map(), signal, result: nothing }
  const after = await table.commitUpdates(rewriteChange(run), { signal })
  return { table: after, result: run.result }
}

interface Run {
  readonly table: Table
  readonly plan: ManifestPlan
  readonly snapshotId: SnapshotId
  readonly commitUuid: string
  readonly written: Map<ManifestGroup, WrittenGroup>
  readonly signal: AbortSignal | undefined
  /** Of the last try. */
  result: ManifestResult
}

function rewriteChange(run: Run): Change {
  const { table, plan, snapshotId } = run
  const { store } = table
  const options = { signal: run.signal, branch: plan.branch }
  const writer = draftWriter(store, run.commitUuid, snapshotId)
  return {
    isOwn: (metadata) => snapshotById(metadata, snapshotId) !== undefined,
    requirements: (base) => snapshotRequirements(base, table.metadata, options),
    prepare: async (base, attempt, timestampMillis) => {
      const head = headOf(base, plan.branch)
      const carried = (await carriedManifests(store, base, head, options)).filter(mayHaveLiveFiles)
      const there = new Map(carried.map((manifest) => [manifest.manifestPath, manifest]))
      const groups = plan.groups.filter(({ inputs }) => inputs.every(({ path }) => there.has(path)))
      const written: WrittenGroup[] = []
      for (const group of groups) {
        const inputs = group.inputs.map(({ path }) => there.get(path)!)
        const known = run.written.get(group) ?? (await writeGroup(run, writer, base, group, inputs))
        run.written.set(group, known)
        written.push(known)
      }
      const sequenceNumber = base.lastSequenceNumber + 1
      const manifests = replaceInputs(carried, written, sequenceNumber)
      const replaced = written.reduce((sum, { inputs }) => sum + inputs.size, 0)
      const conflicts = plan.groups.length - groups.length
      run.result = resultOf(carried, manifests, { snapshotId, replaced, conflicts })
      if (replaced === 0) return []
      const summary = snapshotSummary(head, 'replace', [], [], {
        ...manifestCounts(manifests, snapshotId, replaced),
        'entries-processed': String(groups.reduce((sum, { files }) => sum + files, 0)),
      })
      const work = { snapshotId, commitUuid: run.commitUuid, attempt, timestampMillis, manifests, summary }
      return publish(store, base, work, options)
    },
  }
}

/** The new ones stand where the first of theirs stood, so that newer manifests stay in front. */
function replaceInputs(
  carried: readonly ManifestFile[],
  written: readonly WrittenGroup[],
  sequenceNumber: number,
): readonly ManifestFile[] {
  const placed = new Set<WrittenGroup>()
  return carried.flatMap((manifest) => {
    const group = written.find(({ inputs }) => inputs.has(manifest.manifestPath))
    if (group === undefined) return [manifest]
    if (placed.has(group)) return []
    placed.add(group)
    return group.drafts.map((draft) => atSequenceNumber(draft, sequenceNumber))
  })
}

function resultOf(
  before: readonly ManifestFile[],
  after: readonly ManifestFile[],
  done: { readonly snapshotId: SnapshotId; readonly replaced: number; readonly conflicts: number },
): ManifestResult {
  const bytes = (manifests: readonly ManifestFile[]): number =>
    manifests.reduce((sum, { manifestLength }) => sum + manifestLength, 0)
  const kept = before.length - done.replaced
  return {
    snapshotId: done.replaced === 0 ? null : String(done.snapshotId),
    replaced: done.replaced,
    created: after.length - kept,
    kept,
    bytesBefore: bytes(before),
    bytesAfter: bytes(after),
    conflicts: done.conflicts,
  }
}

/** The live entries of `inputs`, sorted by partition, in as many manifests as planned. */
async function writeGroup(
  { table, signal }: Run,
  writer: ReturnType<typeof draftWriter>,
  base: TableMetadata,
  group: ManifestGroup,
  inputs: readonly ManifestFile[],
): Promise<WrittenGroup> {
  const entries: ResolvedEntry[] = []
  for await (const some of readEntries(table.store, base, inputs, { signal })) {
    entries.push(...some.filter(({ status }) => status !== 'deleted'))
  }
  if (entries.length !== group.files) {
    const message = `table ${base.location}: ${inputs.length} manifests hold ${entries.length} live files, their list says ${group.files}`
    throw new FirnError('corrupt', 'FIRN_MANIFEST_COUNT_MISMATCH', message, {
      detail: { location: base.location },
      help: 'Look for what is wrong with: firn verify <table>. Nothing was changed.',
    })
  }
  entries.sort(byPartition(base, group.specId))
  const drafts: ManifestDraft[] = []
  for (let part = 0; part < group.outputs; part++) {
    const [start, end] = [part, part + 1].map((n) => Math.round((n * entries.length) / group.outputs))
    const existing = entries.slice(start, end).map(existingEntry)
    if (existing.length > 0) drafts.push(await writer.write(base, group.specId, existing, { signal }))
  }
  return { inputs: new Set(inputs.map(({ manifestPath }) => manifestPath)), drafts }
}

/** Nulls first; files of one partition in the order of their commits, then by path, so that runs agree. */
function byPartition(base: TableMetadata, specId: number): (a: ResolvedEntry, b: ResolvedEntry) => number {
  const spec = specById(base, specId)
  const types = partitionTypes(spec, schemaForSpec(base, spec, currentSchema(base)))
  return (a, b) => {
    for (const [index, type] of types.entries()) {
      const left = a.dataFile.partition[index] ?? null
      const right = b.dataFile.partition[index] ?? null
      const order =
        left === null || right === null
          ? Number(left !== null) - Number(right !== null)
          : compareValues(type, left, right)
      if (order !== 0) return order
    }
    return a.sequenceNumber - b.sequenceNumber || compareStrings(a.dataFile.filePath, b.dataFile.filePath)
  }
}
