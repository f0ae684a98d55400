/** The loader as it is installed: compiled, so that no process spends its start on removing types. */
export const builtLoader = (): Promise<typeof import('../../../loader/index.ts')> =>
  import(new URL('../../../dist/loader/index.js', import.meta.url).href) as Promise<
    typeof import('../../../loader/index.ts')
  >
