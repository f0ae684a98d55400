/**
 * Ten thousand records that mean harm, or were only unlucky: each with what has to become of it. The kinds are in
 * poison-json.ts (texts) and poison-bytes.ts (compression, aggregates, bytes that are no text).
 */
import { byteKinds, heavyBytes } from './poison-bytes.ts'
import { heavyTexts, textKinds } from './poison-json.ts'

/** What has to become of one record, of an aggregate's records one after the other. */
export type PoisonOutcome =
  | { readonly row: string; readonly content: string }
  | {
      /** The reason, with its pointer. */
      readonly refused: string
      /** The bytes that have to be in quarantine; default: those of the whole record. */
      readonly bytes?: Uint8Array
    }

export interface Poison {
  readonly what: string
  readonly data: Uint8Array
  readonly outcomes: readonly PoisonOutcome[]
}

/** Makes the record of number `n`, which is in its key; no two numbers make the same key. */
export type PoisonKind = (n: number) => Poison

export const POISON_RECORDS = 10_000

/** The dataset that judges them; every field type that a record can carry. */
export const poisonDataset: object = {
  name: 'poison',
  fields: [
    { name: 'article_id', type: 'string', required: true },
    { name: 'title', type: 'string' },
    { name: 'publish_date', type: 'timestamptz' },
    { name: 'content', type: 'string', required: true },
    { name: 'day', type: 'date' },
    { name: 'count', type: 'int' },
    { name: 'big', type: 'long' },
    { name: 'score', type: 'double' },
    { name: 'flag', type: 'boolean' },
    {
      name: 'word_count',
      type: 'int',
      required: true,
      from: { kind: 'feature', feature: 'word_count', of: 'content' },
    },
    { name: 'arrived_at', type: 'timestamptz', required: true, from: { kind: 'arrived_at' } },
    { name: 'compacted_at', type: 'timestamptz', required: true, from: { kind: 'compacted_at' } },
  ],
  key: 'article_id',
  eventTime: 'publish_date',
  partition: [{ source: 'arrived_at', transform: 'day' }],
  sort: [{ source: 'publish_date' }, { source: 'article_id' }],
  averageOf: 'word_count',
}

/** The heavy ones once each, the light kinds in turn. */
export function poisonRecords(): readonly Poison[] {
  const kinds = [...textKinds, ...byteKinds]
  const heavy = [...heavyTexts(), ...heavyBytes()]
  const light = Array.from({ length: POISON_RECORDS - heavy.length }, (_, n) => kinds[n % kinds.length]!(n))
  return [...light, ...heavy]
}

/** What all of them come to. */
export interface PoisonTotals {
  readonly records: number
  readonly duplicates: number
  readonly quarantined: Readonly<Record<string, number>>
  /** Keys and the content of their latest version. */
  readonly rows: ReadonlyMap<string, string>
}

export function totalsOf(poisons: readonly Poison[]): PoisonTotals {
  const rows = new Map<string, string>()
  const quarantined: Record<string, number> = {}
  let [records, duplicates] = [0, 0]
  for (const outcome of poisons.flatMap(({ outcomes }) => outcomes)) {
    records++
    if ('row' in outcome) {
      if (rows.has(outcome.row)) duplicates++
      rows.set(outcome.row, outcome.content)
    } else quarantined[outcome.refused] = (quarantined[outcome.refused] ?? 0) + 1
  }
  return { records, duplicates, quarantined, rows }
}
