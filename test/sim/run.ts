/**
 * `npm run test:sim`: the simulations, in about a minute of processor time; `npm run test:sim:full` (`--full`) all of
 * them. A seed that fails is printed, to be run alone: `SIM_FIRST` is the first seed, `SIM_SEEDS` the number of seeds of
 * the table's simulation (4 writers x 10 commits, and one fortieth of that of 8 x 50), `SIM_PIPELINE` that of
 * the pipeline's deaths at every call, `SIM_CONCURRENT` that of everything at once. `--safeguards` shows for each
 * safeguard a seed that fails without it.
 */
import { runPipeline, runSafeguards } from './pipeline/run.ts'
import { simulate } from './simulate.ts'

const isFull = process.argv.includes('--full')
const number = (name: string, usual: number): number => Number(process.env[name] ?? usual)
const seeds = number('SIM_SEEDS', isFull ? 200 : 40)
const first = number('SIM_FIRST', 1)
const started = performance.now()
let failed = 0
const totals = { versions: 0, zombies: 0, refused: 0, requests: 0 }

async function run(seed: number, writers: number, commits: number): Promise<void> {
  const result = await simulate({ seed, writers, commits })
  for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += result[name]
  if (result.findings.length === 0) return
  failed++
  console.log(`seed ${seed}, ${writers} writers x ${commits} commits: ${result.findings.length} findings`)
  for (const { violation, what } of result.findings.slice(0, 5)) console.log(`  ${violation}: ${what}`)
}

for (let seed = first; seed < first + seeds; seed++) await run(seed, 4, 10)
for (let seed = first; seed < first + Math.ceil(seeds / 40); seed++) await run(seed, 8, 50)
const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(
  `table: ${seeds} seeds of 4 x 10 and ${Math.ceil(seeds / 40)} of 8 x 50 in ${seconds} s: ${totals.versions} versions, ` +
    `${totals.requests} requests, ${totals.refused} refused commits, ${totals.zombies} versions in gaps: ` +
    (failed === 0 ? 'passed' : `${failed} seeds FAILED`),
)
failed += await runPipeline({
  first,
  exhaustive: number('SIM_PIPELINE', isFull ? 5 : 1),
  stride: isFull ? 1 : 8,
  concurrent: number('SIM_CONCURRENT', isFull ? 500 : 40),
})
if (isFull || process.argv.includes('--safeguards')) failed += await runSafeguards(20)
console.log(`test:sim: ${failed === 0 ? 'passed' : `${failed} seeds FAILED`}`)
process.exitCode = failed === 0 ? 0 : 1
