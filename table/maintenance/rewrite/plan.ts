/** The plan of a rewrite: from a snapshot's files to groups that are rewritten together. Plain JSON. */
import type { SnapshotId } from '../../ids.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import { metricsModes } from '../../manifest/metrics-mode.ts'
import { type FileScanTask, planFiles } from '../../scan/plan.ts'
import { fileMayMatch } from '../../scan/prune.ts'
import { currentSchema, currentSnapshotOf, schemaForSpec, specById, type TableMetadata } from '../../spec/metadata.ts'
import { partitionKey, partitionPath } from '../../spec/partition.ts'
import type { Table } from '../../table.ts'
import { type ChosenFile, deletedRows, groupFiles, type RewriteReason } from './groups.ts'
import { type RewritePlanOptions, type RewriteSettings, resolveSettings } from './options.ts'
import { keyRange } from './overlap.ts'
import { expectedOutputFiles } from './sizes.ts'

export interface PlannedInput {
  readonly path: string
  readonly sizeBytes: number
  readonly rows: number
  readonly deleteFiles: number
  readonly reasons: readonly RewriteReason[]
}

export interface PlannedGroup {
  /** `arrived_at_day=2026-11-21`; empty in an unpartitioned table; `null`: files of older specs, their rows go anywhere. */
  readonly partition: string | null
  readonly reasons: readonly RewriteReason[]
  readonly inputs: readonly PlannedInput[]
  readonly bytes: number
  /** With those that deletes take away. */
  readonly rows: number
  /** Predicted. */
  readonly outputFiles: number
}

export interface RewritePlan {
  readonly location: string
  readonly tableUuid: string
  /** On which everything here rests; decimal. `null`: the table is empty. */
  readonly snapshotId: string | null
  /**
   * Its sequence number, which the output keeps: equality deletes that come meanwhile then still apply. Those of one
   * partition do where its rows stay in it; a group whose files move to the current spec is a conflict then.
   */
  readonly sequenceNumber: number
  /** Columns and partitions of the output. */
  readonly schemaId: number
  readonly specId: number
  readonly settings: RewriteSettings
  readonly groups: readonly PlannedGroup[]
  readonly totals: { readonly groups: number; readonly files: number; readonly bytes: number; readonly rows: number }
  /** Most files over one sort key in any partition; `null` for a table without a sort order. */
  readonly overlapDepth: number | null
}

/**
 * What a rewrite of the table's current snapshot would do. Reads manifests only.
 * @throws {FirnError} `FIRN_INVALID_OPTION` (invalid); as `planFiles`.
 */
export async function planRewrite(
  table: Table,
  options: RewritePlanOptions & AbortableOptions = {},
): Promise<RewritePlan> {
  const { signal, ...wanted } = options
  const settings = resolveSettings(table.metadata, wanted)
  const snapshot = table.currentSnapshot()
  const schema = currentSchema(table.metadata)
  const tasks = await planFiles(table.store, table.metadata, snapshot, undefined, {
    schema,
    tableName: table.name,
    signal,
  })
  return planGroups(table.metadata, tasks, settings, wanted)
}

/** The same, from files that are already known; `tasks` are all files of the current snapshot. */
export function planGroups(
  metadata: TableMetadata,
  tasks: readonly FileScanTask[],
  settings: RewriteSettings,
  options: Pick<RewritePlanOptions, 'where'> = {},
): RewritePlan {
  const schema = currentSchema(metadata)
  const order = depthOrder(metadata, settings)
  const modes = metricsModes(schema, order, metadata.properties)
  const groups: PlannedGroup[] = []
  let overlapDepth: number | null = order === undefined ? null : 0
  for (const members of byPartition(metadata, tasks)) {
    const partition = partitionText(metadata, members[0]!)
    const files = members.map((task) => {
      const spec = specById(metadata, task.file.specId)
      return {
        task,
        // key ranges of files of several partitions say nothing about one another
        range: order === undefined || partition === null ? undefined : keyRange(task.file, schema, order, modes),
        isWanted:
          isReadable(task) && (options.where === undefined || fileMayMatch(options.where, task.file, spec, schema)),
        isStaleSpec: partition === null,
      }
    })
    const found = groupFiles(files, settings)
    groups.push(...found.groups.map((group) => describeGroup(partition, group, settings)))
    if (overlapDepth !== null) overlapDepth = Math.max(overlapDepth, found.overlap.depth)
  }
  const limited = limitFiles(groups, settings)
  const snapshot = currentSnapshotOf(metadata)
  const sum = (of: (group: PlannedGroup) => number): number => limited.reduce((total, group) => total + of(group), 0)
  return {
    location: metadata.location,
    tableUuid: metadata.tableUuid,
    snapshotId: snapshot === undefined ? null : String(snapshot.snapshotId satisfies SnapshotId),
    sequenceNumber: snapshot?.sequenceNumber ?? 0,
    schemaId: metadata.currentSchemaId,
    specId: metadata.defaultSpecId,
    settings,
    groups: limited,
    totals: {
      groups: limited.length,
      files: sum(({ inputs }) => inputs.length),
      bytes: sum(({ bytes }) => bytes),
      rows: sum(({ rows }) => rows),
    },
    overlapDepth,
  }
}

/** Files of other formats stay as they are: they are not read here. */
const isReadable = ({ file }: FileScanTask): boolean => file.fileFormat === 'PARQUET'

/** The order that depth is measured on: the one to sort by, else the table's. */
function depthOrder(metadata: TableMetadata, settings: RewriteSettings): RewriteSettings['sortOrder'] | undefined {
  if (settings.strategy === 'sort') return settings.sortOrder
  const order = metadata.sortOrders.find(({ orderId }) => orderId === metadata.defaultSortOrderId)
  return order === undefined || order.fields.length === 0 ? undefined : order
}

/** Files of other specs than the default one may hold rows of any partition: they are one pool. */
function byPartition(metadata: TableMetadata, tasks: readonly FileScanTask[]): readonly (readonly FileScanTask[])[] {
  const partitions = new Map<string, FileScanTask[]>()
  for (const task of tasks) {
    const key = task.file.specId === metadata.defaultSpecId ? partitionKey(task.file) : 'stale'
    const members = partitions.get(key)
    if (members === undefined) partitions.set(key, [task])
    else members.push(task)
  }
  return [...partitions.values()]
}

function partitionText(metadata: TableMetadata, { file }: FileScanTask): string | null {
  const spec = specById(metadata, metadata.defaultSpecId)
  if (file.specId !== spec.specId) return null
  return partitionPath(spec, schemaForSpec(metadata, spec, currentSchema(metadata)), file.partition)
}

function describeGroup(
  partition: string | null,
  group: readonly ChosenFile[],
  settings: RewriteSettings,
): PlannedGroup {
  const bytes = group.reduce((sum, { task }) => sum + task.file.fileSizeBytes, 0)
  const live = group.reduce((sum, { task }) => sum + liveBytes(task), 0)
  return {
    partition,
    reasons: [...new Set(group.flatMap(({ reasons }) => reasons))],
    inputs: group.map(({ task, reasons }) => ({
      path: task.file.filePath,
      sizeBytes: task.file.fileSizeBytes,
      rows: task.file.recordCount,
      deleteFiles: task.deletes.length,
      reasons,
    })),
    bytes,
    rows: group.reduce((sum, { task }) => sum + task.file.recordCount, 0),
    outputFiles: expectedOutputFiles(live, settings),
  }
}

const liveBytes = (task: FileScanTask): number =>
  task.file.fileSizeBytes * (1 - deletedRows(task) / Math.max(1, task.file.recordCount))

function limitFiles(groups: readonly PlannedGroup[], { maxFilesToRewrite }: RewriteSettings): readonly PlannedGroup[] {
  if (maxFilesToRewrite === null) return groups
  const kept: PlannedGroup[] = []
  let left = maxFilesToRewrite
  for (const group of groups) {
    const inputs = group.inputs.slice(0, left)
    left -= inputs.length
    if (inputs.length === group.inputs.length) kept.push(group)
    else if (inputs.length > 0) {
      const bytes = inputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      const rows = inputs.reduce((sum, input) => sum + input.rows, 0)
      kept.push({ ...group, inputs, bytes, rows })
    }
  }
  return kept
}
