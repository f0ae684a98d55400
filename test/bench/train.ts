/**
 * `npm run bench:train`: does `firn train` learn? 20,000 articles whose titles follow from words deep in the text, for
 * which the first words score ROUGE-L between 0.15 and 0.4. The model must get above that on validation rows, must not
 * with titles dealt out among the articles at random, and an interrupted training must end with the weights of one
 * that was not.
 *
 *   node test/bench/train.ts [--rows 20000] [--steps 400] [--backend wasm]
 */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  articlesTable,
  FULL,
  type GeneratedArticle,
  generateArticles,
  shuffleTitles,
  TABLE,
  TINY,
} from '../jobs/train/articles.ts'

const BIN = fileURLToPath(new URL('../../jobs/bin.ts', import.meta.url))

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    steps: { type: 'string', default: '400' },
    backend: { type: 'string', default: 'wasm' },
  },
})

interface Scores {
  readonly rouge1: number
  readonly rouge2: number
  readonly rougeL: number
}

interface TrainDocument {
  readonly steps: number
  readonly loss: number
  readonly seconds: number
  readonly rouge: Scores
  readonly baseline: Scores
  readonly validation_rows: number
}

const SIZES = ['--vocabulary', '1500', '--article-tokens', '176', '--title-tokens', '12', '--width', '64']

/** `firn …` in a process of its own. @param killAfterMillis SIGKILL then, if it still runs. */
async function firn(
  args: readonly string[],
  killAfterMillis?: number,
): Promise<{ readonly code: number | null; readonly stdout: string }> {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  const timer = killAfterMillis === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMillis)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  return { code, stdout }
}

async function trainOn(folder: string, name: string, articles: readonly GeneratedArticle[]): Promise<TrainDocument> {
  const warehouse = `file://${join(folder, name)}`
  await articlesTable(
    warehouse,
    articles.map((article) => ({ ...article })),
  )
  const model = join(folder, `${name}-model`)
  const flags = ['--steps', values.steps, '--backend', values.backend, '--seed', '1', ...SIZES]
  const where = ['--warehouse', warehouse, '--output', 'json']
  const { code, stdout } = await firn(['train', TABLE, '--model', model, ...flags, ...where])
  if (code !== 0) throw new Error(`firn train ended with ${code}`)
  return JSON.parse(stdout) as TrainDocument
}

function print(name: string, { steps, loss, seconds, rouge, baseline, validation_rows }: TrainDocument): void {
  const text = (scores: Scores): string =>
    `${scores.rouge1.toFixed(3)}  ${scores.rouge2.toFixed(3)}  ${scores.rougeL.toFixed(3)}`
  console.log(
    `${name}: ${steps} steps, ${seconds.toFixed(0)} s, loss ${loss.toFixed(3)}, ${validation_rows} rows scored`,
  )
  console.log(`  ROUGE-1/2/L  model ${text(rouge)}   first words ${text(baseline)}`)
}

/** A small training on the pure JavaScript backend, whole, and another one that is killed again and again. */
async function resumesExactly(folder: string): Promise<number> {
  const warehouse = `file://${join(folder, 'tiny')}`
  await articlesTable(
    warehouse,
    generateArticles(600, TINY).map((article) => ({ ...article })),
    { fileRows: 150 },
  )
  const sizes = ['--vocabulary', '400', '--article-tokens', '40', '--title-tokens', '10', '--width', '8']
  const flags = ['--steps', '150', '--batch-size', '8', '--seed', '3', '--run', 'x', ...sizes]
  const how = ['--backend', 'cpu', '--checkpoint-steps', '7', '--warehouse', warehouse, '--output', 'json']
  const start = ['train', TABLE, '--model']
  const whole = join(folder, 'whole')
  if ((await firn([...start, whole, ...flags, ...how])).code !== 0) throw new Error('the whole training failed')
  const cut = join(folder, 'cut')
  let kills = 0
  for (let attempt = 0; ; attempt++) {
    const resumable = (await readdir(join(cut, 'checkpoints')).catch(() => [])).some((name) => name.startsWith('step-'))
    const again = resumable ? ['--resume'] : flags
    const killAfter = attempt < 6 ? 1500 + Math.floor(Math.random() * 4000) : undefined
    // the tag of the whole run is there already: the name of the run must be another one, the weights are the same
    const named = again.map((flag) => (flag === 'x' ? 'y' : flag))
    const { code } = await firn([...start, cut, ...named, ...how], killAfter)
    if (code === 0) break
    if (killAfter === undefined) throw new Error('the resumed training failed')
    kills++
  }
  const [wholeHash, cutHash] = await Promise.all([weightsHash(whole), weightsHash(cut)])
  if (wholeHash !== cutHash) throw new Error(`after ${kills} kills the weights differ: ${wholeHash} and ${cutHash}`)
  return kills
}

async function weightsHash(folder: string): Promise<string> {
  const name = (await readdir(folder)).find((file) => file.endsWith('.bin'))!
  return createHash('sha256')
    .update(await readFile(join(folder, name)))
    .digest('hex')
    .slice(0, 16)
}

const folder = await mkdtemp(join(tmpdir(), 'firn-bench-train-'))
const failures: string[] = []
try {
  const articles = generateArticles(Number(values.rows), FULL)
  const real = await trainOn(folder, 'real', articles)
  print('titles of their articles', real)
  const lead = real.baseline.rougeL
  if (!(lead > 0.15 && lead < 0.4)) failures.push(`the first words score ${lead}, not between 0.15 and 0.4`)
  if (!(real.rouge.rougeL > lead)) failures.push('the model is not above the first words')
  const dealt = await trainOn(folder, 'shuffled', shuffleTitles(articles, 9))
  print('titles dealt out at random', dealt)
  if (dealt.rouge.rougeL >= lead) failures.push('the model learned titles that do not follow from the text')
  console.log(`killed ${await resumesExactly(folder)} times and resumed: the same weights, bit by bit`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
for (const failure of failures) console.error(`FAILED: ${failure}`)
process.exitCode = failures.length === 0 ? 0 : 1
