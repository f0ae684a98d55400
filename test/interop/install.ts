/**
 * The other engines, installed once into `.cache/interop/`: a Python environment of its own and the Iceberg jar for
 * Spark. Nothing outside of that folder is changed (but for the download caches of pip and Maven).
 */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

const HERE: string = fileURLToPath(new URL('.', import.meta.url))
const FOLDER: string = fileURLToPath(new URL('../../.cache/interop/', import.meta.url))
const FEATURES_FOLDER: string = fileURLToPath(new URL('../../.cache/features/', import.meta.url))
const LINEAGE_FOLDER: string = fileURLToPath(new URL('../../.cache/lineage/', import.meta.url))
const ICEBERG_JAR = { group: 'org.apache.iceberg', artifact: 'iceberg-spark-runtime-3.5_2.12', version: '1.10.0' }

/** Iceberg's own REST catalog as its tests run it: catalog, database and web server in one. */
const REST_JAR = { group: 'org.apache.iceberg', artifact: 'iceberg-open-api', version: '1.10.0' }

export interface Engines {
  /** Python with PyIceberg, DuckDB and PySpark. */
  readonly python: string
  /** Iceberg's Spark runtime. */
  readonly icebergJar: string
}

export interface RestEngines {
  /** Python with botocore, whose dependencies do not go with PyIceberg's. */
  readonly botocorePython: string
  readonly restJar: string
}

/** @throws {Error} that names what is missing on this machine, or what pip or Maven said. */
export async function installEngines(say: (line: string) => void): Promise<Engines> {
  await mkdir(FOLDER, { recursive: true })
  await requireTool('java', ['-version'], 'a Java runtime, 11 or 17, that Spark 3.5 runs on')
  const python = await installPython(say, 'python', 'requirements.txt')
  return { python, icebergJar: await installJar(say, ICEBERG_JAR) }
}

/** @throws {Error} as `installEngines`. */
export async function installRestEngines(say: (line: string) => void): Promise<RestEngines> {
  const botocorePython = await installPython(say, 'botocore', 'requirements-botocore.txt')
  return { botocorePython, restJar: await installJar(say, REST_JAR) }
}

/** Python with datatrove, in a folder of its own: it is no engine, and has many dependencies. */
export async function installDatatrove(say: (line: string) => void): Promise<string> {
  await mkdir(FEATURES_FOLDER, { recursive: true })
  return await installPython(say, 'python', 'requirements-datatrove.txt', FEATURES_FOLDER)
}

/** Python with OpenLineage's client. */
export async function installOpenLineage(say: (line: string) => void): Promise<string> {
  await mkdir(LINEAGE_FOLDER, { recursive: true })
  return await installPython(say, 'python', 'requirements-openlineage.txt', LINEAGE_FOLDER)
}

async function installPython(
  say: (line: string) => void,
  name: string,
  list: string,
  parent: string = FOLDER,
): Promise<string> {
  const system = process.env['INTEROP_PYTHON'] ?? 'python3'
  const version = await requireTool(system, ['--version'], 'Python 3.9 to 3.12 with venv (or name one: INTEROP_PYTHON)')
  const requirements = join(HERE, list)
  const wanted = createHash('sha256')
    .update(version)
    .update(await readFile(requirements))
    .digest('hex')
  const folder = join(parent, name)
  const marker = join(folder, 'installed.sha256')
  const python = join(folder, 'bin', 'python')
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return python
  say(`installing what ${list} lists into ${folder} (${version.trim()})`)
  await rm(folder, { recursive: true, force: true })
  await visibly(system, ['-m', 'venv', folder])
  await visibly(python, ['-m', 'pip', 'install', '--quiet', '--no-deps', '--requirement', requirements])
  await visibly(python, ['-m', 'pip', 'check'])
  await writeFile(marker, wanted)
  return python
}

async function installJar(say: (line: string) => void, wanted: typeof ICEBERG_JAR): Promise<string> {
  const { group, artifact, version } = wanted
  const folder = join(FOLDER, 'jars')
  const jar = join(folder, `${artifact}-${version}.jar`)
  if ((await stat(jar).catch(() => undefined)) !== undefined) return jar
  await requireTool('mvn', ['--version'], 'Maven')
  say(`downloading ${group}:${artifact}:${version}`)
  const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'
  await visibly('mvn', ['-q', '-B', copy, `-Dartifact=${group}:${artifact}:${version}`, `-DoutputDirectory=${folder}`])
  return jar
}

async function requireTool(command: string, args: readonly string[], what: string): Promise<string> {
  try {
    const { stdout, stderr } = await run(command, [...args])
    return stdout + stderr
  } catch (cause) {
    throw new Error(`${command} does not run here; the interop test needs ${what}`, { cause })
  }
}

async function visibly(command: string, args: readonly string[]): Promise<void> {
  const code = await new Promise<number | null>((resolve, reject) => {
    spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
      .once('error', reject)
      .once('close', resolve)
  })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with exit code ${code}`)
}
