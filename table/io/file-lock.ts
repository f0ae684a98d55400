/**
 * A lock between processes and threads on one folder, for the few milliseconds in which the file adapter compares
 * an object with a condition and replaces it.
 *
 * A lock is a symbolic link whose target is the holder's token: creating it is atomic and it is never seen without
 * its content, unlike a file that is created first and written then. A lock is taken over when its holder's process
 * is gone, or when the same token was seen for `STALE_MILLIS`: that is thousands of times longer than it is held,
 * so the holder is on another machine that died, a terminated worker thread, or stopped. A stopped one that wakes
 * up asks `assertHeld` before it replaces anything; only a stop between that check and the rename slips through.
 */
import { createHash } from 'node:crypto'
import { mkdir, readlink, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, fullJitterMillis } from '../clock.ts'
import { FirnError } from '../errors.ts'
import { ownerName, ownerState } from './file-owner.ts'

const STALE_MILLIS = 30_000
const GIVE_UP_MILLIS = 120_000
const MAX_PAUSE_MILLIS = 25

export interface FileLockOptions {
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
}

/**
 * Run `work` while holding the lock `name` of `folder`, which is created when missing. `work` gets `assertHeld`,
 * to be called right before a change that must not happen after the lock was lost.
 * @throws {FirnError} `FIRN_STORE_UNAVAILABLE` (unavailable) when others hold it for two minutes; `signal.reason`.
 */
export async function withFileLock<T>(
  folder: string,
  name: string,
  work: (assertHeld: () => Promise<void>) => Promise<T>,
  options: FileLockOptions,
): Promise<T> {
  const path = join(folder, `lock-${digest(name)}`)
  const token = `${ownerName()}.${Buffer.from(options.clock.randomBytes(8)).toString('hex')}`
  await acquire(folder, path, token, options)
  try {
    return await work(async () => {
      if ((await holder(path)) !== token) throw busy(path, 'the lock was lost to another process')
    })
  } finally {
    await release(path, token)
  }
}

async function acquire(folder: string, path: string, token: string, options: FileLockOptions): Promise<void> {
  const { clock, signal } = options
  const startedMillis = clock.monotonicMillis()
  let seen: { readonly token: string; readonly sinceMillis: number } | undefined
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted()
    if (await tryLink(folder, path, token)) return
    const other = await holder(path)
    if (other === undefined) continue
    const nowMillis = clock.monotonicMillis()
    if (seen?.token !== other) seen = { token: other, sinceMillis: nowMillis }
    if (ownerState(other) === 'dead' || nowMillis - seen.sinceMillis > STALE_MILLIS) {
      await breakLock(folder, path, other, options)
      continue
    }
    if (nowMillis - startedMillis > GIVE_UP_MILLIS) throw busy(path, `${other} has been holding it`)
    await clock.sleep(1 + fullJitterMillis(clock, Math.min(attempt, 10), 1, MAX_PAUSE_MILLIS), signal)
  }
}

/**
 * Remove the lock of `deadToken`. The removal itself happens under a lock named after that token, so that nobody
 * removes the lock of a live process that came in between reading and removing; that one can be broken likewise.
 */
async function breakLock(folder: string, path: string, deadToken: string, options: FileLockOptions): Promise<void> {
  await withFileLock(folder, `break ${deadToken}`, async () => release(path, deadToken), options)
}

async function tryLink(folder: string, path: string, token: string): Promise<boolean> {
  try {
    await symlink(token, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (code !== 'ENOENT') throw error
    await mkdir(folder, { recursive: true })
    return false
  }
}

async function holder(path: string): Promise<string | undefined> {
  try {
    return await readlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function release(path: string, token: string): Promise<void> {
  if ((await holder(path)) === token) await unlink(path)
}

const digest = (name: string): string => createHash('sha256').update(name).digest('hex').slice(0, 32)

const busy = (path: string, why: string): FirnError =>
  new FirnError('unavailable', 'FIRN_STORE_UNAVAILABLE', `Lock ${path} is not to be had: ${why}.`, {
    detail: { path },
    help: 'Look whether another process is stuck on this folder; if none runs, remove the lock.',
  })
