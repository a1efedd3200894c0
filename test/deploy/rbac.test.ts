/** What agents ask of the API server in a cluster's life, held against the rules of the manifests, both ways. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {bridgeConf} from '../agent/support/networks.ts'
import {built} from '../agent/support/node.ts'
import {startCluster} from '../agent/support/pairs.ts'
import {render} from './support/manifests.ts'
import {granted, missing, type Request, rightOf, unused} from './support/requests.ts'

test.before(built)

/** What no run can be relied upon to need, and why. */
const SELDOM: Readonly<Record<string, string>> = {
  'get vnis.netgraft.dev': 'a claim of our own that the watch has not told of when it is given back',
  'get pairpods.netgraft.dev': 'a document that an earlier agent may have left',
  'delete leases.coordination.k8s.io': 'of a node that is gone for good',
}

const NETWORKS = 'k8s.v1.cni.cncf.io/networks'

test('requests are read as the API server reads them', t => {
  const cases: readonly [string, string, string | undefined][] = [
    ['GET /api/v1/nodes?limit=500', 'list nodes', undefined],
    ['GET /api/v1/nodes?watch=true&resourceVersion=1', 'watch nodes', undefined],
    ['GET /api/v1/namespaces/a/pods/b', 'get pods', 'a'],
    ['PATCH /api/v1/namespaces/a/pods/b/status', 'patch pods/status', 'a'],
    ['PATCH /api/v1/nodes/a', 'patch nodes', undefined],
    ['POST /apis/netgraft.dev/v1alpha1/vnis', 'create vnis.netgraft.dev', undefined],
    ['DELETE /apis/netgraft.dev/v1alpha1/namespaces/a/pairs/b', 'delete pairs.netgraft.dev', 'a'],
    ['GET /apis/coordination.k8s.io/v1/namespaces/s/leases', 'list leases.coordination.k8s.io', 's'],
  ]
  for (const [text, right, namespace] of cases) {
    const [method = '', path = ''] = text.split(' ')
    t.deepEqual(rightOf({method, path}), {right, namespace}, text)
  }
  const role = {kind: 'Role', rules: [{apiGroups: ['g'], resources: ['r'], verbs: ['get']}]}
  const rights = granted([{...role, apiVersion: 'v1', metadata: {name: 'x', namespace: 's'}}])
  t.deepEqual(missing([{method: 'GET', path: '/apis/g/v1/namespaces/s/r/n'}], rights), [])
  t.is(missing([{method: 'GET', path: '/apis/g/v1/namespaces/other/r/n'}], rights).length, 1)
  t.deepEqual(unused([], rights), ['get r.g'])
})

/** All that a cluster goes through. `streamingLists`: whether the API server sends lists through watches. */
async function life(t: ExecutionContext, streamingLists: boolean): Promise<readonly Request[]> {
  const cluster = await startCluster(t, {
    config: {networks: [{backend: 'vxlan'}], pairs: {aliveSeconds: 5}},
    api: {streamingLists},
  })
  const {api} = cluster
  const a = cluster.at('a')
  const asked = (right: string) => cluster.until(() => api.requests.some(each => rightOf(each).right === right), right)

  // Further networks of both kinds, at the start and later.
  a.define('green', bridgeConf('green', '10.97.1.0/24', {ipam: {}}))
  a.defineNetwork('blue', 'bridge', {bridge: 'ng-blue', ipam: {}})
  const pod = await a.start({[NETWORKS]: 'green'})
  await a.has(pod, 'net1')
  a.annotate(pod, {networks: '[{"name": "blue"}]'})
  await cluster.until(() => a.interfaces(pod).length === 3)
  await cluster.until(() => a.events(pod).length > 0)
  // Definitions and a pod that no watch has told of.
  const vain = await a.declare({[NETWORKS]: 'nowhere'})
  t.is((await a.runtime.call('ADD', vain, a.asked(vain))).status, 1)
  const gone = await a.declare()
  const question = a.asked(gone, false)
  api.delete({resource: 'pods', namespace: gone.project, name: gone.name})
  t.is((await a.runtime.call('ADD', gone, question)).status, 1)

  // A pair across two nodes, changed and taken back; an agent that is killed and started again.
  const one = await cluster.start('a', 'one', {pairs: [{peer: 'two', interface: 'p1'}]})
  const two = await cluster.start('b', 'two', {pairs: [{peer: 'one', interface: 'p1'}]})
  await cluster.told(one, 'up p1 vxlan')
  cluster.declare(one, [{peer: 'two', interface: 'p2'}])
  cluster.declare(two, [{peer: 'one', interface: 'p2'}])
  await cluster.told(one, 'up p2 vxlan')
  await cluster.at('b').node.agent.kill()
  cluster.at('b').node.agent.start()
  await cluster.at('b').runtime.serving()
  await cluster.stop(one)
  await cluster.stop(two)
  await cluster.clean()
  await asked('patch leases.coordination.k8s.io')
  return [...api.requests]
}

test('what is asked for is granted, and what is granted is asked for', async t => {
  const requests = [...(await life(t, true)), ...(await life(t, false))]
  const rights = granted(render('overlays/default-cni'))
  t.deepEqual(missing(requests, rights), [])
  t.deepEqual(
    unused(requests, rights).filter(right => !(right in SELDOM)),
    [],
  )
  for (const right of Object.keys(SELDOM)) t.true(rights.has(right), `${right} is not granted at all`)
})
