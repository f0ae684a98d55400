/**
 * Rewriting data files: small ones together, sorted ones into each other, deletes applied, old layouts brought to the
 * table's current one. `planRewrite` decides and prints, `runRewrite` does it. Rows never change.
 */
export { type ContentDigest, collectDigest, type DigestCollector } from './rewrite/digest.ts'
export type { RewriteReason } from './rewrite/groups.ts'
export type { RewritePlanOptions, RewriteSettings, RewriteStrategy } from './rewrite/options.ts'
export { type PlannedGroup, type PlannedInput, planRewrite, type RewritePlan } from './rewrite/plan.ts'
export {
  DEFAULT_MEMORY_LIMIT_BYTES,
  type RewriteGroupResult,
  type RewriteResult,
  type RewriteRunOptions,
  runRewrite,
  type UpcomingRewrite,
} from './rewrite/run.ts'
