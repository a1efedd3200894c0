/** What a plugin's program has said when it ended, and what that means. CNI spec 1.1.0, section 5. */
import {quoted} from '../model/errors.ts'
import {CNI_CODES, type CniCode, CniError} from './error.ts'
import {isObject} from './ipam/json.ts'
import {oneLine, parseJson} from './json-text.ts'
import type {CniResult} from './result.ts'
import type {ProgramEnd, ProgramLimits} from './run-program.ts'
import {parseResult} from './versions.ts'

/** Characters of a program's own sentence. */
const MESSAGE = 1000
/** Characters of what is no answer. */
const EXCERPT = 4096

/** Standard output of a success. Throws CniError: the program's own with its number, or 101. */
export function successOf(end: ProgramEnd, path: string, {timeoutMs, outputBytes}: ProgramLimits): string {
  const {stopped, status, signal, stdout, stderr} = end
  const because = (why: string) =>
    new CniError('delegateFailed', `${quoted(path)} ${why}`, detailsOf(stderr || stdout.slice(0, EXCERPT)))
  if (stopped === 'timeout') throw because(`took longer than ${timeoutMs / 1000} s and was stopped`)
  if (stopped === 'aborted') throw because('was stopped: the time for the whole request is over')
  if (stopped === 'output') throw because(`wrote more than ${outputBytes} bytes and was stopped`)
  const own = ownError(end, path)
  if (own) throw own
  if (status === 0) return stdout
  const how = status === null ? `was killed by ${signal}` : `ended with status ${status}`
  const said = oneLine(stderr) || oneLine(stdout)
  throw because(`${how} ${said === '' ? 'and said nothing' : `without an error in CNI's form: ${quoted(said)}`}`)
}

/** Of an ADD. Throws CniError (101). */
export function resultOf(stdout: string, path: string, version: string): CniResult {
  try {
    return parseResult(parseJson(stdout, 'its output', {length: Number.POSITIVE_INFINITY}), version)
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const why = `${quoted(path)} answered ADD with no result that can be used: ${error.message}`
    throw new CniError('delegateFailed', why, {...detailsOf(stdout.slice(0, EXCERPT)), cause: error})
  }
}

/** Of VERSION: empty when that is no answer. */
export function versionsOf(stdout: string): readonly string[] {
  const json = tryJson(stdout)
  const versions = isObject(json) ? json.supportedVersions : undefined
  return Array.isArray(versions) ? versions.filter(each => typeof each === 'string') : []
}

/** An error is one whatever the exit status, unless there is a result. */
function ownError({stdout, stderr, status}: ProgramEnd, path: string): CniError | undefined {
  const json = tryJson(stdout)
  if (!isObject(json) || typeof json.msg !== 'string') return undefined
  if (status === 0 && (typeof json.code !== 'number' || 'ips' in json || 'interfaces' in json)) return undefined
  const said = typeof json.code === 'number' && json.code > 0 && Number.isSafeInteger(json.code) ? json.code : undefined
  const number = said ?? CNI_CODES.delegateFailed
  const message = `${quoted(path)}: ${oneLine(json.msg, MESSAGE) || 'it gave no reason'}`
  const details = [json.details, stderr].filter(each => typeof each === 'string' && each.trim() !== '').join('\n')
  return new CniError(codeOf(number), message, {number, ...detailsOf(details)})
}

/** Numbers below 100 mean the same for everybody. */
function codeOf(number: number): CniCode {
  const reserved = Object.entries(CNI_CODES).find(([, each]) => each === number && each < 100)
  return (reserved?.[0] as CniCode | undefined) ?? 'delegateFailed'
}

function tryJson(text: string): unknown {
  try {
    return parseJson(text, 'its output', {length: Number.POSITIVE_INFINITY})
  } catch {
    return undefined
  }
}

const detailsOf = (text: string): {details?: string} => (text.trim() === '' ? {} : {details: text.trim()})
