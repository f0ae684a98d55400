/**
 * `npm run test:lineage`: the lineage events of real runs parse as typed events of OpenLineage's own Python client,
 * facet by facet. Installs the client first (`.cache/lineage/`).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { endEvent } from '../../jobs/telemetry/lineage-events.ts'
import { systemClock } from '../../table/clock.ts'
import { runId } from '../../table/ids.ts'
import { openKinesisDoor } from '../contract/kinesis-door.ts'
import { MemoryKinesis } from '../contract/memory-kinesis.ts'
import { startFirn } from '../firn-process.ts'
import { installOpenLineage } from './install.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)

interface SeenEvent {
  readonly type: string
  readonly job: string
  readonly facets: readonly string[]
}

/** Runs that end in every way, their events appended to `file`. */
async function produceEvents(folder: string, file: string): Promise<void> {
  const kinesis = new MemoryKinesis({ clock: systemClock })
  kinesis.createStream('Orders', 1)
  for (let n = 0; n < 20; n++) kinesis.putInto('Orders', 'shardId-000000000000', articleText(n))
  const door = await openKinesisDoor(kinesis)
  const env = {
    FIRN_LINEAGE: file,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL_KINESIS: door.endpoint,
  }
  const warehouse = pathToFileURL(join(folder, 'warehouse')).href
  const firn = async (code: number, ...args: string[]): Promise<void> => {
    const ended = await startFirn(args, { cwd: folder, warehouse, env }).ended
    if (ended.code !== code) throw new Error(`firn ${args.join(' ')} ended with ${ended.code}: ${ended.stderr}`)
  }
  try {
    await writeFile(join(folder, 'bad.ndjson'), 'no json\n')
    await firn(0, 'land', '--stream', 'Orders')
    await firn(0, 'compact', 'news.articles', '--stream', 'Orders')
    await firn(0, 'compact', 'news.articles')
    await firn(0, 'land', '--from', join(folder, 'bad.ndjson'), '--as', 'bad')
    await firn(1, 'compact', 'news.bad', '--stream', 'bad')
    await appendFile(file, `${JSON.stringify(interruptedEvent(warehouse))}\n`)
  } finally {
    await door.close()
  }
}

const articleText = (n: number): string =>
  JSON.stringify({ article_id: `a${n}`, title: 't', publish_date: '2026-01-31T12:00:00Z', content: 'Some words.' })

/** Without a signal, whose moment would be up to chance. */
function interruptedEvent(warehouse: string): object {
  const run = {
    runId: '01a1ff63-ae30-77e8-86ce-3126ae126f2b',
    job: 'compact',
    subject: 'news.articles',
    startedAtMillis: 1_795_262_400_000,
  }
  const record = {
    schema: 'firn.run/1',
    job: 'compact',
    run_id: runId('0123456789abcdef'),
    subject: 'news.articles',
    started_at: '2026-11-21T12:00:00.000Z',
    finished_at: '2026-11-21T12:00:01.000Z',
    duration_ms: 1000,
    outcome: 'interrupted',
    error: { kind: 'interrupted', code: 'FIRN_INTERRUPTED', message: 'interrupted by a signal' },
  } as const
  const context = { jobNamespace: 'firn', warehouse, kinesisHost: 'us-east-1', arnOf: () => undefined }
  return endEvent(run, record, { ...context, locationOf: (name) => `${warehouse}/${name}` })
}

async function readTyped(python: string, text: string): Promise<readonly SeenEvent[]> {
  const script = fileURLToPath(new URL('./lineage.py', import.meta.url))
  const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    out += part
  })
  child.stdin.end(text)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`the events are not what OpenLineage's client reads (exit code ${code})`)
  return JSON.parse(out) as SeenEvent[]
}

const EXPECTED_FACETS = [
  'errorMessage',
  'firn_run',
  'inputStatistics',
  'jobType',
  'nominalTime',
  'outputStatistics',
  'processing_engine',
  'schema',
  'version',
]
const EXPECTED_TYPES = [
  ...['START', 'COMPLETE'].map((type) => `${type} land.Orders`),
  ...['START', 'COMPLETE', 'START', 'COMPLETE'].map((type) => `${type} compact.news.articles`),
  ...['START', 'COMPLETE'].map((type) => `${type} land.bad`),
  ...['START', 'FAIL'].map((type) => `${type} compact.news.bad`),
  'ABORT compact.news.articles',
]

const python = await installOpenLineage(say)
const folder = await mkdtemp(join(tmpdir(), 'firn-lineage-'))
try {
  const file = join(folder, 'lineage.ndjson')
  await produceEvents(folder, file)
  const text = await readFile(file, 'utf8')
  const seen = await readTyped(python, text)
  const types = seen.map(({ type, job }) => `${type} ${job}`)
  if (types.join() !== EXPECTED_TYPES.join()) throw new Error(`expected ${EXPECTED_TYPES}, got ${types}`)
  const facets = [...new Set(seen.flatMap((event) => event.facets))].sort()
  if (facets.join() !== EXPECTED_FACETS.join()) throw new Error(`expected the facets ${EXPECTED_FACETS}, got ${facets}`)
  // the reader must be able to fail: a facet under another's schema, and a member that a facet does not have
  for (const damage of [
    (good: string) => good.replace('1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/Output', '1-0-0/Input'),
    (good: string) => good.replace('"rowCount"', '"rows"'),
    (good: string) => good.replace('"eventType":"COMPLETE"', '"eventType":"DONE"'),
  ]) {
    const damaged = damage(text)
    if (damaged === text) throw new Error('nothing was damaged')
    const refused = await readTyped(python, damaged).then(
      () => false,
      () => true,
    )
    if (!refused) throw new Error('the reader took a damaged event')
  }
  say(`ok: ${seen.length} events, ${facets.length} kinds of facets; three damaged ones were refused`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
