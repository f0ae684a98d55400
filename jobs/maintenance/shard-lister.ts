/** Asks Kinesis which shards a stream has. */
import { kinesisSource } from '../../ingest/index.ts'
import type { Clock } from '../../table/clock.ts'
import type { Config } from '../config.ts'
import { kinesisOptions } from '../landing/landing.ts'
import type { ListShards } from './prune/run.ts'

export function shardLister(config: Config, clock: Clock): ListShards {
  return async (stream, { signal }) => {
    const source = kinesisSource({ stream, client: kinesisOptions(config), clock })
    const { created } = await source.open({ signal })
    return { created, shards: await source.listShards({ signal }) }
  }
}
