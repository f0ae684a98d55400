/** The engines that a table can be opened in. */
export const ENGINES = ['duckdb', 'spark', 'pyiceberg', 'trino', 'athena'] as const
export type Engine = (typeof ENGINES)[number]
