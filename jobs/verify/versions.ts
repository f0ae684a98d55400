/**
 * Metadata files against the log of the newest one. A writer that stalled for long enough may put its version into the
 * gap that trimming left, where it is no commit although it looks like one.
 */
import { parseJson, prefetch, type Table } from '../../table/index.ts'
import { type AbortableOptions, getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import type { Findings } from './problems.ts'
import { metadataVersions } from './version-hint.ts'

/** Metadata files read at once. */
const DEPTH = 4

interface Version {
  readonly key: string
  /** When the newest metadata says that this version was committed. */
  readonly loggedMillis: number
}

export async function verifyVersions(table: Table, findings: Findings, options: AbortableOptions = {}): Promise<void> {
  const { store, metadata, location } = table
  const there = new Set((await metadataVersions(store, options)).values())
  const versions = metadata.metadataLog
    .map(({ metadataFile, timestampMillis }): Version => {
      const name = metadataFile.slice(metadataFile.lastIndexOf('/') + 1)
      return { key: `metadata/${name}`, loggedMillis: timestampMillis }
    })
    // compressed ones come from other engines, whose catalogs never reuse a number
    .filter(({ key }) => there.has(key) && key.endsWith('.json') && !key.endsWith('.gz.metadata.json'))
  const read = async ({ key, loggedMillis }: Version, signal: AbortSignal): Promise<string | undefined> => {
    const committed = await committedMillis(store, key, { signal })
    if (committed === undefined || committed === loggedMillis) return undefined
    return `it is of ${committed}, the version of this number was committed at ${loggedMillis} (milliseconds)`
  }
  let index = 0
  for await (const fault of prefetch(versions, read, { depth: DEPTH, signal: options.signal })) {
    const { key } = versions[index++]!
    if (fault !== undefined) findings.add('metadata-zombie', `${location}/${key}`, fault)
  }
}

/** `undefined` for a file that was trimmed meanwhile or is no JSON: older versions matter to nobody. */
async function committedMillis(
  store: ObjectStore,
  key: string,
  options: AbortableOptions,
): Promise<number | undefined> {
  const stored = await getIfExists(store, key, options)
  if (stored === undefined) return undefined
  try {
    const json = parseJson(Buffer.from(stored.bytes).toString('utf8'))
    const at = (json as Readonly<Record<string, unknown>> | null)?.['last-updated-ms']
    return typeof at === 'number' ? at : undefined
  } catch {
    return undefined
  }
}
