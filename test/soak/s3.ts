/** The embedded S3 as a process of its own: prints its address as a line, and ends when its standard input does. */
import { startS3Server } from '../../jobs/demo/s3-server.ts'

const { url } = await startS3Server({ buckets: process.argv.slice(2) })
process.stdout.write(`${url}\n`)
// whoever started it is gone, or done
process.stdin.on('end', () => process.exit()).resume()
