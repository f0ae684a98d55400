/** How a memory limit is shared out between rows being sorted, runs being merged and the file being written. */
import { FirnError } from '../../errors.ts'
import type { SortBudget } from './external-sort.ts'
import type { PlannedGroup } from './plan.ts'
import { type SizeTargets, writeCapBytes } from './sizes.ts'

const MIB = 1024 * 1024

/**
 * The runtime with its libraries (about 140 MiB), the encoder's own heap, row groups on their way, and what is no longer
 * used but not given back yet: the collector lets some 64 MiB of buffers wait, the allocator keeps gaps.
 */
const FIXED_BYTES = 256 * MIB
/** With less, a sort would be made of countless tiny runs. */
const LEAST_WORK_BYTES = 16 * MIB
/** A file is whole in memory before it is uploaded, and for a moment a second time, in one piece. */
const FILE_COPIES = 2
const MAX_CHUNK_BYTES = MIB
/** Smaller ones would compress badly and be read one by one. */
const MIN_CHUNK_BYTES = 128 * 1024
/** A batch being merged: as it was compressed, as it was spilled, its keys. */
const CHUNK_COPIES = 3
const MAX_FAN_IN = 512
/** So many runs are merged at once before their chunks become larger than they must be. */
const WANTED_FAN_IN = 64

/** @throws {FirnError} `FIRN_MEMORY_LIMIT_TOO_SMALL` (invalid), with the limit that would do. */
export function sortBudget(memoryLimitBytes: number, group: PlannedGroup, sizes: SizeTargets): SortBudget {
  const fileBytes = Math.ceil(Math.min(writeCapBytes(sizes), group.bytes * 1.1)) * FILE_COPIES
  const need = FIXED_BYTES + fileBytes + LEAST_WORK_BYTES
  if (need > memoryLimitBytes) {
    const message = `files of ${sizes.targetFileSizeBytes} bytes need a memory limit of ${need} bytes, got ${memoryLimitBytes}`
    throw new FirnError('invalid', 'FIRN_MEMORY_LIMIT_TOO_SMALL', message, {
      detail: { needBytes: need, memoryLimitBytes, targetFileSizeBytes: sizes.targetFileSizeBytes },
      help: `Set memoryLimitBytes to ${Math.ceil(need / MIB)} MiB or more, or a smaller targetFileSizeBytes.`,
    })
  }
  const free = memoryLimitBytes - FIXED_BYTES
  const whileWriting = free - fileBytes
  const merging = Math.floor((whileWriting * 0.6) / CHUNK_COPIES)
  const chunkBytes = Math.max(MIN_CHUNK_BYTES, Math.min(MAX_CHUNK_BYTES, Math.floor(merging / WANTED_FAN_IN)))
  return {
    // sorting makes copies of row numbers, reading leaves decoded pages behind until they are collected
    runBytes: Math.floor(free * 0.6),
    residentBytes: Math.floor(whileWriting * 0.6),
    chunkBytes,
    fanIn: Math.max(4, Math.min(MAX_FAN_IN, Math.floor(merging / chunkBytes))),
  }
}
