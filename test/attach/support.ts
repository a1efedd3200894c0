/** Selections as they may be, and as an annotation writes them. */
import fc from 'fast-check'
import type {Selection} from '../../src/model/attachment.ts'

export const ANNOTATION = {npwg: 'k8s.v1.cni.cncf.io/networks', kaloom: 'networks'} as const

const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?$/)
const octet = fc.integer({min: 0, max: 255}).map(byte => byte.toString(16).padStart(2, '0'))
const mac = fc
  .tuple(
    fc.integer({min: 1, max: 127}).map(half => (half * 2).toString(16).padStart(2, '0')),
    fc.array(octet, {minLength: 5, maxLength: 5}),
  )
  .map(([first, rest]) => [first, ...rest].join(':'))
const ip = fc.oneof(
  fc.ipV4(),
  fc.uniqueArray(fc.integer({min: 1, max: 0xffff}), {minLength: 8, maxLength: 8}).map(groups =>
    // No group is zero: nothing is there to be shortened.
    groups.map(group => group.toString(16)).join(':'),
  ),
)
const port = fc.integer({min: 1, max: 65535})
const whole = fc.nat({max: Number.MAX_SAFE_INTEGER})
/** JSON knows no -0, and prototype keys do not come through. */
const json = fc
  .jsonValue({maxDepth: 4})
  .map(value => JSON.parse(JSON.stringify(value, (key, each) => (key === '__proto__' ? undefined : each))) as unknown)
const truth = fc.constant(true as const)

const npwg: fc.Arbitrary<Selection> = fc.record(
  {
    dialect: fc.constant('npwg' as const),
    namespace: label,
    name: label,
    interface: fc
      .stringMatching(/^[a-z][a-z0-9._-]{0,14}$/)
      .filter(name => !['lo', 'eth0', 'all', 'default'].includes(name)),
    mac,
    ips: fc
      .uniqueArray(ip, {minLength: 1, maxLength: 3})
      .map(ips => ips.map((each, i) => (i % 2 ? `${each}/24` : each))),
    infinibandGuid: fc.array(octet, {minLength: 8, maxLength: 8}).map(octets => octets.join(':')),
    portMappings: fc.array(
      fc.record(
        {hostPort: port, containerPort: port, protocol: fc.constantFrom('tcp', 'udp', 'sctp'), hostIP: fc.ipV4()},
        {requiredKeys: ['hostPort', 'containerPort', 'protocol'], noNullPrototype: true},
      ),
      {minLength: 1, maxLength: 3},
    ),
    bandwidth: fc
      .record(
        {ingressRate: whole, ingressBurst: whole, egressRate: whole, egressBurst: whole},
        {requiredKeys: [], noNullPrototype: true},
      )
      .filter(rates => Object.keys(rates).length > 0),
    cniArgs: fc.dictionary(
      fc.string().filter(key => key !== '__proto__'),
      json,
      {minKeys: 1, noNullPrototype: true},
    ),
    defaultRoute: fc.uniqueArray(ip, {minLength: 1, maxLength: 2}),
    deviceId: fc.string({minLength: 1}),
    ipamClaim: fc.string({minLength: 1}),
    primary: truth,
    optional: truth,
  },
  {requiredKeys: ['dialect', 'namespace', 'name'], noNullPrototype: true},
)

const kaloom: fc.Arbitrary<Selection> = fc.record(
  {
    dialect: fc.constant('kaloom' as const),
    namespace: label,
    name: label,
    mac,
    primary: truth,
    optional: truth,
    startOnly: truth,
  },
  {requiredKeys: ['dialect', 'namespace', 'name'], noNullPrototype: true},
)

export const selection = fc.oneof(npwg, kaloom)

/** As an element of its annotation. */
export const written = (of: Selection): object => {
  const {
    dialect,
    infinibandGuid,
    cniArgs,
    defaultRoute,
    deviceId,
    ipamClaim,
    primary,
    optional,
    startOnly,
    mac,
    ...same
  } = of
  return {
    ...same,
    ...(mac && {[dialect === 'npwg' ? 'mac' : 'ifMac']: mac}),
    ...(infinibandGuid && {'infiniband-guid': infinibandGuid}),
    ...(cniArgs && {'cni-args': cniArgs}),
    ...(defaultRoute && {'default-route': defaultRoute}),
    ...(deviceId && {deviceID: deviceId}),
    ...(ipamClaim && {'ipam-claim-reference': ipamClaim}),
    ...(primary && {isPrimary: true}),
    ...(optional && {required: false}),
    ...(startOnly && {podagentSkip: true}),
  }
}
