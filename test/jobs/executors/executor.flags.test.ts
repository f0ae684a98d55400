import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

it.each(['--input-type=module', '--input-type module', '--expose-gc --input-type=module'])(
  'a task reaches its worker in a script given as text: node %s -e …',
  async (flags) => {
    const script = `
      import { workerExecutor } from '${new URL('../../../jobs/executors/executor.ts', import.meta.url)}'
      const executor = workerExecutor({ warehouse: 'nowhere://' })
      await executor.run([{}]).catch((error) => console.log(error.code, error.message))`
    const { stdout } = await promisify(execFile)(process.execPath, [...flags.split(' '), '-e', script])
    // Its own refusal of the warehouse came back: the thread ran.
    expect(stdout).toMatch(/nowhere/)
    expect(stdout).not.toMatch(/FIRN_TASK_CRASHED/)
  },
)
