/** How a bomb is put in the place of an object. */
import type { FuzzTable, ObjectKind } from './tables.ts'

export interface Bombed {
  readonly table: FuzzTable
  readonly key: string
  readonly kind: ObjectKind
  readonly bytes: Uint8Array
  /** That the manifest says the file has. */
  readonly rows?: number
}

export interface Bomb {
  readonly name: string
  readonly make: (tables: readonly FuzzTable[]) => Bombed
}

/** The first object of a kind in a table, changed. */
export const bombed = (
  table: string,
  kind: ObjectKind,
  change: (bytes: Buffer) => Uint8Array,
  rows?: number,
): Bomb['make'] => {
  return (tables) => {
    const found = tables.find(({ name }) => name === table)!
    const { key } = found.targets.find((target) => target.kind === kind)!
    return {
      table: found,
      key,
      kind,
      bytes: change(Buffer.from(found.objects.get(key)!)),
      ...(rows === undefined ? {} : { rows }),
    }
  }
}
