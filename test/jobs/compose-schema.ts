/**
 * The part of the Compose file format that `docker-compose.yml` uses, as a JSON schema (draft 07). Stricter than the
 * format: only these keys, and of each only the form that is used here, so that a typo cannot pass as an extension.
 */
const text = { type: 'string', minLength: 1 } as const
const duration = { type: 'string', pattern: '^\\d+(ms|s|m|h)$' } as const
const name = '^[a-z][a-z0-9_-]*$'
const words = { type: 'array', items: text, minItems: 1 } as const

const healthcheck = {
  type: 'object',
  required: ['test', 'interval', 'timeout', 'retries', 'start_period'],
  additionalProperties: false,
  properties: {
    test: { type: 'array', minItems: 2, items: [{ enum: ['CMD', 'CMD-SHELL'] }], additionalItems: text },
    interval: duration,
    timeout: duration,
    start_period: duration,
    retries: { type: 'integer', minimum: 1 },
  },
} as const

const service = {
  type: 'object',
  required: ['image'],
  additionalProperties: false,
  properties: {
    image: text,
    build: text,
    pull_policy: { enum: ['always', 'never', 'missing', 'build'] },
    init: { type: 'boolean' },
    command: words,
    entrypoint: words,
    environment: {
      type: 'object',
      propertyNames: { pattern: '^[A-Z][A-Z0-9_]*$' },
      additionalProperties: { type: ['string', 'number'] },
    },
    ports: { type: 'array', items: { type: 'string', pattern: '^127\\.0\\.0\\.1:\\d+:\\d+$' }, uniqueItems: true },
    volumes: { type: 'array', items: { type: 'string', pattern: '^[a-z][a-z0-9-]*:/[a-z/]+$' }, uniqueItems: true },
    depends_on: {
      type: 'object',
      propertyNames: { pattern: name },
      additionalProperties: {
        type: 'object',
        required: ['condition'],
        additionalProperties: false,
        properties: { condition: { enum: ['service_started', 'service_healthy', 'service_completed_successfully'] } },
      },
    },
    restart: { type: 'string', pattern: '^(no|always|unless-stopped|on-failure(:\\d+)?)$' },
    stop_grace_period: { type: 'string', pattern: '^\\d+s$' },
    healthcheck,
  },
} as const

export const composeSchema: object = {
  type: 'object',
  required: ['name', 'services'],
  additionalProperties: false,
  patternProperties: { '^x-': {} },
  properties: {
    name: { type: 'string', pattern: name },
    services: {
      type: 'object',
      propertyNames: { pattern: name },
      additionalProperties: service,
    },
    volumes: { type: 'object', propertyNames: { pattern: name }, additionalProperties: { type: 'null' } },
  },
}
