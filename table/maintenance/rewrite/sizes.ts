/** How many files rows are written to, and where one file ends. Numbers as Iceberg's size-based planner has them. */

export interface SizeTargets {
  readonly targetFileSizeBytes: number
  readonly minFileSizeBytes: number
  readonly maxFileSizeBytes: number
}

/** Half way from the target to the maximum: a file a little over the target leaves no tiny one behind. */
export function writeCapBytes({ targetFileSizeBytes: target, maxFileSizeBytes: max }: SizeTargets): number {
  return Math.floor(target + (max - target) / 2)
}

/**
 * Files for `totalBytes`. A remainder that would be a file below the minimum is spread over the others while these
 * stay below 1.1 of the target; beyond that, fewer files than Iceberg's rule gives are made when its even share would
 * lie below the minimum and the larger one does not exceed the maximum: else the next plan would pick them up again.
 */
export function expectedOutputFiles(totalBytes: number, sizes: SizeTargets): number {
  const { targetFileSizeBytes: target, minFileSizeBytes: min, maxFileSizeBytes: max } = sizes
  if (totalBytes < target) return 1
  const rounded = Math.ceil(totalBytes / target)
  const floored = Math.floor(totalBytes / target)
  const remainder = totalBytes % target
  const spread = totalBytes / floored < Math.min(1.1 * target, writeCapBytes(sizes))
  const files = remainder > min || !spread ? rounded : floored
  const tooSmall = files > 1 && totalBytes / files < min
  return tooSmall && totalBytes / (files - 1) <= max ? files - 1 : files
}

/**
 * Whether the open file is complete.
 * @param fileBytes of the open file. @param remainingBytes expected of the rows that follow.
 */
export function endsFile(fileBytes: number, remainingBytes: number, sizes: SizeTargets): boolean {
  if (remainingBytes <= 0) return false
  const total = fileBytes + remainingBytes
  const files = expectedOutputFiles(total, sizes)
  return files > 1 ? fileBytes >= total / files : fileBytes >= sizes.maxFileSizeBytes
}
