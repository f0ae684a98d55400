/** What to do about a fault that is not repaired, because that would take a decision or bytes that are not there. */
import type { Problem, ProblemCode } from './problems.ts'

export interface LeftProblem {
  readonly code: ProblemCode
  readonly object: string
  readonly next_step: string
}

const RESTORE =
  'put the object back from a backup: in a copy of the table it has the same key below the folder, and the same bytes'
const REWRITE =
  'the rows are there: firn rewrite <table> --rewrite-all --yes writes their files anew, with right statistics'
const READ_ONLY = 'readers are not misled; nothing to do but to find out what wrote it'

const NEXT_STEPS: Readonly<Record<ProblemCode, string>> = {
  'metadata-corrupt': `${RESTORE}, or remove this version if it is the newest and the one before it is whole`,
  'ref-broken': 'set the branch or tag anew to a snapshot that is there: firn branch, firn tag',
  'metadata-zombie':
    'a commit that had lost put it there: its rows are not in the table; look for the run that took it for a success, then delete the file',
  'version-hint-stale': 'firn verify <table> --repair',
  'manifest-unreadable':
    'put the manifest or list back from a backup: copies hold it with other paths, object backups as it was; or restore the whole table with firn copy <backup> <new location> --keep-identity',
  'manifest-list-count': 'readers may skip what is there: restore the table with firn copy <backup> <new location>',
  'manifest-partition-range':
    'filters may lose rows: firn manifests <table> --yes writes the manifests and their ranges anew',
  'summary-total':
    'only totals in the snapshot are wrong; each later commit goes on counting from them, readers do not use them',
  'duplicate-path': 'rows count twice: delete the file from the table and add it once, or go back with firn rollback',
  'file-missing': `${RESTORE}; or give its rows up: firn verify <table> --drop-file <path> --yes`,
  'file-size': `${RESTORE}; or give its rows up: firn verify <table> --drop-file <path> --yes`,
  'file-checksum': `${RESTORE}; or give its rows up: firn verify <table> --drop-file <path> --yes`,
  'file-unreadable': `${RESTORE}; or give its rows up: firn verify <table> --drop-file <path> --yes`,
  'row-count': `${RESTORE}; if the file is as it was written, ${REWRITE}`,
  'null-count': REWRITE,
  'value-count': REWRITE,
  bound: REWRITE,
  'sort-order': REWRITE,
  'file-overlap': 'reads are slower, never wrong: firn rewrite <table> --strategy sort --yes',
  partition: REWRITE,
  feature:
    'the column was computed by another version: the rows have to be compacted again, see firn rollback --reprocess',
  'compacted-at': 'delta reads of the next run leave these rows out: find out whose clock was ahead',
  'key-repeated':
    'another writer added rows of keys that were there: firn delete takes them out; a record of the key that is compacted leaves one row too',
  'json-manifest-missing':
    'firn verify <table> --repair makes it again, once the manifests of its snapshot can be read',
  'json-manifest-mismatch':
    'firn verify <table> --repair makes it again, once the manifests of its snapshot can be read',
  'quarantine-missing':
    'the refused records are gone; those that staging still has come back with firn rollback --reprocess',
  'quarantine-mismatch':
    'put the object back from a backup; what staging still has comes back with firn rollback --reprocess',
  'positions-history': READ_ONLY,
  'staging-position': 'put the chunks back, or go on where staging begins and accept that records are missing',
  'staging-chain': 'put the chunk back from a backup: the next compaction stops at the hole',
}

export const nextStep = ({ code, object }: Problem): LeftProblem => ({ code, object, next_step: NEXT_STEPS[code] })
