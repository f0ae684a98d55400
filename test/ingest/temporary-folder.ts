import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface TemporaryFolder {
  readonly path: string
  /** @returns the file's path. */
  write(name: string, content: string | Uint8Array): string
  append(name: string, content: string | Uint8Array): void
  remove(): void
}

export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), 'firn-ingest-'))
  return {
    path,
    write: (name, content) => {
      const file = join(path, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content)
      return file
    },
    append: (name, content) => appendFileSync(join(path, name), content),
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}
