/** A warehouse in a bucket, whose Parquet files arrive as a test says: refused, cut off, damaged. Threads meet it too. */
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { startS3Server } from '../../jobs/demo/s3-server.ts'
import type { StoreOptions } from '../../table/index.ts'

/** The answer to a read of a data file. */
export interface DataRead {
  /** Ends with the name of the file. */
  readonly path: string
  /** Of `bytes`, in the file. */
  readonly start: number
  readonly bytes: Buffer
}

/** What arrives instead: other bytes, half of them before the line breaks, or a 503. */
export type Weather = (read: DataRead) => Buffer | 'cut off' | 'refused'

export interface WeatherWarehouse {
  readonly url: string
  readonly storeOptions: StoreOptions
  weather: Weather
  close(): Promise<void>
}

export const clear: Weather = ({ bytes }) => bytes

export async function weatherWarehouse(): Promise<WeatherWarehouse> {
  const s3 = await startS3Server({ buckets: ['bucket'] })
  const warehouse = { weather: clear }
  const server = createServer((incoming, outgoing) => {
    const passed = request(
      { port: s3.port, method: incoming.method, path: incoming.url, headers: incoming.headers },
      async (answer) => {
        const body = await buffer(answer)
        const given = isDataRead(incoming, answer) ? warehouse.weather(readOf(incoming, answer, body)) : body
        if (given === 'refused') {
          outgoing.writeHead(503, { 'content-type': 'application/xml' })
          outgoing.end('<Error><Code>SlowDown</Code><Message>scripted</Message></Error>')
          return
        }
        const length = given === 'cut off' ? body.length : given.length
        const sized = incoming.method === 'HEAD' ? {} : { 'content-length': String(length) }
        outgoing.writeHead(answer.statusCode!, { ...answer.headers, ...sized })
        if (given === 'cut off') outgoing.write(body.subarray(0, body.length >> 1), () => outgoing.destroy())
        else outgoing.end(given)
      },
    )
    incoming.pipe(passed)
    passed.on('error', () => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(warehouse, {
    url: 's3://bucket/wh',
    storeOptions: {
      s3: {
        endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        region: 'us-east-1',
        maxAttempts: 1,
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      },
    },
    close: async () => {
      await closed(server)
      await s3.close()
    },
  })
}

const isDataRead = ({ method, url }: IncomingMessage, { statusCode }: IncomingMessage): boolean =>
  method === 'GET' && statusCode! < 300 && /\.parquet(\?|$)/.test(url!)

function readOf({ url }: IncomingMessage, { headers }: IncomingMessage, bytes: Buffer): DataRead {
  const range = /^bytes (\d+)-/.exec(headers['content-range'] ?? '')
  return { path: url!.replace(/\?.*/, ''), start: Number(range?.[1] ?? 0), bytes }
}

const closed = (server: Server): Promise<void> => {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
