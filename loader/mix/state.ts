/** Where a mix stands, as a text: the schedule's place and the token of each dataset. Longer than the token of one. */
import { crc32 } from 'node:zlib'
import { FirnError } from '../../table/errors.ts'
import { MAX_POSITION, type SchedulePoint } from './schedule.ts'

export interface MixState {
  readonly seed: number
  readonly stoppingStrategy: string
  readonly weights: readonly number[]
  readonly epoch: number
  readonly point: SchedulePoint
  readonly datasets: readonly MemberState[]
}

export interface MemberState {
  /** Passes through the dataset that ended in this epoch. */
  readonly passes: number
  /** Batches of this pass that were delivered. */
  readonly batches: number
  /** The dataset's own. */
  readonly token: string
}

const PREFIX = 'mix1'

export function encodeMixState(state: MixState): string {
  const json = JSON.stringify(state)
  return `${PREFIX}.${checksum(json)}.${Buffer.from(json, 'utf8').toString('base64url')}`
}

/** @throws {FirnError} `FIRN_TOKEN_INVALID` (invalid): cut, mistyped, of one dataset, or of another version. */
export function decodeMixState(token: string): MixState {
  const [prefix, sum, body, ...rest] = typeof token === 'string' ? token.split('.') : []
  if (prefix !== PREFIX || sum === undefined || body === undefined || rest.length > 0) {
    throw invalidToken(`expected one that begins with "${PREFIX}."`)
  }
  const json = Buffer.from(body, 'base64url').toString('utf8')
  if (checksum(json) !== sum) throw invalidToken('its checksum is wrong: some of its characters have changed')
  let state: unknown
  try {
    state = JSON.parse(json)
  } catch {
    throw invalidToken('its content is not JSON')
  }
  if (!isState(state)) throw invalidToken('its content is not the state of a mix')
  return state
}

const checksum = (json: string): string => crc32(json).toString(16).padStart(8, '0')

const invalidToken = (why: string): FirnError =>
  new FirnError('invalid', 'FIRN_TOKEN_INVALID', `not the token of a mix: ${why}`, {
    help: 'Pass the text that stateDict() of a mix returned, unchanged.',
  })

function isState(value: unknown): value is MixState {
  const state = value as MixState
  const { weights, point, datasets } = state ?? {}
  if (!isWhole(state?.seed) || !isWhole(state.epoch) || typeof state.stoppingStrategy !== 'string') return false
  if (!Array.isArray(weights) || !Array.isArray(datasets) || datasets.length !== weights.length) return false
  if (!isWhole(point?.position) || point.position > MAX_POSITION || !Array.isArray(point.counts)) return false
  return (
    weights.every(isWhole) &&
    point.counts.length === weights.length &&
    point.counts.every(isWhole) &&
    datasets.every(
      (member: unknown) =>
        typeof member === 'object' &&
        member !== null &&
        isWhole((member as MemberState).passes) &&
        isWhole((member as MemberState).batches) &&
        typeof (member as MemberState).token === 'string',
    )
  )
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
