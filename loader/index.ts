/** The door of `firnlake/loader`: a pinned snapshot of a table as shuffled Arrow batches. */
export type { Dataset, EpochIterator, EpochOptions, Provenance } from './dataset.ts'
export { openDataset } from './open.ts'
export {
  type BatchOptions,
  type DatasetOptions,
  DEFAULT_BLOCK_ROW_GROUPS,
  type ShuffleOptions,
  type SnapshotOption,
} from './options.ts'
export type { NumbersOptions, TensorBatch, TensorData } from './tensors/tensors.ts'
export type { TensorFlow, TensorSource, Tensors, TFDataset, TFDatasetOptions, TFElement } from './tensors/tfjs.ts'
