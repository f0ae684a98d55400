/** The door of `firnlake/loader`: a pinned snapshot of a table as shuffled Arrow batches. */
export type { EpochIterator } from './batches/epoch-iterator.ts'
export type { Provenance } from './batches/provenance.ts'
export type { DatasetStats } from './batches/statistics.ts'
export type { Dataset, EpochOptions, ResumePoint } from './dataset.ts'
export { type Mix, type MixIterator, type MixOptions, type MixPart, type MixStats, mix } from './mix.ts'
export { openDataset } from './open.ts'
export type {
  BatchOptions,
  CacheOptions,
  DatasetOptions,
  RetryOptions,
  ShardOptions,
  ShuffleOptions,
  SnapshotOption,
  SnapshotPoint,
  SplitOptions,
  TransformSpec,
} from './options.ts'
export type { Transform, TransformColumn, TransformFactory, TransformValues } from './read/transform.ts'
export type { Explanation } from './source/explain.ts'
export type { NumbersOptions, PadOptions, TensorBatch, TensorData } from './tensors/tensors.ts'
export type { TensorFlow, TensorSource, Tensors, TFDataset, TFDatasetOptions, TFElement } from './tensors/tfjs.ts'
export type { TokenizerJson } from './tokenizer/json.ts'
export { type TextSource, type TokenizerOfOptions, tokenizerOf } from './tokenizer/sample.ts'
export { type TokenizeColumn, type TokenizeOptions, tokenize } from './tokenizer/tokenize.ts'
export { loadTokenizer, type Tokenizer } from './tokenizer/tokenizer.ts'
export { type TrainTokenizerOptions, trainTokenizer } from './tokenizer/train.ts'
