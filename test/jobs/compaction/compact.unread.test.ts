/** What a compaction says about streams in staging that it did not read. */
import { describe, expect, it } from 'vitest'
import { previewCompaction } from '../../../jobs/compaction/index.ts'
import { compactText } from '../../../jobs/compaction/report.ts'
import { articles } from '../../../jobs/datasets/index.ts'
import { articleRecords, memoryWarehouse, runCompaction, stage, TABLE, type Warehouse } from './fixture.ts'

/** The usual back-fill: a table of a stream, then files landed beside it. */
async function backFill(): Promise<Warehouse> {
  const warehouse = memoryWarehouse()
  await stage(warehouse, { a: { records: articleRecords(0, 10) } })
  await runCompaction(warehouse)
  await stage(warehouse, { f: { records: articleRecords(10, 14) } }, { stream: 'files', created: 0 })
  return warehouse
}
const unread = [{ stream: 'files', command: 'firn compact news.articles --stream files' }]

describe('staging holds a stream that the table does not read', () => {
  it('"nothing to do" is said of the streams that were read, and the other is named with its command', async () => {
    const result = await runCompaction(await backFill())
    expect(result).toMatchObject({ nothing_to_do: true, streams: ['MyStream'], unread_streams: unread })
    expect(compactText(result)).toBe(
      'nothing to do: news.articles has everything of MyStream that is in staging\n' +
        'note: files is in staging too and was not read; to read it: firn compact news.articles --stream files\n',
    )
  })

  it('a run that adds rows says so too, and so does its preview', async () => {
    const warehouse = await backFill()
    await stage(warehouse, { a: { records: articleRecords(0, 12) } })
    const preview = await previewCompaction({ ...warehouse, table: TABLE, dataset: articles })
    expect(preview).toMatchObject({ streams: ['MyStream'], unreadStreams: unread })
    const result = await runCompaction(warehouse)
    expect(result).toMatchObject({ rows_added: 2, unread_streams: unread })
    expect(compactText(result)).toContain(unread[0]!.command)
  })

  it('the command that is named reads it, and from then on so does every run', async () => {
    const warehouse = await backFill()
    expect(await runCompaction(warehouse, { streams: ['files'] })).toMatchObject({
      rows_added: 4,
      streams: ['files'],
      unread_streams: [{ stream: 'MyStream', command: 'firn compact news.articles --stream MyStream' }],
    })
    const both = await runCompaction(warehouse)
    expect(both).toMatchObject({ nothing_to_do: true, streams: ['MyStream', 'files'], unread_streams: [] })
    expect(compactText(both)).toBe(
      'nothing to do: news.articles has everything of MyStream, files that is in staging\n',
    )
  })

  it('chunks that a run leaves behind are not called everything', async () => {
    const result = await runCompaction(await backFill())
    expect(compactText({ ...result, unread_streams: [], chunks_left: 2 })).toContain('2 chunks left for the next run')
  })
})
