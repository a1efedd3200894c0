/** Tables for people. Pure. */
import test from 'ava'
import {formatAttachments} from '../../src/cli/text/attachments.ts'
import {formatChecks} from '../../src/cli/text/check.ts'
import {formatPairs} from '../../src/cli/text/pairs.ts'
import {formatPlan} from '../../src/cli/text/plan.ts'
import {formatRoutes} from '../../src/cli/text/routes.ts'
import {formatStatus} from '../../src/cli/text/status.ts'
import {ageOf, plain, render} from '../../src/cli/text/text.ts'
import type {AdminAttachment, AdminStatus} from '../../src/model/admin.ts'

const NOW = Date.parse('2030-01-02T03:04:05Z')
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString()

const STATUS: AdminStatus = {
  ...{version: '1.2.3', node: 'a', pid: 7, startedAt: ago(3 * 3600 + 5 * 60), ready: false},
  conditions: [
    {name: 'kernel', ready: true},
    {name: 'nodes', ready: false, reason: 'the API server is not reached'},
  ],
  api: {trouble: 'nobody listens', savedAt: ago(90)},
  networks: [
    {
      ...{network: 'default', backend: 'auto', peers: 3, routes: {ipv4: 3, ipv6: 0}, ranges: ['10.1.1.0/24']},
      ...{mtu: {ipv4: 1450}, conflicts: 1, refused: 0, problems: ['node b: no'], passedAt: ago(4)},
    },
    {
      ...{network: 'blue', backend: 'vxlan', peers: 0, routes: {ipv4: 0, ipv6: 0}, ranges: [], mtu: {}},
      ...{conflicts: 0, refused: 0, problems: []},
    },
  ],
  cni: {requests: 1, spooled: 0, journal: {added: 12, adding: 1, deleting: 0}},
  pairs: {up: 4, building: 0, waiting: 1, failed: 0, contradiction: 0},
  store: {type: 'etcd', ready: false, reason: 'it has not answered'},
}

test('status', t => {
  t.is(
    render(formatStatus(STATUS, NOW), false),
    `netgraft 1.2.3 on node a: not ready, up for 3 h 5 min, pid 7
  nodes: the API server is not reached

PART        NOW
API server  not heard of yet; nodes are those written to disk 1 min ago; nobody listens
store       etcd: it has not answered
CNI         1 request under way, 0 DELs to be caught up with; journal: 12 attached, 1 adding, 0 deleting
pairs       4 up, 1 waiting

NETWORK  BACKEND  PEERS  IPV4  IPV6  MTU     CONFLICTS  REFUSED  PASS      OWN RANGES
default  auto     3      3     0     1450/-  1          0        4 s ago   10.1.1.0/24
blue     vxlan    0      0     0     -/-     0          0        none yet  -

PROBLEMS
default: node b: no
`,
  )
})

test('routes', t => {
  const base = {network: 'default', protocol: 107}
  const tunnel = {device: 'ng-vx0', vni: 1, port: 8472, local: '192.168.0.1', mtu: 1450, ends: 1}
  const routes = [
    {node: 'a', own: true, range: '10.1.1.0/24', state: 'stands', wanted: 'unreachable'},
    {node: 'b', own: false, range: '10.1.2.0/24', state: 'missing', wanted: 'via x', standing: 'via y', reason: 'why'},
    {node: 'c', own: false, state: 'none', reason: 'no range'},
  ] as const
  t.is(
    render(
      formatRoutes({
        networks: [
          {...base, tunnels: [tunnel], routes},
          {...base, network: 'blue', tunnels: [], routes: [], unknown: 'not yet'},
        ],
      }),
      false,
    ),
    `Network default (route protocol 107)
tunnel ng-vx0: VNI 1, UDP 8472, from 192.168.0.1, mtu 1450, 1 peer
NODE      RANGE        STATE    WAY
a (this)  10.1.1.0/24  stands   unreachable
b         10.1.2.0/24  missing  via x; now: via y; why
c         -            -        no range

Network blue (route protocol 107)
not known: not yet
`,
  )
})

test('attachments, pairs and plan', t => {
  const attachment: AdminAttachment = {
    ...{pod: 'n/p', container: 'c'.repeat(64), interface: 'net1', network: 'n/green', types: ['bridge', 'tuning']},
    addresses: ['10.9.0.2/24'],
    state: 'attached',
    since: ago(70),
  }
  const orphan = {
    container: 'd'.repeat(64),
    network: 'x',
    types: [],
    addresses: [],
    state: 'deleting',
    trouble: 'it hangs',
  } as const
  t.is(
    render(formatAttachments({attachments: [attachment, orphan]}, NOW), false),
    `POD                      INTERFACE  NETWORK  TYPE           ADDRESSES    STATE     SINCE  TROUBLE
n/p                      net1       n/green  bridge,tuning  10.9.0.2/24  attached  1 min
container ddddddddddddd  -          x        -              -            deleting  -      it hangs
`,
  )
  t.is(render(formatAttachments({attachments: []}, NOW), false), 'no attachments\n')
  t.is(
    render(formatAttachments({attachments: [], unknown: 'it is not open yet'}, NOW), false),
    'the journal is not known: it is not open yet\n',
  )
  const end = {
    pod: 'n/p',
    interface: 'in1',
    addresses: [],
    peer: 'n/q:in1',
    peerNode: 'b',
    kind: 'vxlan',
    vni: 7,
    mtu: 1450,
    state: 'up',
  } as const
  t.is(
    render(formatPairs({ends: [end], unknown: 'older'}), false),
    `not all is known: older
POD  INTERFACE  PEER     ON  KIND   VNI  MTU   ADDRESSES  STATE  REASON
n/p  in1        n/q:in1  b   vxlan  7    1450  -          up
`,
  )
  const networks = [
    {network: 'default', changes: [{change: 'route add x', why: 'because'}], conflicts: ['x'], heldBack: 'y'},
  ]
  t.is(
    render(formatPlan({networks, attachments: [], pairs: []}, NOW), false),
    `Network default
held back: y
CHANGE       WHY
route add x  because
left alone: x

Pods' networks
all are as they are asked for

Pairs
all are up
`,
  )
})

test('checks, with colour and without', t => {
  const checks = [
    {name: 'veth', state: 'ok', says: 'fine'},
    {name: 'agent', state: 'failed', says: 'absent; start it'},
  ] as const
  t.is(
    render(formatChecks(checks), false),
    `STATE   WHAT   FOUND
ok      veth   fine
failed  agent  absent; start it

2 checks: 1 failed, 0 warnings
`,
  )
  t.true(render(formatChecks(checks), true).includes('\u001b[31mfailed'))
})

test('what others have written does not steer the terminal', t => {
  t.is(render([plain('a\u001b[2Jb\nc\u009bd')], true), 'a [2Jb c d\n')
})

test('ages', t => {
  const ages = [0, 59, 60, 3599, 3600, 86_399, 90_000].map(seconds => ageOf(ago(seconds), NOW))
  t.deepEqual(ages, ['0 s', '59 s', '1 min', '59 min', '1 h 0 min', '23 h 59 min', '1 d 1 h'])
  t.deepEqual([ageOf(undefined, NOW), ageOf('soon', NOW), ageOf(ago(-5), NOW)], ['', '', '0 s'])
})
