/** Branded identities and units, so that a row count cannot be passed where a snapshot id is meant. */

declare const brand: unique symbol
type Branded<T, B extends string> = T & { readonly [brand]: B }

/** Iceberg `long`; bigint because real ids exceed 2^53. Spec: "Snapshots". */
export type SnapshotId = Branded<bigint, 'SnapshotId'>
/** Milliseconds since the epoch: metadata times (`timestamp-ms`), Kinesis arrival times. */
export type EpochMillis = Branded<number, 'EpochMillis'>
/** Microseconds since the epoch: `timestamp` and `timestamptz` values. */
export type EpochMicros = Branded<bigint, 'EpochMicros'>
/** Random id of one execution of a command; in every file name that the execution makes. */
export type RunId = Branded<string, 'RunId'>

export const snapshotId = (value: bigint): SnapshotId => value as SnapshotId
export const epochMillis = (value: number): EpochMillis => value as EpochMillis
export const epochMicros = (value: bigint): EpochMicros => value as EpochMicros
export const runId = (value: string): RunId => value as RunId
