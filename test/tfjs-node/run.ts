/**
 * `npm run test:tfjs-node`: the trainings of `test/loader/tensors/scenarios.ts` with `@tensorflow/tfjs-node`, each in a
 * process of its own, on the Node that runs this and on Node 22. tfjs-node is loaded by the lines of `docs/tfjs.md`.
 *
 * Where it cannot be built this says so and succeeds; `FIRN_REQUIRE_TFJS_NODE=1` turns that into a failure.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { folderWarehouse, rowsTable } from '../loader/support.ts'
import { SCENARIOS, TABLE_ROWS } from '../loader/tensors/scenarios.ts'
import { type Built, build, Unavailable } from './build.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CHILD = fileURLToPath(new URL('./fit.child.ts', import.meta.url))
/** A process that does not end by itself. */
const TIMEOUT_MILLIS = 120_000

const say = (line: string): void => console.log(`test:tfjs-node: ${line}`)

/** The block of the page that loads tfjs-node, as a module. */
function linesOfPage(): string {
  const page = readFileSync(join(ROOT, 'docs/tfjs.md'), 'utf8')
  const block = page.split('## tfjs-node on')[1]?.match(/```js\n(.*?)```/s)?.[1]
  if (block === undefined) throw new Error('docs/tfjs.md no longer shows how tfjs-node is loaded')
  return block
}

/** @returns failures. */
function runOn(node: string, module: string, warehouse: string): number {
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  let failures = 0
  for (const close of ['close', 'forget']) {
    for (const name of Object.keys(SCENARIOS)) {
      const { status, stdout, stderr } = spawnSync(node, [CHILD, module, warehouse, close, name], {
        encoding: 'utf8',
        timeout: TIMEOUT_MILLIS,
        env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' },
      })
      const done = status === 0 ? stdout.trim().split('\n').at(-1) : undefined
      if (done?.startsWith('done') === true) say(`ok: Node ${version}, ${close}, ${name}: ${done}`)
      else {
        failures++
        say(`FAILED: Node ${version}, ${close}, ${name}: ${status ?? 'killed'}\n${stdout}${stderr}`)
      }
    }
  }
  return failures
}

async function main(): Promise<number> {
  let built: Built
  try {
    built = build(join(ROOT, '.cache/tfjs-node'), say)
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    say(`skipped: ${error.message}`)
    return process.env['FIRN_REQUIRE_TFJS_NODE'] === '1' ? 1 : 0
  }
  const file = join(built.folder, 'tfjs-node.mjs')
  writeFileSync(file, linesOfPage())
  const warehouse = await folderWarehouse()
  try {
    await rowsTable(warehouse.url, { rows: TABLE_ROWS })
    const nodes = [process.execPath, ...(built.oldNode === undefined ? [] : [built.oldNode])]
    const failures = nodes.map((node) => runOn(node, pathToFileURL(file).href, warehouse.url))
    const failed = failures.reduce((sum, count) => sum + count, 0)
    say(`${failed} of ${nodes.length * 2 * Object.keys(SCENARIOS).length} trainings failed`)
    return failed === 0 ? 0 : 1
  } finally {
    await warehouse.remove()
  }
}

process.exitCode = await main()
