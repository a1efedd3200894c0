/** What is wrong with a configuration, said to the person who wrote it: where, what, and what to do. */
import type * as v from 'valibot'
import {rowsOf, type SchemaNode, unwrap} from './config-reference.ts'
import {NetgraftError} from './errors.ts'

export interface Problem {
  /** "networks[0].backend"; for what concerns no single key, "(file)". */
  readonly path: string
  /** Reads on after the path and a colon. */
  readonly message: string
  /** Where in the text, both from 1. */
  readonly at?: {readonly line: number; readonly column: number}
}

export const WHOLE_FILE = '(file)'

/** The configuration cannot be used; `problems` is everything that is wrong with it. */
export class ConfigError extends NetgraftError {
  readonly code = 'ECONFIG'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[], source = 'config', options?: ErrorOptions) {
    super(formatProblems(problems, source), options)
    this.problems = problems
  }
}

/** A text that repeats one mistake a thousand times is not answered with a thousand lines. */
const SHOWN = 50

function formatProblems(problems: readonly Problem[], source: string): string {
  const lines = problems.slice(0, SHOWN).map(problem => formatProblem(problem, source))
  if (problems.length > SHOWN) lines.push(`${source}: and ${problems.length - SHOWN} problems more`)
  return lines.join('\n')
}

/** "config.yaml:3:14: networks[0].backend: …": the form that editors jump to. */
function formatProblem({path, message, at}: Problem, source: string): string {
  const place = at ? `${source}:${at.line}:${at.column}` : source
  return path === WHOLE_FILE ? `${place}: ${message}` : `${place}: ${path}: ${message}`
}

export type Path = readonly (string | number)[]

/** Finds the place in the text that a path was read from. */
export type Locate = (path: Path) => Problem['at']

/** Collects the problems of one value. */
export class Problems {
  readonly #schema: v.GenericSchema
  readonly #locate: Locate
  readonly #problems: Problem[] = []

  constructor(schema: v.GenericSchema, locate: Locate) {
    this.#schema = schema
    this.#locate = locate
  }

  addIssue(issue: v.BaseIssue<unknown>): void {
    const path = (issue.path ?? []).map(item => item.key as string | number)
    const own = issue.kind !== 'schema' || issue.type === 'picklist'
    this.#add(path, own ? issue.message : wrongType(issue))
  }

  /** Unknown keys at any depth, and what passes for an object in JavaScript but is no mapping. */
  findStrays(value: unknown): void {
    this.#findStrays(unwrap(this.#schema), value, [])
  }

  throwIfAny(): void {
    const rank = ({at}: Problem) => (at ? at.line * 1e6 + at.column : 0)
    if (this.#problems.length > 0) throw new ConfigError(this.#problems.toSorted((a, b) => rank(a) - rank(b)))
  }

  #findStrays(node: SchemaNode, value: unknown, path: Path): void {
    if (typeof value !== 'object' || value === null) return
    if (node.type === 'array') {
      if (!Array.isArray(value)) return
      const item = unwrap(node.item!)
      for (const [index, element] of value.entries()) this.#findStrays(item, element, [...path, index])
    }
    if (node.type !== 'object') return
    if (!isMapping(value)) {
      this.#add(path, notMapping(value))
      return
    }
    const known = node.entries!
    for (const [name, inner] of Object.entries(value)) {
      if (Object.hasOwn(known, name)) this.#findStrays(unwrap(known[name]!), inner, [...path, name])
      else this.#add([...path, name], this.#unknownKey(name, Object.keys(known)))
    }
  }

  #unknownKey(name: string, siblings: readonly string[]): string {
    const near = nearest(name, siblings)
    if (near !== undefined) return `is not a known key; did you mean ${near}?`
    const elsewhere = rowsOf(this.#schema).find(row => row.path.endsWith(`.${name}`))
    if (elsewhere) return `is not a known key here; did you mean ${elsewhere.path}?`
    return `is not a known key; remove it, or use one of ${siblings.join(', ')}`
  }

  #add(path: Path, message: string): void {
    const at = this.#locate(path)
    this.#problems.push({path: pathText(path), message, ...(at && {at})})
  }
}

function wrongType({type, input}: v.BaseIssue<unknown>): string {
  const got = describeValue(input)
  if (type === 'string') return `must be text, not ${got}${typeof input === 'object' ? '' : '; put it in quotes'}`
  if (type === 'number') {
    const quoted = typeof input === 'string' && /^\s*\d+\s*$/.test(input)
    return `must be a number, not ${got}${quoted ? '; remove the quotes' : ''}`
  }
  if (type === 'boolean') {
    const quoted = input === 'true' || input === 'false'
    return `must be true or false, not ${got}${quoted ? '; remove the quotes' : ''}`
  }
  if (type === 'array') return `must be a list, not ${got}; begin each entry with "- "`
  return notMapping(input)
}

const notMapping = (value: unknown): string => `must be a mapping of keys to values, not ${describeValue(value)}`

export function isMapping(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A value as a sentence part, short whatever it is. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return isMapping(value) ? 'a mapping' : 'an object'
  if (typeof value === 'function') return 'a function'
  return String(value)
}

export function pathText(path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (!/^[\w-]{1,100}$/.test(part)) text += `[${describeValue(part)}]`
    else text += text === '' ? part : `.${part}`
  }
  return text === '' ? WHOLE_FILE : text
}

/** The option that a slip of the finger or a wrong case would turn into `text`. */
export function nearest(text: string, options: readonly string[]): string | undefined {
  if (text.length > 50) return undefined
  const lower = text.toLowerCase()
  const ranked = options
    .map(option => ({option, distance: editDistance(lower, option.toLowerCase())}))
    .filter(({option, distance}) => distance <= Math.min(2, option.length / 3))
    .sort((a, b) => a.distance - b.distance)
  return ranked[0]?.option
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({length: b.length + 1}, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    ;[before, last] = [last, row]
  }
  return last[b.length]!
}
