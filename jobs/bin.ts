#!/usr/bin/env node
/**
 * The `firn` executable. Plain old syntax and no static import, so that a Node that is too old for the rest of the
 * package can still parse this file and say so, instead of dying on a syntax error or a missing built-in.
 */
export {}

const found: string = process.versions.node
const [major = 0, minor = 0] = found.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `error: firn needs Node >= 22.18, found ${found}; next step: install a newer Node (https://nodejs.org) or run "npx -p node@26 -p firnlake firn --help"\n`,
  )
  process.exitCode = 2
} else {
  // Compiling the SDK, Arrow and Zod takes longer than most commands: keep the result beside Node's own temp files.
  const { enableCompileCache } = await import('node:module')
  enableCompileCache()
  const { main } = await import('./main.ts')
  await main(process.argv.slice(2))
}
