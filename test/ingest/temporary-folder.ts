import { appendFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface TemporaryFolder {
  readonly path: string
  /** @returns the file's path. */
  write(name: string, content: string | Uint8Array): string
  append(name: string, content: string | Uint8Array): void
  /** A symbolic link. @returns its path. */
  link(name: string, target: string): string
  remove(): void
}

export function temporaryFolder(): TemporaryFolder {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'firn-ingest-')))
  return {
    path,
    write: (name, content) => {
      const file = join(path, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content)
      return file
    },
    append: (name, content) => appendFileSync(join(path, name), content),
    link: (name, target) => {
      const link = join(path, name)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(target, link)
      return link
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}
