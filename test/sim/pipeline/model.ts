/**
 * What a table must hold, computed from what producers published. Of the store only the order of the commits is taken,
 * and how far each of them read; what its rows, refused records and duplicates are follows from the ledger.
 */
import { zstdDecompressSync } from 'node:zlib'
import type { JsonManifest } from '../../../jobs/compaction/manifest.ts'
import { type Positions, positionsOf, printPositions } from '../../../jobs/compaction/positions.ts'
import type { DatasetDefinition } from '../../../jobs/datasets/index.ts'
import { DATASET_PROPERTY } from '../../../jobs/datasets/table-layout.ts'
import { parseJson } from '../../../table/index.ts'
import type { JournalEntry } from './journaled-store.ts'
import { bare, type Ledger, type Published } from './ledger.ts'

export interface Expected {
  /** `uid` of every row. */
  readonly rows: readonly string[]
  /** Refused, by the id of their object, and not replayed. */
  readonly refused: ReadonlyMap<string, readonly string[]>
  readonly positions: Positions
  /** Commits that no run of firn may make. */
  readonly faults: readonly string[]
  readonly commits: number
}

interface State {
  readonly rows: readonly string[]
  readonly refused: ReadonlyMap<string, readonly string[]>
  readonly positions: Positions
}

interface Version {
  readonly head: string | undefined
  readonly properties: Readonly<Record<string, string>>
}

export function expectedOf(journal: readonly JournalEntry[], ledger: Ledger, table: string): Expected {
  const history = read(journal, table)
  const faults: string[] = []
  const states = new Map<string | undefined, State>([[undefined, { rows: [], refused: new Map(), positions: {} }]])
  let state = states.get(undefined)!
  let head: string | undefined
  let commits = 0
  const rules = new Set<number>()
  const ended = new Set<string>()
  for (const version of history.versions) {
    rules.add((JSON.parse(version.properties[DATASET_PROPERTY]!) as DatasetDefinition).maxRecordBytes)
    if (version.head === head) continue
    head = version.head
    const manifest = history.manifests.get(head!)
    if (manifest === undefined) {
      faults.push(`snapshot ${head} has no JSON manifest`)
      continue
    }
    commits++
    const step: Step = {
      manifest,
      state,
      states,
      ledger,
      history,
      rules,
      ended,
      fault: (what) => faults.push(`${head}: ${what}`),
    }
    state = follow(step)
    if (!samePositions(positionsOf(version.properties), state.positions)) {
      step.fault(
        `positions are ${print(positionsOf(version.properties))}, the commit moved them to ${print(state.positions)}`,
      )
    }
    states.set(head, state)
  }
  return { ...state, faults, commits }
}

interface History {
  readonly versions: readonly Version[]
  readonly manifests: ReadonlyMap<string, JsonManifest>
  /** Uids in each object of refused records, by its key. */
  readonly refused: ReadonlyMap<string, readonly string[]>
}

interface Step {
  readonly manifest: JsonManifest
  readonly state: State
  readonly states: ReadonlyMap<string | undefined, State>
  readonly ledger: Ledger
  readonly history: History
  /** Every rule for the size of records that the table has had so far. */
  readonly rules: ReadonlySet<number>
  /** Shards that were read to their ends, `<stream>/<shard>`. */
  readonly ended: Set<string>
  readonly fault: (what: string) => void
}

function follow(step: Step): State {
  const { manifest, state } = step
  if (manifest.rolled_back_to !== undefined) return goneBack(step)
  if (manifest.records === null) return state // the same rows in other files
  if (manifest.replayed === undefined) {
    const { before, after } = manifest.positions!
    if (!samePositions(before, pick(state.positions, before))) {
      step.fault(`a run read from ${print(before)}, the table stood at ${print(pick(state.positions, before))}`)
    }
    const taken = Object.entries(after).flatMap(([name, shards]) =>
      Object.entries(shards).flatMap(([shardId, through]) =>
        step.ledger.between(bareName(name), shardId, before[name]?.[shardId], through),
      ),
    )
    checkOrder(step, taken)
    return { ...added(step, taken, state), positions: { ...state.positions, ...after } }
  }
  const uids = manifest.replayed.flatMap((path) => {
    const found = state.refused.get(path)
    if (found === undefined) step.fault(`${path} was replayed, and was not there to be replayed`)
    return found ?? []
  })
  const wanted = new Set(uids)
  const left = new Map([...state.refused].filter(([path]) => !manifest.replayed!.includes(path)))
  const taken = step.ledger.records.filter(({ uid }) => wanted.has(uid))
  return added(step, taken, { ...state, refused: left })
}

/** Of a child shard nothing is read before its parents are read to their ends. */
function checkOrder({ manifest, ledger, ended, fault }: Step, taken: readonly Published[]): void {
  for (const [name, shards] of Object.entries(manifest.positions!.after)) {
    for (const [id, position] of Object.entries(shards))
      if (position.endsWith('!')) ended.add(`${bareName(name)}/${id}`)
  }
  for (const child of new Set(taken.map(({ stream, shardId }) => `${stream}/${shardId}`))) {
    const stream = child.split('/')[0]!
    const open = ledger.parents.get(child)?.find((parent) => !ended.has(`${stream}/${parent}`))
    if (open !== undefined) fault(`read ${child} before the end of its parent ${open}`)
  }
}

/** A stream's name without its creation time. */
const bareName = (incarnation: string): string => incarnation.split('@')[0]!

/** Rows, duplicates and refused records of one run over `taken`. */
function added(step: Step, taken: readonly Published[], state: State): State {
  const objects = step.manifest.quarantined.map(({ path }) => [path, step.history.refused.get(path) ?? []] as const)
  const refused = objects.flatMap(([, uids]) => uids).sort()
  // A rule that changes while a run works may be the one or the other for it.
  const isRefusedBy =
    (rule: number) =>
    ({ key, bytes }: Published): boolean =>
      key === undefined || bytes > rule
  const rule = [...step.rules].find((each) => {
    const expected = taken.filter(isRefusedBy(each)).map(({ uid }) => uid)
    return JSON.stringify(expected.sort()) === JSON.stringify(refused)
  })
  if (rule === undefined) step.fault(`by no rule the records ${refused.join(' ')} are refused, of ${taken.length}`)
  const good = taken.filter((record) => !isRefusedBy(rule ?? 0)(record))
  const latest = new Map<string, Published>()
  for (const record of good) {
    const other = latest.get(record.key!)
    if (other === undefined || isBefore(other, record)) latest.set(record.key!, record)
  }
  const rows = [...latest.values()].map(({ uid }) => uid)
  const { records } = step.manifest
  const said = [records!.read, records!.added, records!.quarantined, records!.duplicates]
  const counted = [taken.length, rows.length, refused.length, good.length - rows.length]
  if (said.join() !== counted.join())
    step.fault(`read, added, quarantined, duplicates are ${said}, expected ${counted}`)
  return { ...state, rows: [...state.rows, ...rows], refused: new Map([...state.refused, ...objects]) }
}

function goneBack(step: Step): State {
  const { manifest, state, states } = step
  const target = states.get(manifest.rolled_back_to)
  if (target === undefined) {
    step.fault(`went back to ${manifest.rolled_back_to}, on which main never stood`)
    return state
  }
  const { before, after } = manifest.positions!
  const isReprocessed = JSON.stringify(before) !== JSON.stringify(after) || manifest.replayed !== undefined
  if (!isReprocessed) return { ...state, rows: target.rows }
  if (!samePositions(after, target.positions)) {
    step.fault(`went back to positions ${print(after)}, at that snapshot they were ${print(target.positions)}`)
  }
  return { rows: target.rows, refused: target.refused, positions: after }
}

const isBefore = (a: Published, b: Published): boolean => {
  const order = (r: Published): readonly (string | number)[] => [
    r.arrivalMillis,
    r.stream,
    r.shardId,
    r.sequence.padStart(64, '0'),
    r.sub,
  ]
  const [left, right] = [order(a), order(b)]
  const at = left.findIndex((value, index) => value !== right[index])
  return at >= 0 && left[at]! < right[at]!
}

/** The incarnations of `of`, as `positions` has them. */
const pick = (positions: Positions, of: Positions): Positions =>
  Object.fromEntries(Object.keys(of).map((name) => [name, positions[name] ?? {}]))

const print = (positions: Positions): string =>
  Object.entries(positions)
    .filter(([, shards]) => Object.keys(shards).length > 0)
    .map(([name, shards]) => `${name} ${printPositions(shards)}`)
    .sort()
    .join(', ')

/** Entries of shards that are consumed to their end go away with their chains. */
function samePositions(now: Positions, expected: Positions): boolean {
  const names = new Set([...Object.keys(now), ...Object.keys(expected)])
  return [...names].every((name) => {
    const [left, right] = [now[name] ?? {}, expected[name] ?? {}]
    const shards = new Set([...Object.keys(left), ...Object.keys(right)])
    return [...shards].every((id) => left[id] === right[id] || (left[id] === undefined && right[id]!.endsWith('!')))
  })
}

function read(journal: readonly JournalEntry[], table: string): History {
  const folder = `${table.replace('.', '/')}/metadata/`
  const versions: Version[] = []
  const manifests = new Map<string, JsonManifest>()
  const refused = new Map<string, readonly string[]>()
  for (const { key, bytes } of journal) {
    if (key.startsWith(folder)) versions.push(versionOf(bytes))
    if (key.startsWith(`_manifests/${table}/`)) {
      const manifest = JSON.parse(Buffer.from(bytes).toString()) as JsonManifest
      manifests.set(manifest.snapshot_id, manifest)
    }
    if (key.startsWith(`_quarantine/${table}/`)) refused.set(key, uidsOf(bytes))
  }
  return { versions, manifests, refused }
}

function versionOf(bytes: Uint8Array): Version {
  const json = parseJson(Buffer.from(bytes).toString()) as {
    refs?: Record<string, { 'snapshot-id': unknown }>
    properties: Record<string, string>
  }
  const head = json.refs?.['main']?.['snapshot-id']
  return { head: head === undefined ? undefined : String(head), properties: json.properties }
}

/** Of the records in an object of refused records. */
export const uidsOf = (bytes: Uint8Array): readonly string[] =>
  zstdDecompressSync(bytes)
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => uidIn(Buffer.from((JSON.parse(line) as { rawData: string }).rawData, 'base64').toString()))

const uidIn = (text: string): string => /"title": ?"(u\d+)"/.exec(text)?.[1] ?? `no uid in ${text}`

/** Where a table must stand once everything is landed and compacted. */
export function finalPositions(ledger: Ledger, streams: readonly string[]): ReadonlyMap<string, string> {
  const final = new Map<string, string>()
  for (const name of new Set([...ledger.last.keys(), ...ledger.closed.keys()])) {
    if (!streams.includes(name.split('/')[0]!)) continue
    final.set(name, `${bare(ledger.last.get(name) ?? '0')}${ledger.closed.has(name) ? '!' : ''}`)
  }
  return final
}
