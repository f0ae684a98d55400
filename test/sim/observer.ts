/**
 * What really happened: a layer right above the objects that sees every request when it takes effect, keeps what was
 * ever written and watches the rules that hold at every moment. No process of the simulation knows of it.
 */
import { createHash } from 'node:crypto'
import { FirnError } from '../../table/errors.ts'
import { getIfExists, type ObjectStore } from '../../table/io/object-store.ts'
import { text } from '../contract/object-store.ts'

/** A rule that was broken: what the tests of naive protocols look for. */
export type Violation =
  | 'lost-row'
  | 'lost-tag'
  | 'deleted-live-file'
  | 'doubled-row'
  | 'resurrected-row'
  | 'unknown-row'
  | 'unresolved-commit'
  | 'hint-ahead'
  | 'hint-lowered'
  | 'version-gap'
  | 'version-overwritten'
  | 'stale-read'
  | 'log-unsorted'
  | 'sequence-number'
  | 'stuck'

export interface Finding {
  readonly violation: Violation
  readonly what: string
}

export class Observer {
  readonly findings: Finding[] = []
  /** Every object ever written, under its last bytes; only the hint and a broken protocol write a key twice. */
  readonly written: Map<string, Uint8Array> = new Map()
  /** Every key that somebody asked to delete. */
  readonly deleted: Set<string> = new Set()
  /** Keys of the metadata files that became the newest when they were written. */
  readonly line: { readonly version: number; readonly key: string; readonly bytes: Uint8Array }[] = []
  /** Versions written into a gap below the newest: they must never become the table. */
  zombies = 0
  requests = 0
  readonly #folder: string
  readonly #now: () => number
  readonly #hash = createHash('sha256')
  readonly #story: string[] | undefined
  #hint = 0

  /** @param folder of the table in the store. */
  constructor(folder: string, now: () => number, keepStory = false) {
    this.#folder = folder
    this.#now = now
    this.#story = keepStory ? [] : undefined
  }

  get newest(): number {
    return this.line.at(-1)?.version ?? 0
  }

  /** Two runs with one digest made the same requests in the same order at the same times with the same bodies. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  story(): readonly string[] {
    return this.#story ?? []
  }

  report(violation: Violation, what: string): void {
    this.findings.push({ violation, what })
  }

  /** `store` as the process `actor` reaches it. */
  watch(store: ObjectStore, actor: string): ObjectStore {
    const note = (operation: string, key: string, outcome: string): void => {
      const line = `${this.#now().toFixed(3)} ${actor} ${operation} ${key} ${outcome}\n`
      this.requests++
      this.#hash.update(line)
      this.#story?.push(line)
    }
    const noted = async <T>(
      operation: string,
      key: string,
      work: Promise<T>,
      show: (value: T) => string,
    ): Promise<T> => {
      try {
        const value = await work
        note(operation, key, show(value))
        return value
      } catch (error) {
        note(operation, key, FirnError.is(error) ? error.code : String(error))
        throw error
      }
    }
    return {
      url: store.url,
      put: async (key, body, options) => {
        const taken = await getIfExists(store, key)
        return noted('put', key, store.put(key, body, options), ({ etag }) => {
          this.#put(key, body, taken !== undefined, actor)
          return etag
        })
      },
      get: (key, options) => noted('get', key, store.get(key, options), ({ etag }) => etag),
      head: (key, options) => noted('head', key, store.head(key, options), (info) => info?.etag ?? 'none'),
      delete: (key, options) => {
        this.deleted.add(key)
        return noted('delete', key, store.delete(key, options), () => 'done')
      },
      list: async function* (prefix, options) {
        let count = 0
        for await (const info of store.list(prefix, options)) {
          count++
          yield info
        }
        note('list', prefix, String(count))
      },
    }
  }

  #put(key: string, body: Uint8Array, taken: boolean, actor: string): void {
    const bytes = body.slice()
    this.written.set(key, bytes)
    const version = /\/metadata\/v(\d+)\.metadata\.json$/.exec(key)?.[1]
    if (version !== undefined) this.#version(Number(version), key, bytes, taken, actor)
    if (key === `${this.#folder}/metadata/version-hint.text`) this.#watchHint(Number(text(bytes)), actor)
  }

  #version(version: number, key: string, bytes: Uint8Array, taken: boolean, actor: string): void {
    if (taken) this.report('version-overwritten', `${actor} wrote over version ${version}`)
    else if (version > this.newest + 1) this.report('version-gap', `${actor}: ${version} after ${this.newest}`)
    if (version > this.newest) this.line.push({ version, key, bytes })
    else if (taken) this.line[version - 1] = { version, key, bytes }
    else this.zombies++
  }

  #watchHint(hint: number, actor: string): void {
    if (!(hint <= this.newest)) this.report('hint-ahead', `${actor}: hint ${hint}, newest ${this.newest}`)
    if (hint < this.#hint) this.report('hint-lowered', `${actor}: from ${this.#hint} to ${hint}`)
    this.#hint = hint
  }
}
