/** Iceberg's own REST catalog as a process of its own, and engines that work on it by orders. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const here = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

/** A child that answers in lines. */
interface LineProcess {
  /** The next line that begins with `prefix`, without it. @throws {Error} with the end of its log when it ends first. */
  next(prefix: string): Promise<string>
  send(line: string): void
  /** Ends its input and waits for its end. */
  close(): Promise<void>
}

function lineProcess(name: string, child: ChildProcessWithoutNullStreams): LineProcess {
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-20_000)
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    next: async (prefix) => {
      for (;;) {
        const { done, value } = await lines.next()
        if (done === true) throw new Error(`${name} ended:\n${log}`)
        if (value.startsWith(prefix)) return value.slice(prefix.length)
      }
    },
    send: (line) => void child.stdin.write(`${line}\n`),
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'close')
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
      await ended
      clearTimeout(timer)
    },
  }
}

export interface RestFixture {
  readonly uri: string
  close(): Promise<void>
}

/** @param warehouse URL that tables lie below. @param folder for its database. */
export async function startRestFixture(jar: string, warehouse: string, folder: string): Promise<RestFixture> {
  const args = ['-Xmx512m', '-cp', jar, here('RestFixture.java'), warehouse, join(folder, 'catalog.db')]
  const child = lineProcess('the REST catalog', spawn('java', args, { cwd: folder }))
  try {
    return { uri: `http://127.0.0.1:${await child.next('listening ')}`, close: child.close }
  } catch (error) {
    await child.close()
    throw error
  }
}

export interface RestEngine<T> {
  /** One commit for each of `commits`. @returns how many races it lost on the way, and won in the end. */
  append(commits: readonly (readonly object[])[]): Promise<number>
  digest(): Promise<T>
  close(): Promise<void>
}

export interface RestEngineOptions {
  readonly engine: 'pyiceberg' | 'spark'
  readonly python: string
  readonly job: object
  readonly folder: string
}

export async function startRestEngine<T>({ engine, python, job, folder }: RestEngineOptions): Promise<RestEngine<T>> {
  const path = join(folder, `${engine}.json`)
  await writeFile(path, JSON.stringify(job))
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', SPARK_LOCAL_IP: '127.0.0.1', TZ: 'UTC' }
  const child = lineProcess(engine, spawn(python, [here('rest_engine.py'), engine, path], { cwd: folder, env }))
  const ask = async (order: object): Promise<unknown> => {
    child.send(JSON.stringify(order))
    return JSON.parse(await child.next('answer '))
  }
  return {
    append: async (commits) => ((await ask({ do: 'append', commits })) as { conflicts: number }).conflicts,
    digest: async () => (await ask({ do: 'digest' })) as T,
    close: child.close,
  }
}
