/**
 * As much of IAM as the policies of `deploy/iam` use: allow statements, `*` in actions and resources, and conditions on
 * the prefix of a listing. What a statement holds beyond that is an error, so that no policy passes by being misread.
 */
import { readFileSync } from 'node:fs'

export interface Statement {
  readonly Sid: string
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition?: { readonly StringLikeIfExists: { readonly 's3:prefix': readonly string[] } }
}

export interface Policy {
  readonly Version: '2012-10-17'
  readonly Statement: readonly Statement[]
}

/** What stands for a user's own names in the files. */
export const PLACES: Readonly<Record<string, string>> = {
  BUCKET: 'my-bucket',
  PREFIX: 'warehouse',
  NAMESPACE: 'news',
  STREAM: 'MyStream',
  REGION: 'eu-central-1',
  ACCOUNT: '111122223333',
  KEY: 'key-1',
}

/** The policy of a job, with its placeholders filled in. */
export function readPolicy(job: string): Policy {
  const text = readFileSync(new URL(`../../deploy/iam/${job}.json`, import.meta.url), 'utf8')
  const filled = text.replace(/\b[A-Z]{3,}\b/g, (word) => PLACES[word] ?? word)
  const policy = JSON.parse(filled) as Policy
  for (const statement of policy.Statement) checkStatement(job, statement)
  return policy
}

const MEMBERS = new Set(['Sid', 'Effect', 'Action', 'Resource', 'Condition'])

function checkStatement(job: string, statement: Statement): void {
  const unknown = Object.keys(statement).filter((name) => !MEMBERS.has(name))
  const { Effect, Condition = { StringLikeIfExists: { 's3:prefix': [] } } } = statement
  const conditions = JSON.stringify([Object.keys(Condition), Object.keys(Condition.StringLikeIfExists)])
  if (unknown.length > 0 || Effect !== 'Allow' || conditions !== '[["StringLikeIfExists"],["s3:prefix"]]') {
    throw new Error(`${job}: statement ${statement.Sid} holds what this reader does not understand`)
  }
}

export interface Request {
  readonly action: string
  readonly resource: string
  /** Of a listing; a request for one object has none. */
  readonly prefix?: string | undefined
}

export function allows({ Statement }: Policy, { action, resource, prefix }: Request): boolean {
  return Statement.some(({ Action, Resource, Condition }) => {
    const prefixes = Condition?.StringLikeIfExists['s3:prefix']
    // IfExists: a request that has no prefix meets the condition
    const isMet = prefixes === undefined || prefix === undefined || matches(prefixes, prefix)
    return isMet && matches(Action, action) && matches(Resource, resource)
  })
}

const matches = (patterns: readonly string[], text: string): boolean =>
  patterns.some((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
    return new RegExp(`^${parts.join('.*')}$`, 's').test(text)
  })

/** Every policy that is `policy` less one action of one statement. */
export function lessOneAction(policy: Policy): readonly { readonly name: string; readonly policy: Policy }[] {
  return policy.Statement.flatMap((statement, at) =>
    statement.Action.map((action) => ({
      name: `${statement.Sid} without ${action}`,
      policy: {
        ...policy,
        Statement: policy.Statement.with(at, {
          ...statement,
          Action: statement.Action.filter((other) => other !== action),
        }),
      },
    })),
  )
}
