/** What is left of an ADD that fails, wherever it fails, and of one that was killed; and what a DEL finds then. */
import test, {type ExecutionContext} from 'ava'
import {CniError} from '../../../src/cni/error.ts'
import type {FindPlugin, PluginCall} from '../../../src/cni/plugin.ts'
import {hostName} from '../../../src/cni/types/marks.ts'
import type {NamespaceKernel} from '../../../src/model/namespace.ts'
import {type Namespace, namespaces} from '../../netlink/namespace.ts'
import {type Call, leasesOf, type OurWorld, ourWorld, upstream} from './world.ts'

const LOCAL = {
  type: 'host-local',
  ranges: [[{subnet: '10.9.0.0/24'}], [{subnet: 'fd09::/64'}]],
  routes: [{dst: '0.0.0.0/0'}],
}
const CONFIGS: Readonly<Record<string, Call['config']>> = {
  bridge: {type: 'bridge', bridge: 'br7', isGateway: true, hairpinMode: true, ipMasq: true, ipam: LOCAL},
  ptp: {type: 'ptp', ipMasq: true, ipam: LOCAL},
  macvlan: {type: 'macvlan', master: 'm0', ipam: LOCAL},
}
const NAME = hostName({containerId: 'c1', ifname: 'eth0'})

/** Refuses one step, counted over all kernels: the kernel never hears of it. */
function refuser(nth: number) {
  let count = 0
  const wrap = (kernel: NamespaceKernel): NamespaceKernel => ({
    ...kernel,
    change: async steps => {
      const refused = steps.findIndex(({op}) => op !== 'read' && op !== 'delete' && ++count === nth)
      if (refused < 0) return kernel.change(steps)
      const [before, after] = [steps.slice(0, refused), steps.slice(refused + 1)]
      return [
        ...(before.length > 0 ? await kernel.change(before) : []),
        {refusal: {code: 'EPERM', message: `step ${nth} is refused`}},
        ...(after.length > 0 ? await kernel.change(after) : []),
      ]
    },
  })
  return {wrap, counted: () => count}
}

async function worldOf(t: ExecutionContext, options: Parameters<typeof ourWorld>[3] = {}): Promise<OurWorld> {
  const [host, pod] = await namespaces(t, 2)
  host.ip('link', 'add', 'm0', 'up', 'type', 'veth', 'peer', 'name', 'm1')
  return ourWorld(t, host, pod, options)
}

const names = (at: Namespace): string[] => at.json('link', 'show').map(each => each.ifname)

function nothingLeft(t: ExecutionContext, world: OurWorld, when: string): void {
  // The bridge stays, as upstream's does.
  const known = ['br7', 'lo', 'm0', 'm1']
  t.deepEqual(
    names(world.host).filter(name => !known.includes(name)),
    [],
    when,
  )
  t.deepEqual(names(world.pod), ['lo'], when)
  t.deepEqual(
    leasesOf(world).filter(lease => !lease.startsWith('last_')),
    [],
    when,
  )
  t.is(world.masked.size, 0, when)
  const foreign = world.host.json('route', 'show').filter(each => each.protocol === 'boot')
  t.deepEqual(foreign, [], when)
}

for (const [type, config] of Object.entries(CONFIGS)) {
  test(`${type}: nothing is left, whichever step is refused`, async t => {
    for (let nth = 1; ; nth++) {
      const {wrap, counted} = refuser(nth)
      const world = await worldOf(t, {wrap})
      const {error} = await world.run('add', {config})
      if (counted() < nth) {
        t.true(nth > 5)
        t.is(error, undefined)
        return
      }
      // Only the kernel's own EEXIST for what stands is no failure; a refusal always is.
      t.regex(`${error}`, /is refused/, `step ${nth}`)
      nothingLeft(t, world, `step ${nth}`)
    }
  })

  test(`${type}: nothing is left when the time is up`, async t => {
    const world = await worldOf(t)
    const call = await world.callOf({config})
    const error = await t.throwsAsync(world.plugin(type).add({...call, signal: AbortSignal.abort()}), {
      instanceOf: CniError,
    })
    t.regex(error.message, /the time was up/)
    await call.sandbox?.close()
    nothingLeft(t, world, 'after the deadline')
  })

  test(`${type}: IPAM that fails leaves nothing, and is not asked to give back`, async t => {
    const asked: string[] = []
    const find: FindPlugin = () => ({
      add: async () => {
        asked.push('add')
        throw new CniError('tryAgainLater', 'not yet')
      },
      check: async () => {},
      del: async () => void asked.push('del'),
    })
    const world = await worldOf(t, {find})
    t.is((await world.run('add', {config})).error, 'not yet')
    t.deepEqual(asked, ['add'])
    nothingLeft(t, world, 'after IPAM')
  })

  test(`${type}: IPAM is not asked for an interface that is there`, async t => {
    let asked = 0
    const find: FindPlugin = (ipam, call) => {
      asked++
      return upstream(ipam, call)
    }
    const world = await worldOf(t, {find})
    const mac = {...config, ...(type !== 'ptp' && {runtimeConfig: {mac: '02:00:00:00:00:09'}})}
    t.is((await world.run('add', {config: mac})).error, undefined)
    const before = asked
    t.regex(`${(await world.run('add', {config: mac})).error}`, /has an interface "eth0" already/)
    t.is(asked, before)
  })

  test(`${type}: IPAM without an address leaves nothing`, async t => {
    const find: FindPlugin = () => ({
      add: async () => ({interfaces: [], ips: [], routes: [], dns: {}}),
      check: async () => {},
      del: async () => {},
    })
    const world = await worldOf(t, {find})
    t.regex(`${(await world.run('add', {config})).error}`, /gave no address/)
    nothingLeft(t, world, 'after IPAM')
  })

  test(`${type}: addresses of IPAM that are none leave nothing`, async t => {
    const given: string[] = []
    const find: FindPlugin = () => ({
      add: async () => ({interfaces: [], ips: [{address: 'x'}], routes: [], dns: {}}),
      check: async () => {},
      del: async () => void given.push('back'),
    })
    const world = await worldOf(t, {find})
    t.regex(`${(await world.run('add', {config})).error}`, /cannot be used: "x" is not an address/)
    t.deepEqual(given, ['back'])
    nothingLeft(t, world, 'after IPAM')
  })

  test(`${type}: DEL of a pod whose namespace has gone`, async t => {
    const world = await worldOf(t)
    const {result} = await world.run('add', {config})
    world.pod.remove()
    for (const netns of ['', world.pod.path])
      t.deepEqual(await world.run('del', {config, netns, prevResult: result}), {}, `namespace ${netns}`)
    t.false(names(world.host).some(name => name.startsWith('veth')))
    t.is(leasesOf(world).filter(lease => !lease.startsWith('last_')).length, 0)
    t.is(world.masked.size, 0)
  })

  test(`${type}: an ADD that was killed half-way is made good by DEL, and by another ADD`, async t => {
    for (const again of ['del', 'add'] as const) {
      const world = await worldOf(t)
      // Nothing comes back from the first change inside the pod, as if the agent had been killed.
      const killed = new Promise<never>(() => {})
      const call = await world.callOf({config})
      const kernel = await call.sandbox!.kernel()
      const deaf: PluginCall = {
        ...call,
        sandbox: {...call.sandbox!, kernel: async () => ({...kernel, change: () => killed})},
      }
      void world.plugin(type).add(deaf)
      const made = () => [...names(world.host), ...names(world.pod)].some(name => /^(veth|mvl-)/.test(name))
      const marked = () => type === 'macvlan' || world.host.json('link', 'show').some(each => each.ifalias)
      while (!made() || leasesOf(world).length < 4 || !marked()) await new Promise(resolve => setTimeout(resolve, 20))
      if (again === 'add') {
        // Its runtime has taken the pod down in between, or not: the journal has a DEL come first for the lease.
        await upstream({type: 'host-local'}, call).del(call)
        if (type !== 'macvlan') world.pod.ip('link', 'set', 'eth0', 'name', 'other')
        t.is((await world.run('add', {config})).error, undefined)
      }
      t.deepEqual(await world.run('del', {config}), {})
      await call.sandbox!.close()
      nothingLeft(t, world, again)
    }
  })
}

test('a link of somebody else that has the name stays, and is said so', async t => {
  const world = await worldOf(t)
  world.host.ip('link', 'add', NAME, 'type', 'veth', 'peer', 'name', 'x7')
  world.host.ip('link', 'set', NAME, 'alias', 'mine')
  t.regex(`${(await world.run('add', {config: CONFIGS.ptp!})).error}`, /that is not ours/)
  t.deepEqual(await world.run('del', {config: CONFIGS.ptp!}), {})
  t.deepEqual(world.host.json('link', 'show', 'dev', NAME)[0].ifalias, 'mine')
  t.is(leasesOf(world).filter(lease => !lease.startsWith('last_')).length, 0)
})

test('a pod that upstream has wired is taken down', async t => {
  const world = await worldOf(t)
  world.host.ip('link', 'add', 'veth01234567', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', world.pod.name)
  t.deepEqual(await world.run('del', {config: CONFIGS.bridge!}), {})
  nothingLeft(t, world, 'after DEL')
})

test('an address is out of use before IPAM hears of it', async t => {
  const seen: unknown[] = []
  let world: OurWorld | undefined
  const find: FindPlugin = (ipam, call) => {
    const plugin = upstream(ipam, call)
    return {
      ...plugin,
      del: async each => {
        const inside = names(world!.pod).includes('eth0')
          ? world!.pod.json('addr', 'show', 'dev', 'eth0', 'scope', 'global')
          : []
        seen.push(
          inside.flatMap(link => link.addr_info),
          world!.host.json('route', 'show').filter(route => route.protocol === 'boot'),
        )
        await plugin.del(each)
      },
    }
  }
  world = await worldOf(t, {find})
  t.is((await world.run('add', {config: CONFIGS.ptp!})).error, undefined)
  await world.run('del', {config: CONFIGS.ptp!})
  t.deepEqual(seen, [[], []])
})

test('an exhausted range is said so, and the pods that have addresses keep them', async t => {
  const world = await worldOf(t)
  const ranges = [[{subnet: '10.9.0.0/30', rangeStart: '10.9.0.2', rangeEnd: '10.9.0.2'}]]
  const config = {...CONFIGS.ptp!, ipam: {type: 'host-local', ranges}}
  t.is((await world.run('add', {config})).error, undefined)
  t.regex(`${(await world.run('add', {config, ifname: 'net1'})).error}`, /no IP addresses available/)
  t.deepEqual(names(world.pod), ['lo', 'eth0'])
  t.is(world.masked.size, 1)
})

test('an ADD waits for the removal of the interface of that name', async t => {
  const world = await worldOf(t)
  for (let i = 0; i < 5; i++) {
    t.is((await world.run('add', {config: CONFIGS.ptp!})).error, undefined)
    const call = await world.callOf({config: CONFIGS.ptp!})
    const late: Promise<unknown>[] = []
    await world.plugin('ptp').del({...call, later: work => void late.push(work)})
    t.is((await world.run('add', {config: CONFIGS.ptp!})).error, undefined)
    await Promise.all(late)
    await call.sandbox!.close()
    t.deepEqual(names(world.pod), ['lo', 'eth0'])
    t.deepEqual(await world.run('del', {config: CONFIGS.ptp!}), {})
  }
})

test('kernels before 6.2 say nothing of the link that they made', async t => {
  const wrap = (kernel: NamespaceKernel): NamespaceKernel => ({
    ...kernel,
    change: async steps => {
      const outcomes = await kernel.change(steps)
      return outcomes.map(({link, ...rest}, i) => (steps[i]!.op === 'read' && link ? {...rest, link} : rest))
    },
  })
  for (const config of Object.values(CONFIGS)) {
    const world = await worldOf(t, {wrap})
    const {result, error} = await world.run('add', {config})
    t.is(error, undefined)
    t.deepEqual(await world.run('check', {config, prevResult: result}), {})
    t.deepEqual(await world.run('del', {config}), {})
    nothingLeft(t, world, config.type)
  }
})
