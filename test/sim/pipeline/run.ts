/** Seeds of the pipeline simulation, one after the other, with what came out of them in a line each. */
import { concurrent, warmUp } from './concurrent.ts'
import { deaths } from './deaths.ts'
import { failingSeed, SAFEGUARDS } from './safeguards.ts'

export interface PipelineSeeds {
  /** Seeds of which every `stride`th store call of every job is a death. */
  readonly exhaustive: number
  readonly stride: number
  readonly first: number
  /** Seeds of everything at once. */
  readonly concurrent: number
}

/** @returns the number of seeds that failed. */
export async function runPipeline({ exhaustive, stride, first, concurrent: atOnce }: PipelineSeeds): Promise<number> {
  let failed = 0
  for (let seed = first; seed < first + exhaustive; seed++) {
    const before = process.cpuUsage()
    const { findings, calls, deaths: died, digest, callsOf } = await deaths({ seed, stride })
    const { user, system } = process.cpuUsage(before)
    const jobs = Object.entries(callsOf).map(([kind, count]) => `${kind} ${count}`)
    console.log(
      `pipeline, seed ${seed}: ${died} deaths at ${calls} store calls (${jobs.join(', ')}), ` +
        `${((user + system) / 1e6).toFixed(0)} s of CPU, digest ${digest.slice(0, 12)}: ${findings.length === 0 ? 'passed' : 'FAILED'}`,
    )
    for (const finding of findings.slice(0, 5)) console.log(`  ${finding}`)
    if (findings.length > 0) failed++
  }
  return failed + (await runConcurrent(first, atOnce))
}

async function runConcurrent(first: number, seeds: number): Promise<number> {
  await warmUp()
  const before = process.cpuUsage()
  let [failed, records, died, runs] = [0, 0, 0, 0]
  for (let seed = first; seed < first + seeds; seed++) {
    const result = await concurrent({ seed })
    records += result.records
    died += result.deaths
    runs += Object.values(result.runs).reduce((sum, count) => sum + count, 0)
    if (result.findings.length === 0) continue
    failed++
    console.log(`everything at once, seed ${seed}: ${result.findings.length} findings`)
    for (const finding of result.findings.slice(0, 5)) console.log(`  ${finding}`)
  }
  const { user, system } = process.cpuUsage(before)
  console.log(
    `everything at once: ${seeds} seeds, ${records} records, ${runs} runs, ${died} deaths, ` +
      `${((user + system) / 1e6).toFixed(0)} s of CPU: ${failed === 0 ? 'passed' : `${failed} seeds FAILED`}`,
  )
  return failed
}

/**
 * For each safeguard the first seed that fails without it.
 * @returns the number of safeguards that no seed up to `most` shows.
 */
export async function runSafeguards(most: number): Promise<number> {
  await warmUp()
  let hidden = 0
  for (const safeguard of SAFEGUARDS) {
    const shown = await failingSeed(safeguard, most)
    if (shown === undefined) hidden++
    const what = shown === undefined ? 'NOT SHOWN' : `seed ${shown.seed}: ${shown.finding.slice(0, 160)}`
    console.log(`without "${safeguard.name}" (${safeguard.simulation}): ${what}`)
  }
  return hidden
}
