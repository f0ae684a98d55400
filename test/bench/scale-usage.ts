/**
 * Preloaded into a measured process and all that it starts: at its end, each writes its peak memory to a file of the
 * folder in `BENCH_SCALE_FOLDER`. `maxRSS` counts all threads of a process.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

const folder = process.env['BENCH_SCALE_FOLDER']
if (folder !== undefined && isMainThread) {
  process.on('exit', () => {
    const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
    const isTask = process.argv.includes('task')
    const cpuMillis = (userCPUTime + systemCPUTime) / 1000
    writeFileSync(join(folder, `${process.pid}.json`), JSON.stringify({ isTask, peakBytes: maxRSS * 1024, cpuMillis }))
  })
}
