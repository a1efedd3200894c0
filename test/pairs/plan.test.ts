/** What a node builds for a pair. */
import test from 'ava'
import type {NodeName} from '../../src/model/facts.ts'
import {planEnds} from '../../src/pairs/plan.ts'
import {claims, formatPlans, names, pairsOf} from './support.ts'

interface Case {
  readonly name: string
  readonly pods: string[]
  readonly vnis?: string[]
  readonly self?: string
  readonly alive?: string
  readonly want: string
}

const VNI = '7 d/a.in1.b.in1 n1'

const CASES: Case[] = [
  {
    name: 'on one node: a veth, as wide as a tunnel would be',
    pods: ['a@n1: in1>b ip=10.0.0.1/24', 'b@n1: in1>a ip=10.0.0.2/24 ip=fd00::2/64'],
    want: 'veth mtu 1450 [d/a:in1 10.0.0.1/24 | d/b:in1 10.0.0.2/24 fd00::2/64]',
  },
  {
    name: 'on two nodes: a tunnel over IPv4 where both have it',
    pods: ['a@n1: in1>b ip=10.0.0.1/24', 'b@n2'],
    vnis: [VNI],
    want: 'vxlan 7 port 4790 192.168.0.1 > 192.168.0.2 mtu 1450 [d/a:in1 10.0.0.1/24]',
  },
  {
    name: 'the other end',
    pods: ['a@n1: in1>b ip=10.0.0.1/24', 'b@n2'],
    vnis: [VNI],
    self: 'n2',
    want: 'vxlan 7 port 4790 192.168.0.2 > 192.168.0.1 mtu 1450 [d/b:in1]',
  },
  {
    name: 'a node in between',
    pods: ['a@n1: in1>b', 'b@n2'],
    vnis: [VNI],
    self: 'n3',
    want: '',
  },
  {
    name: 'over IPv6, as wide as the narrower node',
    pods: ['a@n1: in1>b', 'b@n3'],
    vnis: [VNI],
    want: 'vxlan 7 port 4790 fd00::1 > fd00::3 mtu 1430 [d/a:in1]',
  },
  {
    name: 'the lowest of several VNIs',
    pods: ['a@n1: in1>b', 'b@n2'],
    vnis: ['9 d/a.in1.b.in1 n1', VNI, '3 d/x.in1.y.in1 n1', '8 d/a.in1.b.in1 n2'],
    want: 'vxlan 7 port 4790 192.168.0.1 > 192.168.0.2 mtu 1450 [d/a:in1]',
  },
  {
    name: 'an MTU that is asked for, of either end',
    pods: ['a@n1: in1>b', 'b@n1: in1>a mtu=1400'],
    want: 'veth mtu 1400 [d/a:in1 | d/b:in1]',
  },
  {
    name: 'more than a tunnel carries',
    pods: ['a@n1: in1>b mtu=9000', 'b@n1'],
    want: "veth mtu 1450 (the mtu is 1450 instead of 9000: a tunnel between the nodes carries no more; ask for 1450 or less, or raise the MTU of the nodes' interfaces) [d/a:in1 | d/b:in1]",
  },
  {
    name: 'IPv6 in a tunnel that is too narrow for it',
    pods: ['a@n1: in1>b ip=fd00::1/64', 'b@n4'],
    vnis: [VNI],
    want: "impossible: a tunnel between the nodes carries 1250 bytes, and fd00::1/64 needs 1280; raise the MTU of the nodes' interfaces [d/a:in1 fd00::1/64]",
  },
  {
    name: 'no family that both nodes have',
    pods: ['a@n3: in1>b', 'b@n4'],
    vnis: [VNI],
    self: 'n4',
    want: 'impossible: nodes n3 and n4 have no addresses of one family for tunnels; give both an IPv4 or both an IPv6 address [d/b:in1]',
  },
  {
    name: 'two nodes with one address',
    pods: ['a@n1: in1>b', 'b@n5'],
    vnis: [VNI],
    want: 'impossible: nodes n1 and n5 both have the address 192.168.0.1; give each its own [d/a:in1]',
  },
  {
    name: 'a node that tells of no address: on one node that is no matter',
    pods: ['a@n9: in1>b', 'b@n9'],
    self: 'n9',
    want: 'veth mtu 1450 [d/a:in1 | d/b:in1]',
  },
  {
    name: 'the other pod is not there',
    pods: ['a@n1: in1>b'],
    want: 'waiting for peer: pod d/b is not there [d/a:in1]',
  },
  {
    name: "the other pod's node is dead",
    pods: ['a@n1: in1>b', 'b@n2'],
    vnis: [VNI],
    alive: 'n1',
    want: 'waiting for node: node n2, where d/b is, shows no sign of life [d/a:in1]',
  },
  {
    name: 'this node itself is not seen to be alive: what it has of its own is built',
    pods: ['a@n1: in1>b', 'b@n1'],
    alive: '',
    want: 'veth mtu 1450 [d/a:in1 | d/b:in1]',
  },
  {
    name: 'no sandbox yet, here or there',
    pods: ['a@n1!: in1>b, in2>c', 'b@n2', 'c@n1', 'd@n1: in3>e', 'e@n2!'],
    vnis: [VNI],
    want:
      'waiting for sandbox: pod d/a has no sandbox yet [d/a:in1]\n' +
      'waiting for sandbox: pod d/a has no sandbox yet [d/a:in2 | d/c:in2]\n' +
      'waiting for sandbox: pod d/e has no sandbox yet [d/d:in3]',
  },
  {
    name: 'no VNI yet',
    pods: ['a@n1: in1>b', 'b@n2'],
    want: 'waiting for vni: no VNI has been taken for the tunnel yet [d/a:in1]',
  },
  {
    name: 'routes: by a gateway on the link, by another one, by none',
    pods: ['a: in1>b ip=10.0.0.1/24 route=10.1.0.0/16~10.0.0.2 route=10.2.0.0/16~10.9.9.9 route=fd00:1::/64', 'b'],
    want: 'veth mtu 1450 [d/a:in1 10.0.0.1/24 route 10.1.0.0/16 via 10.0.0.2 route 10.2.0.0/16 via 10.9.9.9 onlink route fd00:1::/64 | d/b:in1]',
  },
]

for (const {name, pods, vnis = [], self = 'n1', alive = 'n1 n2 n3 n4 n5', want} of CASES)
  test(name, t => {
    const options = {self: self as NodeName, alive: names(alive), port: 4790}
    t.is(formatPlans(planEnds(pairsOf(...pods), claims(...vnis), options)), want)
  })

test('a MAC that nobody asks for stays, whatever becomes of the pods', t => {
  const macOf = (...pods: string[]) => {
    const options = {self: 'n1' as NodeName, alive: names('n1 n2'), port: 4790}
    return [...planEnds(pairsOf(...pods), claims(VNI), options).values()][0]!.ends[0]!.mac
  }
  const mac = macOf('a@n1: in1>b', 'b@n1')
  t.regex(mac, /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/)
  t.is(macOf('x@n1', 'a@n1: in1>b', 'b@n2: in1>a'), mac)
  t.is(macOf('a@n1: in1>b mac=02:00:00:00:00:01', 'b@n1'), '02:00:00:00:00:01' as typeof mac)
})

test('what is ready has its sandbox', t => {
  const options = {self: 'n1' as NodeName, alive: names('n1'), port: 4790}
  const [plan] = [...planEnds(pairsOf('a: in1>b', 'b'), claims(), options).values()]
  t.deepEqual(
    plan!.ends.map(({sandbox, uid, peer}) => [sandbox, uid, peer]),
    [
      ['box-a', 'uid-0', 'd/b:in1'],
      ['box-b', 'uid-1', 'd/a:in1'],
    ],
  )
})
