/** What the lab reads and shows, without making anything. */
import test from 'ava'
import type {Step} from '../../src/lab/example.ts'
import {nodeObject} from '../../src/lab/objects.ts'
import {parseArguments} from '../../src/lab/options.ts'
import {projectPair} from '../../src/lab/pair-seen.ts'
import {picture, type Shown} from '../../src/lab/picture.ts'
import {pairsOf, pingKey} from '../../src/lab/pings.ts'
import {planLab} from '../../src/lab/plan.ts'
import {podsOf} from '../../src/lab/pods.ts'
import type {Way} from '../../src/lab/ways.ts'
import {parseIp} from '../../src/model/ip.ts'
import {cutTo, paint} from '../../src/model/text.ts'
import {projectNode} from '../../src/streams/nodes.ts'

const said = (...args: string[]): string => {
  try {
    const {nodes, podsPerNode, family, topology, backend, attachments, pairs, once} = parseArguments(args)
    return `${nodes} x ${podsPerNode}, ${family}, ${topology}, ${backend}${attachments ? '' : ', no attachments'}${pairs ? '' : ', no pairs'}${once ? ', once' : ''}`
  } catch (error) {
    return (error as Error).message
  }
}

for (const [args, want] of [
  ['', '3 x 2, dual, l2, auto'],
  ['--nodes 50 --pods 0 --family 6 --once', '50 x 0, 6, l2, auto, once'],
  ['--nodes=1 --pods=20 --family=4', '1 x 20, 4, l2, auto'],
  ['--l3 --nodes 1 --backend vxlan', '1 x 2, dual, l3, vxlan'],
  ['--mixed --backend=direct', '3 x 2, dual, mixed, direct'],
  ['--no-attachments --once', '3 x 2, dual, l2, auto, no attachments, once'],
  ['--no-pairs', '3 x 2, dual, l2, auto, no pairs'],
  ['--nodes 51', '--nodes takes a whole number from 1 to 50, not "51"'],
  ['--nodes 0', '--nodes takes a whole number from 1 to 50, not "0"'],
  ['--nodes 1e1', '--nodes takes a whole number from 1 to 50, not "1e1"'],
  ['--pods 21', '--pods takes a whole number from 0 to 20, not "21"'],
  ['--pods=-1', '--pods takes a whole number from 0 to 20, not "-1"'],
  ['--family v4', '--family is 4, 6 or dual, not "v4"'],
  ['--l3 --mixed', '--l3 and --mixed cannot be had together'],
  ['--mixed --nodes 2', '--nodes with --mixed takes a whole number from 3 to 50, not "2"'],
  ['--backend ipip', '--backend is auto, direct or vxlan, not "ipip"'],
  ['--fast', "Unknown option '--fast'"],
  ['now', "Unexpected argument 'now'"],
] as const)
  test(`arguments: ${args || 'none'}`, t => t.is(said(...args.split(' ').filter(Boolean)), want))

/** A lab of two nodes with a pod each, half way. */
function halfWay(family: 'dual' | '4'): Shown {
  const plan = planLab('abcde', {nodes: 2, podsPerNode: 1, family})
  const pods = podsOf(plan).map((pod, i) => ({
    ...pod,
    addresses: plan.families.map(each => parseIp(each === 4 ? `10.244.${i + 1}.2` : `fd00:244:${i + 1}::2`)),
    ...(i === 0 && {addMs: 3.14}),
  }))
  const pairs = pairsOf(pods, plan.families)
  const objects = plan.nodes.slice(0, 1).map(node => projectNode(nodeObject(node)))
  const states = [{is: 'ready'}, {is: 'died', how: 'SIGKILL'}] as const
  return {
    id: 'abcde',
    elapsed: 61_900,
    plan,
    pods,
    pairs,
    pings: new Map(pairs.slice(0, 2).map((pair, i) => [pingKey(pair), {...pair, ms: i === 0 ? 0.123 : undefined}])),
    events: [{at: 1234, node: 'n1', text: 'agent ready', mood: 'good'}],
    examples: [],
    pairObjects: new Map(),
    nodeObjects: new Map(objects.map(object => [object.name, object])),
    kubeconfig: '/x/kubeconfig',
    controlPlane: {name: 'embedded', url: 'http://127.0.0.1:1'},
    nodes: plan.nodes.map((node, i) => ({
      name: node.name,
      plan: node,
      agent: {state: states[i]!} as never,
      routes: new Map([['one', i === 0 ? 'direct' : 'vxlan'] as const]),
    })),
    expectedRoutes: () => 1,
  }
}

const shown = (lab: Shown, columns: number, rows = 40): string =>
  `\n${picture(lab, columns, rows)
    .map(line => paint(cutTo(line, columns), false))
    .join('\n')}\n`

test('a wide picture has the families side by side', t => {
  t.is(
    shown(halfWay('dual'), 140),
    `
Netgraft lab abcde   1:01   embedded API server http://127.0.0.1:1   Ctrl-C ends it
kubectl --kubeconfig /x/kubeconfig get nodes

NODE   ADDRESSES                   POD RANGES                      ROUTES          PODS                     AGENT
n1     192.168.100.1 fd00:100::1   10.244.1.0/24 fd00:244:1::/64   1 of 1 direct   1 of 1 up, ADD 3.14 ms   ready
n2     192.168.100.2 fd00:100::2   no Node object                  1 of 1 vxlan    0 of 1 up                died (SIGKILL)

IPv4 PINGS, ms   n1-p1 n2-p1    IPv6 PINGS, ms      n1-p1 n2-p1
n1-p1 10.244.1.2       ✓ 0.12   n1-p1 fd00:244:1::2       ✗
n2-p1 10.244.2.2 ·              n2-p1 fd00:244:2::2 ·

   1.2 s  n1   agent ready
`,
  )
})

test('a narrow picture has a line per pod instead of a matrix', t => {
  t.is(
    shown(halfWay('4'), 28),
    `
Netgraft lab abcde   1:01
kubectl --kubeconfig /x/kube

NODE   ADDRESSES       POD R
n1     192.168.100.1   10.24
n2     192.168.100.2   no No

IPv4 PINGS
n1-p1 10.244.1.2   1 of 1 an
n2-p1 10.244.2.2   0 of 1 an

   1.2 s  n1   agent ready
`,
  )
})

test('a low picture keeps its head and its events', t => {
  t.is(
    shown(halfWay('4'), 80, 8),
    `
Netgraft lab abcde   1:01   embedded API server http://127.0.0.1:1   Ctrl-C ends
kubectl --kubeconfig /x/kubeconfig get nodes

NODE   ADDRESSES       POD RANGES       ROUTES          PODS
n1     192.168.100.1   10.244.1.0/24    1 of 1 direct   1 of 1 up, ADD 3.14 ms
… 5 more lines in a higher window

   1.2 s  n1   agent ready
`,
  )
})

test('what the examples have shown is below the pings: of an earlier one the steps only where one has failed', t => {
  const lab = halfWay('4')
  const taken = {at: 1, text: 'blue is taken from the running app1', ms: 3.456}
  const late = {at: 2, text: 'blue is given back to it: not within 10 s', ms: undefined}
  const below = (...steps: Step[]) => {
    const examples = [
      {name: 'attachments', nodes: ['n1'], steps, hint: 'annotate pod app1 x=y'},
      {name: 'pairs', nodes: ['n1'], steps: [{at: 3, text: 'they reach each other', ms: 12.34}]},
    ]
    const lines = shown({...lab, examples}, 140).split('\n')
    return lines.slice(
      lines.findIndex(line => line.startsWith('ATTACHMENTS')),
      -3,
    )
  }
  t.deepEqual(below(taken), [
    'ATTACHMENTS   ✔ 1 step',
    'kubectl --kubeconfig /x/kubeconfig annotate pod app1 x=y',
    '',
    'PAIRS',
    '✔ they reach each other   12.3 ms',
  ])
  t.deepEqual(below(taken, late).slice(0, 4), [
    'ATTACHMENTS',
    '✔ blue is taken from the running app1   3.46 ms',
    '✘ blue is given back to it: not within 10 s',
    'kubectl --kubeconfig /x/kubeconfig annotate pod app1 x=y',
  ])
})

test('pairs are listed with their nodes and states, whatever somebody has written', t => {
  const ends = (...names: string[]) =>
    names.map((pod, i) => ({
      namespace: pod === 'y' ? 'team' : 'default',
      pod,
      interface: `in${i + 1}`,
      node: `n${i + 1}`,
    }))
  const objects = [
    {spec: {ends: ends('x', 'y'), vni: 7}, status: {state: 'up', kind: 'vxlan', node: 'n1'}},
    {spec: {ends: [{pod: 'z', interface: 'in\u001b1'}]}, status: {state: 'waiting'}},
    {spec: {ends: []}},
  ].map((object, i) => [`${i}`, projectPair({metadata: {namespace: 'default'}, ...object})] as const)
  const lines = shown({...halfWay('4'), pairObjects: new Map(objects)}, 140).split('\n')
  t.deepEqual(
    lines.slice(
      lines.findIndex(line => line.startsWith('PAIR ')),
      -3,
    ),
    [
      'PAIR                  NODES   KIND      STATE',
      'x:in1    team/y:in2   n1 n2   vxlan 7   up',
      'z:in?1                                  waiting',
      '',
    ],
  )
  for (const broken of [{}, {spec: {ends: 7}}, {spec: {ends: [null]}}])
    t.throws(() => projectPair({metadata: {namespace: 'default'}, ...broken}), {instanceOf: TypeError})
})

test('a picture counts the routes by their ways', t => {
  const lab = halfWay('4')
  const [n1] = lab.nodes
  const routes = (...ways: Way[]) => {
    const nodes = [{...n1!, routes: new Map(ways.map((way, i) => [`${i}`, way]))}]
    const line = shown({...lab, nodes, expectedRoutes: () => 3}, 120).split('\n')[5]!
    return / +(\S+ of .*?) +1 of 1 up/.exec(line)?.[1]
  }
  t.is(routes(), '0 of 3')
  t.is(routes('vxlan', 'vxlan'), '2 of 3 vxlan')
  t.is(routes('vxlan', 'direct', 'vxlan'), '3 of 3: 1 direct, 2 vxlan')
})

test('few pods are pinged pair by pair, many node by node', t => {
  const pairs = (nodes: number, podsPerNode: number) => {
    const plan = planLab('abcde', {nodes, podsPerNode, family: 'dual'})
    return pairsOf(podsOf(plan), plan.families).length
  }
  t.is(pairs(3, 2), 60)
  t.is(pairs(16, 2), 2 * 32 * 31)
  t.is(pairs(50, 20), 2 * 50 * 49)
})
