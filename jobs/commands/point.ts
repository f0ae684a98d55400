/** A snapshot as people name it in one word: a tag or branch, an id, or a time. */
import { FirnError } from '../../table/errors.ts'
import { epochMillis, type SnapshotId } from '../../table/ids.ts'
import type { Table } from '../../table/index.ts'
import { parseTime } from '../times.ts'
import { type Selector, snapshotArgument } from './selectors.ts'

/**
 * Refs first: a tag may look like a time or an id.
 * @param option the flag, for messages.
 * @throws {FirnError} `FIRN_USAGE` (invalid). What the selector names may still not exist.
 */
export function parsePoint({ metadata }: Table, text: string, option: string): Selector {
  if (Object.hasOwn(metadata.refs, text)) return { ref: text }
  const time = parseTime(text)
  if (time !== undefined) return { asOf: epochMillis(time) }
  if (/^\d+$/.test(text)) return { snapshotId: snapshotArgument(text) }
  const refs = Object.keys(metadata.refs).join(', ') || 'none'
  throw new FirnError('invalid', 'FIRN_USAGE', `${option} ${text}: neither a ref, nor a snapshot id, nor a time`, {
    help: `the refs are: ${refs}; firn inspect snapshots lists the ids; a time is like 2026-01-31T12:00:00Z`,
  })
}

/** The snapshot itself. One that is given by id may have expired: what comes after it can still be known. */
export function pointId(table: Table, text: string, option: string): SnapshotId | undefined {
  const selector = parsePoint(table, text, option)
  return selector.snapshotId ?? table.snapshotFor(selector)?.snapshotId
}
