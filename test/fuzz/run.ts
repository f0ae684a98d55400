/**
 * `npm run test:fuzz`: hostile input, the long run. `FUZZ_CASES=5000` cases of `FUZZ_SEED=1`, from `FUZZ_FIRST=0` on. Each
 * finding is printed with its number, to be run alone: `FUZZ_FIRST=<number> FUZZ_CASES=1`.
 */
import { fuzz } from './fuzz.ts'

const setting = (name: string, value: number): number => Number(process.env[name] ?? value)
const seed = setting('FUZZ_SEED', 1)
const cases = setting('FUZZ_CASES', 5000)
const started = performance.now()
const { counts, countsByKind, findings, reports } = await fuzz({
  cases,
  seed,
  first: setting('FUZZ_FIRST', 0),
  processes: setting('FUZZ_PROCESSES', cases > 1000 ? 2 : 1),
})

for (const { index, title, detail } of findings)
  console.log(`case ${index} ${title}\n  ${detail.replaceAll('\n', '\n  ')}`)
if (process.env['FUZZ_SHOW'] !== undefined) {
  for (const report of reports.filter(({ verdict }) => verdict === process.env['FUZZ_SHOW'])) {
    console.log(`case ${report.index} ${report.title}: ${report.detail}`)
  }
}
for (const [kind, verdicts] of countsByKind) {
  console.log(`${kind.padEnd(9)} ${[...verdicts].map(([verdict, count]) => `${verdict} ${count}`).join(', ')}`)
}
const largest = reports.toSorted((a, b) => b.bufferBytes - a.bufferBytes)[0]
const slowest = reports.toSorted((a, b) => b.cpuMillis - a.cpuMillis)[0]
const cpuSeconds = reports.reduce((sum, { cpuMillis }) => sum + cpuMillis, 0) / 1000
console.log(
  `fuzz: ${reports.length} cases of seed ${seed} in ${((performance.now() - started) / 1000).toFixed(1)} s ` +
    `(${cpuSeconds.toFixed(1)} s of CPU, the slowest ${slowest?.cpuMillis.toFixed(0)} ms: case ${slowest?.index}; the largest ${((largest?.bufferBytes ?? 0) / 2 ** 20).toFixed(0)} MB: case ${largest?.index}): ` +
    `${[...counts].map(([verdict, count]) => `${verdict} ${count}`).join(', ')}: ` +
    (findings.length === 0 ? 'passed' : `${findings.length} FINDINGS`),
)
process.exitCode = findings.length === 0 ? 0 : 1
