/** The root of the project's errors: a stable `code`, data on the class, the cause kept. Never match on the text. */
export abstract class NetgraftError extends Error {
  abstract readonly code: string
}

/** Something that a user, a node object or a peer wrote cannot be what it says. The message is one whole sentence part. */
export class InvalidInput extends NetgraftError {
  readonly code = 'EINVALIDINPUT'
}

/** Characters of somebody's text that a sentence quotes. */
const QUOTED = 100

/** In quotes, on one line, and not too long. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text)
