/** The root of the project's errors: a stable `code`, data on the class, the cause kept. Never match on the text. */
export abstract class NetgraftError extends Error {
  abstract readonly code: string
}

/** Something that a user, a node object or a peer wrote cannot be what it says. The message is one whole sentence part. */
export class InvalidInput extends NetgraftError {
  readonly code = 'EINVALIDINPUT'
}
