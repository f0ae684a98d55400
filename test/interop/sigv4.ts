/** Our signatures of REST catalog requests against botocore's, over every service and what is awkward to encode. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sigv4Auth } from '../../table/catalog/rest/auth-sigv4.ts'
import { encodeSegment } from '../../table/catalog/rest/http.ts'
import { systemClock } from '../../table/clock.ts'
import { epochMillis } from '../../table/ids.ts'

const SERVICES = ['glue', 's3tables', 'execute-api'] as const
const WORDS = [
  'articles',
  'a\u001fb',
  'with space',
  "(it's)!*",
  'ünï/çode',
  '100%25',
  'a+b=c&d',
  '~-_.',
  'arn:aws:s3:::b',
  '😀',
]
const BODIES = [undefined, '{}', '{"snapshot-id":9007199254740993,"name":"ünï 😀"}']
const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }

interface Signed {
  readonly authorization: string
  readonly date: string
}

/** @returns how many requests were compared, and one line per difference. */
export async function compareSignatures(python: string): Promise<{ requests: number; differences: readonly string[] }> {
  const jobs: Readonly<Record<string, unknown>>[] = []
  const ours: Signed[] = []
  for (const { service, url, body, sessionToken, millis } of cases()) {
    const region = 'eu-west-1'
    const clock = { ...systemClock, nowMillis: () => epochMillis(millis) }
    const credentials = { ...KEYS, sessionToken }
    const auth = sigv4Auth({ service, region, credentials: () => Promise.resolve(credentials), clock })
    const method = body === undefined ? 'GET' : 'POST'
    const plain = {
      accept: 'application/json',
      'x-iceberg-access-delegation': 'vended-credentials',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const sent = await auth.authorize({ method, url: new URL(url), headers: plain, body }, {})
    const { authorization, 'x-amz-date': date, 'x-amz-security-token': _token, ...headers } = sent
    ours.push({ authorization: authorization!, date: date! })
    const keys = {
      access_key_id: KEYS.accessKeyId,
      secret_access_key: KEYS.secretAccessKey,
      session_token: sessionToken,
    }
    jobs.push({ service, region, method, url: new URL(url).href, headers, body, millis, ...keys })
  }
  const theirs = await signWithBotocore(python, jobs)
  const differences = ours.flatMap(({ authorization, date }, index) => {
    const wanted = theirs[index]
    if (wanted?.authorization === authorization && wanted.date === date) return []
    return [
      `${String(jobs[index]!['service'])} ${String(jobs[index]!['url'])}: ${authorization}, botocore ${wanted?.authorization}`,
    ]
  })
  return { requests: ours.length, differences }
}

interface Case {
  readonly service: string
  readonly url: string
  readonly body: string | undefined
  readonly sessionToken: string | undefined
  readonly millis: number
}

function* cases(): Generator<Case> {
  let millis = Date.UTC(2026, 0, 31, 23, 59, 59, 999)
  for (const service of SERVICES) {
    for (const [index, word] of WORDS.entries()) {
      const segment = encodeSegment(word)
      const query = encodeSegment(WORDS[(index + 3) % WORDS.length]!)
      const root = `https://${service}.eu-west-1.amazonaws.com/iceberg/v1/${segment}/namespaces/${segment}`
      const urls = [root, `${root}/tables?pageToken=&parent=${query}`, `${root}/tables/x?b=2&a=${query}&a2=1`]
      for (const url of urls) {
        for (const body of BODIES) {
          for (const sessionToken of [undefined, 'IQoJb3JpZ2luX2VjE/+=']) {
            millis += 86_399_001
            yield { service, url, body, sessionToken, millis }
          }
        }
      }
    }
  }
}

async function signWithBotocore(python: string, jobs: readonly object[]): Promise<readonly Signed[]> {
  const folder = await mkdtemp(join(tmpdir(), 'firn-sigv4-'))
  try {
    const [job, result] = [join(folder, 'job.json'), join(folder, 'result.json')]
    await writeFile(job, JSON.stringify(jobs))
    await promisify(execFile)(python, [fileURLToPath(new URL('./sigv4.py', import.meta.url)), job, result], {
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    })
    return JSON.parse(await readFile(result, 'utf8')) as Signed[]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
