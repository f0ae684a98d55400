/** Each job under its policy of `deploy/iam`: nothing that it needs is missing, nothing that is there is spare. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replay } from '../../jobs/compaction/refused/replay.ts'
import { articles, DATASET_PROPERTY } from '../../jobs/datasets/index.ts'
import { inlineExecutor } from '../../jobs/executors/executor.ts'
import { openDataset } from '../../loader/index.ts'
import type { FirnError } from '../../table/errors.ts'
import { openCatalog } from '../../table/index.ts'
import { type Ground, onGround, STREAM, TABLE } from './ground.ts'
import { guardedStore } from './guards.ts'
import { lessOneAction, type Policy, readPolicy } from './policy.ts'

const saved = { ...process.env }
beforeAll(() => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' })
})
afterAll(() => {
  process.env = saved
})

const ALL: Policy = {
  Version: '2012-10-17',
  Statement: [{ Sid: 'All', Effect: 'Allow', Action: ['*'], Resource: ['*'] }],
}
/** A run that has all it needs but the right to commit. */
const DYING: Policy = {
  ...ALL,
  Statement: [
    { Sid: 'Read', Effect: 'Allow', Action: ['s3:Get*', 's3:List*', 'kms:*'], Resource: ['*'] },
    { Sid: 'Write', Effect: 'Allow', Action: ['s3:PutObject'], Resource: ['*/_*', '*/data/*'] },
  ],
}
const DAY = 86_400_000

interface Job {
  readonly name: 'land' | 'compact' | 'maintain' | 'read' | 'train'
  /** What must be there before; done without a guard. */
  before(ground: Ground): Promise<void>
  /** @returns what it came to, as far as a job goes on without a permission. */
  run(ground: Ground, policy: Policy): Promise<unknown>
}

const jobs: readonly Job[] = [
  {
    name: 'land',
    before: async ({ publish }) => publish(0, 40),
    run: async ({ publish, run }, policy) => {
      await run('land', policy)
      await publish(40, 60)
      await run('land', policy)
    },
  },
  {
    name: 'compact',
    before: async ({ publish, run }) => {
      await publish(0, 40)
      await run('land', ALL)
    },
    run: async (ground, policy) => {
      const { publish, run, store, clock } = ground
      await run('compact', policy)
      await publish(40, 80)
      await run('land', ALL)
      await run('compact', policy, { tasks: 2 })
      const guarded = guardedStore(store, policy)
      const catalog = openCatalog(guarded, { clock })
      await replay({ store: guarded, catalog, table: TABLE, clock, executor: inlineExecutor(guarded) })
      return await keysBelow(ground, '_spill/')
    },
  },
  {
    name: 'maintain',
    before: neglectedWarehouse,
    run: async (ground, policy) => {
      await ground.run('maintain', policy)
      return await Promise.all(
        ['_staging/', '_manifests/', '_quarantine/', '_spill/', '_runs/', 'news/'].map((place) =>
          keysBelow(ground, place).then((keys) => keys.length),
        ),
      )
    },
  },
  {
    name: 'read',
    before: async ({ publish, run }) => {
      await publish(0, 40)
      await run('land', ALL)
      await run('compact', ALL)
    },
    run: async ({ store, clock }, policy) => {
      const table = await openCatalog(guardedStore(store, policy), { clock }).loadTable(TABLE)
      let rows = 0
      for await (const batch of table.scan().batches()) rows += batch.numRows
      return rows
    },
  },
  {
    name: 'train',
    before: async ({ publish, run }) => {
      await publish(0, 40)
      await run('land', ALL)
      await run('compact', ALL)
    },
    run: async ({ store, clock }, policy) => {
      const catalog = openCatalog(guardedStore(store, policy), { clock })
      const batch = { size: 16 }
      const dataset = await openDataset({
        catalog,
        table: TABLE,
        columns: ['article_id'],
        batch,
        pin: 'required',
        clock,
      })
      let rows = 0
      try {
        for await (const { numRows } of dataset.epoch()) rows += numRows
      } finally {
        await dataset[Symbol.asyncDispose]()
      }
      const table = await catalog.loadTable(TABLE)
      await table.createTag('train/monday')
      return { rows, refs: Object.keys((await catalog.loadTable(TABLE)).metadata.refs) }
    },
  },
  {
    // a loader that may only read goes on without a pin
    name: 'read',
    before: async ({ publish, run }) => {
      await publish(0, 40)
      await run('land', ALL)
      await run('compact', ALL)
    },
    run: async ({ store, clock }, policy) => {
      const catalog = openCatalog(guardedStore(store, policy), { clock })
      const dataset = await openDataset({ catalog, table: TABLE, columns: ['article_id'], batch: { size: 16 }, clock })
      let rows = 0
      try {
        for await (const { numRows } of dataset.epoch()) rows += numRows
      } finally {
        await dataset[Symbol.asyncDispose]()
      }
      return rows
    },
  },
]

/** Weeks of runs without maintenance, a replay, a stream that was split, and shards that are gone. */
async function neglectedWarehouse(ground: Ground): Promise<void> {
  const { publish, publishLong, run, kinesis, store, clock, pass } = ground
  const narrow = { ...articles, maxRecordBytes: 1000 }
  for (let week = 0; week < 5; week++) {
    await publish(week * 20, week * 20 + 20, false)
    if (week === 1) await publishLong()
    await run('land', ALL)
    await run('compact', ALL, { dataset: narrow })
    if (week === 1) {
      kinesis.splitShard(STREAM, 'shardId-000000000000')
      const catalog = openCatalog(store, { clock })
      const table = await catalog.loadTable(TABLE)
      await table.setProperties({ [DATASET_PROPERTY]: JSON.stringify(articles) })
      await replay({ store, catalog, table: TABLE, clock, executor: inlineExecutor(store) })
    }
    pass(30 * DAY)
  }
  await publish(100, 120)
  await run('land', ALL)
  // leaves its refused records and its manifest, and no commit
  await expect(run('compact', DYING)).rejects.toThrow()
  await store.put('_spill/0123456789abcdef/1/rows', Buffer.from('left by a run that died'))
  await store.put('news/articles/data/nobodys.parquet', Buffer.from('left by a run that died'))
  pass(10 * DAY)
}

async function keysBelow({ store }: Ground, prefix: string): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys
}

describe.each(jobs)('$name', ({ name, before, run }) => {
  const attempt = (policy: Policy): Promise<unknown> =>
    onGround(async (ground) => {
      await before(ground)
      return await run(ground, policy)
    })

  let wanted: unknown
  beforeAll(async () => {
    wanted = await attempt(ALL)
  })

  test('does under its policy what it does under none', async () => {
    expect(await attempt(readPolicy(name))).toEqual(wanted)
  })

  test.each(lessOneAction(readPolicy(name)))('$name is not enough', async ({ policy }) => {
    const came = await attempt(policy).then(
      (value) => ({ value }),
      (error: unknown) => ({ code: (error as Partial<FirnError>).code ?? String(error) }),
    )
    if ('code' in came) expect(came.code).toMatch(/DENIED|COMMIT_STATE_UNKNOWN|AggregateError/)
    else expect(came.value).not.toEqual(wanted)
  })
})
