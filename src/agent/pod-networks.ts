/** What a pod's annotations ask for, looked up: definitions, who may use them, devices, and the lists to be run. */
import {readdir, readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {assignNames, hashName} from '../attach/names.ts'
import type {Named, Resolved, Unresolved} from '../attach/plan.ts'
import {isResolved} from '../attach/plan.ts'
import {type ParsedSelections, parseDefaultNetwork, parseSelections} from '../attach/selections.ts'
import {useRefusal} from '../attach/use.ts'
import type {OwnConfig} from '../cni/default-network.ts'
import {argsOf, canonicalConfig, listOf, titleOf} from '../cni/definition.ts'
import {CniError} from '../cni/error.ts'
import type {PlannedAttachment, PlannedList} from '../cni/journal.ts'
import type {PlannedInterface, PodNetworks, PodStart} from '../cni/networks.ts'
import {NOTHING_MORE} from '../cni/networks.ts'
import {type CniRequest, type PodRef, parseArgs} from '../cni/request.ts'
import type {Definition, Selected, Selection} from '../model/attachment.ts'
import type {Config} from '../model/config.ts'
import {quoted} from '../model/errors.ts'
import {parseIp} from '../model/ip.ts'
import {POD_ANNOTATIONS, type PodFacts} from '../streams/pods.ts'
import type {Definitions} from './definitions.ts'
import {parseOnce} from './parse-once.ts'
import type {Pods} from './pods.ts'
import {isSamePod, type StartingPods} from './starting-pods.ts'

/** Devices that the kubelet has allocated to a pod, by resource name. */
export type Devices = (
  pod: {readonly namespace: string; readonly name: string},
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, readonly string[]>>

export interface Lookup extends Pick<PodNetworks, 'atStart' | 'one'> {
  parse(pod: PodFacts): ParsedSelections
  /** In their order. */
  resolve(
    pod: PodRef,
    wanted: readonly Named[],
    options: ResolveOptions,
  ): Promise<readonly (Named & {readonly resolution: Resolved<PlannedList> | Unresolved})[]>
}

/** A device of a pod, and the kubelet's resource of which it is one. */
export interface StandingDevice {
  readonly device: string
  readonly resource?: string | undefined
}

interface DeviceWish {
  /** What the attachment has already. */
  readonly standing: StandingDevice | undefined
  readonly taken: Set<string>
  /** By some element of the pod's: not for others. */
  readonly named: ReadonlySet<string>
}

export interface ResolveOptions {
  /** Devices that the pod's networks have already, by interface. @default none */
  readonly standing?: ReadonlyMap<string, StandingDevice>
  /** Definitions may be newer than what the watches have told. Who is woken by those need not ask. @default false */
  readonly lately?: boolean
  readonly signal: AbortSignal
}

export interface LookupPorts {
  readonly config: Config
  readonly pods: Pods
  readonly starting: StartingPods
  readonly definitions: Definitions
  readonly devices: Devices
}

/** Of definitions that say none. */
const CNI_VERSION = '1.0.0'

export function createLookup({config, pods, starting, definitions, devices}: LookupPorts): Lookup {
  const rules = config.attachments
  const parse = parseOnce(() => pods.items)

  const resolveOne = async (
    pod: PodRef,
    {at, selection}: Selected,
    device: DeviceWish,
    options: {readonly lately: boolean; readonly signal: AbortSignal},
  ): Promise<Resolved<PlannedList> | Unresolved> => {
    const {signal} = options
    const refusal = useRefusal(rules, pod.namespace, selection)
    if (refusal !== undefined) return {reason: `${at}: ${refusal}`, again: false}
    const uncut = defaultRouteRefusal(config, selection)
    if (uncut !== undefined) return {reason: `${at}: ${uncut}`, again: false}
    try {
      const wanted = quoted(`${selection.namespace}/${selection.name}`)
      const definition = await definitions.find(selection, selection.dialect, options).catch(cause => {
        signal.throwIfAborted()
        throw new Error(`network definition ${wanted} is not known: ${cause.message}; it is asked for again`, {cause})
      })
      if (!definition) {
        return {reason: `${at}: there is no network definition ${wanted}; create it, or correct the name`, again: true}
      }
      const allocated = await deviceOf(pod, definition, selection, device, signal)
      const whole = await withFile(definition, config.attachments.definitionsFolder)
      const canonical = canonicalConfig(whole)
      const list = listOf(whole, {selection, config: canonical, device: allocated, cniVersion: CNI_VERSION})
      const {kind, namespace, name} = definition
      const resource = allocated === undefined ? undefined : definition.resourceName
      return {definition: {kind, namespace, name}, config: canonical, device: allocated, resource, list}
    } catch (error) {
      if (signal.aborted) throw error
      const again = !(error instanceof CniError) || error.code === 'tryAgainLater'
      return {reason: `${at}: ${(error as Error).message}`, again}
    }
  }

  const deviceOf = async (
    pod: PodRef,
    definition: Definition,
    {deviceId}: Selection,
    {standing, taken, named}: DeviceWish,
    signal: AbortSignal,
  ): Promise<string | undefined> => {
    const {resourceName} = definition
    if (resourceName === undefined && deviceId === undefined) return undefined
    // Without asking the kubelet. But what its author has not named the definition is not to have.
    const kept = standing?.resource === resourceName ? standing?.device : undefined
    if (kept !== undefined && (deviceId === undefined || deviceId === kept)) return kept
    if (resourceName === undefined)
      throw new CniError(
        'invalidConfig',
        `deviceID ${quoted(deviceId!)} is refused: ${titleOf(definition)} names no device resource (annotation k8s.v1.cni.cncf.io/resourceName)`,
      )
    const allocated = (await devices(pod, signal)).get(resourceName) ?? []
    if (deviceId !== undefined && !allocated.includes(deviceId))
      throw new CniError(
        'invalidConfig',
        `deviceID ${quoted(deviceId)} of ${quoted(resourceName)} has not been allocated to this pod; leave it away`,
      )
    const free = deviceId ?? allocated.find(each => !taken.has(each) && !named.has(each))
    if (free === undefined || taken.has(free))
      throw new CniError(
        'tryAgainLater',
        `the kubelet has allocated no ${allocated.length > 0 ? 'further ' : ''}device of ${quoted(resourceName)} to this pod; ask for it in the resources of a container`,
      )
    taken.add(free)
    return free
  }

  const lookup: Lookup = {
    parse: pod => parse(pod, pod.annotations),

    resolve: async (pod, wanted, {standing = new Map(), lately = false, signal}) => {
      const taken = new Set([...standing.values()].map(({device}) => device))
      const named = new Set(wanted.flatMap(({selected: {selection}}) => selection.deviceId ?? []))
      const wishes = []
      for (const each of wanted) {
        const device = {standing: standing.get(each.ifname), taken, named}
        wishes.push({...each, resolution: await resolveOne(pod, each.selected, device, {lately, signal})})
      }
      return wishes
    },

    atStart: async (request, own, signal) => {
      const delegates = furtherDelegates(request, own)
      const {pod} = request
      if (!pod || !rules.enabled) return delegates.length > 0 ? {more: delegates} : NOTHING_MORE
      const annotations = await starting.annotations(pod, own, signal)
      const {selected, problems} = parse(pod, annotations)
      const override = annotations[POD_ANNOTATIONS.defaultNetwork]
      if (problems.length > 0) throw refusedBy(problems)
      if (selected.length === 0 && override === undefined)
        return delegates.length > 0 ? {more: delegates} : NOTHING_MORE
      return start(request, pod, {selected, override, delegates}, signal)
    },

    one: async (request, network, own, signal) => {
      const {pod} = request
      if (!rules.enabled)
        throw new CniError(
          'unsupportedField',
          'CNI_ARGS has K8S_POD_NETWORK, but this node attaches no further networks: attachments.enabled is false',
        )
      if (!pod)
        throw new CniError(
          'invalidEnvironment',
          'CNI_ARGS has K8S_POD_NETWORK, but no K8S_POD_NAMESPACE and K8S_POD_NAME; say which pod it is',
        )
      const known = pods.items.get(`${pod.namespace}/${pod.name}`)
      const annotations =
        known && isSamePod(pod, known)
          ? known.annotations
          : await starting.annotations(pod, own, signal).catch((): Readonly<Record<string, string>> => ({}))
      const asked = parse(pod, annotations).selected.find(
        ({selection}) => selection.name === network && hashNameOr(selection) === request.ifname,
      )
      const mac = parseArgs(request.args).get('K8S_POD_IFMAC')
      const single = parseSelections(
        {[POD_ANNOTATIONS.kaloom]: JSON.stringify([{name: network, ...(mac && {ifMac: mac})}])},
        pod.namespace,
      )
      if (!asked && single.problems.length > 0) throw refusedBy(single.problems)
      const selected = asked ?? {...single.selected[0]!, at: 'K8S_POD_NETWORK'}
      const [wish] = await lookup.resolve(pod, [{selected, ifname: request.ifname}], {lately: true, signal})
      return plannedOf(request, pod, wish!, asked ? 'annotation' : 'request')
    },
  }

  const start = async (
    request: CniRequest,
    pod: PodRef,
    asked: {
      readonly selected: readonly Selected[]
      readonly override: string | undefined
      readonly delegates: readonly PlannedInterface[]
    },
    signal: AbortSignal,
  ): Promise<PodStart> => {
    const {selected, override, delegates} = asked
    const primary = selected.find(({selection}) => selection.primary)
    const instead = primary ?? (override === undefined ? undefined : overrideOf(override, pod))
    const others = selected.filter(({selection}) => !selection.primary)
    const {named, problems} = assignNames(others, delegates.map(standingOf), {taken: new Set([request.ifname])})
    if (problems.length > 0) throw refusedBy(problems)
    const first: Named[] = instead ? [{selected: instead, ifname: request.ifname}] : []
    const wishes = await lookup.resolve(pod, [...first, ...named], {lately: true, signal})
    const planned = wishes
      .filter(({selected: {selection}, resolution}) => isResolved(resolution) || !selection.optional)
      .map(wish => plannedOf(request, pod, wish, 'pod'))
    const more = planned.filter(({ifname}) => ifname !== request.ifname)
    const own = planned.find(({ifname}) => ifname === request.ifname)
    return {
      ...(own && {
        first: {list: own.list, args: own.args, attachment: own.attachment},
      }),
      // Whoever is primary has no delegates beside it.
      more: primary ? more : [...delegates, ...more],
    }
  }

  return lookup
}

const hashNameOr = ({interface: given, name}: Selection): string => given ?? hashName(name)

/** Throws CniError. */
function overrideOf(value: string, pod: PodRef): Selected | undefined {
  const found = parseDefaultNetwork(value, pod.namespace)
  if (!found) return undefined
  if ('selection' in found) return found
  throw refusedBy([found])
}

function refusedBy(problems: readonly {readonly message: string}[]): CniError {
  const [first, ...rest] = problems
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`
  const details = rest.map(({message}) => message).join('\n')
  return new CniError('invalidConfig', `${first!.message}${more}`, details === '' ? {} : {details})
}

/** Throws CniError where it cannot be had. */
function plannedOf(
  {containerId}: CniRequest,
  pod: PodRef,
  {selected, ifname, resolution}: Named & {readonly resolution: Resolved<PlannedList> | Unresolved},
  origin: PlannedAttachment['origin'],
): PlannedInterface {
  if (!isResolved(resolution))
    throw new CniError(resolution.again ? 'tryAgainLater' : 'invalidConfig', resolution.reason)
  const {list, definition, config, device, resource} = resolution
  const {selection} = selected
  return {
    ifname,
    list,
    args: argsOf(pod, containerId, selection),
    attachment: {origin, selection, definition, config, ...deviceKeys(device, resource)},
  }
}

/** For the journal. */
export const deviceKeys = (
  device: string | undefined,
  resource: string | undefined,
): Pick<PlannedAttachment, 'device' | 'resource'> => ({
  ...(device !== undefined && {device}),
  ...(resource !== undefined && {resource}),
})

const standingOf = ({ifname, attachment}: PlannedInterface) => ({ifname, selection: attachment.selection})

/** Of kactus' config: those that are not the master have the name that follows from theirs. */
function furtherDelegates(request: CniRequest, {delegates, name: network, cniVersion}: OwnConfig): PlannedInterface[] {
  const {pod, containerId} = request
  if (delegates.length < 2) return []
  return delegates
    .filter(each => each.masterPlugin !== true && each.masterplugin !== true)
    .map(({masterPlugin, masterplugin, ...conf}) => {
      const name = typeof conf.name === 'string' && conf.name !== '' ? conf.name : String(conf.type)
      const definition = {kind: 'Network', namespace: '', name} as const
      const config = JSON.stringify(conf)
      const selection: Selection = {dialect: 'kaloom', namespace: '', name, startOnly: true}
      const list = listOf({...definition, name: network, config}, {selection, config, cniVersion})
      const args = pod ? argsOf(pod, containerId, {}) : request.args
      return {ifname: hashName(name), list, args, attachment: {origin: 'pod', selection, definition, config}}
    })
}

/** Why a pod would be cut off from its cluster: a sentence part. */
function defaultRouteRefusal({clusterCIDRs, serviceCIDRs}: Config, {defaultRoute = []}: Selection): string | undefined {
  for (const gateway of defaultRoute) {
    const {family} = parseIp(gateway)
    const missing = Object.entries({clusterCIDRs, serviceCIDRs}).find(
      ([, list]) => !list.some(cidr => cidr.family === family),
    )
    if (missing)
      return `default-route ${gateway} would cut the pod off from its cluster: the agent's configuration has no ${missing[0]} of IPv${family}; name them there`
  }
  return undefined
}

/** A definition without a config means the file of the node that has its name. Rejects with CniError. */
async function withFile(definition: Definition, folder: string): Promise<Definition> {
  if (definition.config.trim() !== '') return definition
  const names = await readdir(folder).catch((): string[] => [])
  for (const name of names.filter(each => /\.(conf|json|conflist)$/.test(each)).sort()) {
    try {
      const config = await readFile(join(folder, name), 'utf8')
      if (JSON.parse(config)?.name === definition.name) return {...definition, config}
    } catch {}
  }
  throw new CniError(
    'tryAgainLater',
    `${titleOf(definition)} has no config, and ${quoted(folder)} no file of a network of that name; give it one`,
  )
}
