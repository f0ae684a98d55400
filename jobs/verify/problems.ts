/** What `firn verify` can find. The codes are a contract: scripts match on them. */

export type ProblemCode =
  /** The table's current metadata cannot be loaded. */
  | 'metadata-corrupt'
  /** A ref names no snapshot, or the snapshot log does not end at the current one. */
  | 'ref-broken'
  /** A metadata file under the number of a version is not that version: nothing reads it, but it looks like a commit. */
  | 'metadata-zombie'
  /** `version-hint.text` does not name the newest metadata file; readers that trust it see an old table. */
  | 'version-hint-stale'
  /** A manifest list or manifest is missing, cut or not Avro. */
  | 'manifest-unreadable'
  /** A manifest's length or counts are not what the manifest list says. */
  | 'manifest-list-count'
  /** The partition range of a manifest does not cover its files: pruned reads would lose rows. */
  | 'manifest-partition-range'
  /** Totals of a snapshot's summary are not what its manifests hold. */
  | 'summary-total'
  /** One path is live twice in a snapshot. */
  | 'duplicate-path'
  | 'file-missing'
  | 'file-size'
  | 'file-checksum'
  /** Not Parquet, or cut, or pages that do not decode. */
  | 'file-unreadable'
  /** Footer, manifest entry and rows read do not agree. */
  | 'row-count'
  | 'null-count'
  | 'value-count'
  /** A value lies outside the bounds of its column: pruned reads would lose rows. */
  | 'bound'
  /** Rows are not in the order that the file claims. */
  | 'sort-order'
  /** Two files of one commit and partition overlap on the sort key. */
  | 'file-overlap'
  /** A row does not belong to the partition of its file. */
  | 'partition'
  /** A computed column is not what its text gives. */
  | 'feature'
  /** A row claims to be newer than the newest run. */
  | 'compacted-at'
  /** A table that keeps one row of each key has several of one. */
  | 'key-repeated'
  | 'json-manifest-missing'
  /** The JSON manifest and the Avro manifests of a snapshot do not agree. */
  | 'json-manifest-mismatch'
  | 'quarantine-missing'
  | 'quarantine-mismatch'
  /** Positions did not go on where the run before had left them. */
  | 'positions-history'
  /** Staging does not hold what the table's positions point at. */
  | 'staging-position'
  /** A link is missing between chunks that the table has yet to read. */
  | 'staging-chain'

export interface Problem {
  readonly code: ProblemCode
  /** URL or key of the object, or `snapshot <id>`. */
  readonly object: string
  readonly message: string
}

export interface Checked {
  snapshots: number
  manifests: number
  files: number
  rows: number
  bytes: number
  json_manifests: number
  quarantine_objects: number
  chunks: number
}

export const nothingChecked = (): Checked => ({
  snapshots: 0,
  manifests: 0,
  files: 0,
  rows: 0,
  bytes: 0,
  json_manifests: 0,
  quarantine_objects: 0,
  chunks: 0,
})

/** Collects what the checks find. */
export class Findings {
  readonly problems: Problem[] = []
  /** Checks that could not be made, and why. */
  readonly skipped: string[] = []
  readonly checked: Checked = nothingChecked()

  add(code: ProblemCode, object: string, message: string): void {
    this.problems.push({ code, object, message })
  }
}

/** The same fault in many rows of one file is one problem: the first row and how many there are. */
export class RowFaults {
  readonly #faults = new Map<string, { code: ProblemCode; message: string; rows: number }>()

  /** @param what tells faults of one code apart, e.g. the column. */
  add(code: ProblemCode, what: string, row: number, message: string): void {
    const key = `${code} ${what}`
    const fault = this.#faults.get(key)
    if (fault === undefined) this.#faults.set(key, { code, message: `row ${row}: ${message}`, rows: 1 })
    else fault.rows++
  }

  report(findings: Findings, object: string): void {
    for (const { code, message, rows } of this.#faults.values()) {
      findings.add(code, object, rows === 1 ? message : `${message} (and ${rows - 1} more rows)`)
    }
  }
}
