/** The error for Parquet files that are not what they say, whatever part of them is read. */
import { FirnError } from '../errors.ts'

/** @param where the file, as messages name it. */
export const corruptParquet = (where: string, message: string, cause?: unknown): FirnError =>
  new FirnError('corrupt', 'FIRN_PARQUET_CORRUPT', `${where}: ${message}`, {
    cause,
    detail: { where },
    help: 'Check every file of the table with firn verify <table>, and put a good copy of this one in its place.',
  })
