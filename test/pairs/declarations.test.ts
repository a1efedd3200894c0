/** What a pod's annotation and labels say of its pairs, and the sentence where they cannot. */
import test from 'ava'
import type {Declaration} from '../../src/model/pair.ts'
import {parsePairs, withStanding} from '../../src/pairs/declarations.ts'
import {PAIRS} from './support.ts'

const POD = {namespace: 'd', name: 'a'}
const parse = (annotation: unknown, labels: Record<string, string> = {}) =>
  parsePairs({[PAIRS]: typeof annotation === 'string' ? annotation : JSON.stringify(annotation)}, labels, POD)

test('taken as', t => {
  const rows: readonly [element: object, want: Partial<Declaration>][] = [
    [{}, {}],
    [{peer: 'e/b'}, {peer: 'e/b'}],
    [{peer: 'b.c-1'}, {peer: 'd/b.c-1'}],
    [{PEER: 'c'}, {}],
    [
      {name: 'x', peerInterface: 'in2', mtu: 1400},
      {name: 'x', peerInterface: 'in2', mtu: 1400},
    ],
    [{name: '', peerInterface: null, ips: [], routes: [], mtu: null, mac: ''}, {}],
    [{ips: ['10.0.0.1/24', 'FD00::0:1/64', 'fe80::1/64']}, {ips: ['10.0.0.1/24', 'fd00::1/64', 'fe80::1/64']}],
    [{mac: '02-AB-00-00-00-01'}, {mac: '02:ab:00:00:00:01'}],
    [{mtu: 68}, {mtu: 68}],
    [{mtu: 65535}, {mtu: 65535}],
    [
      {mtu: 1280, ips: ['fd00::1/64']},
      {mtu: 1280, ips: ['fd00::1/64']},
    ],
    [
      {routes: [{dst: '10.1.2.3/16'}, {Dst: 'FD00:1::/64', GW: 'fd00::0:2'}, {dst: '10.2.0.0/16', gw: '10.0.0.2'}]},
      {routes: [{dst: '10.1.0.0/16'}, {dst: 'fd00:1::/64', gw: 'fd00::2'}, {dst: '10.2.0.0/16', gw: '10.0.0.2'}]},
    ],
    [{unknown: {}, __proto__: 7}, {}],
  ]
  for (const [element, want] of rows) {
    const {declarations, problems} = parse([{peer: 'b', interface: 'in1', ...element}])
    t.deepEqual(problems, [], JSON.stringify(element))
    const whole = {by: 'annotation', at: `${PAIRS}[0]`, peer: 'd/b', interface: 'in1', ...want} as Declaration
    t.deepEqual(declarations, [whole], JSON.stringify(element))
  }
  for (const nothing of ['', '  ', '[]']) t.deepEqual(parse(nothing).problems, [])
})

test('refused', t => {
  const rows: readonly [element: unknown, at: string, why: RegExp][] = [
    [7, '', /is 7; write an object/],
    [{}, '.peer', /is missing; write the name of a pod/],
    [{peer: 'b'}, '.interface', /is missing; write the name that the interface is to have/],
    [{peer: 'a', interface: 'in1'}, '.peer', /is "a", the pod itself; name another pod/],
    [{peer: 'd/a', interface: 'in1'}, '.peer', /is "d\/a", the pod itself/],
    [{peer: 'x/y/z', interface: 'in1'}, '.peer', /is "x\/y\/z"; write \[<namespace>\/\]<pod>/],
    [{peer: '/b', interface: 'in1'}, '.peer', /write \[<namespace>/],
    [{peer: 'B', interface: 'in1'}, '.peer', /a pod's name has/],
    [{peer: 'b..c', interface: 'in1'}, '.peer', /a pod's name has/],
    [{peer: 'E/b', interface: 'in1'}, '.peer', /a name has/],
    [{peer: 3, interface: 'in1'}, '.peer', /write a text in quotes/],
    [{peer: 'b', interface: 'eth0'}, '.interface', /the pod's first interface/],
    [{peer: 'b', interface: 'lo'}, '.interface', /cannot be a pod interface's name/],
    [{peer: 'b', interface: 'a/b'}, '.interface', /has a slash/],
    [{peer: 'b', interface: 'in1', peerInterface: 'eth0'}, '.peerInterface', /first interface/],
    [{peer: 'b', interface: 'in1', name: 'X'}, '.name', /a name has at most 63/],
    [{peer: 'b', interface: 'in1', ips: ['10.0.0.1']}, '.ips[0]', /with a prefix length/],
    [{peer: 'b', interface: 'in1', ips: ['10.0.0.1/24', '10.0.0.1/8']}, '.ips[1]', /which \[0\] is already/],
    [{peer: 'b', interface: 'in1', ips: ['127.0.0.1/8']}, '.ips[0]', /which no interface can have/],
    [{peer: 'b', interface: 'in1', ips: ['ff02::1/64']}, '.ips[0]', /which no interface can have/],
    [{peer: 'b', interface: 'in1', ips: '10.0.0.1/24'}, '.ips', /write a list/],
    [{peer: 'b', interface: 'in1', mac: '01:00:00:00:00:01'}, '.mac', /group address/],
    [{peer: 'b', interface: 'in1', mtu: 67}, '.mtu', /from 68 to 65535/],
    [{peer: 'b', interface: 'in1', mtu: 65536}, '.mtu', /from 68 to 65535/],
    [{peer: 'b', interface: 'in1', mtu: '1400'}, '.mtu', /without quotes/],
    [{peer: 'b', interface: 'in1', mtu: 1279, ips: ['fd00::1/64']}, '.mtu', /is 1279, and IPv6 needs 1280/],
    [{peer: 'b', interface: 'in1', mtu: 1279, routes: [{dst: 'fd00::/64'}]}, '.mtu', /IPv6 needs 1280/],
    [{peer: 'b', interface: 'in1', routes: [{}]}, '.routes[0].dst', /is missing; write a prefix/],
    [{peer: 'b', interface: 'in1', routes: [{dst: '10.0.0.1'}]}, '.routes[0].dst', /write a prefix/],
    [{peer: 'b', interface: 'in1', routes: [{dst: '::/0'}]}, '.routes[0].dst', /never has the pod's default route/],
    [
      {peer: 'b', interface: 'in1', routes: [{dst: '10.0.0.0/8', gw: 'fd00::1'}]},
      '.routes[0].gw',
      /write the IPv4 address/,
    ],
    [
      {peer: 'b', interface: 'in1', routes: [{dst: '10.0.0.0/8'}, {dst: '10.1.0.0/8'}]},
      '.routes[1].dst',
      /which \[0\] is/,
    ],
  ]
  for (const [element, at, why] of rows) {
    const {declarations, problems} = parse([element, {peer: 'z', interface: 'in9'}])
    t.is(problems.length, 1, JSON.stringify(element))
    const [{at: where, message, kind}] = problems as [(typeof problems)[0]]
    t.is(where, `${PAIRS}[0]${at}`)
    t.regex(message, why)
    t.true(message.startsWith(`annotation ${where} `))
    t.is(kind, 'malformed')
    t.deepEqual(
      declarations.map(each => each.peer),
      ['d/z'],
    )
  }
})

test('what two elements must not both have', t => {
  const rows: readonly [elements: object[], at: string, message: string][] = [
    [
      [
        {peer: 'b', interface: 'in1'},
        {peer: 'c', interface: 'in1'},
      ],
      '[1].interface',
      'is "in1", and so is that of netgraft.dev/pairs[0]; write another one',
    ],
    [
      [
        {peer: 'b', interface: 'in1', mac: 'x'},
        {peer: 'c', interface: 'in1'},
      ],
      '[1].interface',
      'is "in1", and so is that of netgraft.dev/pairs[0]; write another one',
    ],
    [
      [
        {peer: 'b', interface: 'in1', name: 'x'},
        {peer: 'c', interface: 'in2', name: 'x'},
      ],
      '[1].name',
      'is "x", and so is that of netgraft.dev/pairs[0]; write another one',
    ],
    [
      [
        {peer: 'b', interface: 'in1', peerInterface: 'x'},
        {peer: 'b', interface: 'in2', peerInterface: 'x'},
      ],
      '[1].peerInterface',
      'is "x of d/b", and so is that of netgraft.dev/pairs[0]; write another one',
    ],
  ]
  for (const [elements, at, message] of rows) {
    const {problems} = parse(elements)
    t.is(problems.at(-1)!.at, `${PAIRS}${at}`)
    t.is(problems.at(-1)!.message, `annotation ${PAIRS}${at} ${message}`)
  }
  const {declarations, problems} = parse([{peer: 'b', interface: 'in1'}], PRIMARY)
  t.is(declarations.length, 1)
  t.deepEqual(
    problems.map(({message}) => message),
    ['label ratchet.local_ifname is "in1", and so is that of netgraft.dev/pairs[0]; write another one'],
  )
})

test('an annotation that cannot be read is one problem', t => {
  const rows: readonly [text: string, why: RegExp][] = [
    ['[', /^annotation netgraft.dev\/pairs is not JSON: .*; write a list, as in \[{"peer": "b"/],
    ['{"peer":"b"}', /^annotation netgraft.dev\/pairs is an object; write a list/],
    [`[${'{},'.repeat(1024)}{}]`, /names 1025 pairs; at most 1024 are built for a pod/],
    ['['.repeat(100_000), /nests objects and lists more than 64 deep/],
    [`["${'ä'.repeat(128 * 1024)}"]`, /is longer than 262144 bytes; shorten it to the pairs/],
  ]
  for (const [text, why] of rows) {
    const {problems, declarations} = parse(text)
    t.deepEqual(declarations, [])
    t.is(problems.length, 1)
    t.regex(problems[0]!.message, why)
    t.is(problems[0]!.at, PAIRS)
  }
})

const PRIMARY = {
  ratchet: 'true',
  'ratchet.pod_name': 'a',
  'ratchet.local_ip': '192.168.2.100',
  'ratchet.local_ifname': 'in1',
  'ratchet.pair_name': 'b',
  'ratchet.pair_ip': '192.168.2.101',
  'ratchet.pair_ifname': 'in2',
  'ratchet.primary': 'true',
}

test("ratchet's labels", t => {
  t.deepEqual(parse('', PRIMARY), {
    declarations: [
      {
        by: 'labels',
        at: 'ratchet.pair_name',
        peer: 'd/b',
        interface: 'in1',
        peerInterface: 'in2',
        ips: ['192.168.2.100/24'],
        peerIps: ['192.168.2.101/24'],
      },
    ],
    problems: [],
    required: false,
    eligible: true,
    ratchetName: 'a',
  })
  const rows: readonly [labels: object, eligible: boolean, declares: boolean, name?: string][] = [
    [{ratchet: 'false'}, false, false],
    [{ratchet: 'False'}, false, false],
    [{ratchet: undefined}, false, false],
    [{ratchet: ''}, true, true, 'a'],
    [{ratchet: 'yes'}, true, true, 'a'],
    [{'ratchet.primary': 'false'}, true, false, 'a'],
    [{'ratchet.primary': 'True'}, true, false, 'a'],
    [{'ratchet.primary': undefined, 'ratchet.local_ip': 'x'}, true, false, 'a'],
    [{'ratchet.pod_name': 'Some_Pod.1'}, true, true, 'Some_Pod.1'],
    [{'ratchet.pod_name': ''}, true, true, 'a'],
    [{'ratchet.pair_name': 'Other_Pod'}, true, true, 'a'],
  ]
  for (const [labels, eligible, declares, name] of rows) {
    const given = Object.entries({...PRIMARY, ...labels}).filter(([, value]) => value !== undefined)
    const parsed = parse('', Object.fromEntries(given) as Record<string, string>)
    t.deepEqual(parsed.problems, [], JSON.stringify(labels))
    t.is(parsed.eligible, eligible, JSON.stringify(labels))
    t.is(parsed.declarations.length === 1, declares, JSON.stringify(labels))
    t.is(parsed.ratchetName, name)
  }
})

test('labels that cannot be', t => {
  const rows: readonly [label: string, value: string, why: RegExp][] = [
    ['ratchet.pair_name', '', /is missing; write the ratchet.pod_name of the other pod/],
    ['ratchet.pair_name', 'a', /is "a", the pod itself/],
    ['ratchet.pair_name', 'x/../y', /is "x\/..\/y"; write the ratchet.pod_name/],
    ['ratchet.local_ip', '', /is missing; write an IPv4 address/],
    ['ratchet.local_ip', '192.168.2.256', /write an IPv4 address without a prefix length/],
    ['ratchet.local_ip', 'fd00::1', /write an IPv4 address/],
    ['ratchet.local_ip', '127.0.0.1', /write an IPv4 address/],
    ['ratchet.pair_ip', '192.168.2.100', /is "192.168.2.100", and so is ratchet.local_ip; change one/],
    ['ratchet.local_ifname', '', /is missing/],
    ['ratchet.local_ifname', 'eth0', /first interface/],
    ['ratchet.pair_ifname', 'x'.repeat(16), /is longer than 15 bytes/],
  ]
  for (const [label, value, why] of rows) {
    const {declarations, problems} = parse('', {...PRIMARY, [label]: value})
    t.deepEqual(declarations, [])
    t.is(problems.length, 1)
    t.is(problems[0]!.at, label)
    t.true(problems[0]!.message.startsWith(`label ${label} `), problems[0]!.message)
    t.regex(problems[0]!.message, why)
  }
})

test('whether the pod waits', t => {
  const rows: readonly [text: string, required: boolean, problems: number][] = [
    ['true', true, 0],
    ['false', false, 0],
    ['', false, 0],
    ['yes', true, 1],
  ]
  for (const [text, required, count] of rows) {
    const parsed = parsePairs({'netgraft.dev/pairs-required': text}, {}, POD)
    t.is(parsed.required, required)
    t.is(parsed.problems.length, count)
  }
})

test('a slip of the pen takes down nothing that stands', t => {
  const before = parse([
    {peer: 'b', interface: 'in1', name: 'x'},
    {peer: 'c', interface: 'in2'},
  ]).declarations
  const rows: readonly [now: unknown, want: string[]][] = [
    [[], []],
    ['[', ['in1', 'in2']],
    [[{peer: 'b', interface: 'in1', mac: 'x'}], ['in1']],
    [
      [
        {peer: 'b', interface: 'in1', mac: 'x'},
        {peer: 'c', interface: 'in2'},
      ],
      ['in2', 'in1'],
    ],
    [
      [
        {peer: 'b', interface: 'in9', name: 'x'},
        {peer: 'b', mtu: 'x', interface: 'in1'},
      ],
      ['in9'],
    ],
    [
      [
        {peer: 'b', mtu: 1400},
        {peer: 'c', interface: 'in2'},
      ],
      ['in2', 'in1'],
    ],
  ]
  for (const [now, want] of rows) {
    const kept = withStanding(parse(now), before)
    t.deepEqual(
      kept.map(each => each.interface),
      want,
      JSON.stringify(now),
    )
    const again = withStanding(parse(now), kept)
    t.deepEqual(again, kept)
  }
})

test('what is declared anew comes before what stood', t => {
  const before = parse([{peer: 'b', interface: 'in1', peerInterface: 'x'}]).declarations
  const now = parse([
    {peer: 'b', interface: 'in2', peerInterface: 'x'},
    {peer: 'b', interface: 'in1', mac: 'y'},
  ])
  t.deepEqual(
    withStanding(now, before).map(each => each.interface),
    ['in2'],
  )
})
