/** The conflist that has a runtime start our shim: built from plain values and known again. Of a foreign one: its networks. */
import {InvalidInput, quoted} from '../model/errors.ts'

/** What the shim assumes where the conflist says nothing. */
export const SHIM_DEFAULTS = {socket: '/run/netgraft/cni.sock', spool: '/var/lib/netgraft/spool'} as const

/** The name of the program and of the network. */
export const NAME = 'netgraft'
/** `cniVersion` is what runtimes read that know nothing of `cniVersions` (CNI spec 1.1.0). */
const VERSION = '1.0.0'
const VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']
/** What a runtime is to hand over with each ADD. The first is containerd's: the pod's annotations. */
const CAPABILITIES = ['io.kubernetes.cri.pod-annotations', 'mac', 'ips']
/** Upstream's plugins that we run ourselves, only for pods that ask for what they do. */
const CHAIN: readonly Json[] = [
  {type: 'portmap', snat: true, capabilities: {portMappings: true}},
  {type: 'bandwidth', capabilities: {bandwidth: true}},
]
/** Their programs. */
export const CHAINED: readonly string[] = CHAIN.map(({type}) => type as string)

/** Bytes. A foreign configuration that is larger is none. */
const MAX_FOREIGN = 1024 * 1024
/** Objects and lists within each other. */
const MAX_DEPTH = 100

type Json = {readonly [key: string]: unknown}
/** A conf or conflist, whole. */
export type Delegate = Json & {readonly brand: 'Delegate'}

export interface ConflistOptions {
  /** Where the agent listens, as the host sees it. */
  readonly socket: string
  /** Where the shim leaves its DELs while there is no agent, as the host sees it. */
  readonly spool: string
  /** Those of {@link CHAINED} whose programs the host has. */
  readonly programs: readonly string[]
  /** The networks that serve eth0 instead of ours. */
  readonly delegates: readonly Delegate[]
}

/** The text of the file. The same options give the same text. */
export function buildConflist({socket, spool, programs, delegates}: ConflistOptions): string {
  const delegated = delegates.flatMap(pluginsOf)
  // A delegate's own portmap does the work already; a second one would do it twice.
  const chain = CHAIN.filter(
    ({type}) => programs.includes(type as string) && !delegated.some(plugin => plugin.type === type),
  )
  const capabilities = new Set([...CAPABILITIES, ...[...chain, ...delegated].flatMap(capabilitiesOf)])
  const plugin = {
    type: NAME,
    capabilities: Object.fromEntries([...capabilities].map(name => [name, true])),
    ...(chain.length > 0 && {chain}),
    ...(delegates.length > 0 && {delegates}),
    ...(socket !== SHIM_DEFAULTS.socket && {socket}),
    ...(spool !== SHIM_DEFAULTS.spool && {spool}),
  }
  return `${JSON.stringify({cniVersion: VERSION, cniVersions: VERSIONS, name: NAME, plugins: [plugin]}, null, 2)}\n`
}

/** Whether {@link buildConflist} made it, in this version or another: our network's name, and our plugin alone. */
export function isOurConflist(content: Buffer): boolean {
  try {
    const {name, plugins} = JSON.parse(content.toString()) as Json
    return name === NAME && Array.isArray(plugins) && plugins.length === 1 && plugins[0].type === NAME
  } catch {
    return false
  }
}

/** Checks what a runtime would check before it takes the file. Throws {@link InvalidInput}. */
export function parseDelegate(fileName: string, content: Buffer): Delegate {
  if (content.length > MAX_FOREIGN)
    throw new InvalidInput(`it has ${content.length} bytes, and ${MAX_FOREIGN} are the most`)
  const value = parseJson(content)
  if (!isObject(value)) throw new InvalidInput('it is not a JSON object')
  if (typeof value.name !== 'string' || value.name === '') throw new InvalidInput('it has no "name"')
  if (fileName.endsWith('.conflist')) {
    const {plugins} = value
    if (!Array.isArray(plugins) || plugins.length === 0) throw new InvalidInput('it has no list of "plugins"')
    const odd = plugins.findIndex(plugin => !hasType(plugin))
    if (odd >= 0) throw new InvalidInput(`its plugins[${odd}] has no "type"`)
  } else if (!hasType(value)) {
    const hint = 'plugins' in value ? ': a list of plugins is read only from a file that ends in .conflist' : ''
    throw new InvalidInput(`it has no "type"${hint}`)
  }
  if (leadsBack(value)) throw new InvalidInput(`it names the plugin type ${quoted(NAME)} itself, which would go round`)
  return value as Delegate
}

function parseJson(content: Buffer): unknown {
  let text: string
  try {
    // A byte order mark stays: no runtime would take it either.
    text = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(content)
  } catch (cause) {
    throw new InvalidInput('it is not UTF-8 text', {cause})
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new InvalidInput(`it is not JSON (${oneLine((cause as Error).message)})`, {cause})
  }
}

/** Whether some plugin in it is ours. Throws {@link InvalidInput} for what nests too deeply. */
function leadsBack(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (depth > MAX_DEPTH) throw new InvalidInput('it nests too deeply')
  if ((value as Json).type === NAME) return true
  return Object.values(value).some(each => leadsBack(each, depth + 1))
}

const pluginsOf = (delegate: Delegate): readonly Json[] =>
  Array.isArray(delegate.plugins) ? (delegate.plugins as Json[]) : [delegate]

const capabilitiesOf = ({capabilities}: Json): readonly string[] =>
  isObject(capabilities) ? Object.keys(capabilities).filter(name => capabilities[name] === true) : []

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

const hasType = (value: unknown): boolean => isObject(value) && typeof value.type === 'string' && value.type !== ''

const oneLine = (text: string): string => quoted(text).slice(1, -1)
