/** How a global batch is cut among the processes of a run. */

/**
 * The rows [start, end) of a global batch of `rows` rows that `rank` of `worldSize` delivers. The ranges of all ranks
 * laid end to end are the batch, and differ in size by one row at most.
 */
export function rankRange(rows: number, rank: number, worldSize: number): readonly [start: number, end: number] {
  return [Math.floor((rows * rank) / worldSize), Math.floor((rows * (rank + 1)) / worldSize)]
}
