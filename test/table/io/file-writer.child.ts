/** A writer process for `file.processes.test.ts`: prints what it won, one line per success. */
import { FirnError } from '../../../table/errors.ts'
import { openStore } from '../../../table/io/open-store.ts'

const [mode, url, id, count] = process.argv.slice(2) as [string, string, string, string]
const store = openStore(url)
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** `false` when the condition did not hold; other errors end the process. */
async function won(put: Promise<unknown>): Promise<boolean> {
  try {
    await put
    return true
  } catch (error) {
    if (FirnError.is(error, 'FIRN_PRECONDITION_FAILED')) return false
    throw error
  }
}

async function create(): Promise<void> {
  for (let i = 0; i < Number(count); i++) {
    if (await won(store.put(`keys/${i}`, utf8(id), { ifNoneMatch: '*' }))) console.log(`keys/${i}`)
  }
}

async function increment(): Promise<void> {
  for (let i = 0; i < Number(count); ) {
    const { bytes, etag } = await store.get('counter')
    const next = Number(new TextDecoder().decode(bytes)) + 1
    if (!(await won(store.put('counter', utf8(String(next)), { ifMatch: etag })))) continue
    console.log(next)
    i++
  }
}

/** Replaces one object without end, until it is killed. */
async function churn(): Promise<void> {
  console.log('started')
  for (let i = 0; ; i++) await store.put('churned', new Uint8Array(2_000_000).fill(i % 251))
}

await { create, increment, churn }[mode]!()
