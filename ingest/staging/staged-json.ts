/** The small JSON objects beside the chunks: how they are written, and how refused when they are not what we wrote. */
import { FirnError } from '../../table/errors.ts'

export const encodeJson = (value: object): Uint8Array => Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`)

/**
 * @param name the object's URL.
 * @throws {FirnError} `FIRN_STAGING_CORRUPT` (corrupt) for anything but a JSON object.
 */
export function decodeJson(bytes: Uint8Array, name: string): Record<string, unknown> {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw corruptState(name, (error as Error).message)
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>
  throw corruptState(name, 'expected a JSON object')
}

export const corruptState = (name: string, why: string): FirnError =>
  new FirnError('corrupt', 'FIRN_STAGING_CORRUPT', `${name}: ${why}`, {
    detail: { object: name },
    help: 'Restore the object from a backup or a bucket version.',
  })
