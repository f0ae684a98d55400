/** Which files of a partition are worth a rewrite, and which of them are rewritten together. Pure. */
import type { DataFile } from '../../manifest/data-file.ts'
import { onlyFile } from '../../scan/delete-index.ts'
import type { FileScanTask } from '../../scan/plan.ts'
import type { RewriteSettings } from './options.ts'
import { type KeyRange, measureOverlap, type Overlap } from './overlap.ts'
import { expectedOutputFiles } from './sizes.ts'

/** Why a file is rewritten; `all`: because everything is. */
export type RewriteReason = 'small' | 'oversize' | 'deletes' | 'overlap' | 'stale-order' | 'stale-spec' | 'all'

/** A file with what the choice looks at. */
export interface ConsideredFile {
  readonly task: FileScanTask
  /** Of its sort keys; `undefined` when not known or not asked for. */
  readonly range: KeyRange | undefined
  /** False: the plan's filter leaves it out. */
  readonly isWanted: boolean
  readonly isStaleSpec: boolean
}

export interface ChosenFile {
  readonly task: FileScanTask
  readonly reasons: readonly RewriteReason[]
}

/** @param files of one partition. */
export function groupFiles(
  files: readonly ConsideredFile[],
  settings: RewriteSettings,
): { readonly groups: readonly (readonly ChosenFile[])[]; readonly overlap: Overlap } {
  const overlap = measureOverlap(files.map(({ range }) => range))
  const deep = new Set(
    overlap.components
      .filter(({ depth }) => depth > settings.overlapDepthThreshold)
      .flatMap(({ members }) => members)
      .filter(() => settings.strategy === 'sort'),
  )
  const chosen = files.map(
    (file, index): ChosenFile => ({ task: file.task, reasons: reasonsOf(file, settings, deep.has(index)) }),
  )
  const runs = settings.strategy === 'sort' ? neighbours(files, chosen, overlap) : [chosen.filter(isChosen)]
  const groups = runs
    .flatMap((run) => packed(run, settings.maxFileGroupSizeBytes))
    .filter((group) => isWorthIt(group, settings))
  return { groups, overlap }
}

const isChosen = ({ reasons }: ChosenFile): boolean => reasons.length > 0

function reasonsOf(file: ConsideredFile, settings: RewriteSettings, overlaps: boolean): readonly RewriteReason[] {
  if (!file.isWanted) return []
  const { fileSizeBytes: size, sortOrderId } = file.task.file
  const { sortOrder } = settings
  const sorts = settings.strategy === 'sort' && sortOrder.orderId !== 0 && settings.rewriteStaleOrder
  const reasons: RewriteReason[] = []
  if (settings.rewriteAll) reasons.push('all')
  if (size < settings.minFileSizeBytes) reasons.push('small')
  if (size > settings.maxFileSizeBytes) reasons.push('oversize')
  if (hasManyDeletes(file.task, settings)) reasons.push('deletes')
  if (overlaps) reasons.push('overlap')
  if (sorts && sortOrderId !== sortOrder.orderId) reasons.push('stale-order')
  if (file.isStaleSpec && settings.rewriteStaleSpec) reasons.push('stale-spec')
  return reasons
}

/** Only deletes that name one data file are known to take rows from it: others may be about other files. */
function hasManyDeletes({ file, deletes }: FileScanTask, settings: RewriteSettings): boolean {
  const { deleteFileThreshold: threshold, deleteRatioThreshold: ratio } = settings
  if (deletes.length === 0) return false
  if (threshold !== null && deletes.length >= threshold) return true
  return deletedRows({ file, deletes }) / Math.max(1, file.recordCount) >= ratio
}

/** Rows that file-scoped deletes take away, as far as the metadata tells. */
export function deletedRows({ file, deletes }: Pick<FileScanTask, 'file' | 'deletes'>): number {
  const known = deletes.reduce((sum, { file: some }) => sum + (namesOneFile(some) ? some.recordCount : 0), 0)
  return Math.min(known, file.recordCount)
}

const namesOneFile = (file: DataFile): boolean => file.content === 'position-deletes' && onlyFile(file) !== undefined

/**
 * Chosen files that follow one another on the sort key without a file between them that stays: their output covers
 * what they covered together, so it overlaps nothing that they did not.
 */
function neighbours(
  files: readonly ConsideredFile[],
  chosen: readonly ChosenFile[],
  overlap: Overlap,
): readonly (readonly ChosenFile[])[] {
  const placed = overlap.components.flatMap(({ members }) => members)
  const runs: ChosenFile[][] = [[]]
  for (const index of placed) {
    const file = chosen[index]!
    if (isChosen(file)) runs.at(-1)!.push(file)
    else runs.push([])
  }
  // nobody knows where these lie
  runs.push(chosen.filter((file, index) => files[index]!.range === undefined && isChosen(file)))
  return runs.filter((run) => run.length > 0)
}

/** In order, as Iceberg packs with a look-back of one: a group ends where the next file would not fit. */
function packed(run: readonly ChosenFile[], maxBytes: number): readonly (readonly ChosenFile[])[] {
  const groups: ChosenFile[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const file of run) {
    const size = file.task.file.fileSizeBytes
    if (bytes + size > maxBytes) {
      groups.push([])
      bytes = 0
    }
    groups.at(-1)!.push(file)
    bytes += size
  }
  return groups
}

const SIZE_REASONS: ReadonlySet<RewriteReason> = new Set(['small', 'oversize'])

/**
 * A group that has only sizes against it must get better: a plan that would make as many files of wrong sizes again
 * would never come to an end.
 */
function isWorthIt(group: readonly ChosenFile[], settings: RewriteSettings): boolean {
  if (group.some(({ reasons }) => reasons.some((reason) => !SIZE_REASONS.has(reason)))) return true
  const bytes = group.reduce((sum, { task }) => sum + task.file.fileSizeBytes, 0)
  const many = group.length > 1 && (group.length >= settings.minInputFiles || bytes > settings.targetFileSizeBytes)
  if (!many && bytes <= settings.maxFileSizeBytes) return false
  const improves = expectedOutputFiles(bytes, settings) < group.length
  return improves || group.some(({ reasons }) => reasons.includes('oversize'))
}
