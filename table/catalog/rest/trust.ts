/** What a catalog's word is not enough for: to give up encryption, or to open the local disk. */
import { FirnError } from '../../errors.ts'
import { printable } from './errors.ts'

/** Whether the URL's host is this computer. */
export function isLoopback(uri: string): boolean {
  if (!URL.canParse(uri)) return false
  const { hostname } = new URL(uri)
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
}

/**
 * The URL that a catalog names, unless it is plain http from a catalog that was reached by https.
 * @throws {FirnError} `FIRN_CATALOG_REFUSED` (invalid).
 */
export function keepEncrypted(catalogUri: string, named: string, what: string): string {
  const encrypted = (uri: string): boolean => URL.canParse(uri) && new URL(uri).protocol === 'https:'
  if (!encrypted(catalogUri) || encrypted(named)) return named
  const message = `the catalog at ${catalogUri} names ${printable(named)} as ${what}, which is not encrypted`
  throw new FirnError('invalid', 'FIRN_CATALOG_REFUSED', message, {
    help: 'Correct that address among the settings that the catalog gives out, or give it yourself.',
  })
}
