/** The built-in dataset: news articles for training a summarizer. */
import { type DatasetDefinition, parseDataset } from './definition.ts'

/**
 * One row an article version. Partitioned by arrival, not by `publish_date`: event times of one hour's records are
 * spread over months, and a file for each of them would hold a handful of rows.
 */
export const articles: DatasetDefinition = parseDataset(
  {
    name: 'articles',
    fields: [
      { name: 'article_id', type: 'string', required: true, doc: 'Key; the latest version of a run wins' },
      { name: 'title', type: 'string' },
      { name: 'author', type: 'string' },
      { name: 'publish_date', type: 'timestamptz', doc: 'Event time' },
      { name: 'content', type: 'string', required: true },
      feature('word_count', 'int', 'Runs of characters that are not Unicode White_Space'),
      feature('char_count', 'int', 'Unicode code points'),
      feature('sentence_count', 'int', 'Sentences by terminal punctuation'),
      feature('content_sha256', 'string', 'SHA-256 of the content in UTF-8, lower-case hexadecimal'),
      {
        name: 'arrived_at',
        type: 'timestamptz',
        required: true,
        doc: 'Arrival in the stream',
        from: { kind: 'arrived_at' },
      },
      {
        name: 'compacted_at',
        type: 'timestamptz',
        required: true,
        doc: 'Planned time of the run that added the row',
        from: { kind: 'compacted_at' },
      },
    ],
    key: 'article_id',
    eventTime: 'publish_date',
    partition: [{ source: 'arrived_at', transform: 'day' }],
    sort: [{ source: 'publish_date' }, { source: 'article_id' }],
    averageOf: 'word_count',
  },
  'articles',
)

function feature(name: string, type: 'int' | 'string', doc: string): object {
  return { name, type, required: true, doc, from: { kind: 'feature', feature: name, of: 'content' } }
}
