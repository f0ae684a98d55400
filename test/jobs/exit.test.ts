import { describe, expect, test } from 'vitest'
import { describeError, describeInterruption, exitCodeAfter, exitCodeOf } from '../../jobs/exit.ts'
import { type ErrorKind, FirnError } from '../../table/errors.ts'

const error = (kind: ErrorKind): FirnError => new FirnError(kind, `FIRN_${kind.toUpperCase()}`, `it is ${kind}`)
const several = (...kinds: ErrorKind[]): AggregateError => new AggregateError(kinds.map(error))

describe('of several errors', () => {
  test.each<[ErrorKind[], number]>([
    [['unavailable', 'unknown-commit'], 4],
    [['corrupt', 'unknown-commit', 'invalid'], 4],
    [['unavailable', 'failed'], 1],
    [['invalid', 'corrupt'], 1],
    [['unavailable', 'not-found'], 2],
    [['conflict', 'unavailable'], 3],
  ])('%j: the gravest gives the exit code %i, in any order', (kinds, code) => {
    expect(exitCodeOf(several(...kinds))).toBe(code)
    expect(exitCodeOf(several(...kinds.toReversed()))).toBe(code)
  })

  test('one that is unexpected counts as a failure', () => {
    expect(exitCodeOf(new AggregateError([error('unavailable'), new TypeError('x')]))).toBe(1)
  })

  test('each is described, with its code and its next step', () => {
    const text = describeError(several('unavailable', 'unknown-commit'), false)
    expect(text.split('\n')).toEqual([
      'error: it is unavailable',
      'help: run the same command again later',
      'code: FIRN_UNAVAILABLE',
      'error: it is unknown-commit',
      'help: run "firn verify" before anything else: the commit may have happened',
      'code: FIRN_UNKNOWN-COMMIT',
      '',
    ])
  })
})

describe('after a signal', () => {
  test.each<[ErrorKind | ErrorKind[], number, boolean]>([
    ['unavailable', 143, false],
    ['failed', 143, false],
    ['unknown-commit', 4, true],
    [['unavailable', 'unknown-commit'], 4, true],
  ])('%j gives the exit code %i: only a commit that nobody can tell about is not hidden by it', (kind, code, told) => {
    const thrown = typeof kind === 'string' ? error(kind) : several(...kind)
    expect(exitCodeAfter(143, exitCodeOf(thrown))).toBe(code)
    const text = describeInterruption(thrown, false)
    expect(text).toMatch(/^interrupted\n/)
    expect(text.includes('firn verify')).toBe(told)
  })

  test('that ended a command in order its own code counts', () => {
    expect(exitCodeAfter(undefined, 0)).toBe(0)
    expect(exitCodeAfter(130, 0)).toBe(130)
  })
})
