/**
 * What the shim (native/cni-shim.c) and the agent say to each other, once a connection; a spooled DEL is the file of a
 * request. Numbers are little-endian u32:
 *
 *     request  "NGQ1", bytes of environment, bytes of input, 16 bytes of id, environment as NAME=value\0…, input
 *     answer   "NGA1", exit status 0 or 1, bytes of output, output
 *
 * Then the shim sends {@link ACKNOWLEDGED} when it has written the whole output: without it the runtime has not heard.
 */
import {InvalidInput, quoted} from '../model/errors.ts'

/** Bytes. */
export const ENVIRONMENT_LIMIT = 256 * 1024
/** Bytes. */
export const INPUT_LIMIT = 1024 * 1024
/** Bytes. The shim takes no more. */
export const OUTPUT_LIMIT = 16 * 1024 * 1024
/** The one byte that follows an answer, from the shim. */
export const ACKNOWLEDGED = 0x06

const REQUEST = Buffer.from('NGQ1')
const ANSWER = Buffer.from('NGA1')
const REQUEST_HEADER = 28
const ANSWER_HEADER = 12
const ID_BYTES = 16
/** The variables that are forwarded. */
const NAME = /^(?:CNI_|_CNI_LOGGING_)[A-Za-z0-9_]*$/

/** One run of the shim. */
export interface ShimRequest {
  /** 16 bytes in hex. The same when a request is sent again, or comes from the spool. */
  readonly id: string
  /** CNI_* and _CNI_LOGGING_*. */
  readonly env: ReadonlyMap<string, string>
  /** As the runtime wrote it. */
  readonly stdin: Buffer
}

export interface ShimAnswer {
  readonly status: 0 | 1
  readonly stdout: Buffer
}

/** Throws InvalidInput for what {@link decodeRequest} would not take. */
export function encodeRequest({id, env, stdin}: ShimRequest): Buffer {
  if (!/^[0-9a-f]{32}$/.test(id)) throw new InvalidInput(`the id ${quoted(id)} is not 32 hexadecimal digits`)
  const variables = [...env].map(([name, value]) => {
    if (!NAME.test(name) || value.includes('\0') || !value.isWellFormed())
      throw new InvalidInput(`the variable ${quoted(name)} cannot be forwarded`)
    return `${name}=${value}\0`
  })
  const environment = Buffer.from(variables.join(''))
  const header = Buffer.alloc(REQUEST_HEADER - ID_BYTES)
  REQUEST.copy(header)
  header.writeUInt32LE(environment.length, 4)
  header.writeUInt32LE(stdin.length, 8)
  requestLengths(header)
  return Buffer.concat([header, Buffer.from(id, 'hex'), environment, stdin])
}

/** Of exactly one whole request. Throws InvalidInput. `stdin` is a part of `bytes`, not a copy. */
export function decodeRequest(bytes: Buffer): ShimRequest {
  if (bytes.length < REQUEST_HEADER)
    throw new InvalidInput(`a request begins with ${REQUEST_HEADER} bytes, these are ${bytes.length}`)
  const {environment, total} = requestLengths(bytes)
  if (bytes.length !== total)
    throw new InvalidInput(`the request says that it has ${total} bytes, and has ${bytes.length}`)
  const input = REQUEST_HEADER + environment
  return {
    id: bytes.toString('hex', REQUEST_HEADER - ID_BYTES, REQUEST_HEADER),
    env: decodeEnvironment(bytes.subarray(REQUEST_HEADER, input)),
    stdin: bytes.subarray(input),
  }
}

/** Of the first 12 bytes. */
function requestLengths(bytes: Buffer): {environment: number; total: number} {
  checkMagic(bytes, REQUEST, 'request')
  const environment = bytes.readUInt32LE(4)
  const input = bytes.readUInt32LE(8)
  checkLength('environment', environment, ENVIRONMENT_LIMIT)
  checkLength('input', input, INPUT_LIMIT)
  return {environment, total: REQUEST_HEADER + environment + input}
}

/** Of a shim of a newer version, which waits for whoever comes after us and understands it. */
export class NewerRequest extends InvalidInput {}

/** Of as many of the four bytes as are there. Throws InvalidInput, and {@link NewerRequest}. */
function checkMagic(bytes: Buffer, magic: Buffer, what: string): void {
  const length = Math.min(bytes.length, magic.length)
  if (bytes.compare(magic, 0, length, 0, length) === 0) return
  const begins = bytes.toString('latin1', 0, length)
  if (magic === REQUEST && /^NGQ[2-9]$/.test(begins))
    throw new NewerRequest(
      `a CNI plugin of a newer version asks (${quoted(begins)}; known is ${quoted(magic.toString())}): it is left to a newer agent`,
    )
  throw new InvalidInput(`a netgraft ${what} begins with ${quoted(magic.toString())}, not with ${quoted(begins)}`)
}

function checkLength(what: string, length: number, limit: number): void {
  if (length > limit) throw new InvalidInput(`the ${what} has ${length} bytes, more than ${limit}`)
}

/** Of a name that comes twice the first counts, as it does for getenv(3). */
function decodeEnvironment(bytes: Buffer): Map<string, string> {
  const env = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0, at)
    if (end < 0) throw new InvalidInput('the last variable of the environment is cut off')
    const equals = bytes.subarray(at, end).indexOf('=')
    const name = bytes.toString('latin1', at, equals < 0 ? end : at + equals)
    if (equals < 0 || !NAME.test(name)) throw new InvalidInput(`${quoted(name)} is not one of CNI's variables`)
    if (!env.has(name)) env.set(name, decodeText(name, bytes.subarray(at + equals + 1, end)))
    at = end + 1
  }
  return env
}

/** A value that is not what the runtime wrote must not be acted upon: nothing is put in the place of broken bytes. */
function decodeText(name: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes)
  } catch (cause) {
    throw new InvalidInput(`${name} is not UTF-8 text`, {cause})
  }
}

/** Puts one request together from what a socket delivers. Holds at most one request of the largest size. */
export class RequestReader {
  #bytes = Buffer.allocUnsafe(REQUEST_HEADER)
  #length = 0
  #done = false

  /**
   * The request, once with the chunk that completes it. Throws InvalidInput as soon as it cannot be one, and for whatever
   * follows it: an acknowledgement comes only after an answer, and is not the reader's.
   */
  push(chunk: Buffer): ShimRequest | undefined {
    if (this.#done) throw new InvalidInput('more has come than one request')
    let rest = this.#take(chunk)
    checkMagic(this.#bytes.subarray(0, this.#length), REQUEST, 'request')
    if (this.#length < REQUEST_HEADER) return undefined
    const {total} = requestLengths(this.#bytes)
    if (this.#bytes.length < total) {
      const whole = Buffer.allocUnsafe(total)
      this.#bytes.copy(whole)
      this.#bytes = whole
      rest = this.#take(rest)
    }
    if (rest.length > 0) throw new InvalidInput('more has come than one request')
    if (this.#length < total) return undefined
    this.#done = true
    return decodeRequest(this.#bytes)
  }

  /** Copies what there is room for, returns what is left over. */
  #take(chunk: Buffer): Buffer {
    const taken = chunk.copy(this.#bytes, this.#length)
    this.#length += taken
    return chunk.subarray(taken)
  }
}

/** Throws InvalidInput for more output than the shim takes. */
export function encodeAnswer({status, stdout}: ShimAnswer): Buffer {
  checkLength('output', stdout.length, OUTPUT_LIMIT)
  const header = Buffer.alloc(ANSWER_HEADER)
  ANSWER.copy(header)
  header.writeUInt32LE(status, 4)
  header.writeUInt32LE(stdout.length, 8)
  return Buffer.concat([header, stdout])
}

/** Of exactly one whole answer. Throws InvalidInput. `stdout` is a part of `bytes`, not a copy. */
export function decodeAnswer(bytes: Buffer): ShimAnswer {
  if (bytes.length < ANSWER_HEADER)
    throw new InvalidInput(`an answer begins with ${ANSWER_HEADER} bytes, these are ${bytes.length}`)
  checkMagic(bytes, ANSWER, 'answer')
  const status = bytes.readUInt32LE(4)
  if (status !== 0 && status !== 1) throw new InvalidInput(`an answer's exit status is 0 or 1, not ${status}`)
  const output = bytes.readUInt32LE(8)
  checkLength('output', output, OUTPUT_LIMIT)
  if (bytes.length !== ANSWER_HEADER + output)
    throw new InvalidInput(`the answer says that it has ${ANSWER_HEADER + output} bytes, and has ${bytes.length}`)
  return {status, stdout: bytes.subarray(ANSWER_HEADER)}
}
