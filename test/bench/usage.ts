/**
 * Preloaded (`--import`) into a measured process: at its end, writes what it used to the file in `BENCH_USAGE`.
 * `maxRSS` counts all threads of the process, worker threads included.
 */
import { writeFileSync } from 'node:fs'

const path = process.env['BENCH_USAGE']
if (path !== undefined) {
  process.on('exit', () => {
    const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
    writeFileSync(path, JSON.stringify({ peakBytes: maxRSS * 1024, cpuMillis: (userCPUTime + systemCPUTime) / 1000 }))
  })
}
