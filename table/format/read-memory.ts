/** Memory that a reader of many row groups brings along, so that one after the other allocates next to nothing. */

/** For one caller at a time: nothing in it is shared between threads. */
export interface ReadMemory {
  /** Where the values of a column of bytes go. `undefined`: into memory of their own. */
  values(bytes: number): Uint8Array | undefined
  /** Takes back what `values` returned and nobody will see, because something else could not be decoded. */
  drop(values: Uint8Array): void
  /** Room for bytes as they are stored, given back with `give` when they are decoded. */
  take(bytes: number): Uint8Array
  give(room: Uint8Array): void
}
