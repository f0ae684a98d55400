/**
 * Publishes generated articles to a stream: `RECORDS` of them (default 1,000), then ends; with `LOOP=1` it goes on,
 * as many again every minute. Reaches Kinesis by the same settings as `firn land`.
 */
import { openKinesis } from '../../ingest/index.ts'
import { systemClock } from '../../table/clock.ts'
import { demoSettings, loadConfig, loadEnvironment } from '../config.ts'
import { describeError, exitCodeOf } from '../exit.ts'
import { plural } from '../render.ts'
import { interruptible } from '../signals.ts'
import { feedArticles } from './feed.ts'

const PAUSE_MILLIS = 60_000

async function populate(signal: AbortSignal): Promise<void> {
  const cwd = process.cwd()
  const env = loadEnvironment(cwd)
  const { records, loop } = demoSettings()
  const { stream = 'MyStream', kinesis } = loadConfig({ env, cwd })
  const { endpoint, region } = kinesis
  const client = openKinesis({
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
  })
  // Each start publishes articles of its own, also when two start at once.
  const seed = Buffer.from(systemClock.randomBytes(4)).readUInt32BE()
  try {
    for (let startIndex = 0; ; startIndex += records) {
      await feedArticles({ client, stream, count: records, seed, startIndex, clock: systemClock, signal })
      process.stdout.write(`published ${plural(records, 'article')} to ${stream}\n`)
      if (!loop) return
      await systemClock.sleep(PAUSE_MILLIS, signal)
    }
  } finally {
    client.close()
  }
}

const interrupt = interruptible()
try {
  await populate(interrupt.signal)
} catch (error) {
  process.exitCode = interrupt.exitCode ?? exitCodeOf(error)
  if (interrupt.exitCode === undefined) process.stderr.write(describeError(error, false))
} finally {
  interrupt.done()
}
