/** One element of a pod's annotation: what is asked for, or why it cannot be. */
import type {Bandwidth, Dialect, PortMapping, Selection, SelectionProblem} from '../model/attachment.ts'
import {
  Fault,
  fieldsOf,
  flagOf,
  guidOf,
  interfaceOf,
  ipOf,
  ipsOf,
  itemOf,
  type Json,
  listOf,
  macOf,
  nameOf,
  namespaceOf,
  objectOf,
  opaqueOf,
  present,
  shown,
  textOf,
  wholeOf,
} from '../model/fields.ts'

/** Where an element stands. */
export interface Place {
  readonly dialect: Dialect
  /** 'networks[1]' */
  readonly at: string
  readonly podNamespace: string
  /** It stands for the pod's first network, whatever it says. */
  readonly first?: true
}

/** It has a selection or a problem. */
export interface Element {
  readonly dialect: Dialect
  readonly at: string
  readonly means?: Meaning
  readonly selection?: Selection
  readonly problem?: SelectionProblem
}

type Meaning = NonNullable<SelectionProblem['means']>

/** The fields are NPWG's and the original's; `required` is ours, and `isPrimary` counts in both. Others are left alone. */
const KEYS = {
  npwg: [
    'name',
    'namespace',
    'interface',
    'mac',
    'ips',
    'infiniband-guid',
    'portMappings',
    'bandwidth',
    'cni-args',
    'default-route',
    'deviceID',
    'ipam-claim-reference',
    'isPrimary',
    'required',
  ],
  kaloom: ['name', 'namespace', 'ifMac', 'isPrimary', 'podagentSkip', 'required'],
} as const

type Fields = {readonly [key in (typeof KEYS)[Dialect][number]]?: unknown}

const MAPPING_KEYS = ['hostPort', 'containerPort', 'protocol', 'hostIP'] as const
const BANDWIDTH_KEYS = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'] as const
const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const

/** Of a JSON list. Never throws. */
export function readElement(value: unknown, place: Place): Element {
  const {at, dialect, podNamespace} = place
  let means: Meaning | undefined
  try {
    const fields: Fields = fieldsOf<keyof Fields>(itemOf(value, at, '"name": "green"'), KEYS[dialect])
    const name = nameOf(fields.name, `${at}.name`)
    means = {namespace: namespaceOf(fields.namespace, `${at}.namespace`) ?? podNamespace, name}
    return {dialect, at, means, selection: {dialect, ...means, ...detailsOf(fields, place)}}
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault
    return faulty({dialect, at, ...(means && {means})}, fault)
  }
}

/** `[<namespace>/]<name>[@<interface>]`. Never throws. White space around each part is left away. */
export function readShort(text: string, place: Place): Element {
  const {at, dialect} = place
  const slash = text.split('/')
  const [name, ...ifnames] = slash.at(-1)!.split('@') as [string, ...string[]]
  const namespace = slash.length > 1 ? slash[0] : ''
  if (name.trim() === '' || slash.length > 2 || ifnames.length > 1)
    return faulty(
      {dialect, at},
      new Fault(at, `is ${shown(text.trim())}; write [<namespace>/]<name>[@<interface>], with commas between them`),
    )
  return readElement({name: name.trim(), namespace: namespace!.trim(), interface: ifnames[0]?.trim()}, place)
}

/** The element, not to be served. */
export const faulty = ({dialect, at, means}: Element, fault: Fault): Element => ({
  dialect,
  at,
  ...(means && {means}),
  problem: {at: fault.at, message: fault.message, ...(means && {means})},
})

function detailsOf(fields: Fields, {at, first}: Place): Omit<Selection, 'dialect' | 'namespace' | 'name'> {
  const where = (key: keyof Fields) => `${at}.${key}`
  const primary = flagOf(fields.isPrimary, where('isPrimary')) === true || first === true
  return present({
    interface: interfaceOf(fields.interface, where('interface'), primary),
    mac: macOf(fields.mac, where('mac')) ?? macOf(fields.ifMac, where('ifMac')),
    ips: ipsOf(fields.ips, where('ips'), 'with or without'),
    infinibandGuid: guidOf(fields['infiniband-guid'], where('infiniband-guid')),
    portMappings: listOf(fields.portMappings, where('portMappings'), mappingOf),
    bandwidth: bandwidthOf(fields.bandwidth, where('bandwidth')),
    cniArgs: opaqueOf(fields['cni-args'], where('cni-args')),
    defaultRoute: ipsOf(fields['default-route'], where('default-route'), 'without'),
    deviceId: textOf(fields.deviceID, where('deviceID')),
    ipamClaim: textOf(fields['ipam-claim-reference'], where('ipam-claim-reference')),
    primary: primary || undefined,
    optional: flagOf(fields.required, where('required')) === false || undefined,
    startOnly: flagOf(fields.podagentSkip, where('podagentSkip')) || undefined,
  })
}

function mappingOf(value: unknown, at: string): PortMapping {
  const fields = fieldsOf(itemOf(value, at, '"hostPort": 80, "containerPort": 8080'), MAPPING_KEYS)
  const word = textOf(fields.protocol, `${at}.protocol`) ?? 'tcp'
  const protocol = PROTOCOLS.find(each => each === word.toLowerCase())
  if (!protocol) throw new Fault(`${at}.protocol`, `is ${shown(word)}; write one of ${PROTOCOLS.join(', ')}`)
  const hostIP = ipOf(fields.hostIP, `${at}.hostIP`)
  return {
    hostPort: portOf(fields.hostPort, `${at}.hostPort`),
    containerPort: portOf(fields.containerPort, `${at}.containerPort`),
    protocol,
    ...(hostIP !== undefined && {hostIP}),
  }
}

function portOf(value: unknown, at: string): number {
  const port = wholeOf(value, at, 1, 65535)
  if (port === undefined) throw new Fault(at, 'is missing; write a port from 1 to 65535')
  return port
}

function bandwidthOf(value: unknown, at: string): Bandwidth | undefined {
  const json = objectOf(value, at)
  const fields: Json = json ? fieldsOf(json, BANDWIDTH_KEYS) : {}
  const rates = BANDWIDTH_KEYS.map(key => [key, wholeOf(fields[key], `${at}.${key}`, 0, Number.MAX_SAFE_INTEGER)])
  const given = rates.filter(([, rate]) => rate !== undefined)
  return given.length === 0 ? undefined : Object.fromEntries(given)
}
