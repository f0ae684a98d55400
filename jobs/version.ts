/** The package's version, read from package.json: one level up in a clone, two from `dist/jobs`. */
import { readFileSync } from 'node:fs'

function readVersion(): string {
  for (const relative of ['../package.json', '../../package.json']) {
    try {
      const content: unknown = JSON.parse(readFileSync(new URL(relative, import.meta.url), 'utf8'))
      const { name, version } = content as { name?: string; version?: string }
      if (name === 'firnlake' && version !== undefined) return version
    } catch {
      // Not there: the other layout.
    }
  }
  return 'unknown'
}

export const version: string = readVersion()
