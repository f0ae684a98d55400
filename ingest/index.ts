/** The door of ingest: landing runs, what they staged, and how one record decodes. */

export type { FileSourceOptions } from './files/source.ts'
export { fileSource } from './files/source.ts'
export type {
  IteratorPosition,
  KinesisApi,
  KinesisPage,
  KinesisShard,
  PutEntry,
  PutOutcome,
  StreamDescription,
} from './kinesis/api.ts'
export type { KinesisOptions } from './kinesis/client.ts'
export { openKinesis } from './kinesis/client.ts'
export type { ProbeStreamOptions, StreamProbe } from './kinesis/probe.ts'
export { probeStream } from './kinesis/probe.ts'
export type { KinesisSourceOptions } from './kinesis/source.ts'
export { kinesisSource } from './kinesis/source.ts'
export type { ChainProgress, ChunkLimits } from './land/chain.ts'
export { defaultChunkLimits } from './land/chain.ts'
export type { LandOptions, LandResult, ShardResult } from './land/land.ts'
export { land } from './land/land.ts'
export type { LandBudget, LandEnd } from './land/limits.ts'
export type { ObjectPlace, ObjectSourceOptions } from './objects/source.ts'
export { objectSource, splitObjectUrl } from './objects/source.ts'
export type { DecodedRecord, DecodeReason } from './records/decode.ts'
export { decodeRecord } from './records/decode.ts'
export type { UserRecord } from './records/kpl.ts'
export { userRecords } from './records/kpl.ts'
export type {
  RecordSource,
  RequestedStart,
  ResumePoint,
  SourceCounts,
  SourcePage,
  SourceShard,
  StreamStart,
} from './source.ts'
export type { ChunkMeta, FilePosition } from './staging/chunk.ts'
export type { ChunkRows, SourceRecord, VarBytes } from './staging/chunk-rows.ts'
export { comparePositions, START_POSITION } from './staging/positions.ts'
export type { ChunkRef, ListedChunkRef, StagedChunk, StreamIncarnation } from './staging/staging.ts'
export {
  chunkKey,
  incarnationPrefix,
  listChunks,
  listIncarnations,
  readChunk,
  readChunkMeta,
} from './staging/staging.ts'
export type { Consumer, ConsumerEntry } from './staging/stream-state.ts'
export { deregisterConsumer, listConsumers, readCaughtUp, registerConsumer } from './staging/stream-state.ts'
