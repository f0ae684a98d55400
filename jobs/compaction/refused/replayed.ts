/**
 * The property `firn.replayed`: ids of the quarantine objects whose records are used up, because a replay ran them
 * again or because a rollback had their whole run read again. An object counts while its id is not there.
 */
import { FirnError } from '../../../table/errors.ts'
import { REPLAYED_PROPERTY } from '../positions.ts'

/** Member of the summary of every snapshot that changed the property: its JSON manifest says how. */
export const REPLAYED_MEMBER = 'firn.objects-replayed'

const ID = /^[\w-]+-\d+$/

/** @throws {FirnError} `FIRN_PROPERTY_INVALID` (corrupt). */
export function replayedOf(
  properties: Readonly<Record<string, string>>,
  property: string = REPLAYED_PROPERTY,
): ReadonlySet<string> {
  const text = properties[property]
  if (text === undefined) return new Set()
  try {
    const json: unknown = JSON.parse(text)
    if (Array.isArray(json) && json.every((id) => typeof id === 'string' && ID.test(id))) return new Set(json)
  } catch {
    // said below
  }
  throw new FirnError(
    'corrupt',
    'FIRN_PROPERTY_INVALID',
    `table property ${property} is no list of quarantine objects: ${text}`,
    { help: 'restore the property from an older metadata file; nothing is replayed before' },
  )
}

/** Equal sets print equally. */
export const printReplayed = (ids: Iterable<string>): string => JSON.stringify([...new Set(ids)].sort())
