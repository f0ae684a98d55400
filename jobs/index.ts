/** Door of the package `firnlake/jobs`: the pieces of the command line, for programs that schedule by themselves. */
export {
  type CompactOptions,
  type CompactResult,
  compact,
  type EnrichmentColumns,
  type EnrichmentFunction,
  enrichmentUrl,
  type ReplayOptions,
  type ReplayResult,
  replay,
} from './compaction/index.ts'
export { type Config, type LoadConfigOptions, loadConfig } from './config.ts'
export {
  createTableFor,
  type DatasetDefinition,
  type DatasetField,
  parseDataset,
  resolveDataset,
} from './datasets/index.ts'
export { type Executor, executorFor, inlineExecutor, workerExecutor } from './executors/executor.ts'
export { type ProcessExecutorOptions, processExecutor } from './executors/processes.ts'
export {
  type LandOptions,
  type LandStart,
  type LandTarget,
  landJson,
  parseStart,
  runLanding,
} from './landing/landing.ts'
export { type MaintainOptions, type MaintainRun, maintain } from './maintenance/maintain.ts'
export { type RunOutcome, type RunRecord, writeRunRecord } from './runs.ts'
export { type RecordedMetrics, type RecordMetricsOptions, recordMetrics } from './telemetry/record-metrics.ts'
