/** `default-route`: a further network takes the pod's default route, and the cluster stays reachable. Needs root. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import type {Pod} from './support/cni.ts'
import {type Networks, startNetworks} from './support/networks.ts'
import {built} from './support/node.ts'

test.before(built)

const ANNOTATION = 'k8s.v1.cni.cncf.io/networks'
const RANGES = {clusterCIDRs: ['10.64.0.0/16'], serviceCIDRs: ['10.96.0.0/16']}

function define(t: ExecutionContext, networks: Networks, ...names: string[]): void {
  for (const [i, name] of names.entries()) {
    const dataDir = mkdtempSync(join(tmpdir(), 'ng-leases-'))
    t.teardown(() => rmSync(dataDir, {recursive: true, force: true, maxRetries: 5}))
    const ranges = [[{subnet: `192.168.${42 + i}.0/24`}]]
    networks.define(name, {
      cniVersion: '1.0.0',
      type: 'bridge',
      bridge: `ng-${name}`,
      isGateway: true,
      ipam: {type: 'host-local', dataDir, ranges},
    })
  }
}

/** Of IPv4, without what is on-link: "default via 10.64.1.1 dev eth0". */
const routes = ({namespace}: Pod): string[] =>
  namespace
    .ip('-4', 'route', 'show')
    .split('\n')
    .map(line => line.replace(/ (onlink|src \S+|proto \S+|metric \S+|scope \S+)/g, '').trim())
    .filter(line => line.includes(' via '))
    .sort()

const asks = (...gateways: string[]) => ({
  [ANNOTATION]: JSON.stringify([
    {name: 'green', ...(gateways.length > 0 && {'default-route': gateways})},
    {name: 'blue'},
  ]),
})

test('at the start, given back and taken again while the pod runs', async t => {
  const networks = await startNetworks(t, {config: RANGES})
  define(t, networks, 'green', 'blue')
  const plain = await networks.start(asks())
  const before = routes(plain)
  t.true(before.some(line => /^default via \S+ dev eth0$/.test(line)))

  const pod = await networks.start(asks('192.168.42.1'))
  const out = routes(pod)
  t.true(out.includes('default via 192.168.42.1 dev net1'), out.join('\n'))
  for (const cidr of ['10.64.0.0/16', '10.96.0.0/16'])
    t.true(
      out.some(line => line.startsWith(`${cidr} via `) && line.endsWith(' dev eth0')),
      out.join('\n'),
    )
  t.false(out.some(line => /^default via \S+ dev eth0$/.test(line)))
  await networks.told(pod, 'attached default/green net1', 'attached default/blue net2')
  t.like(networks.status(pod)[1]!, {name: 'default/green', gateway: ['192.168.42.1']} as object)

  networks.annotate(pod, asks())
  await networks.node.until(
    () => routes(pod).join() === before.join(),
    () => routes(pod).join('\n'),
  )
  networks.annotate(pod, asks('192.168.42.1'))
  await networks.node.until(
    () => routes(pod).join() === out.join(),
    () => routes(pod).join('\n'),
  )
  // Both of them made anew: the way out is the same.
  for (const ifname of ['net1', 'eth0']) {
    pod.namespace.ip('link', 'del', ifname)
    await networks.node.until(
      () => routes(pod).join() === out.join(),
      () => routes(pod).join('\n'),
    )
  }
  networks.annotate(pod, {[ANNOTATION]: 'blue'})
  await networks.node.until(
    () => routes(pod).join() === before.join(),
    () => routes(pod).join('\n'),
  )
  for (const each of [pod, plain]) await networks.runtime.succeeds('DEL', each, networks.asked(each))
  await networks.runtime.clean()
})

test('nobody is cut off from a cluster whose ranges are not known, nor led to a gateway that is not there', async t => {
  const networks = await startNetworks(t, {config: {clusterCIDRs: RANGES.clusterCIDRs}})
  define(t, networks, 'green', 'blue')
  const pod = await networks.declare(asks('192.168.42.1'))
  const {msg} = await networks.runtime.fails('ADD', pod, networks.asked(pod))
  t.regex(msg, /serviceCIDRs/)

  const other = await startNetworks(t, {config: RANGES})
  define(t, other, 'green', 'blue')
  const started = await other.start({[ANNOTATION]: 'blue'})
  const before = routes(started)
  other.annotate(started, asks('192.168.99.1'))
  await other.told(started, /^failed default\/green .*192\.168\.99\.1/, 'attached default/blue net1')
  t.deepEqual(routes(started), before)
})
