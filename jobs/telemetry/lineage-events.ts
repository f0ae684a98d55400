/**
 * Runs as OpenLineage events. Pure: from a run record to plain JSON. Spec: OpenLineage 2-0-2, `RunEvent`; each facet by
 * the version of its own schema.
 *
 * A landing run reads a stream (or files) and writes its place in staging; a compaction reads that place and writes a
 * table. That way the graph of a consumer has both steps between the stream and the table.
 */

import type { RunRecord } from '../runs.ts'
import { version } from '../version.ts'

/** A package URL: what made the event. */
const PRODUCER = `pkg:npm/firnlake@${version}`
const EVENT_SCHEMA = 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent'
const FACETS = {
  schema: '1-2-0/SchemaDatasetFacet',
  version: '1-0-1/DatasetVersionDatasetFacet',
  outputStatistics: '1-0-2/OutputStatisticsOutputDatasetFacet',
  inputStatistics: '1-0-0/InputStatisticsInputDatasetFacet',
  errorMessage: '1-0-1/ErrorMessageRunFacet',
  jobType: '2-0-4/JobTypeJobFacet',
  processing_engine: '1-1-1/ProcessingEngineRunFacet',
  nominalTime: '1-0-1/NominalTimeRunFacet',
} as const

type Facets = Readonly<Record<string, object>>

function facet(name: keyof typeof FACETS, members: object): object {
  const path = FACETS[name]
  const type = path.split('/')[1]
  const [number] = path.split('/')
  const schema = `https://openlineage.io/spec/facets/${number}/${type}.json#/$defs/${type}`
  return { _producer: PRODUCER, _schemaURL: schema, ...members }
}

export interface LineageDataset {
  readonly namespace: string
  readonly name: string
}

/** A column as OpenLineage has it. */
export interface LineageField {
  readonly name: string
  readonly type: string
  readonly fields?: readonly LineageField[]
}

/** What a run's record does not say of its surroundings. */
export interface LineageContext {
  readonly jobNamespace: string
  /** URL of the warehouse. */
  readonly warehouse: string
  /** ARN of a stream, where it is known. */
  readonly arnOf: (stream: string) => string | undefined
  /** Where Kinesis is, for streams without an ARN: a region, or the host of an endpoint. */
  readonly kinesisHost: string
  /** Where a table lies, as far as its name tells. */
  readonly locationOf: (table: string) => string | undefined
  /** Location and columns of a table; `undefined` when it cannot be looked at. */
  readonly table?: { readonly location: string; readonly fields: readonly LineageField[] } | undefined
}

export interface LineageRun {
  /** UUID. */
  readonly runId: string
  readonly job: string
  readonly subject: string
  readonly startedAtMillis: number
}

/** The first event of a run. */
export const startEvent = (run: LineageRun, context: LineageContext): object =>
  event('START', new Date(run.startedAtMillis).toISOString(), run, context, {}, datasetsOf(run, undefined, context))

/** The last event of a run: COMPLETE, ABORT when it was interrupted or left to another, FAIL. */
export function endEvent(run: LineageRun, record: RunRecord, context: LineageContext): object {
  const { outcome, error, run_id, finished_at } = record
  const done = outcome === 'ok' || outcome === 'nothing-to-do'
  const type = done ? 'COMPLETE' : outcome === 'failed' ? 'FAIL' : 'ABORT'
  const facets: Facets = {
    // ours: under which name the warehouse has the run's record
    firn_run: { _producer: PRODUCER, _schemaURL: RUN_FACET_SCHEMA, runId: run_id, outcome },
    ...(error === undefined
      ? {}
      : {
          errorMessage: facet('errorMessage', {
            message: `${error.code}: ${error.message}`,
            programmingLanguage: 'JAVASCRIPT',
          }),
        }),
  }
  return event(type, finished_at, run, context, facets, datasetsOf(run, record, context))
}

/** A facet of our own has no schema but that of every facet of a run. */
const RUN_FACET_SCHEMA = 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunFacet'

interface Datasets {
  readonly inputs: readonly object[]
  readonly outputs: readonly object[]
}

function event(
  eventType: string,
  eventTime: string,
  run: LineageRun,
  context: LineageContext,
  runFacets: Facets,
  datasets: Datasets,
): object {
  const nominalStartTime = new Date(run.startedAtMillis).toISOString()
  return {
    eventType,
    eventTime,
    producer: PRODUCER,
    schemaURL: EVENT_SCHEMA,
    run: {
      runId: run.runId,
      facets: {
        nominalTime: facet('nominalTime', { nominalStartTime }),
        processing_engine: facet('processing_engine', {
          version,
          name: 'firn',
          openlineageAdapterVersion: version,
        }),
        ...runFacets,
      },
    },
    job: {
      namespace: context.jobNamespace,
      name: `${run.job}.${run.subject}`,
      facets: { jobType: facet('jobType', { processingType: 'BATCH', integration: 'FIRN', jobType: 'JOB' }) },
    },
    ...datasets,
  }
}

/** Members of the results of `land`, `compact` and what moves rows like them. */
interface ResultNumbers {
  readonly records?: number
  readonly bytes?: number
  readonly chunks?: number
  readonly shards?: readonly { readonly shard_id: string }[]
  readonly snapshot_id?: string | null
  readonly records_read?: number
  readonly rows_added?: number
  readonly files_added?: number
  readonly bytes_added?: number
  readonly streams?: readonly string[]
}

function datasetsOf(run: LineageRun, record: RunRecord | undefined, context: LineageContext): Datasets {
  const result = record?.result as ResultNumbers | undefined
  if (run.job === 'land') return landed(run, result, context)
  return { inputs: stagedInputs(result, context), outputs: tableOutputs(run, result, context) }
}

function landed({ subject }: LineageRun, result: ResultNumbers | undefined, context: LineageContext): Datasets {
  const staging = stagingDataset(context.warehouse, subject)
  const files = (result?.shards ?? []).map(({ shard_id }) => shard_id).filter((id) => /^[a-z0-9]+%3A/.test(id))
  // before its end, and when it fails, a run does not say what it reads: a stream that was found, or files
  const isStream = result === undefined ? context.arnOf(subject) !== undefined : files.length === 0
  const sources = isStream ? [streamDataset(subject, context)] : files.map(fileDataset)
  if (result === undefined) return { inputs: sources, outputs: [staging] }
  const { records: rowCount, bytes: size, chunks: fileCount } = result
  const read = { inputFacets: { inputStatistics: facet('inputStatistics', { rowCount, size }) } }
  const inputs = sources.map((dataset) => (sources.length === 1 ? { ...dataset, ...read } : dataset))
  const written = { outputStatistics: facet('outputStatistics', { rowCount, size, fileCount }) }
  return { inputs, outputs: [{ ...staging, outputFacets: written }] }
}

function stagedInputs(result: ResultNumbers | undefined, { warehouse }: LineageContext): readonly object[] {
  const streams = result?.streams ?? []
  // what was read is known of the run, not of each stream
  const read =
    streams.length === 1 && result?.records_read !== undefined
      ? { inputFacets: { inputStatistics: facet('inputStatistics', { rowCount: result.records_read }) } }
      : {}
  return streams.map((stream) => ({ ...stagingDataset(warehouse, stream), ...read }))
}

function tableOutputs(
  { subject }: LineageRun,
  result: ResultNumbers | undefined,
  context: LineageContext,
): readonly object[] {
  const { table } = context
  const location = table?.location ?? context.locationOf(subject)
  if (location === undefined) return []
  const dataset = datasetAt(location)
  const facets = {
    ...(table === undefined ? {} : { schema: facet('schema', { fields: table.fields }) }),
    ...(typeof result?.snapshot_id === 'string'
      ? { version: facet('version', { datasetVersion: result.snapshot_id }) }
      : {}),
  }
  if (result?.rows_added === undefined) return [{ ...dataset, facets }]
  const { rows_added: rowCount, bytes_added: size, files_added: fileCount } = result
  const outputFacets = { outputStatistics: facet('outputStatistics', { rowCount, size, fileCount }) }
  return [{ ...dataset, facets, outputFacets }]
}

const stagingDataset = (warehouse: string, stream: string): LineageDataset =>
  datasetAt(`${warehouse}/_staging/${stream}`)

/** `s3://bucket` and the key, `file` and the path. Spec: "Naming". */
export function datasetAt(url: string): LineageDataset {
  const [, scheme, authority, path] = /^([a-z0-9]+):\/\/([^/]*)\/*(.*)$/i.exec(url) ?? []
  if (scheme === undefined) return { namespace: 'file', name: url }
  if (scheme === 'file') return { namespace: 'file', name: decodeURIComponent(`/${path}`) }
  return { namespace: `${scheme}://${authority}`, name: path === '' ? '/' : path! }
}

/** The shard of a file, or of an object, is its percent-encoded URL. */
const fileDataset = (shardId: string): LineageDataset => datasetAt(decodeURIComponent(shardId))

/** `arn:aws:kinesis:<region>:<account>` and `stream/<name>`, as other services of AWS are named. */
function streamDataset(stream: string, { arnOf, kinesisHost }: LineageContext): LineageDataset {
  const match = /^(arn:[^:]+:kinesis:[^:]*:[^:]*):(stream\/.+)$/.exec(arnOf(stream) ?? '')
  if (match !== null) return { namespace: match[1]!, name: match[2]! }
  return { namespace: `kinesis://${kinesisHost}`, name: stream }
}
