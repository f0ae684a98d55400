import { systemClock } from '../../../table/clock.ts'
import { faultyStore } from '../../../table/io/faulty.ts'
import { objectStoreContract } from '../../contract/object-store.ts'
import { freshStore } from '../support.ts'

const open = (options: object) => async () => ({
  store: faultyStore(freshStore(), { seed: 1, clock: systemClock, ...options }),
  close: async () => {},
})

objectStoreContract('faulty without rates', open({}))

const none = { refused: 0, throttled: 0, answerLost: 0, timedOut: 0 }
const rates = { put: { ...none, late: 0 }, get: { ...none, reset: 0 }, head: none, list: none, delete: none }
objectStoreContract('faulty at rates of zero', open({ rates }))
