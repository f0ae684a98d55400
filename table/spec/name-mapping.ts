/**
 * Field ids for files that were written without any, by the names that their columns had then: the table property
 * `schema.name-mapping.default`. Spec: "Column Projection", Appendix C "Name Mapping Serialization".
 */
import { FirnError } from '../errors.ts'
import { JsonReader, parseJson } from '../format/json.ts'

export const NAME_MAPPING_PROPERTY = 'schema.name-mapping.default'

export interface MappedField {
  /** Absent for a column that no field of the table is. */
  readonly fieldId: number | undefined
  readonly names: readonly string[]
  /** Of a struct its fields; of a list one named `element`; of a map `key` and `value`. */
  readonly fields: readonly MappedField[]
}

export type NameMapping = readonly MappedField[]

/** @throws {FirnError} `FIRN_METADATA_CORRUPT` (corrupt). */
export function parseNameMapping(text: string): NameMapping {
  const json = ((): unknown => {
    try {
      return parseJson(text)
    } catch (cause) {
      const message = `table property ${NAME_MAPPING_PROPERTY} is no JSON`
      throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', message, { cause })
    }
  })()
  return mappedFields(new JsonReader({ [NAME_MAPPING_PROPERTY]: json }, 'properties').objects(NAME_MAPPING_PROPERTY))
}

/** The mapping among a table's properties, when it has one. */
export function nameMappingOf(properties: Readonly<Record<string, string>>): NameMapping | undefined {
  const text = properties[NAME_MAPPING_PROPERTY]
  return text === undefined ? undefined : parseNameMapping(text)
}

const mappedFields = (readers: readonly JsonReader[]): NameMapping =>
  readers.map((reader) => ({
    fieldId: reader.optionalInteger('field-id'),
    names: reader.array('names').map((name) => {
      if (typeof name === 'string') return name
      const message = `table property ${NAME_MAPPING_PROPERTY}: a name is ${JSON.stringify(name)}, not a string`
      throw new FirnError('corrupt', 'FIRN_METADATA_CORRUPT', message)
    }),
    fields: reader.has('fields') ? mappedFields(reader.objects('fields')) : [],
  }))

/** The entry of a column called `name`. */
export const mappedField = (mapping: NameMapping, name: string): MappedField | undefined =>
  mapping.find((field) => field.names.includes(name))
