/** A signal in the middle of a commit: the commit comes to its end, and says so. */
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { compactCommand } from '../../../jobs/commands/compact.ts'
import { loadConfig } from '../../../jobs/config.ts'
import { type CommandContext, createContext } from '../../../jobs/context.ts'
import { openCatalog } from '../../../table/index.ts'
import type { ObjectStore } from '../../../table/io/object-store.ts'
import { articleRecords, memoryWarehouse, stage, TABLE } from '../compaction/fixture.ts'

test('compact tells what it committed', async () => {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { s: { records: articleRecords(0, 30) } })
  const controller = new AbortController()
  let puts = 0
  const put: ObjectStore['put'] = async (key, body, options) => {
    if (/\/metadata\/v2\.metadata\.json$/.test(key)) {
      puts++
      controller.abort(new Error('a signal'))
    }
    options?.signal?.throwIfAborted()
    return await warehouse.store.put(key, body, options)
  }
  const store = { ...warehouse.store, put }
  let written = ''
  const stdout = new Writable({
    write: (chunk, _encoding, done) => {
      written += String(chunk)
      done()
    },
  })
  const handle = createContext({
    signal: controller.signal,
    stdout,
    stderr: new Writable({ write: (_c, _e, done) => done() }),
  })
  await handle.activate(loadConfig({ flags: { warehouse: store.url, output: 'json' }, env: {}, cwd: '/nowhere' }))
  const catalog = openCatalog(store, { clock: warehouse.clock })
  const ctx = Object.create(handle.context, {
    warehouse: { value: () => store },
    catalog: { value: () => catalog },
  }) as CommandContext
  await compactCommand(ctx).parseAsync([TABLE, '--stream', 'MyStream'], { from: 'user' })
  expect(puts).toBe(1)
  expect(JSON.parse(written)).toMatchObject({ table: TABLE, rows_added: 30, snapshot_id: expect.any(String) })
})
