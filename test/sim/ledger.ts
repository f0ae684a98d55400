/** Who wanted which rows in the table, and what they were told. Data files are entries only: a commit reads none. */
import type { DataFile, SnapshotId } from '../../table/index.ts'

/** `open`: its writer has not been told yet. */
export type Fate = 'open' | 'acknowledged' | 'refused'

export interface Intent {
  readonly file: DataFile
  /** Names of its rows. */
  readonly rows: readonly string[]
  /** A rewrite's file has rows of other files. */
  readonly isRewrite: boolean
  fate: Fate
}

export class Ledger {
  /** Tags whose maker was told that they are there. */
  readonly tags: Map<string, SnapshotId> = new Map()
  readonly #location: string
  readonly #byPath = new Map<string, Intent>()
  #acknowledgedRows = 0

  constructor(location: string) {
    this.#location = location
  }

  /** A new file with rows that no other has. */
  append(actor: string, rows: number): Intent {
    const name = `${actor}-${this.#byPath.size}`
    return this.#add(
      name,
      Array.from({ length: rows }, (_, i) => `${name}:${i}`),
      false,
    )
  }

  /** A new file with the rows of `paths`. */
  rewrite(actor: string, paths: readonly string[]): Intent {
    return this.#add(
      `${actor}-${this.#byPath.size}`,
      paths.flatMap((path) => this.rowsOf(path)),
      true,
    )
  }

  settle(intent: Intent, fate: Exclude<Fate, 'open'>): void {
    intent.fate = fate
    if (fate === 'acknowledged' && !intent.isRewrite) this.#acknowledgedRows += intent.rows.length
  }

  intents(): readonly Intent[] {
    return [...this.#byPath.values()]
  }

  rowsOf(path: string): readonly string[] {
    return this.#byPath.get(path)?.rows ?? []
  }

  intentOf(path: string): Intent | undefined {
    return this.#byPath.get(path)
  }

  /** Rows of appends that were acknowledged by now. */
  acknowledgedRows(): number {
    return this.#acknowledgedRows
  }

  #add(name: string, rows: readonly string[], isRewrite: boolean): Intent {
    const intent: Intent = {
      file: entryOf(`${this.#location}/data/${name}.parquet`, rows.length),
      rows,
      isRewrite,
      fate: 'open',
    }
    this.#byPath.set(intent.file.filePath, intent)
    return intent
  }
}

const entryOf = (filePath: string, recordCount: number): DataFile => ({
  content: 'data',
  filePath,
  fileFormat: 'PARQUET',
  specId: 0,
  partition: [],
  recordCount,
  fileSizeBytes: 1_000 + recordCount,
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
  equalityIds: [],
})
