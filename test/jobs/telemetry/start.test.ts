/** The end of what listens to a command. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { loadConfig } from '../../../jobs/config.ts'
import type { RunRecord } from '../../../jobs/runs.ts'
import { beginRun } from '../../../jobs/telemetry/run-channel.ts'
import { startTelemetry } from '../../../jobs/telemetry/start.ts'
import { systemClock } from '../../../table/clock.ts'

const unused = (): never => {
  throw new Error('not used')
}

test('the metrics file is there before a lineage server that hangs is given up', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'firn-telemetry-'))
  const hung = createServer(() => {})
  await new Promise<void>((resolve) => void hung.listen(0, '127.0.0.1', resolve))
  const file = join(dir, 'm.prom')
  const lineage = `http://127.0.0.1:${(hung.address() as AddressInfo).port}/`
  // no time passes until the test says so
  const late: (() => void)[] = []
  const clock = { ...systemClock, sleep: () => new Promise<void>((resolve) => void late.push(resolve)) }
  const stderr = new Writable({ write: (_chunk, _encoding, done) => done() })
  const config = loadConfig({ flags: { metricsFile: file, lineage }, env: {}, cwd: dir })
  const telemetry = await startTelemetry({ config, clock, stderr, warehouse: unused, catalog: unused })
  try {
    const record = { job: 'land', subject: 'S', outcome: 'ok', duration_ms: 5, finished_at: '2026-01-01T00:00:00Z' }
    beginRun({ job: 'land', subject: 'S', startedAtMillis: 0 }).end(record as RunRecord, true)
    const closed = telemetry.close()
    await vi.waitFor(() => expect(existsSync(file)).toBe(true))
    expect(readFileSync(file, 'utf8')).toContain('firn_job_runs_total{job="land",outcome="ok"} 1')
    for (let n = 0; n < 20; n++) {
      for (const end of late.splice(0)) end()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await closed
  } finally {
    hung.closeAllConnections()
    hung.close()
    rmSync(dir, { recursive: true })
  }
})
