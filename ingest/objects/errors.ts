/** What can be wrong with an object that somebody else wrote. */
import { FirnError } from '../../table/errors.ts'

/** @param name the object's URL, or its shard. */
export const objectChanged = (name: string, found: string, landed: string | undefined): FirnError =>
  new FirnError(
    'invalid',
    'FIRN_FILE_CHANGED',
    landed === undefined
      ? `${name} was landed by lines, as a file, before`
      : `${name} changed since it was landed: its ETag is ${found}, not ${landed}`,
    {
      detail: { name, found, ...(landed === undefined ? {} : { landed }) },
      help: 'Objects are landed once and must not change. Put new content under another key; use another name (--as) to land everything again.',
    },
  )

export const objectVanished = (name: string, cause: unknown): FirnError =>
  new FirnError('not-found', 'FIRN_FILE_NOT_FOUND', `${name} is gone since the prefix was listed`, {
    detail: { name },
    help: 'Land again; what was read of it until then is kept.',
    cause,
  })

export const unsupportedFormat = (name: string, format: string): FirnError =>
  new FirnError('invalid', 'FIRN_FILE_FORMAT', `${name} is ${format}, which holds no JSON texts to land`, {
    detail: { name, format },
    help: 'Have the producer write JSON, plain or compressed with gzip or zstd; or keep such objects out of the prefix.',
  })

export const doesNotInflate = (name: string, cause: Error): FirnError =>
  new FirnError('corrupt', 'FIRN_FILE_CORRUPT', `${name} does not decompress: ${cause.message}`, {
    detail: { name },
    help: 'Texts before the damage may have landed. Objects must not change: put the repaired one under another key and take this one away.',
    cause,
  })

export const textTooLong = (name: string, text: number, maxTextBytes: number): FirnError =>
  new FirnError('invalid', 'FIRN_LINE_TOO_LONG', `${name}: text ${text} is over ${maxTextBytes} bytes`, {
    detail: { name, text, maxTextBytes },
    help: 'The object has to hold JSON texts one after the other, or one a line.',
  })
