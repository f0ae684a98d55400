/** Delete files: without one of them, rows that were deleted come back. */
import { type DataFile, keyOfPath, type Table } from '../../table/index.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import type { Findings } from './problems.ts'

/** They exist and have the size of their entry. @param files live in some snapshot, each once. */
export async function verifyDeleteFiles(
  { store, location }: Table,
  files: readonly DataFile[],
  findings: Findings,
  options: AbortableOptions = {},
): Promise<void> {
  for (const { filePath, fileSizeBytes } of files) {
    options.signal?.throwIfAborted()
    const object = await store.head(keyOfPath(location, filePath), options)
    if (object === undefined) {
      findings.add('file-missing', filePath, 'a snapshot refers to this delete file, but it does not exist')
    } else if (object.sizeBytes !== fileSizeBytes) {
      findings.add('file-size', filePath, `the manifest says ${fileSizeBytes} bytes, it has ${object.sizeBytes}`)
    }
  }
}
