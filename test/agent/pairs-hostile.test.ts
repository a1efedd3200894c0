/** What others write into the store under our names. Needs root. */
import test from 'ava'
import {built} from './support/node.ts'
import {type Cluster, startCluster, withGoodPair} from './support/pairs.ts'

test.before(built)

const API = 'netgraft.dev/v1alpha1'

const write = (cluster: Cluster, plural: string, kind: string, name: string, body: object): void => {
  const namespaced = plural !== 'vnis'
  const ref = {resource: `${plural}.netgraft.dev`, name, ...(namespaced && {namespace: 'default'})}
  if (cluster.api.get(ref)) cluster.api.delete(ref)
  cluster.api.create({apiVersion: API, kind, metadata: {name, ...(namespaced && {namespace: 'default'})}, ...body})
}

const drop = (cluster: Cluster, plural: string, name: string): void => {
  cluster.api.delete({resource: `${plural}.netgraft.dev`, name, ...(plural !== 'vnis' && {namespace: 'default'})})
}

const specOf = (cluster: Cluster, name: string, plural = 'pairpods') =>
  cluster.api.get({resource: `${plural}.netgraft.dev`, namespace: 'default', name})?.spec as
    | Readonly<Record<string, unknown>>
    | undefined

const endpoint = (more: object) => ({
  spec: {namespace: 'default', pod: 'z', uid: 'u', createdAt: 1, node: 'b', underlay: {}, declarations: [], ...more},
})

/** Of nobody's pod. */
const GARBAGE: readonly object[] = [
  {spec: {}},
  {},
  endpoint({pod: '../x'}),
  endpoint({node: 'b\u0000'}),
  endpoint({createdAt: 'soon'}),
  endpoint({underlay: {4: {ip: '127.0.0.1', mtu: 1500}}}),
  endpoint({underlay: {4: {ip: 'fd00::1', mtu: 1500}}}),
  endpoint({sandbox: '../../etc'}),
  endpoint({declarations: 'all'}),
  endpoint({declarations: [{by: 'nobody', peer: 'default/x', interface: 'good'}]}),
  endpoint({declarations: [{by: 'annotation', at: '\u001b[2J', peer: 'default/x', interface: 'in9'}]}),
  endpoint({declarations: [{by: 'annotation', at: 'a', peer: 'default/x', interface: 'eth0'}]}),
  endpoint({
    declarations: [{by: 'annotation', at: 'a', peer: 'default/x', interface: 'in9', routes: [{dst: '0.0.0.0/0'}]}],
  }),
  endpoint({declarations: Array.from({length: 3000}, () => ({by: 'annotation', at: 'a'}))}),
]

test('documents that are none are told in the log, and change nothing', async t => {
  const cluster = await startCluster(t)
  const {x, y, untouched} = await withGoodPair(cluster)
  for (const [i, body] of GARBAGE.entries()) write(cluster, 'pairpods', 'PairPod', `g${i}`, body)
  // One pod's under another one's key.
  write(
    cluster,
    'pairpods',
    'PairPod',
    'mask',
    endpoint({pod: 'y', declarations: [{by: 'annotation', at: 'a', peer: 'default/x', interface: 'good'}]}),
  )
  const own = cluster.status(x)[0]!.vni!
  for (const [name, spec] of [
    ['abc', {pair: 'default/a', node: 'b'}],
    ['007', {pair: 'default/a', node: 'b'}],
    ['16777216', {pair: 'default/a', node: 'b'}],
    ['12', {pair: 'x', node: 'b'}],
    ['13', {pair: 'default/../x', node: 'b'}],
    ['14', {pair: 'default/a', node: 7}],
    ['15', {}],
  ] as const)
    write(cluster, 'vnis', 'Vni', name, {spec})
  write(cluster, 'pairs', 'Pair', 'garbage', {spec: {ends: 7}, status: {node: '../'}})
  write(cluster, 'pairs', 'Pair', 'nobodys', {spec: {ends: []}, status: {node: 'ghost', state: 'up'}})
  for (const {node} of cluster.nodes.values())
    await node.says('what somebody has written into the store cannot be used, and is left alone', 'default/g2')
  await cluster.at('a').node.says('cannot be used', '"vnis"', '"15"')
  t.true(await untouched())
  // What is asked for now is served as ever.
  cluster.declare(x, [
    {peer: 'y', interface: 'good', ips: ['10.99.0.1/24']},
    {peer: 'y', interface: 'more'},
  ])
  await cluster.told(x, 'up good vxlan', 'up more vxlan')
  await cluster.told(y, 'up good vxlan', 'up more vxlan')
  t.true(await untouched())
  t.is(cluster.status(x)[0]!.vni, own)
  for (const {node} of cluster.nodes.values()) {
    await node.agent.kill()
    node.agent.start()
  }
  for (const {runtime} of cluster.nodes.values()) await runtime.serving()
  cluster.declare(x, [{peer: 'y', interface: 'good', ips: ['10.99.0.1/24']}])
  await cluster.told(y, 'up good vxlan')
  t.true(await untouched())
})

test("a pod's own document, written by somebody else, is put right", async t => {
  const cluster = await startCluster(t)
  const {x, y} = await withGoodPair(cluster)
  const right = specOf(cluster, 'x')
  for (const more of [
    {...right, declarations: []},
    {...right, node: 'b'},
    {...right, uid: 'another', createdAt: 1},
    {...right, uid: 'another', createdAt: 1, node: 'b'},
    {...right, sandbox: 'f'.repeat(64)},
    {...right, underlay: {4: {ip: '203.0.113.1', mtu: 1500}}},
  ]) {
    cluster.api.patch(
      {resource: 'pairpods.netgraft.dev', namespace: 'default', name: 'x'},
      {spec: {declarations: null, ...more}},
    )
    await cluster.until(
      () => JSON.stringify(specOf(cluster, 'x')) === JSON.stringify(right),
      () => JSON.stringify(specOf(cluster, 'x')),
    )
  }
  drop(cluster, 'pairpods', 'x')
  await cluster.until(() => specOf(cluster, 'x') !== undefined, 'it is told again')
  t.deepEqual(specOf(cluster, 'x'), right)
  await cluster.told(x, 'up good vxlan')
  await cluster.told(y, 'up good vxlan')
  await cluster.until(() => cluster.pings(x, '10.99.0.2'), 'it pings')
})

test("what is in the place of a pod's own document, and is none, is told on the pod", async t => {
  const cluster = await startCluster(t)
  const a = cluster.at('a')
  write(cluster, 'pairpods', 'PairPod', 'x', {spec: {garbage: true}})
  const y = await cluster.start('b', 'y')
  const x = await cluster.start('a', 'x', {
    pairs: [
      {peer: 'y', interface: 'in1'},
      {peer: 'z', interface: 'in2'},
    ],
  })
  await cluster.start('a', 'z')
  await cluster.says(
    x,
    /^failed : what the API server has as "default\/x" of pairpods cannot be used, since .*: remove or mend it$/,
    /^up in2: $/,
  )
  await cluster.until(
    () => a.events(x).some(each => /^Warning PairFailed: what the API server has as "default\/x"/.test(each)),
    () => a.events(x).join('\n'),
  )
  await a.node.says('what a pod says of its pairs cannot be told to the other nodes; trying again', 'default/x')
  drop(cluster, 'pairpods', 'x')
  await cluster.told(x, 'up in1 vxlan', 'up in2 veth')
  await cluster.told(y, 'up in1 vxlan')
  t.pass()
})

test('a document that claims a pod of ours for a node that is none, as a newer pod, does not hold', async t => {
  const cluster = await startCluster(t, {config: {kernel: {resyncSeconds: 10}, pairs: {aliveSeconds: 5}}})
  const {x, y} = await withGoodPair(cluster)
  const right = specOf(cluster, 'x')!
  for (const node of ['ghost', 'b']) {
    write(cluster, 'pairpods', 'PairPod', 'x', {
      spec: {...right, uid: 'newer', createdAt: Number.MAX_SAFE_INTEGER, node},
    })
    await cluster.until(
      () => specOf(cluster, 'x')?.uid === right.uid,
      () => `${node}: ${JSON.stringify(specOf(cluster, 'x'))}`,
    )
    await cluster.told(x, 'up good vxlan')
    await cluster.told(y, 'up good vxlan')
    await cluster.reaches(x, '10.99.0.2')
  }
  t.pass()
})

test('a VNI that somebody else takes, or frees, and an object that somebody edits', async t => {
  const cluster = await startCluster(t)
  const {x, y} = await withGoodPair(cluster)
  const vni = cluster.status(x)[0]!.vni!
  drop(cluster, 'vnis', `${vni}`)
  await cluster.until(
    () => cluster.documents().some(each => each === `vnis ${vni} default/x.good.y.good`),
    () => cluster.documents().join(),
  )
  // It is another pair's now: nobody may have both.
  write(cluster, 'vnis', 'Vni', `${vni}`, {spec: {pair: 'default/other', node: 'ghost'}})
  await cluster.until(
    () => [x, y].every(pod => ![undefined, vni].includes(cluster.status(pod)[0]?.vni)),
    'another number',
  )
  await cluster.reaches(x, '10.99.0.2')
  t.is(cluster.status(x)[0]!.vni, cluster.status(y)[0]!.vni)
  // Of a node that is none, for a pair that is none: whoever lives gives it back.
  await cluster.until(
    () => !cluster.documents().some(each => each.startsWith(`vnis ${vni} `)),
    () => cluster.documents().join(),
  )
  // Somebody's label stays, and does not keep it from going.
  const page = {resource: 'pairs.netgraft.dev', namespace: 'default', name: 'x.good.y.good'}
  await cluster.until(() => cluster.api.get(page), 'it is there')
  cluster.api.patch(page, {metadata: {labels: {team: 'green'}}})
  cluster.declare(x, [{peer: 'y', interface: 'good', mtu: 1400}])
  await cluster.until(() => specOf(cluster, page.name, 'pairs')?.mtu === 1400, 'it is told of')
  t.deepEqual(cluster.api.get(page)?.metadata.labels, {team: 'green'})
  cluster.api.patch(page, {metadata: {labels: {team: 'blue'}}})
  await cluster.stop(x)
  await cluster.stop(y)
  await cluster.clean()
})
