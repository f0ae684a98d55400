/** Who we are to a REST catalog: what goes into the headers of each request. */
import type { AbortableOptions } from '../../io/object-store.ts'

/** A request as it will be sent, but for its authorization. */
export interface Unsigned {
  readonly method: string
  readonly url: URL
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export interface Authenticator {
  /** All headers to send, the authorization among them. */
  authorize(request: Unsigned, options: AbortableOptions): Promise<Readonly<Record<string, string>>>
  /** After a refusal: true when the same request may now be authorized, because what expired is asked for anew. */
  renew(): boolean
  /** Words that must never appear in a message. */
  secrets(): readonly string[]
}

export const noAuth: Authenticator = {
  authorize: ({ headers }) => Promise.resolve(headers),
  renew: () => false,
  secrets: () => [],
}

export const bearerAuth = (token: string): Authenticator => ({
  authorize: ({ headers }) => Promise.resolve({ ...headers, authorization: `Bearer ${token}` }),
  renew: () => false,
  secrets: () => [token],
})
