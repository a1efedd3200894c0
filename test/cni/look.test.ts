/** What the mirror shows of attachments: it changes with whatever somebody may be at, and only with that. */
import test from 'ava'
import type {Entry} from '../../src/cni/journal.ts'
import {looks} from '../../src/cni/look.ts'
import {parseCidr, parseIp} from '../../src/model/ip.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {Address, IfIndex, Link, Route} from '../../src/model/net.ts'
import {OWN_GROUP} from '../../src/model/plans.ts'
import {planOf, RESULT} from './journal-support.ts'

const END = 5 as IfIndex
const BRIDGE = 3 as IfIndex
const BASE = {up: true, carrier: true, loopback: false, mtu: 1500, group: 0}

const end = (more: Partial<Link> = {}): Link => ({
  ...BASE,
  index: END,
  name: 'veth1',
  kind: 'veth',
  group: OWN_GROUP,
  alias: 'netgraft:cni:c1:eth0',
  ...more,
})
const bridge = (more: Partial<Link> = {}): Link => ({...BASE, index: BRIDGE, name: 'ng-br0', kind: 'bridge', ...more})
const address = (text: string, index: IfIndex, scope = 'global'): Address =>
  ({index, ip: parseIp(text.split('/')[0]!), length: Number(text.split('/')[1]), scope, flags: 0}) as Address

function state(links: Link[], addresses: Address[], destinations: string[] = []): KernelState {
  return {
    links: new Map(links.map(link => [link.index, link])),
    addresses: Map.groupBy(addresses, ({index}) => index),
    routes: new Map(
      destinations.map(text => [text, [{destination: parseCidr(text), nextHops: [{dev: END}]} as unknown as Route]]),
    ),
    neighbours: new Map(),
    fdb: new Map(),
  }
}

const entryOf = (conf: {type: string; [key: string]: unknown}): Entry => ({
  plan: planOf({list: {cniVersion: '1.0.0', name: 'pods', plugins: [conf]}}),
  state: 'added',
  result: RESULT,
})
const look = (conf: Parameters<typeof entryOf>[0], kernel: KernelState) => looks([entryOf(conf)], kernel).get('c1@eth0')

const PTP = {type: 'ptp'}
const GATEWAY = address('10.1.2.1/32', END)
const ROUTE = '10.1.2.3/32'

test('ptp: the end, its gateway address, the way to the pod', t => {
  const right = look(PTP, state([end()], [GATEWAY], [ROUTE]))!
  t.true(right.inOrder)
  for (const [name, other] of Object.entries({
    'no end': state([], [], []),
    'another alias': state([end({alias: 'x'})], [GATEWAY], [ROUTE]),
    down: state([end({up: false})], [GATEWAY], [ROUTE]),
    'another group': state([end({group: 0})], [GATEWAY], [ROUTE]),
    'no address': state([end()], [], [ROUTE]),
    'another address': state([end()], [address('10.1.2.9/32', END)], [ROUTE]),
    'no route': state([end()], [GATEWAY], []),
  })) {
    const wrong = look(PTP, other)!
    t.false(wrong.inOrder, name)
    t.not(wrong.text, right.text, name)
  }
  const idle = look(
    PTP,
    state([end({carrier: false, mtu: 1400}), bridge()], [GATEWAY, address('fe80::1/64', END, 'link')], [ROUTE]),
  )
  t.deepEqual(idle, right, 'what is nobody’s doing')
})

test('bridge: the port, the bridge, its gateway address', t => {
  const conf = {type: 'bridge', bridge: 'ng-br0', isGateway: true, hairpinMode: true}
  const port = (more: Partial<Link> = {}) => end({master: BRIDGE, hairpin: true, ...more})
  const gateway = address('10.1.2.1/24', BRIDGE)
  const right = look(conf, state([port(), bridge()], [gateway]))!
  t.true(right.inOrder)
  for (const [name, other] of Object.entries({
    'no bridge': state([port()], []),
    'another bridge': state([port(), bridge({index: 9 as IfIndex})], [address('10.1.2.1/24', 9 as IfIndex)]),
    'no port': state([end({hairpin: true}), bridge()], [gateway]),
    'no hairpin': state([end({master: BRIDGE}), bridge()], [gateway]),
    'bridge down': state([port(), bridge({up: false})], [gateway]),
    'no gateway': state([port(), bridge()], []),
  })) {
    const wrong = look(conf, other)!
    t.false(wrong.inOrder, name)
    t.not(wrong.text, right.text, name)
  }
  t.true(look({type: 'bridge', bridge: 'ng-br0'}, state([end({master: BRIDGE}), bridge()], []))!.inOrder)
})

test('macvlan: its parent; of programs nothing is known', t => {
  const conf = {type: 'macvlan', master: 'veth1'}
  t.true(look(conf, state([end()], []))!.inOrder)
  t.not(look(conf, state([end({up: false})], []))!.text, look(conf, state([end()], []))!.text)
  t.false(look(conf, state([], []))!.inOrder)
  t.is(look({type: 'calico'}, state([end()], [])), undefined)
})

test('only what stands has a look', t => {
  const entry = entryOf(PTP)
  for (const turn of ['adding', 'deleting'] as const) t.is(looks([{...entry, state: turn}], state([end()], [])).size, 0)
  t.is(
    looks([{...entry, plan: planOf({list: {cniVersion: '1.0.0', name: 'x', plugins: []}})}], state([end()], [])).size,
    0,
  )
})

test('a program: only its parent, where it names one', t => {
  const parent: Link = {...BASE, index: 7 as IfIndex, name: 'm0'}
  for (const type of ['macvlan', 'ipvlan']) {
    t.true(look({type, master: 'm0'}, state([parent], []))!.inOrder)
    t.false(look({type, master: 'm0'}, state([], []))!.inOrder)
    t.not(
      look({type, master: 'm0'}, state([parent], []))!.text,
      look({type, master: 'm0'}, state([{...parent, index: 8 as IfIndex}], []))!.text,
    )
  }
  // The kernel's own choice is not looked for.
  t.true(look({type: 'macvlan'}, state([], []))!.inOrder)
  t.is(look({type: 'other'}, state([parent], [])), undefined)
})
