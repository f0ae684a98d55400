/** Seeds of the pipeline simulation, one after the other, with what came out of them in a line each. */
import { deaths } from './deaths.ts'

export interface PipelineSeeds {
  /** Seeds of which every `stride`th store call of every job is a death. */
  readonly exhaustive: number
  readonly stride: number
  readonly first: number
}

/** @returns the number of seeds that failed. */
export async function runPipeline({ exhaustive, stride, first }: PipelineSeeds): Promise<number> {
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
  return failed
}
