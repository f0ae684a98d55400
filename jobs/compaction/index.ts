/** The hourly job: staged records to one snapshot. */
export { type Averages, type AveragesState, averagesOf, mergeAverages, NO_AVERAGES } from './averages.ts'
export {
  type CompactionPreview,
  type CompactOptions,
  type CompactResult,
  compact,
  previewCompaction,
  type UnreadStream,
} from './compact.ts'
export { type EnrichmentColumns, type EnrichmentFunction, enrichmentUrl } from './enrich/enrichment.ts'
export { type JsonManifest, type ManifestFile, manifestKey, readManifest } from './manifest.ts'
export { type CompactionPlan, planCompaction } from './plan.ts'
export { previewReplay, type ReplayOptions, type ReplayResult, replay } from './refused/replay.ts'
export { compactionWork, compactText, replayWork } from './report.ts'
