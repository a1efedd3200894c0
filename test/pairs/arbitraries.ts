/** Pods that declare pairs of each other, right and wrong. */
import fc from 'fast-check'
import type {NodeName} from '../../src/model/facts.ts'
import type {Endpoint, PodKey} from '../../src/model/pair.ts'
import {parsePairs} from '../../src/pairs/declarations.ts'
import {endpoints, PAIRS} from './support.ts'

export const NODES = ['n1', 'n2', 'n3'] as NodeName[]
const PODS = ['d/a', 'd/b', 'd/c', 'e/a', 'e/f']
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, {nil: undefined, freq: 2})

export const element = fc.record({
  peer: fc.constantFrom(...PODS),
  interface: fc.constantFrom('in1', 'in2', 'in3', 'Ä_4'),
  peerInterface: some(fc.constantFrom('in1', 'in2', 'in3')),
  name: some(fc.constantFrom('x', 'y')),
  mtu: some(fc.constantFrom(1400, 1300)),
  ips: fc.uniqueArray(fc.constantFrom('10.0.0.1/24', '10.0.0.2/24', 'fd00::1/64'), {maxLength: 2}),
})

const labels = fc.record({
  ratchet: fc.constant('true'),
  'ratchet.primary': fc.constantFrom('true', 'false'),
  'ratchet.pod_name': fc.constantFrom('a', 'b', 'z'),
  'ratchet.pair_name': fc.constantFrom('a', 'b', 'z'),
  'ratchet.local_ip': fc.constant('10.9.0.1'),
  'ratchet.pair_ip': fc.constant('10.9.0.2'),
  'ratchet.local_ifname': fc.constantFrom('in1', 'l1'),
  'ratchet.pair_ifname': fc.constantFrom('in1', 'l2'),
})

const [frames] = [endpoints('a@n1', 'b@n2', 'c@n3')]

const pod = (key: PodKey, most = 4, peer: fc.Arbitrary<string> = fc.constantFrom(...PODS)): fc.Arbitrary<Endpoint> =>
  fc
    .tuple(
      fc.array(
        fc.tuple(element, peer).map(([each, other]) => ({...each, peer: other})),
        {maxLength: most},
      ),
      some(labels),
      fc.constantFrom(...NODES),
      fc.nat(3),
      fc.boolean(),
    )
    .map(([elements, given, node, createdAt, bare]) => {
      const [namespace, name] = key.split('/') as [string, string]
      const annotation = JSON.stringify(elements)
      const {declarations, ratchetName} = parsePairs({[PAIRS]: annotation}, given ?? {}, {namespace, name})
      const frame = [...frames!.values()].find(each => each.node === node)!
      return {
        ...{namespace, pod: name, uid: key, createdAt, node, underlay: frame.underlay, declarations},
        ...(ratchetName !== undefined && {ratchetName}),
        ...(!bare && {sandbox: key.replace('/', '-')}),
      }
    })

export const cluster = fc
  .subarray(PODS, {minLength: 1})
  .chain(keys => fc.tuple(...keys.map(key => pod(key).map(endpoint => [key, endpoint] as const))))
  .map(entries => entries as readonly (readonly [PodKey, Endpoint])[])

/** One of many, that knows few. */
export const endpoint = fc
  .tuple(fc.constantFrom(...'abcdefghijklmn'), fc.constantFrom('d', 'd', 'd', 'e'))
  .chain(([name, namespace]) => pod(`${namespace}/${name}`, 2, fc.constantFrom(...'abcdefghijklmn')))
  .map(each => [`${each.namespace}/${each.pod}`, each] as const)
