import { expect, test } from 'vitest'
import { createLanes } from '../../../jobs/scheduling/lanes.ts'
import { compact, land, maintain } from './hosts.ts'

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const never = new AbortController().signal

/** Work that ends when it is told to. */
function workshop() {
  const running = new Map<string, () => void>()
  const work = (name: string) => () => new Promise<string>((resolve) => running.set(name, () => resolve(name)))
  const end = async (name: string): Promise<void> => {
    running.get(name)!()
    running.delete(name)
    await settled()
  }
  return { names: () => [...running.keys()], work, end }
}

test('landings go side by side up to a bound, the next when one has ended', async () => {
  const { names, work, end } = workshop()
  const lanes = createLanes({ landings: 2 })
  for (const name of ['A', 'B', 'C', 'D']) void lanes.inTurn(land(name), never, work(name))
  await settled()
  expect(names()).toEqual(['A', 'B'])
  await end('A')
  expect(names()).toEqual(['B', 'C'])
  await end('B')
  await end('C')
  expect(names()).toEqual(['D'])
})

test('runs of one table come one after the other, and one that waits for its table keeps no other table waiting', async () => {
  const { names, work, end } = workshop()
  const lanes = createLanes({ tableRuns: 2 })
  void lanes.inTurn(compact('n.a'), never, work('compact a'))
  void lanes.inTurn(maintain('n.a'), never, work('maintain a'))
  void lanes.inTurn(compact('n.b'), never, work('compact b'))
  void lanes.inTurn(compact('n.c'), never, work('compact c'))
  await settled()
  expect(names()).toEqual(['compact a', 'compact b'])
  await end('compact a')
  await end('compact b')
  expect(names().toSorted()).toEqual(['compact c', 'maintain a'])
})

test('one that is called off in line is not begun, and its place goes to the next', async () => {
  const { names, work, end } = workshop()
  const lanes = createLanes({ landings: 1 })
  const stop = new AbortController()
  void lanes.inTurn(land('A'), never, work('A'))
  const called = lanes.inTurn(land('B'), stop.signal, work('B'))
  void lanes.inTurn(land('C'), never, work('C'))
  await settled()
  stop.abort()
  expect(await called).toBeUndefined()
  await end('A')
  expect(names()).toEqual(['C'])
  await end('C')
  void lanes.inTurn(land('D'), never, work('D'))
  await settled()
  expect(names()).toEqual(['D'])
})

test('one that is called off at the moment its turn comes hands it on', async () => {
  const { names, work, end } = workshop()
  const lanes = createLanes({ landings: 1 })
  const stop = new AbortController()
  void lanes.inTurn(land('A'), never, work('A'))
  const called = lanes.inTurn(land('B'), stop.signal, work('B'))
  void lanes.inTurn(land('C'), never, work('C'))
  await settled()
  const ending = end('A')
  stop.abort()
  await ending
  expect(await called).toBeUndefined()
  expect(names()).toEqual(['C'])
})

test('work that fails leaves its place', async () => {
  const { names, work } = workshop()
  const lanes = createLanes({ landings: 1 })
  await expect(lanes.inTurn(land('A'), never, async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  void lanes.inTurn(land('B'), never, work('B'))
  await settled()
  expect(names()).toEqual(['B'])
})
