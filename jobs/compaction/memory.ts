/** How the memory limit of a task is shared out between rows being collected, runs being merged and the open file. */
import { FirnError } from '../../table/errors.ts'
import { KEY_BYTES } from './exchange/key-table.ts'

const MIB = 1024 * 1024

/** What a row takes beside its values while rows are deduplicated, ordered and listed by their keys. */
export const ROW_OVERHEAD_BYTES = 192

export const DEFAULT_MEMORY_LIMIT_BYTES: number = 1024 * MIB

/**
 * The runtime with its libraries, the encoder's own heap, chunks on their way, and what is no longer used but not given
 * back yet: the collector lets buffers wait, the allocator keeps gaps.
 */
const FIXED_BYTES = 256 * MIB
/** With less, a sort would be made of countless tiny runs. */
const LEAST_WORK_BYTES = 16 * MIB
/** A file is whole in memory before it is uploaded, and for a moment a second time, in one piece. */
const FILE_COPIES = 2
/** A record as it came, as text, as a row, as it is encoded, and what of these waits for the collector: of the largest that is accepted. */
const RECORD_COPIES = 7
/** Staged chunks and data files are compressed alike; a run's rows are not expected to take more than twice as much. */
const FILE_BYTES_PER_INPUT_BYTE = 2
/** A record that was staged in few bytes may still be large. */
const RECORD_BYTES_PER_INPUT_BYTE = 20
const MAX_BLOCK_BYTES = MIB
const MIN_BLOCK_BYTES = 128 * 1024
const WANTED_FAN_IN = 64
/**
 * Rows that are deduplicated or sorted at once are listed in the JavaScript heap, by maps of at most 2^24 entries: each
 * row counts as `ROW_OVERHEAD_BYTES` at least, so there are never that many. Larger runs would not be merged faster.
 */
const MAX_ROWS_BYTES: number = 2 ** 24 * ROW_OVERHEAD_BYTES

/** Plain numbers, part of a task. */
export interface TaskBudget {
  /** Rows that may stay in memory while they are written. */
  readonly residentBytes: number
  /** Rows that are collected before they are sorted and spilled. */
  readonly runBytes: number
  /** A batch of a sorted run. */
  readonly blockBytes: number
  /** Blocks of all runs that are merged at once. */
  readonly mergeBytes: number
  /** Keys that are compared at once. */
  readonly tableEntries: number
}

export interface BudgetInput {
  /** Of the table. */
  readonly targetFileSizeBytes: number
  /** Of the whole run, as they are staged. */
  readonly inputBytes: number
  /** Of the dataset. */
  readonly maxRecordBytes: number
  /** Tasks that run at once in one process. */
  readonly inOneProcess: number
}

/**
 * @param limitBytes of one process.
 * @throws {FirnError} `FIRN_MEMORY_LIMIT_TOO_SMALL` (invalid), with the limit that would do.
 */
export function taskBudget(limitBytes: number, input: BudgetInput): TaskBudget {
  const { targetFileSizeBytes, inputBytes, maxRecordBytes, inOneProcess } = input
  const fixed = FIXED_BYTES + Math.min(maxRecordBytes, inputBytes * RECORD_BYTES_PER_INPUT_BYTE) * RECORD_COPIES
  const file = Math.ceil(Math.min(targetFileSizeBytes * 1.1, inputBytes * FILE_BYTES_PER_INPUT_BYTE)) * FILE_COPIES
  const need = fixed + file + LEAST_WORK_BYTES
  const share = Math.floor(limitBytes / inOneProcess)
  if (need > share) {
    const each = inOneProcess === 1 ? '' : ` for each of ${inOneProcess} tasks in one process`
    const message = `files of ${targetFileSizeBytes} bytes need a memory limit of ${need} bytes${each}, got ${limitBytes}`
    throw new FirnError('invalid', 'FIRN_MEMORY_LIMIT_TOO_SMALL', message, {
      detail: { needBytes: need * inOneProcess, memoryLimitBytes: limitBytes, targetFileSizeBytes },
      help: `give --memory-limit ${Math.ceil((need * inOneProcess) / MIB)}MiB or more, or the table a smaller write.target-file-size-bytes`,
    })
  }
  const free = share - fixed
  const whileWriting = free - file
  const mergeBytes = Math.floor(whileWriting * 0.6)
  return {
    residentBytes: Math.min(MAX_ROWS_BYTES, Math.floor(whileWriting * 0.6)),
    runBytes: Math.min(MAX_ROWS_BYTES, Math.floor(free * 0.5)),
    blockBytes: Math.max(MIN_BLOCK_BYTES, Math.min(MAX_BLOCK_BYTES, Math.floor(mergeBytes / WANTED_FAN_IN))),
    mergeBytes,
    tableEntries: Math.max(1024, Math.floor((free * 0.4) / KEY_BYTES)),
  }
}
