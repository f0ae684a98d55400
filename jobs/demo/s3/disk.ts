/**
 * A copy of the buckets on disk, read back at the next start. One file per object: a line of JSON, then the bytes;
 * its name is a hash of the key, because S3 keys (`a` beside `a/b`, `dir/`) are not file names. Nothing is synced:
 * this outlives the process, not a power failure.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { S3Object } from './state.ts'

interface Head {
  readonly key: string
  readonly etag: string
  readonly lastModifiedMillis: number
  readonly headers: Readonly<Record<string, string>>
  readonly checksums: Readonly<Record<string, string>>
}

export class DiskMirror {
  readonly #dir: string
  /** Writes of one file in the order in which they became visible. */
  readonly #pending = new Map<string, Promise<void>>()
  #count = 0

  constructor(dir: string) {
    this.#dir = dir
  }

  /** Everything that an earlier server left in the folder; temporary files of a killed one are removed. */
  async *load(): AsyncGenerator<{ bucket: string; objects: readonly S3Object[] }, void, undefined> {
    await mkdir(this.#dir, { recursive: true })
    for (const entry of await readdir(this.#dir, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue
      const objects: S3Object[] = []
      for (const name of await readdir(join(this.#dir, entry.name))) {
        const path = join(this.#dir, entry.name, name)
        if (name.endsWith('.tmp')) await rm(path, { force: true })
        else objects.push(decode(await readFile(path)))
      }
      yield { bucket: entry.name, objects }
    }
  }

  async createBucket(name: string): Promise<void> {
    await mkdir(join(this.#dir, name), { recursive: true })
  }

  removeBucket(name: string): Promise<void> {
    return rm(join(this.#dir, name), { recursive: true, force: true })
  }

  write(bucket: string, object: S3Object): Promise<void> {
    return this.#inOrder(this.#path(bucket, object.key), async (path) => {
      const temporary = `${path}.${this.#count++}.tmp`
      await writeFile(temporary, encode(object))
      await rename(temporary, path)
    })
  }

  remove(bucket: string, key: string): Promise<void> {
    return this.#inOrder(this.#path(bucket, key), (path) => rm(path, { force: true }))
  }

  #path(bucket: string, key: string): string {
    return join(this.#dir, bucket, createHash('sha256').update(key).digest('hex'))
  }

  #inOrder(path: string, work: (path: string) => Promise<void>): Promise<void> {
    const before = this.#pending.get(path) ?? Promise.resolve()
    const run = before.catch(() => {}).then(() => work(path))
    this.#pending.set(path, run)
    const forget = () => {
      if (this.#pending.get(path) === run) this.#pending.delete(path)
    }
    run.then(forget, forget)
    return run
  }
}

function encode({ bytes, ...head }: S3Object): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head satisfies Head)}\n`), bytes])
}

function decode(file: Buffer): S3Object {
  const lineEnd = file.indexOf('\n')
  const head = JSON.parse(file.toString('utf8', 0, lineEnd)) as Head
  return { ...head, bytes: file.subarray(lineEnd + 1) }
}
