/**
 * How far a table has consumed its streams: one table property per incarnation,
 *
 *     firn.positions.<stream>@<created> = {"<shardId>":"<last consumed sequence>"}
 *
 * compact JSON with sorted keys; `!` follows the sequence once the end of the shard is consumed.
 */
import { FirnError } from '../../table/errors.ts'

/** Positions of one incarnation by shard id, as in the property. */
export type ShardPositions = Readonly<Record<string, string>>
/** By `<stream>@<created>`. */
export type Positions = Readonly<Record<string, ShardPositions>>

export const POSITIONS_PREFIX = 'firn.positions.'
/** Streams that the table reads: a JSON list of names. */
export const STREAMS_PROPERTY = 'firn.streams'
/** Planned time of the newest run that added rows, microseconds since the epoch. */
export const COMPACTED_AT_PROPERTY = 'firn.compacted-at'
/** A planned time in the future that an operator has accepted; runs may go on from it. */
export const ACCEPTED_TIME_PROPERTY = 'firn.accepted-time'
/** Id of the newest run that added rows. */
export const LAST_RUN_PROPERTY = 'firn.last-run'

/** Ids of quarantine objects whose records are used up: a compact JSON list. Once there, it stays, empty too. */
export const REPLAYED_PROPERTY = 'firn.replayed'
/** Those of `firn.replayed` whose objects are deleted, or about to be: they can no longer be taken back. */
export const REPLAYED_GONE_PROPERTY = 'firn.replayed-gone'

export interface Incarnation {
  readonly stream: string
  readonly created: number
}

export const incarnationName = ({ stream, created }: Incarnation): string => `${stream}@${created}`
export const positionsProperty = (incarnation: string): string => `${POSITIONS_PREFIX}${incarnation}`

const POSITION = /^(0|[1-9]\d*)!?$/

/** @throws {FirnError} `FIRN_POSITIONS_CORRUPT` (corrupt). */
export function positionsOf(properties: Readonly<Record<string, string>>): Positions {
  const entries = Object.keys(properties)
    .filter((name) => name.startsWith(POSITIONS_PREFIX))
    .map((name) => [name.slice(POSITIONS_PREFIX.length), parsePositions(name, properties[name]!)] as const)
  return Object.fromEntries(entries)
}

function parsePositions(property: string, text: string): ShardPositions {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw corrupt(property, text, cause)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw corrupt(property, text)
  for (const position of Object.values(json)) {
    if (typeof position !== 'string' || !POSITION.test(position)) throw corrupt(property, text)
  }
  return json as ShardPositions
}

const corrupt = (property: string, text: string, cause?: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_POSITIONS_CORRUPT', `table property ${property} holds no positions: ${text}`, {
    cause,
    help: 'restore the property from an older metadata file; nothing is compacted before',
  })

/** Equal positions print equally. */
export function printPositions(positions: ShardPositions): string {
  return JSON.stringify(Object.fromEntries(Object.entries(positions).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))))
}

export const isEnded = (position: string | undefined): boolean => position?.endsWith('!') === true
export const sequenceOf = (position: string): string => (isEnded(position) ? position.slice(0, -1) : position)
