/**
 * One row a key, in tables that promise it. By 128 bits of each key's hash, as many keys at a time as memory is meant
 * to hold: a large table is read several times, the column of keys alone.
 */
import type { Data } from 'apache-arrow'
import { FirnError } from '../../table/errors.ts'
import {
  bytesAt,
  type FileScanTask,
  isValidAt,
  openFileTask,
  type SnapshotSelector,
  type Table,
} from '../../table/index.ts'
import type { AbortableOptions } from '../../table/io/object-store.ts'
import { keyDigest } from '../compaction/exchange/key-entries.ts'
import type { DatasetDefinition } from '../datasets/index.ts'
import type { Findings } from './problems.ts'

/** Compared at once: 128 MiB. */
const KEYS_PER_PASS = 4 * 1024 * 1024
/** Beyond so many the check is left out: the column would be read over and over. */
const MAX_PASSES = 16
/** Listed one by one. */
const MAX_LISTED = 20
const WORDS = 4

export interface KeysOptions extends AbortableOptions {
  readonly table: Table
  readonly selector?: SnapshotSelector | undefined
  readonly dataset: DatasetDefinition | undefined
  readonly findings: Findings
  /** Default: 4 Mi. */
  readonly keysPerPass?: number | undefined
}

/** Of the selected snapshot, without deleted rows. Files that cannot be read are left to the check of files. */
export async function verifyKeys(options: KeysOptions): Promise<void> {
  const { table, dataset, findings, selector, signal, keysPerPass = KEYS_PER_PASS } = options
  if (dataset?.dedup?.scope !== 'table') return
  const schema = table.schemaFor(selector)
  if (!schema.fields.some(({ name }) => name === dataset.key)) {
    findings.skipped.push(`one row a key: the table has no column ${dataset.key}`)
    return
  }
  const tasks = await table.scan(selector).planFiles({ signal })
  const rows = tasks.reduce((sum, { file }) => sum + file.recordCount, 0)
  const passes = Math.max(1, Math.ceil(rows / keysPerPass))
  if (passes > MAX_PASSES) {
    findings.skipped.push(`one row a key: the table has ${rows} rows, ${MAX_PASSES * keysPerPass} are compared at most`)
    return
  }
  const repeated = new Repeated()
  for (let pass = 0; pass < passes; pass++) {
    const seen = new DigestSet(Math.ceil(rows / passes))
    for (const task of tasks) {
      for await (const key of keysOf(options, task)) {
        const digest = keyDigest(key)
        if (digest.readUInt32BE(WORDS * 4) % passes === pass && !seen.add(digest)) repeated.add(key, task.file.filePath)
      }
    }
  }
  repeated.report(findings)
}

async function* keysOf(
  { table, dataset, selector, signal }: KeysOptions,
  task: FileScanTask,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    const reader = await openFileTask(table.store, table.location, task, table.schemaFor(selector), { signal })
    for (const group of reader.rowGroupRows.keys()) {
      const batch = await reader.read(group, { columns: [dataset!.key], signal })
      const keys = batch.data.children[0] as Data
      for (let row = 0; row < batch.numRows; row++) if (isValidAt(keys, row)) yield bytesAt(keys, row)
    }
  } catch (error) {
    if (!FirnError.is(error) || error.kind === 'unavailable') throw error
  }
}

class Repeated {
  readonly #keys = new Map<string, { rows: number; path: string }>()
  #others = 0

  /** @param path of a file with a row that is too many. */
  add(key: Uint8Array, path: string): void {
    const text = Buffer.from(key).toString('utf8')
    const known = this.#keys.get(text)
    if (known !== undefined) known.rows++
    else if (this.#keys.size < MAX_LISTED) this.#keys.set(text, { rows: 2, path })
    else this.#others++
  }

  report(findings: Findings): void {
    const keys = [...this.#keys].map(([key, { rows, path }]) => ({
      key: JSON.stringify(key.slice(0, 100)),
      rows,
      path,
    }))
    for (const { key, rows, path } of keys) findings.add('key-repeated', path, `${rows} rows have the key ${key}`)
    if (this.#others > 0) findings.add('key-repeated', 'table', `${this.#others} more rows have a key of another row`)
  }
}

/** Digests in flat memory. */
class DigestSet {
  #slots: Uint32Array<ArrayBuffer>
  #size = 0

  constructor(expected: number) {
    this.#slots = new Uint32Array(WORDS * 2 ** Math.ceil(Math.log2(Math.max(16, expected * 2))))
  }

  /** @returns false when it was there. */
  add(digest: Buffer): boolean {
    // parts of about even size may still hold a few more than their share
    if (this.#size * WORDS * 4 >= this.#slots.length * 3) this.#grow()
    // all zero: a free slot
    const last = digest.readUInt32BE(12) | 1
    const words = [digest.readUInt32BE(0), digest.readUInt32BE(4), digest.readUInt32BE(8), last >>> 0]
    return this.#place(this.#slots, words)
  }

  #place(slots: Uint32Array, words: readonly number[]): boolean {
    const mask = slots.length / WORDS - 1
    for (let slot = words[0]! & mask; ; slot = (slot + 1) & mask) {
      const base = slot * WORDS
      if (slots[base + 3] === 0) {
        slots.set(words, base)
        this.#size++
        return true
      }
      if (words.every((word, index) => slots[base + index] === word)) return false
    }
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(old.length * 2)
    this.#size = 0
    for (let base = 0; base < old.length; base += WORDS) {
      if (old[base + 3] !== 0) this.#place(this.#slots, [...old.subarray(base, base + WORDS)])
    }
  }
}
