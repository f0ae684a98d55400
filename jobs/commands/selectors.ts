/** `--snapshot`, `--as-of` and `--ref`: which state of a table a reading command looks at. */
import { type Command, InvalidArgumentError } from 'commander'
import { type EpochMillis, epochMillis, type SnapshotId, snapshotId } from '../../table/ids.ts'
import { timeArgument } from '../times.ts'
import { exclusiveOptions } from './exclusive.ts'

export interface SelectorOptions {
  readonly snapshot?: SnapshotId
  readonly asOf?: number
  readonly ref?: string
}

/** What `Table` takes; nothing given means the current snapshot. */
export interface Selector {
  readonly snapshotId?: SnapshotId
  readonly asOf?: EpochMillis
  readonly ref?: string
}

export function addSelectors(command: Command): Command {
  command
    .option('--snapshot <id>', 'read this snapshot (firn inspect snapshots lists them)', snapshotArgument)
    .option('--as-of <time>', 'read the table as it was then, like 2026-01-31T12:00:00Z', timeArgument)
    .option('--ref <name>', 'read this tag or branch')
  return exclusiveOptions(command, ['snapshot'], ['asOf'], ['ref'])
}

export function selectorOf({ snapshot, asOf, ref }: SelectorOptions): Selector {
  return {
    ...(snapshot === undefined ? {} : { snapshotId: snapshot }),
    ...(asOf === undefined ? {} : { asOf: epochMillis(asOf) }),
    ...(ref === undefined ? {} : { ref }),
  }
}

/** Ids are 64-bit: read as a bigint, never as a number. */
export function snapshotArgument(text: string): SnapshotId {
  if (!/^\d{1,19}$/.test(text) || BigInt(text) >= 2n ** 63n) {
    throw new InvalidArgumentError('Expected a snapshot id, a whole number below 2^63.')
  }
  return snapshotId(BigInt(text))
}
