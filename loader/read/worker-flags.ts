/** Command-line flags of worker threads. */

/**
 * To be spread into the options of a `Worker`. A thread inherits the flags of its process, and dies of `--input-type`,
 * which `node --input-type=module -e …` has and which is for scripts given as text only.
 *
 * Then it gets none: what is left cannot be handed over, because `new Worker` refuses the flags of V8 that it inherits
 * without a word. Those of `NODE_OPTIONS` reach it in any case.
 * @param flags of the process.
 */
export function workerFlags(flags: readonly string[] = process.execArgv): { readonly execArgv?: string[] } {
  return flags.some((flag) => /^--input[-_]type(=|$)/.test(flag)) ? { execArgv: [] } : {}
}
