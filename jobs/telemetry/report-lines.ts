/**
 * One log line for each commit and each scan, with the members of Iceberg's CommitReport and ScanReport under the names
 * that its REST specification gives them. No line holds anything of a record.
 */
import { type CommitMessage, commitChannel, type ScanMessage, scanChannel } from '../../table/diagnostics.ts'
import type { Logger } from './logs.ts'

/** @param level `info` for machines, who want each; `debug` for people. @returns ends the subscriptions. */
export function logReports(log: Logger, level: 'info' | 'debug'): () => void {
  const subscriptions = [
    commitChannel.subscribe((message) => {
      const { outcome } = message
      log[outcome === 'ok' ? level : 'warn'](commitReport(message), `commit ${outcome}`)
    }),
    scanChannel.subscribe((message) => log[level](scanReport(message), 'scan planned')),
  ]
  return () => {
    for (const end of subscriptions) end()
  }
}

function commitReport(message: CommitMessage): object {
  const { counts, totals } = message
  return {
    table: message.table,
    'snapshot-id': message.snapshotId,
    'sequence-number': message.sequenceNumber,
    operation: message.operation,
    outcome: message.outcome,
    'total-duration-ms': rounded(message.durationMillis),
    attempts: message.attempts,
    recovered: message.recovered || undefined,
    code: message.errorCode,
    ...(counts === undefined
      ? {}
      : {
          'added-data-files': counts.addedDataFiles,
          'removed-data-files': counts.removedDataFiles,
          'total-data-files': totals?.dataFiles,
          'added-delete-files': counts.addedDeleteFiles,
          'removed-delete-files': counts.removedDeleteFiles,
          'total-delete-files': totals?.deleteFiles,
          'added-records': counts.addedRecords,
          'removed-records': counts.removedRecords,
          'total-records': totals?.records,
          'added-files-size-bytes': counts.addedFilesSizeBytes,
          'removed-files-size-bytes': counts.removedFilesSizeBytes,
          'total-files-size-bytes': totals?.filesSizeBytes,
          'added-positional-deletes': counts.addedPositionDeletes,
          'added-equality-deletes': counts.addedEqualityDeletes,
        }),
  }
}

const scanReport = (message: ScanMessage): object => ({
  table: message.table,
  'snapshot-id': message.snapshotId,
  'total-planning-duration-ms': rounded(message.planningMillis),
  'total-data-manifests': message.totalDataManifests,
  'total-delete-manifests': message.totalDeleteManifests,
  'scanned-data-manifests': message.scannedDataManifests,
  'skipped-data-manifests': message.skippedDataManifests,
  'result-data-files': message.resultDataFiles,
  'result-delete-files': message.resultDeleteFiles,
  'skipped-data-files': message.skippedDataFiles,
  'total-file-size-in-bytes': message.totalFileSizeBytes,
})

const rounded = (millis: number): number => Math.round(millis * 10) / 10
