/**
 * A tag of the run's own on the snapshot that it reads, so that expiry does not take the files away under it. It is
 * removed when the run ends; that of a run which was killed goes by its age.
 */
import { FirnError } from '../../table/errors.ts'
import { type Clock, newUuid, type Snapshot, type Table } from '../../table/index.ts'

/** How long a run is protected from its start on. */
export const PIN_MILLIS: number = 7 * 86_400_000

export interface Pin {
  /** `firn-loader-<uuid>`. */
  readonly tag: string
  /** Removes the tag; one that is gone already is no error. Later calls do nothing. */
  release(): Promise<void>
}

export interface PinOptions {
  /** `'auto'`: what stands in the way is no error, there is just no pin. */
  readonly mode: 'auto' | 'required'
  readonly clock: Clock
  /** Looked at before the tag is made, not while: a tag that may be there could not be removed. */
  readonly signal?: AbortSignal | undefined
}

/**
 * @returns `undefined` when the table could not be tagged, under `'auto'` only: one that was opened by its location,
 *   one of a format version that is not written, one that this identity may only read, a store that did not answer.
 * @throws {FirnError} under `'required'` as `Table.createTag`; `signal.reason` when it is aborted already.
 */
export async function pinSnapshot(
  table: Table,
  snapshot: Snapshot,
  { mode, clock, signal }: PinOptions,
): Promise<Pin | undefined> {
  signal?.throwIfAborted()
  if (mode === 'auto' && table.name === undefined) return undefined
  const tag = `firn-loader-${newUuid(clock)}`
  // The age of a tag is that of its snapshot.
  const age = Math.max(0, clock.nowMillis() - snapshot.timestampMillis)
  try {
    const pinned = await table.createTag(tag, snapshot.snapshotId, { maxRefAgeMillis: age + PIN_MILLIS })
    return { tag, release: once(() => removeTag(pinned, tag)) }
  } catch (error) {
    // Whether an attempt took effect may be unknown: then the tag must not stay.
    if (FirnError.is(error) && error.kind === 'unknown-commit') await removeTag(table, tag).catch(() => {})
    if (mode === 'auto' && FirnError.is(error)) return undefined
    throw error
  }
}

async function removeTag(table: Table, tag: string): Promise<void> {
  try {
    await table.removeRef(tag)
  } catch (error) {
    if (!FirnError.is(error, 'FIRN_REF_NOT_FOUND')) throw error
  }
}

function once(run: () => Promise<void>): () => Promise<void> {
  let started: Promise<void> | undefined
  return () => {
    started ??= run()
    return started
  }
}
