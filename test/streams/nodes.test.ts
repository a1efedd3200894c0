import {setImmediate as tick} from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import {filter, firstValueFrom} from 'rxjs'
import {formatVtep} from '../../src/model/vtep.ts'
import {equalNodeFacts, nodeStream, projectNode} from '../../src/streams/nodes.ts'
import {FakeServer} from './fake-server.ts'

const NODE = {
  metadata: {name: 'b', creationTimestamp: '2026-01-02T03:04:05Z', resourceVersion: '7'},
  spec: {podCIDR: '10.1.2.0/24', podCIDRs: ['10.1.2.0/24', 'fd00:1:2::/64']},
  status: {
    nodeInfo: {machineID: 'abc', kernelVersion: '6.1'},
    conditions: [{type: 'Ready', lastHeartbeatTime: '2026-01-02T03:04:05Z'}],
    addresses: [
      {type: 'Hostname', address: 'b'},
      {type: 'ExternalIP', address: '203.0.113.1'},
      {type: 'InternalIP', address: '192.168.0.12'},
      {type: 'InternalIP', address: 'FD00::12'},
    ],
  },
}

/** One line a fact. */
const format = (object: unknown): string => {
  const {name, machineId, createdAt, podCIDRs, addresses, problems} = projectNode(object)
  const time = createdAt && new Date(createdAt).toISOString()
  return [`${name} ${machineId} ${time}`, podCIDRs.join(' '), addresses.join(' '), ...problems].join('\n')
}

test('keeps the facts of a node', t => {
  t.is(format(NODE), 'b abc 2026-01-02T03:04:05.000Z\n10.1.2.0/24 fd00:1:2::/64\n192.168.0.12 fd00::12')
})

test('podCIDR alone will do, and a node may have none yet', t => {
  t.is(format({metadata: {name: 'b'}, spec: {podCIDR: '10.1.2.0/24'}}), 'b  0\n10.1.2.0/24\n')
  t.is(format({metadata: {name: 'b'}, spec: {podCIDRs: null, podCIDR: ''}}), 'b  0\n\n')
})

test('what cannot be what it says is a problem, and the rest is used', t => {
  const node = {
    metadata: {name: 'b', creationTimestamp: 'yesterday'},
    spec: {podCIDRs: ['10.1.2.0/33', '10.1.3.0/24', 5]},
    status: {
      nodeInfo: {machineID: {}},
      addresses: [{type: 'InternalIP'}, {type: 'InternalIP', address: 'fe80::1%eth0'}],
    },
  }
  t.is(
    format(node),
    [
      'b  0',
      '10.1.3.0/24',
      '',
      'node b: status.nodeInfo.machineID: {} is not a text',
      'node b: metadata.creationTimestamp: "yesterday" is not a time',
      'node b: spec.podCIDRs[0]: "10.1.2.0/33": the prefix length of IPv4 is at most 32',
      'node b: spec.podCIDRs[2]: 5 is not a text',
      'node b: status.addresses[0]: "" is not an IP address',
      'node b: status.addresses[1]: "fe80::1%eth0" is not an IP address',
    ].join('\n'),
  )
  t.is(format({metadata: {name: 'b'}, spec: {podCIDRs: 'x'}}), 'b  0\n\n\nnode b: spec.podCIDRs: is not a list')
})

test('what a problem quotes is on one line, and not too long', t => {
  const node = {metadata: {name: 'b'}, spec: {podCIDRs: ['10.1.2.0"\n', `10.1.2.0/${'9'.repeat(5000)}`]}}
  t.is(
    format(node),
    [
      'b  0',
      '',
      '',
      String.raw`node b: spec.podCIDRs[0]: "10.1.2.0\"\n" is not an address with a prefix length (as in 10.1.2.0/24)`,
      `node b: spec.podCIDRs[1]: "10.1.2.0/${'9'.repeat(91)}…" is not an address with a prefix length (as in 10.1.2.0/24)`,
    ].join('\n'),
  )
})

test('a heartbeat changes nothing, every fact something', t => {
  const facts = projectNode(NODE)
  const {metadata, spec, status} = NODE
  t.true(
    equalNodeFacts(
      facts,
      projectNode({metadata: {...metadata, resourceVersion: '8'}, spec, status: {...status, conditions: []}}),
    ),
  )
  const others = [
    {...NODE, metadata: {...metadata, name: 'c'}},
    {...NODE, metadata: {...metadata, creationTimestamp: '2027-01-02T03:04:05Z'}},
    {...NODE, spec: {podCIDRs: ['10.1.3.0/24', 'fd00:1:2::/64']}},
    {...NODE, spec: {podCIDRs: ['fd00:1:2::/64', '10.1.2.0/24']}},
    {...NODE, spec: {podCIDRs: []}},
    {...NODE, status: {...status, addresses: []}},
    {...NODE, status: {...status, nodeInfo: {machineID: 'x'}}},
    {...NODE, spec: {podCIDRs: [...spec.podCIDRs, 'x']}},
  ]
  for (const other of others) t.false(equalNodeFacts(facts, projectNode(other)))
})

const END = '{"ip":"192.168.0.12","mac":"02:00:00:00:04:12"}'
const VTEP = `{"vni":1,"port":8472,"ends":[${END}]}`

const annotated = (annotations: unknown) => ({...NODE, metadata: {...NODE.metadata, annotations}})

/** What is kept of a node's annotations: a network and its tunnel, or a problem, a line. */
const formatVteps = (annotations: unknown): string => {
  const {vteps, problems} = projectNode(annotated(annotations))
  return [...vteps.map(vtep => `${vtep.network} ${formatVtep(vtep)}`), ...problems].join('\n')
}

for (const [name, annotations, want] of [
  ['none', undefined, ''],
  ['other ones', {'netgraft.dev/vtep': VTEP, 'x/netgraft.dev/vtep-a': VTEP, 'flannel.alpha.coreos.com/vtep-a': 5}, ''],
  ['one', {'netgraft.dev/vtep-default': VTEP}, `default ${VTEP}`],
  [
    'two networks',
    {'netgraft.dev/vtep-default': VTEP, 'netgraft.dev/vtep-blue-1': '{"vni":2,"port":9,"ends":[]}'},
    `default ${VTEP}\nblue-1 {"vni":2,"port":9,"ends":[]}`,
  ],
  [
    'one that is broken beside one that is not',
    {'netgraft.dev/vtep-a': '{', 'netgraft.dev/vtep-b': VTEP, 'netgraft.dev/vtep-c': 5, 'netgraft.dev/vtep-d': null},
    `b ${VTEP}\n` +
      'node b: annotation netgraft.dev/vtep-a: is not JSON\n' +
      'node b: annotation netgraft.dev/vtep-c: 5 is not a text\n' +
      'node b: annotation netgraft.dev/vtep-d: is not JSON',
  ],
  [
    'an end that cannot be one',
    {'netgraft.dev/vtep-default': VTEP.replace('192.168.0.12', '127.0.0.1')},
    "node b: annotation netgraft.dev/vtep-default: 127.0.0.1 cannot be the address of a tunnel's end",
  ],
  [
    'an end that is IPv4 by another name',
    {'netgraft.dev/vtep-default': VTEP.replace('192.168.0.12', '::ffff:192.168.0.12')},
    "node b: annotation netgraft.dev/vtep-default: ::ffff:192.168.0.12 cannot be the address of a tunnel's end",
  ],
  ['something else altogether', ['netgraft.dev/vtep-default', VTEP], ''],
  ['a text', `netgraft.dev/vtep-default=${VTEP}`, ''],
] as const)
  test(`annotations of tunnels: ${name}`, t => {
    t.is(formatVteps(annotations), want)
  })

test('of a tunnel, every fact makes a difference, and the way it is written none', t => {
  const facts = (annotations: object) => projectNode(annotated(annotations))
  const same = (text: string, network = 'default') =>
    equalNodeFacts(
      facts({'netgraft.dev/vtep-default': VTEP, other: '1'}),
      facts({[`netgraft.dev/vtep-${network}`]: text, other: '2'}),
    )
  t.true(same(VTEP))
  t.true(same(` { "port": 8472, "vni": 1, "ends": [${END.toUpperCase().replace('IP', 'ip').replace('MAC', 'mac')}] }`))
  t.false(same(VTEP, 'blue'))
  t.false(same(VTEP.replace('8472', '8473')))
  t.false(same(VTEP.replace('"vni":1', '"vni":2')))
  t.false(same(VTEP.replace('192.168.0.12', '192.168.0.13')))
  t.false(same(VTEP.replace('04:12', '04:13')))
  t.false(same('{"vni":1,"port":8472,"ends":[]}'))
  t.false(same('{'))
  t.false(equalNodeFacts(facts({'netgraft.dev/vtep-default': VTEP}), facts({})))
})

test('property: total on whatever JSON a node may be', t => {
  const deep = fc.record(
    {
      metadata: fc.option(
        fc.record(
          {
            name: fc.jsonValue(),
            creationTimestamp: fc.jsonValue(),
            annotations: fc.oneof(
              fc.jsonValue(),
              fc.dictionary(
                fc.constantFrom('netgraft.dev/vtep-a', 'netgraft.dev/vtep-b', 'netgraft.dev/vtep-', '__proto__'),
                fc.oneof(fc.constant(VTEP), fc.json(), fc.jsonValue()),
              ),
            ),
          },
          {requiredKeys: []},
        ),
      ),
      spec: fc.option(fc.record({podCIDR: fc.jsonValue(), podCIDRs: fc.jsonValue()}, {requiredKeys: []})),
      status: fc.option(
        fc.record(
          {
            nodeInfo: fc.jsonValue(),
            addresses: fc.oneof(
              fc.jsonValue(),
              fc.array(fc.record({type: fc.constant('InternalIP'), address: fc.jsonValue()})),
            ),
          },
          {requiredKeys: []},
        ),
      ),
    },
    {requiredKeys: []},
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), deep), object => {
      const facts = projectNode(object)
      return equalNodeFacts(facts, projectNode(structuredClone(object)))
    }),
    {numRuns: 1000},
  )
  t.pass()
})

test('all subscribers share one watch, the late ones too, and it ends with the last', async t => {
  const server = new FakeServer()
  server.put('a', 1)
  const nodes$ = nodeStream(server)
  const first = nodes$.subscribe()
  await firstValueFrom(nodes$.pipe(filter(view => view.synced)))
  const view = await firstValueFrom(nodes$)
  t.deepEqual(view.synced && [...view.items.keys()], ['a'])
  t.is(server.watches.length, 1)
  t.is(server.openWatches, 1)
  first.unsubscribe()
  await tick()
  t.is(server.openWatches, 0)
})
