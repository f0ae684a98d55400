/**
 * Files as a stream: back-fills, tests and demos without AWS. NDJSON, also compressed as .gz or .zst; a file is a
 * shard, a line number its position. Landing a file twice adds nothing, a file that grew goes on where it ended.
 */
import type { Clock } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import type { RecordSource, ResumePoint, SourcePage, SourceShard } from '../source.ts'
import { START_POSITION } from '../staging/positions.ts'
import { readLines } from './lines.ts'
import { fileShardId, resolveFiles } from './paths.ts'

export interface FileSourceOptions {
  /** Files, `file:` URLs, directories, or patterns with `*` and `?` in the last segment. */
  readonly paths: readonly string[]
  /** Stream name to land under; default `files`. */
  readonly as?: string
  readonly clock: Clock
  /** Longer lines stop the run; default 64 MiB. */
  readonly maxLineBytes?: number
}

const DEFAULT_MAX_LINE_BYTES = 64 * 1024 * 1024

/**
 * Every line that is not blank is a record, good or bad: judging it is compaction's work. Its arrival time is the
 * start of the run, the same for all files, so that ties between files are decided by their names and line numbers.
 */
export function fileSource(options: FileSourceOptions): RecordSource {
  const { paths, as = 'files', maxLineBytes = DEFAULT_MAX_LINE_BYTES } = options
  let files: ReadonlyMap<string, string> | undefined
  const resolveOnce = async (signal: AbortSignal | undefined): Promise<ReadonlyMap<string, string>> => {
    files ??= new Map((await resolveFiles(paths, { signal })).map((path) => [fileShardId(path), path]))
    return files
  }
  return {
    stream: as,
    start: { type: 'TRIM_HORIZON' },
    listsEveryShard: false,
    open: async ({ signal } = {}) => {
      await resolveOnce(signal) // nothing is written to staging for a file that is not there
      return { created: 0 }
    },
    listShards: async ({ signal } = {}) =>
      [...(await resolveOnce(signal)).keys()].map((shardId) => ({ shardId, parents: [] })),
    read: async function* (shard, from, readOptions) {
      const path = (await resolveOnce(readOptions?.signal)).get(shard.shardId) as string
      yield* readPages(path, shard, from, { maxLineBytes, signal: readOptions?.signal })
    },
    // A file may grow, so its chain never ends: somebody landed it as an object.
    checkEnded: (shard) => {
      throw landedAsObject(files?.get(shard.shardId) ?? shard.shardId)
    },
  }
}

const landedAsObject = (path: string): FirnError =>
  new FirnError('invalid', 'FIRN_FILE_CHANGED', `${path} was landed as an object under this name, whole`, {
    detail: { path },
    help: 'What was added to it since is not read. Land it under another stream name (--as).',
  })

async function* readPages(
  path: string,
  shard: SourceShard,
  from: ResumePoint,
  options: AbortableOptions & { maxLineBytes: number },
): AsyncGenerator<SourcePage, void, undefined> {
  const position = from.lastChunk?.file
  if (from.after !== START_POSITION && position === undefined) {
    throw new FirnError('corrupt', 'FIRN_CHUNK_CORRUPT', `the last chunk of ${shard.shardId} has no file position`, {
      detail: { shardId: shard.shardId, after: from.after },
      help: 'Something other than a file was landed under this stream name; use another one (--as).',
    })
  }
  const start = { afterLine: Number(from.after), position }
  for await (const page of readLines(path, start, options)) {
    yield {
      records: page.lines.map((line) => ({
        sequenceNumber: String(line.number),
        partitionKey: '',
        arrivalMillis: from.untilMillis,
        data: line.bytes,
      })),
      millisBehindLatest: null,
      gap: false,
      ended: false,
      caughtUp: page.pendingBytes !== undefined,
      fileAt: page.positionAt,
      ...(page.pendingBytes === undefined ? {} : { pendingBytes: page.pendingBytes }),
    }
  }
}
