/**
 * Tables of the test catalog: metadata as the JSON documents of the specification, changed by the JSON of requests.
 * Nothing of the product is used but its int64-safe JSON, so that both sides cannot be wrong in the same way.
 */
import { randomUUID } from 'node:crypto'

// biome-ignore lint/suspicious/noExplicitAny: documents of a foreign format
export type Json = any

/** What the server answers instead of a success. */
export class Refusal extends Error {
  readonly status: number
  readonly type: string
  constructor(status: number, type: string, message: string) {
    super(message)
    this.status = status
    this.type = type
  }
}

export interface StoredTable {
  metadata: Json
  metadataLocation: string
}

export function newTable(request: Json, location: string, now: number): StoredTable {
  // A catalog gives out ids of its own, in the order of the columns.
  const ids = new Map<number, number>()
  const fields = request.schema.fields.map((field: Json, index: number) => {
    ids.set(field.id, index + 1)
    return { ...field, id: index + 1 }
  })
  const spec = (request['partition-spec']?.fields ?? []).map((field: Json, index: number) => ({
    ...field,
    'source-id': ids.get(field['source-id']),
    'field-id': 1000 + index,
  }))
  const order = request['write-order'] ?? { 'order-id': 0, fields: [] }
  const sort = order.fields.map((field: Json) => ({ ...field, 'source-id': ids.get(field['source-id']) }))
  const { 'format-version': formatVersion = '2', ...properties } = request.properties ?? {}
  const metadata = {
    'format-version': Number(formatVersion),
    'table-uuid': randomUUID(),
    location,
    'last-sequence-number': 0,
    'last-updated-ms': now,
    'last-column-id': fields.length,
    schemas: [
      {
        type: 'struct',
        'schema-id': 0,
        fields,
        'identifier-field-ids': (request.schema['identifier-field-ids'] ?? []).map((id: number) => ids.get(id)),
      },
    ],
    'current-schema-id': 0,
    'partition-specs': [{ 'spec-id': 0, fields: spec }],
    'default-spec-id': 0,
    'last-partition-id': 999 + spec.length,
    'sort-orders':
      sort.length === 0
        ? [order]
        : [
            { 'order-id': 0, fields: [] },
            { 'order-id': 1, fields: sort },
          ],
    'default-sort-order-id': sort.length === 0 ? 0 : 1,
    properties,
    refs: {},
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
  }
  return { metadata, metadataLocation: `${location}/metadata/00000-${randomUUID()}.metadata.json` }
}

/** @throws {Refusal} 409 when a requirement does not hold. */
export function commitTo(table: StoredTable, request: Json, now: number): StoredTable {
  for (const requirement of request.requirements) check(table.metadata, requirement)
  const { metadata } = table
  const previous = { 'timestamp-ms': metadata['last-updated-ms'], 'metadata-file': table.metadataLocation }
  const next = structuredClone({ ...metadata, 'last-updated-ms': Math.max(now, metadata['last-updated-ms'] + 1) })
  for (const update of request.updates) apply(next, update)
  next['metadata-log'].push(previous)
  const number = String(next['metadata-log'].length).padStart(5, '0')
  return { metadata: next, metadataLocation: `${next.location}/metadata/${number}-${randomUUID()}.metadata.json` }
}

function check(metadata: Json, requirement: Json): void {
  const { type } = requirement
  const fail = (found: unknown): never => {
    throw new Refusal(409, 'CommitFailedException', `Requirement failed: ${type}, found ${String(found)}`)
  }
  if (type === 'assert-ref-snapshot-id') {
    const found = metadata.refs[requirement.ref]?.['snapshot-id'] ?? null
    if (found !== requirement['snapshot-id']) fail(found)
    return
  }
  const members: Readonly<Record<string, string>> = {
    'assert-table-uuid': 'uuid',
    'assert-last-assigned-field-id': 'last-assigned-field-id',
    'assert-current-schema-id': 'current-schema-id',
    'assert-last-assigned-partition-id': 'last-assigned-partition-id',
    'assert-default-spec-id': 'default-spec-id',
    'assert-default-sort-order-id': 'default-sort-order-id',
  }
  const member = members[type]
  if (member === undefined) throw new Refusal(400, 'BadRequestException', `Cannot parse requirement ${type}`)
  const inMetadata: Readonly<Record<string, string>> = {
    uuid: 'table-uuid',
    'last-assigned-field-id': 'last-column-id',
    'last-assigned-partition-id': 'last-partition-id',
  }
  const found = metadata[inMetadata[member] ?? member]
  if (found !== requirement[member]) fail(found)
}

function apply(metadata: Json, update: Json): void {
  switch (update.action) {
    case 'add-schema':
      metadata.schemas.push(update.schema)
      metadata['last-column-id'] = Math.max(metadata['last-column-id'], ...update.schema.fields.map((f: Json) => f.id))
      return
    case 'set-current-schema':
      metadata['current-schema-id'] = update['schema-id']
      return
    case 'add-spec':
      metadata['partition-specs'].push(update.spec)
      return
    case 'set-default-spec':
      metadata['default-spec-id'] = update['spec-id']
      return
    case 'add-snapshot':
      addSnapshot(metadata, update.snapshot)
      return
    case 'set-snapshot-ref':
      setRef(metadata, update)
      return
    case 'remove-snapshot-ref':
      delete metadata.refs[update['ref-name']]
      return
    case 'remove-snapshots':
      metadata.snapshots = metadata.snapshots.filter((s: Json) => !update['snapshot-ids'].includes(s['snapshot-id']))
      return
    case 'set-properties':
      Object.assign(metadata.properties, update.updates)
      return
    case 'remove-properties':
      for (const key of update.removals) delete metadata.properties[key]
      return
    default:
      throw new Refusal(400, 'BadRequestException', `Cannot parse update ${update.action}`)
  }
}

function addSnapshot(metadata: Json, snapshot: Json): void {
  if (typeof snapshot['snapshot-id'] === 'string') throw new Refusal(400, 'BadRequestException', 'snapshot-id is text')
  if (metadata.snapshots.some((each: Json) => each['snapshot-id'] === snapshot['snapshot-id'])) {
    throw new Refusal(400, 'ValidationException', 'Snapshot already exists')
  }
  if (snapshot['sequence-number'] <= metadata['last-sequence-number'] && snapshot['parent-snapshot-id'] !== undefined) {
    throw new Refusal(400, 'ValidationException', 'Cannot add snapshot with an older sequence number')
  }
  metadata.snapshots.push(snapshot)
  metadata['last-sequence-number'] = snapshot['sequence-number']
}

function setRef(metadata: Json, { action: _action, 'ref-name': name, ...ref }: Json): void {
  if (!metadata.snapshots.some((each: Json) => each['snapshot-id'] === ref['snapshot-id'])) {
    throw new Refusal(400, 'ValidationException', `Cannot set ${name} to unknown snapshot`)
  }
  metadata.refs[name] = ref
  if (name !== 'main') return
  metadata['current-snapshot-id'] = ref['snapshot-id']
  metadata['snapshot-log'].push({ 'timestamp-ms': metadata['last-updated-ms'], 'snapshot-id': ref['snapshot-id'] })
}
