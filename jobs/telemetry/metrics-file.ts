/** Metrics of a short run as a file: a scrape would come too late. Written as node_exporter's textfile collector wants it. */
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Clock, newRunId } from '../../table/clock.ts'
import { FirnError } from '../../table/errors.ts'

/**
 * Put `text` in the place of `path` at once: a collector sees the old file or the new one, and never the half-written
 * one, whose name does not end in `.prom`.
 * @throws {FirnError} `FIRN_METRICS_FILE` (failed).
 */
export async function writeMetricsFile(path: string, text: string, clock: Clock): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${newRunId(clock)}.partial`)
  try {
    await writeFile(partial, text)
    await rename(partial, path)
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {}) // the failure to write is what is reported
    throw new FirnError(
      'failed',
      'FIRN_METRICS_FILE',
      `the metrics file ${path} was not written: ${(cause as Error).message}`,
      {
        cause,
        help: 'check that its folder exists and can be written to',
      },
    )
  }
}
