/** The format of the saved nodes: one JSON document with a line for each node, so that it is read and written in pieces. */
import {createHash} from 'node:crypto'
import {InvalidInput} from '../model/errors.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import {parseCidr, parseIp} from '../model/ip.ts'
import {parseVtep, type Vtep} from '../model/vtep.ts'
import {Turns} from '../streams/turns.ts'

/** The first line. */
export interface Head {
  /** What tells this cluster from others; undefined: nobody could tell. */
  readonly cluster: string | undefined
  /** Milliseconds since the epoch. */
  readonly savedAt: number
  /** Of the body, in hexadecimal: shows whether it is the one that was written, and whether another one says the same. */
  readonly sha256: string
}

export const NODES_FILE = 'nodes.json'
export const NODES_VERSION = 1
const VERSION = NODES_VERSION
const TAIL = ']}\n'
const NEWLINE = 0x0a
/** Characters that a sentence quotes of what it complains about. */
const QUOTED = 200

/** Whatever else a version has, it begins with its number. */
export const formatHead = ({cluster, savedAt, sha256}: Head): string =>
  `${JSON.stringify({version: VERSION, cluster, savedAt: new Date(savedAt).toISOString(), sha256, nodes: []}).slice(0, -2)}\n`

/** The rest, in pieces that each take the event loop's turn. The same nodes make the same text. */
export async function* formatBody(nodes: readonly NodeFacts[]): AsyncGenerator<string, void, undefined> {
  const turns = new Turns()
  let piece = ''
  for (const [i, facts] of nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1)).entries()) {
    piece += `${JSON.stringify(plainNode(facts))}${i < nodes.length - 1 ? ',' : ''}\n`
    if (!turns.due) continue
    yield piece
    piece = ''
    await turns.next()
  }
  yield piece + TAIL
}

/** A fact that is not written down here is one that the compiler complains about. */
const plainNode = (facts: NodeFacts): Readonly<Record<keyof NodeFacts, unknown>> => ({
  name: facts.name,
  machineId: facts.machineId,
  createdAt: facts.createdAt,
  podCIDRs: facts.podCIDRs.map(String),
  addresses: facts.addresses.map(String),
  vteps: facts.vteps.map(({network, vni, port, ends}) => ({
    network,
    vni,
    port,
    ends: ends.map(({ip, mac}) => ({ip: `${ip}`, mac})),
  })),
  problems: facts.problems,
})

/** A file whose body is as it was written. */
export interface NodeFile extends Head {
  /** How many nodes there are. */
  readonly count: number
  /** For {@link parseBody}, where they are needed. */
  readonly body: Uint8Array
}

/** Throws {@link InvalidInput}: "it …". */
export function checkNodeFile(file: Buffer): NodeFile {
  const start = file.indexOf(NEWLINE) + 1
  const line = file.toString('utf8', 0, start)
  const [, version] = /^\{"version":(\d{1,9})[,}]/.exec(file.toString('latin1', 0, 32)) ?? []
  if (version === undefined) throw new InvalidInput('it does not begin as one')
  if (Number(version) !== VERSION) throw new InvalidInput(`it has version ${version}; known is version ${VERSION}`)
  const head = placed('it cannot be read in line 1', () => parseHead(line))
  const body = file.subarray(start)
  if (createHash('sha256').update(body).digest('hex') !== head.sha256)
    throw new InvalidInput('it is not whole, or not as it was written')
  let lines = 0
  for (let at = body.indexOf(NEWLINE); at >= 0; at = body.indexOf(NEWLINE, at + 1)) lines++
  return {...head, body, count: lines - 1}
}

/** Throws {@link InvalidInput}: not a single node is believed unless all can be read. */
export async function parseBody(body: Uint8Array): Promise<ReadonlyMap<NodeName, NodeFacts>> {
  const lines = placed('it is not text', () => new TextDecoder('utf-8', {fatal: true}).decode(body))
  if (lines !== TAIL && !lines.endsWith(`\n${TAIL}`)) throw new InvalidInput('its end is missing')
  const turns = new Turns()
  const nodes = new Map<NodeName, NodeFacts>()
  const end = lines.length - TAIL.length
  for (let at = 0, line = 2; at < end; line++) {
    const next = lines.indexOf('\n', at) + 1
    const facts = placed(`it cannot be read in line ${line}`, () => parseLine(lines.slice(at, next), next === end))
    if (nodes.has(facts.name)) throw new InvalidInput(`it has the node of line ${line} twice`)
    nodes.set(facts.name, facts)
    at = next
    if (turns.due) await turns.next()
  }
  return nodes
}

function placed<T>(where: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new InvalidInput(`${where}: ${(cause as Error).message.slice(0, QUOTED)}`, {cause})
  }
}

function parseHead(line: string): Head {
  const {cluster, savedAt, sha256} = members(JSON.parse(line + TAIL))
  const ms = Date.parse(text('savedAt', savedAt))
  if (Number.isNaN(ms)) throw new InvalidInput('savedAt is not a time')
  return {
    cluster: cluster === undefined ? undefined : text('cluster', cluster),
    savedAt: ms,
    sha256: text('sha256', sha256),
  }
}

function parseLine(line: string, last: boolean): NodeFacts {
  const separator = last ? '\n' : ',\n'
  if (!line.endsWith(separator)) throw new InvalidInput('it ends without a comma')
  return parseNode(JSON.parse(line.slice(0, -separator.length)))
}

function parseNode(value: unknown): NodeFacts {
  const {name, machineId, createdAt, podCIDRs, addresses, vteps, problems} = members(value)
  if (name === '') throw new InvalidInput('name is empty')
  if (!Number.isFinite(createdAt)) throw new InvalidInput('createdAt is not a number')
  return {
    name: text('name', name) as NodeName,
    machineId: text('machineId', machineId),
    createdAt: createdAt as number,
    podCIDRs: texts('podCIDRs', podCIDRs).map(parseCidr),
    addresses: texts('addresses', addresses).map(parseIp),
    vteps: list('vteps', vteps).map(parseSavedVtep),
    problems: texts('problems', problems),
  }
}

/** By the same rules as the annotation that it came from. */
function parseSavedVtep(value: unknown): Vtep {
  const {network, vni, port, ends} = members(value)
  return parseVtep(text('network', network), JSON.stringify({vni, port, ends}))
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidInput('not an object')
  return value as Record<string, unknown>
}

function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new InvalidInput(`${name} is not a text`)
  return value
}

function list(name: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new InvalidInput(`${name} is not a list`)
  return value
}

const texts = (name: string, value: unknown): string[] => list(name, value).map(each => text(name, each))
