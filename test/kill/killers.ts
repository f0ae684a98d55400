/** Two ways to choose the moment at which a process is killed: by the clock, and by the writes it makes. */
import type { ChildProcess } from 'node:child_process'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** SIGKILL after `millis`. @returns what calls it off. */
export function killAfter(child: ChildProcess, millis: number): () => void {
  const timer = setTimeout(() => child.kill('SIGKILL'), millis)
  return () => clearTimeout(timer)
}

export interface WriteKill {
  readonly child: ChildProcess
  /** Number of the fatal write, from 0. */
  readonly write: number
  /** `before` the server sees it, or `after` it took effect and before the client hears of it. */
  readonly moment: 'before' | 'after'
}

export interface KillingProxy {
  readonly url: string
  /** Counts writes anew, and kills at the one that is named. */
  arm(kill: WriteKill | undefined): void
  /** Writes since the last `arm`. */
  readonly writes: number
  close(): Promise<void>
}

/** Stands before an HTTP server on the loopback interface, passes everything on, and kills its client on cue. */
export async function startKillingProxy(target: string): Promise<KillingProxy> {
  let armed: WriteKill | undefined
  let writes = 0
  const upstream = new URL(target)

  const pass = (incoming: IncomingMessage, answer: ServerResponse, body: Buffer, kill: WriteKill | undefined): void => {
    const { method, url, headers } = incoming
    const forwarded = request({ host: upstream.hostname, port: upstream.port, method, path: url, headers }, (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk))
      reply.on('end', () => {
        if (kill !== undefined) {
          kill.child.kill('SIGKILL')
          answer.destroy()
          return
        }
        answer.writeHead(reply.statusCode ?? 500, reply.rawHeaders)
        answer.end(Buffer.concat(chunks))
      })
    })
    forwarded.on('error', () => answer.destroy())
    forwarded.end(body)
  }

  const server = createServer((incoming, answer) => {
    const chunks: Buffer[] = []
    incoming.on('error', () => {})
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const isWrite = incoming.method !== 'GET' && incoming.method !== 'HEAD'
      const kill = isWrite && armed?.write === writes ? armed : undefined
      if (isWrite) writes++
      if (kill?.moment === 'before') {
        kill.child.kill('SIGKILL')
        answer.destroy()
        return
      }
      pass(incoming, answer, Buffer.concat(chunks), kill)
    })
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    arm: (kill) => {
      armed = kill
      writes = 0
    },
    get writes() {
      return writes
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
