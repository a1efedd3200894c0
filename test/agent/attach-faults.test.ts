/** Networks of running pods while plugins fail, the agent dies, the journal is lost and the API server is away. Needs root. */
import {rmSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {colours, ends} from './support/colours.ts'
import {startCriPeer} from './support/cri-peer.ts'
import type {Networks, Started} from './support/networks.ts'
import {built} from './support/node.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'

/** Requests that have changed something at the API server. */
const writes = ({node}: Networks): string[] =>
  node.api.requests.filter(({method}) => method !== 'GET').map(({method, path}) => `${method} ${path}`)

const macOf = (pod: Started, ifname: string): string => pod.namespace.json('link', 'show', ifname)[0].address

test('a plugin that fails is tried again until it works; the others do not wait for it', async t => {
  const {networks, recorder} = await colours(t)
  const {node} = networks
  const pod = await networks.start({})
  recorder.fail('ADD', 4)
  networks.annotate(pod, {[NPWG]: 'red@r,green@g'})
  await networks.has(pod, 'g 192.168.42.2/24')
  await networks.told(pod, /^failed default\/red r .*told to fail/, 'attached default/green g')
  await networks.has(pod, 'g 192.168.42.2/24', 'r 192.168.41.2/24')
  await networks.told(pod, 'attached default/red r', 'attached default/green g')
  t.is(recorder.calls('ADD').length, 5)
  await node.until(() => networks.events(pod).some(each => each.includes('attached default/red as r')))
  t.is(networks.events(pod).filter(each => /AttachFailed.*told to fail/.test(each)).length, 1)
  const count = (outcome: string) =>
    node.agent.metric('netgraft_attachment_operations_total', {definition: 'default/red', op: 'attach', outcome})
  t.is(await count('failed'), 4)
  t.is(await count('done'), 1)

  // It cannot be taken away either: that is told, tried again, and its place is not taken by another one meanwhile.
  recorder.fail('DEL', 4)
  networks.annotate(pod, {[NPWG]: 'green@g'})
  await networks.told(pod, 'attached default/green g', /^attached default\/red r it is not asked for.*told to fail/)
  networks.annotate(pod, {[NPWG]: 'green@g,blue@r'})
  await networks.has(pod, 'g 192.168.42.2/24', 'r 192.168.43.2/24')
  await networks.told(pod, 'attached default/green g', 'attached default/blue r')
  t.is(recorder.calls('DEL', 'r').length, 4 + 5)
  await node.until(() => networks.events(pod).some(each => each.includes('Detached: detached default/red from r')))
  t.log(networks.events(pod).join('\n'))
  await ends(t, networks, recorder, pod)
})

test('what cannot take the place of what works leaves it as it is, or puts it back', async t => {
  const {networks, recorder} = await colours(t)
  const pod = await networks.start({[NPWG]: 'red@r,green@g'})
  await networks.told(pod, 'attached default/red r', 'attached default/green g')
  const [r, g] = [pod.namespace.index('r'), pod.namespace.index('g')]
  networks.define('green', recorder.conf('green', '192.168.42.0/24', {type: 'nowhere'}))
  await networks.told(pod, 'attached default/red r', /^attached default\/green g .*"nowhere"/)
  t.is(pod.namespace.index('g'), g)
  await networks.node.until(() => networks.events(pod).some(each => /NotUpdated.*nowhere/.test(each)))
  // There is the program, and it fails.
  recorder.fail('ADD', 1)
  networks.define('red', recorder.conf('red', '192.168.41.0/24', {mtu: 1400}))
  await networks.told(pod, /^attached default\/red r .*told to fail/, /^attached default\/green g .*"nowhere"/)
  t.not(pod.namespace.index('r'), r)
  const mtu = () => pod.namespace.json('link', 'show', 'r')[0].mtu
  t.is(mtu(), 1500)
  await sleep(1000)
  await networks.told(pod, /^attached default\/red r .*told to fail/, /^attached default\/green g .*"nowhere"/)
  t.is(mtu(), 1500)
  t.is(recorder.calls('ADD').length, 3)
  t.is(networks.events(pod).filter(each => /NotUpdated/.test(each)).length, 2)
  // Another wish is tried at once.
  networks.define('red', recorder.conf('red', '192.168.41.0/24', {mtu: 1390}))
  await networks.told(pod, 'attached default/red r', /^attached default\/green g .*"nowhere"/)
  t.is(mtu(), 1390)
  networks.define('green', recorder.conf('green', '192.168.42.0/24', {type: 'bridge'}))
  await networks.told(pod, 'attached default/red r', 'attached default/green g')
  t.is(pod.namespace.index('g'), g)
  // Of another network, nothing is put back that nobody asks for.
  recorder.fail('ADD', 1)
  networks.annotate(pod, {[NPWG]: 'red@g'})
  await networks.has(pod, 'g 192.168.41.5/24')
  await networks.told(pod, 'attached default/red g')
  await ends(t, networks, recorder, pod)
})

test('a plugin that hangs is given up at the deadline, and holds up no other pod', async t => {
  const {networks, recorder} = await colours(t, {config: {cni: {deadlineSeconds: 5, concurrency: 1}}})
  const [stuck, too] = [await networks.start({}), await networks.start({})]
  recorder.slow('ADD', 1000)
  for (const each of [stuck, too]) networks.annotate(each, {[NPWG]: 'red@r'})
  await networks.node.until(() => recorder.calls('ADD').length === 2)
  const pod = await networks.start({[NPWG]: 'green@g'})
  networks.annotate(pod, {[NPWG]: 'green@g,blue@b'})
  await networks.has(pod, 'g 192.168.42.2/24', 'b 192.168.43.2/24')
  t.deepEqual(networks.states(stuck), [])
  await networks.told(stuck, /^failed default\/red r .*(time|second)/)
  recorder.slow('ADD', 0)
  for (const each of [stuck, too])
    await networks.node.until(() => networks.interfaces(each).some(own => own.startsWith('r 192.168.41.')))
  await ends(t, networks, recorder, stuck, too, pod)
})

test('the agent is asked to end while a plugin is at work', async t => {
  const {networks, recorder} = await colours(t)
  const {agent} = networks.node
  const pod = await networks.start({[NPWG]: 'red@q'})
  recorder.slow('ADD', 1000)
  networks.annotate(pod, {[NPWG]: 'red@q,red@r,green@g'})
  await networks.node.until(() => recorder.calls('ADD', 'r').length === 1)
  t.is(await agent.stop(), 0)
  recorder.slow('ADD', 0)
  agent.start()
  // What was cut short has given its address back, and the next one is another.
  const green = () => networks.interfaces(pod).find(each => /^g 192\.168\.42\./.test(each)) ?? 'no g'
  await networks.node.until(() => green() !== 'no g')
  await networks.has(pod, 'q 192.168.41.2/24', 'r 192.168.41.3/24', green())
  await networks.told(pod, 'attached default/red q', 'attached default/red r', 'attached default/green g')
  const stays = green()
  // The other way round, it has its turn to the end, or is done again.
  recorder.slow('DEL', 0.5)
  networks.annotate(pod, {[NPWG]: 'green@g'})
  await networks.node.until(() => recorder.calls('DEL', 'q').length > 0)
  await agent.stop()
  agent.start()
  await networks.has(pod, stays)
  await networks.told(pod, 'attached default/green g')
  recorder.slow('DEL', 0)
  await ends(t, networks, recorder, pod)
})

test("a pod's sandbox is made anew: edits are for the new one, and the old one's networks end with it", async t => {
  const {networks, recorder} = await colours(t)
  const {runtime, node} = networks
  const old = await networks.start({[NPWG]: 'red@r,green@g'})
  await networks.told(old, 'attached default/red r', 'attached default/green g')
  const [sandbox] = await runtime.pods(1)
  const asked = {...old, ...sandbox!}
  const fresh: Started = {...asked, result: await runtime.add(sandbox!, networks.asked(asked))}
  await networks.has(fresh, 'r 192.168.41.3/24', 'g 192.168.42.3/24')
  await node.until(() => String(networks.status(old)[1]?.ips) === '192.168.41.3')
  networks.annotate(old, {[NPWG]: 'red@r,blue@b'})
  await networks.has(fresh, 'r 192.168.41.3/24', 'b 192.168.43.2/24')
  await networks.has(old, 'r 192.168.41.2/24', 'g 192.168.42.2/24')
  await runtime.succeeds('DEL', old, networks.asked(old))
  // The links go behind the answer.
  await node.until(() => networks.interfaces(old).length === 0)
  networks.annotate(old, {[NPWG]: 'red@r,green@g'})
  await networks.has(fresh, 'r 192.168.41.3/24', 'g 192.168.42.4/24')
  await networks.told(fresh, 'attached default/red r', 'attached default/green g')
  await ends(t, networks, recorder, fresh)
  await sleep(300)
  t.deepEqual([...networks.interfaces(old), ...networks.interfaces(fresh)], [])
})

test('an API server that is away, or has forgotten what was: what stands stays, and is right afterwards', async t => {
  const {networks, recorder} = await colours(t)
  const {node} = networks
  const pod = await networks.start({[NPWG]: 'red@r'})
  await networks.told(pod, 'attached default/red r')
  await node.api.faults.down()
  networks.annotate(pod, {[NPWG]: 'green@g'})
  await node.agent.kill()
  node.agent.start()
  await node.says('the API server failed us')
  await node.says('serving CNI requests')
  await sleep(500)
  await networks.has(pod, 'r 192.168.41.2/24')
  await node.api.faults.up()
  await networks.has(pod, 'g 192.168.42.2/24')
  await networks.told(pod, 'attached default/green g')

  const blows: readonly (() => void)[] = [
    () => node.api.faults.compact({cutWatches: true}),
    () => {
      node.api.faults.gone(3)
      node.api.faults.cutWatches()
    },
    () => {
      node.api.faults.fail(6, 500)
      node.api.faults.cutWatches()
    },
    () => node.api.faults.truncateNext(),
  ]
  for (const [i, blow] of blows.entries()) {
    blow()
    const [name, address] = i % 2 === 0 ? ['blue', '192.168.43'] : ['green', '192.168.42']
    networks.annotate(pod, {[NPWG]: `${name}@x${i}`})
    await node.until(() => networks.interfaces(pod).some(each => each.startsWith(`x${i} ${address}.`)), `blow ${i}`)
    await networks.told(pod, `attached default/${name} x${i}`)
  }
  // It takes the watches, and none of our writes.
  await node.api.faults.down()
  networks.annotate(pod, {[NPWG]: null})
  await sleep(300)
  t.is(networks.interfaces(pod).length, 2)
  await node.api.faults.up()
  await networks.has(pod)
  await ends(t, networks, recorder, pod)
})

test('an agent that is started anew with nothing changed writes nothing at all', async t => {
  const {networks, recorder} = await colours(t)
  const {node} = networks
  const wanted = {[NPWG]: 'red@r,green@g', networks: '[{"name": "blue"}]'}
  const pods = [await networks.start(wanted), await networks.start(wanted), await networks.start()]
  networks.annotate(pods[1]!, {[NPWG]: 'green@g,red@r', networks: null})
  networks.annotate(pods[2]!, {[NPWG]: 'green@g,red,none@n'})
  await networks.told(pods[0]!, /red r$/, /green g$/, /blue net/)
  await networks.told(pods[1]!, /green g$/, /red r$/)
  await networks.told(pods[2]!, /green g$/, /red net1$/, /^failed default\/none n/)
  // The kernel tells of carriers when it has the time: linkwatch, net/core/link_watch.c.
  for (let quiet = false; !quiet; ) {
    const heard = await node.monitor('link', 'address')
    await sleep(2500)
    quiet = (await heard()).length === 0
  }
  const told = () => pods.map(pod => networks.object(pod)?.metadata.annotations)
  const [status, calls] = [told(), recorder.calls().length]
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const heard = await node.monitor('link', 'address')
    const inside = await Promise.all(pods.map(pod => listen(t, networks, pod)))
    const written = writes(networks).length
    await node.agent.kill(signal)
    node.agent.start()
    await networks.runtime.serving()
    await sleep(1500)
    t.deepEqual(await heard(), [])
    for (const each of inside) t.deepEqual(each(), [])
    t.deepEqual(writes(networks).slice(written), [])
    t.deepEqual(told(), status)
    t.is(recorder.calls().length, calls)
  }
  await ends(t, networks, recorder, ...pods)
})

test('a hot network that somebody deletes inside of the pod is made again as it was', async t => {
  const {networks, recorder} = await colours(t)
  const pod = await networks.start({})
  networks.annotate(pod, {[NPWG]: 'red@r,green@g'})
  await networks.has(pod, 'r 192.168.41.2/24', 'g 192.168.42.2/24')
  for (const name of ['g', 'r']) {
    const mac = macOf(pod, name)
    pod.namespace.ip('link', 'del', name)
    await networks.has(pod, 'r 192.168.41.2/24', 'g 192.168.42.2/24')
    t.is(macOf(pod, name), mac)
  }
  await networks.told(pod, 'attached default/red r', 'attached default/green g')
  await ends(t, networks, recorder, pod)
})

test('the journal is lost: what stands is found through the runtime, and taken on as it is', async t => {
  const peer = await startCriPeer(t)
  const {networks, recorder} = await colours(t, {config: {attachments: {criSockets: [peer.socket]}}})
  const {node, runtime} = networks
  networks.define('red', recorder.conf('red', '192.168.41.0/24', {type: 'bridge'}))
  const one = await networks.start({[NPWG]: 'red@r', networks: '[{"name": "green"}]'})
  networks.annotate(one, {[NPWG]: 'red@r,blue@b'})
  const GREEN = 'net9f27410725ab'
  const all = [`${GREEN} 192.168.42.2/24`, 'b 192.168.43.2/24', 'r 192.168.41.2/24']
  await networks.has(one, ...all)
  await networks.told(one, 'attached default/red r', 'attached default/blue b', `attached default/green ${GREEN}`)
  const status = networks.status(one)
  peer.sandboxes.push({id: one.id, uid: one.uid, name: one.name, netns: one.namespace.path})
  await node.agent.kill()
  rmSync(join(node.agent.state, 'journal'), {recursive: true, maxRetries: 5})
  const heard = await listen(t, networks, one)
  node.agent.start()
  await runtime.serving()
  await node.until(() => node.agent.metric('netgraft_attachments', {state: 'added'}).then(count => count === 3))
  await sleep(300)
  t.deepEqual(heard(), [])
  await networks.has(one, ...all)
  t.deepEqual(networks.status(one), status)
  networks.annotate(one, {[NPWG]: 'red@r'})
  await networks.has(one, `${GREEN} 192.168.42.2/24`, 'r 192.168.41.2/24')
  networks.annotate(one, {[NPWG]: 'red@r,blue@c'})
  await networks.has(one, `${GREEN} 192.168.42.2/24`, 'r 192.168.41.2/24', 'c 192.168.43.3/24')
  // The runtime still calls it ready.
  await runtime.succeeds('DEL', one, networks.asked(one))
  await sleep(300)
  await runtime.clean()
  t.deepEqual(networks.interfaces(one), [])
  t.deepEqual(recorder.leases(), [])
})

test('an agent that is killed again and again while twenty pods are edited', async t => {
  t.timeout(180_000)
  const {networks, recorder} = await colours(t)
  const {node} = networks
  const pods: Started[] = []
  for (let n = 0; n < 20; n++) pods.push(await networks.start({}))
  const names = ['red', 'green', 'blue']
  const wish = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), fc.constantFrom('x', 'y', 'z')), {
    maxLength: 3,
    selector: ([_, ifname]) => ifname,
  })
  const wishes = fc.sample(wish, {numRuns: 1000, seed: 11})
  const lives = fc.sample(fc.integer({min: 100, max: 1200}), {numRuns: 5, seed: 5})
  const last = new Map<Started, readonly (readonly [string, string])[]>()
  let edits = 0
  const edit = () => {
    const pod = pods[(edits * 7) % pods.length]!
    const chosen = wishes[edits++ % wishes.length]!
    last.set(pod, chosen)
    networks.annotate(pod, {[NPWG]: chosen.map(([name, ifname]) => `${name}@${ifname}`).join(',')})
  }
  for (const life of lives) {
    const until = performance.now() + life
    while (performance.now() < until) {
      edit()
      await sleep(5)
    }
    await node.agent.kill()
    for (let n = 0; n < 10; n++) edit()
    node.agent.start()
  }
  t.log(`${edits} edits`)
  const subnets = {red: '192.168.41.', green: '192.168.42.', blue: '192.168.43.'} as Record<string, string>
  for (const pod of pods) {
    const wanted = [...(last.get(pod) ?? [])]
    const want = wanted.map(([name, ifname]) => `${ifname} ${subnets[name]}`).sort()
    const have = () =>
      networks
        .interfaces(pod)
        .filter(each => !each.startsWith('eth0'))
        .map(each => each.replace(/\d+\/24$/, ''))
    await node.until(
      () => have().join() === want.join(),
      () => `${pod.name}: ${want}, and there is ${have()}`,
    )
    await networks.told(pod, ...wanted.map(([name, ifname]) => `attached default/${name} ${ifname}`))
  }
  // What is not asked for has left nothing behind.
  const count = [...last.values()].reduce((sum, {length}) => sum + length, 0)
  t.is(recorder.leases().length, count)
  const hostEnds = () => node.namespace.json('link', 'show', 'type', 'veth').filter(({ifname}) => /^veth/.test(ifname))
  await node.until(() => hostEnds().length === count + pods.length)
  await Promise.all(pods.map(pod => networks.runtime.succeeds('DEL', pod, networks.asked(pod))))
  await ends(t, networks, recorder)
})

/** What the kernel tells of links, addresses and routes in a pod's namespace until the result is called. */
async function listen(t: ExecutionContext, {node}: Networks, {namespace}: Started): Promise<() => string[]> {
  const {spawn} = await import('node:child_process')
  const child = spawn('ip', ['-n', namespace.name, '-o', 'monitor', 'link', 'address', 'route'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', more => {
    text += more
  })
  await node.until(() => {
    namespace.ip('route', 'add', 'blackhole', '198.51.100.1')
    namespace.ip('route', 'del', 'blackhole', '198.51.100.1')
    return text.includes('198.51.100.1')
  })
  return () => {
    child.kill()
    // What IPv6 does by itself, and our mark.
    return text.split('\n').filter(line => line !== '' && !/ fe80:|^local fe80:|198\.51\.100\./.test(line))
  }
}
