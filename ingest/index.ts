/** The door of ingest: landing runs, what they staged, and how one record decodes. */
export type { ChainProgress, ChunkLimits } from './chain.ts'
export { defaultChunkLimits } from './chain.ts'
export type { ChunkMeta, FilePosition } from './chunk.ts'
export type { ChunkRows, SourceRecord, VarBytes } from './chunk-rows.ts'
export type { DecodedRecord, DecodeReason } from './decode.ts'
export { decodeRecord } from './decode.ts'
export type { KinesisOptions } from './kinesis.ts'
export { openKinesis } from './kinesis.ts'
export type {
  IteratorPosition,
  KinesisApi,
  KinesisPage,
  KinesisShard,
  PutEntry,
  PutOutcome,
  StreamDescription,
} from './kinesis-api.ts'
export type { ProbeStreamOptions, StreamProbe } from './kinesis-probe.ts'
export { probeStream } from './kinesis-probe.ts'
export type { KinesisSourceOptions } from './kinesis-source.ts'
export { kinesisSource } from './kinesis-source.ts'
export type { UserRecord } from './kpl.ts'
export { userRecords } from './kpl.ts'
export type { LandOptions, LandResult, ShardResult } from './land.ts'
export { land } from './land.ts'
export type { LandBudget, LandEnd } from './land-limits.ts'
export type { ObjectPlace, ObjectSourceOptions } from './object-source.ts'
export { objectSource, splitObjectUrl } from './object-source.ts'
export { comparePositions, START_POSITION } from './positions.ts'
export type { FileSourceOptions } from './replay.ts'
export { fileSource } from './replay.ts'
export type {
  RecordSource,
  RequestedStart,
  ResumePoint,
  SourceCounts,
  SourcePage,
  SourceShard,
  StreamStart,
} from './source.ts'
export type { ChunkRef, ListedChunkRef, StagedChunk, StreamIncarnation } from './staging.ts'
export { chunkKey, incarnationPrefix, listChunks, listIncarnations, readChunk, readChunkMeta } from './staging.ts'
export type { Consumer, ConsumerEntry } from './stream-state.ts'
export { deregisterConsumer, listConsumers, readCaughtUp, registerConsumer } from './stream-state.ts'
