/** Whether what was written is there when it is committed. */
import { FirnError } from '../../errors.ts'
import type { AbortableOptions } from '../../io/object-store.ts'
import type { DataFile } from '../../manifest/data-file.ts'
import { prefetch } from '../../scan/prefetch.ts'
import { keyOfPath } from '../../spec/location.ts'
import type { Table } from '../../table.ts'

/** Requests in flight. */
const DEPTH = 16

/**
 * The first files of a long run may be days old when they are committed, and a removal of orphans takes old files that
 * no snapshot names. Their rows are still in the files that were to be replaced, as long as nothing is committed.
 * @throws {FirnError} `FIRN_REWRITE_OUTPUT_LOST` (failed).
 */
export async function assertStillThere(
  { store, location }: Table,
  files: readonly DataFile[],
  options: AbortableOptions,
): Promise<void> {
  const look = async ({ filePath, fileSizeBytes }: DataFile, signal: AbortSignal) => ({
    filePath,
    isThere: (await store.head(keyOfPath(location, filePath), { signal }))?.sizeBytes === fileSizeBytes,
  })
  for await (const { filePath, isThere } of prefetch(files, look, { depth: DEPTH, signal: options.signal })) {
    if (isThere) continue
    const message = `${filePath} was written by this rewrite and is gone before its commit: nothing was replaced`
    throw new FirnError('failed', 'FIRN_REWRITE_OUTPUT_LOST', message, {
      detail: { path: filePath },
      help: 'Rewrite again. If a removal of orphans took it, give that an age above the longest rewrite.',
    })
  }
}
