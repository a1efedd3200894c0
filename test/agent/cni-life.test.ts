/** Agents come and go, pods stay: stopped, killed, started anew, robbed of their state. Needs root. */
import {type ChildProcess, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {rmSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {encodeRequest} from '../../src/cni/protocol.ts'
import {addressesOf, type Pod, Runtime, reaches} from './support/cni.ts'
import {built, startNode, type TestNode} from './support/node.ts'

test.before(built)

const PTP = {networks: [{backend: 'direct'}]}
const BRIDGE = {networks: [{backend: 'direct', pods: {mode: 'bridge'}}]}

async function serving(t: ExecutionContext, config: object = PTP): Promise<{node: TestNode; runtime: Runtime}> {
  const node = await startNode(t, {config})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  return {node, runtime}
}

/** Twenty packets a second until the result is called: how many were lost. */
function pinging(t: ExecutionContext, {namespace}: Pod, address: string): () => Promise<number> {
  const words = ['netns', 'exec', namespace.name, 'ping', '-n', '-q', '-i', '0.05', '-W', '2', address]
  const child: ChildProcess = spawn('ip', words, {stdio: ['ignore', 'pipe', 'inherit']})
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', more => {
    text += more
  })
  return async () => {
    child.kill('SIGINT')
    await once(child, 'close')
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(text)!
    // The last one may be under way.
    return Math.max(0, Number(sent) - Number(received) - 1)
  }
}

for (const [mode, config] of Object.entries({ptp: PTP, bridge: BRIDGE}))
  test(`${mode}: agents are stopped and killed, pods do not notice, and no address is given twice`, async t => {
    const {node, runtime} = await serving(t, config)
    const [a, b, c, d] = (await runtime.pods(4)) as [Pod, Pod, Pod, Pod]
    const [first, second] = await Promise.all([a, b].map(pod => runtime.add(pod)))
    const lost = ['10.64.1.1', ...addressesOf(second!)].map(address => pinging(t, a, address))
    // The kernel tells of carriers once a second.
    await sleep(1200)
    const heard = await node.monitor('link', 'address')
    await node.agent.stop()
    await sleep(100)
    node.agent.start()
    await runtime.serving()
    await node.agent.kill()
    node.agent.start()
    await runtime.serving()
    // An unchanged start writes nothing.
    t.deepEqual(await heard(), [])
    const third = await runtime.add(c)
    await node.agent.kill()
    node.agent.start()
    await runtime.serving()
    const fourth = await runtime.add(d)
    t.deepEqual(await Promise.all(lost.map(count => count())), [0, 0, 0])
    const all = [first!, second!, third, fourth].flatMap(addressesOf)
    t.is(new Set(all).size, all.length, all.join())
    for (const pod of [a, b, c, d]) {
      await runtime.succeeds('CHECK', pod)
      await runtime.succeeds('DEL', pod)
    }
    await runtime.clean()
    t.deepEqual(runtime.troubles(), [])
  })

test('without an agent a DEL is kept for the next one, and an ADD waits for it', async t => {
  const {node, runtime} = await serving(t)
  const [a, b, c] = (await runtime.pods(3)) as [Pod, Pod, Pod]
  await Promise.all([a, b].map(pod => runtime.add(pod)))
  await node.agent.stop()
  const adding = runtime.add(c)
  b.namespace.remove()
  await Promise.all([a, b].map(pod => runtime.succeeds('DEL', pod)))
  t.is((await runtime.traces()).filter(name => name.endsWith('.del')).length, 2)
  t.true(await reaches(a.namespace, '10.64.1.1'))
  node.agent.start()
  await adding
  await node.says('spooled DELs carried out')
  await node.until(async () => (await runtime.traces()).filter(line => /\.(json|del)$/.test(line)).length === 1)
  await runtime.succeeds('CHECK', c)
  t.deepEqual(
    a.namespace.json('link', 'show').map(({ifname}) => ifname),
    ['lo'],
  )
  await runtime.succeeds('DEL', c)
  await runtime.clean()
})

test('a DEL that was kept does not take away what has been added since', async t => {
  const {node, runtime} = await serving(t)
  const [pod] = (await runtime.pods(1)) as [Pod]
  await runtime.add(pod)
  await node.agent.stop()
  await runtime.succeeds('DEL', pod)
  const adding = runtime.add(pod)
  node.agent.start()
  await adding
  await node.until(async () => !(await runtime.traces()).some(name => name.endsWith('.del')))
  await runtime.succeeds('CHECK', pod)
  await runtime.succeeds('DEL', pod)
  await runtime.clean()
})

test('a second agent on the same state folder waits for the first one to end', async t => {
  const {node, runtime} = await serving(t)
  const [a, b] = (await runtime.pods(2)) as [Pod, Pod]
  await runtime.add(a)
  const second = node.secondAgent()
  second.start()
  const serves = () => second.logs.some(({msg}) => msg === 'serving CNI requests')
  await node.until(() => second.logs.some(({msg}) => msg === 'listed'))
  await sleep(300)
  t.false(serves())
  t.regex(`${(await second.http('/readyz'))?.body}`, /ok/, 'the first one has the port')
  await runtime.succeeds('CHECK', a)
  await node.agent.kill()
  await node.until(serves)
  await runtime.add(b)
  for (const pod of [a, b]) await runtime.succeeds('DEL', pod)
  await runtime.clean()
})

test('the state folder vanishes under an agent: what stands is left alone, and can be taken down', async t => {
  const {node, runtime} = await serving(t)
  const [a, b, c] = (await runtime.pods(3)) as [Pod, Pod, Pod]
  const [first, second] = await Promise.all([a, b].map(pod => runtime.add(pod)))
  rmSync(node.agent.state, {recursive: true, maxRetries: 5})
  await runtime.succeeds('CHECK', a)
  t.true(await reaches(a.namespace, addressesOf(second!)[0]!))
  await runtime.succeeds('DEL', a)
  const third = await runtime.add(c)
  t.true(await reaches(b.namespace, addressesOf(third)[0]!))
  t.false(addressesOf(first!).includes(addressesOf(third)[0]!))
  await Promise.all([b, c].map(pod => runtime.succeeds('DEL', pod)))
  await runtime.clean()
})

for (const [mode, config] of Object.entries({ptp: PTP, bridge: BRIDGE}))
  test(`${mode}: the state folder vanishes between two agents: living pods keep their addresses for themselves`, async t => {
    const {node, runtime} = await serving(t, config)
    const [a, b, c] = (await runtime.pods(3)) as [Pod, Pod, Pod]
    const results = await Promise.all([a, b].map(pod => runtime.add(pod)))
    await node.agent.stop()
    rmSync(node.agent.state, {recursive: true, maxRetries: 5})
    node.agent.start()
    await runtime.serving()
    for (const {namespace} of [a, b]) t.true(await reaches(namespace, '10.64.1.1'))
    const all = [...results, await runtime.add(c)].flatMap(addressesOf)
    t.is(new Set(all).size, all.length, all.join())
    for (const pod of [a, b, c]) await runtime.succeeds('DEL', pod)
    await runtime.clean()
  })

test('a request that is sent again has the answer of the first one; another one is refused', async t => {
  const {node, runtime} = await serving(t)
  const [pod] = (await runtime.pods(1)) as [Pod]
  const [id, other] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')]
  const first = await runtime.ask(id, 'ADD', pod)
  t.is(first?.status, 0)
  t.deepEqual(await runtime.ask(id, 'ADD', pod), first)
  t.is(JSON.parse((await runtime.ask(other, 'ADD', pod))!.stdout).code, 100)
  await node.agent.kill()
  node.agent.start()
  await runtime.serving()
  t.deepEqual(await runtime.ask(id, 'ADD', pod), first)
  t.is(JSON.parse((await runtime.ask(other, 'ADD', pod))!.stdout).code, 100)
  await runtime.succeeds('DEL', pod)
  await runtime.clean()
})

for (const signal of ['SIGKILL', 'SIGTERM'] as const)
  test(`an ADD that is under way when its agent ends with ${signal} is done by the next one`, async t => {
    const node = await startNode(t, {nodes: ['a via 192.168.0.1'], config: PTP})
    const runtime = new Runtime(t, node)
    await node.says('serving CNI requests')
    const [pod] = (await runtime.pods(1)) as [Pod]
    const adding = runtime.add(pod)
    await sleep(300)
    const began = performance.now()
    await node.agent.kill(signal)
    t.log(`ended in ${Math.round(performance.now() - began)} ms`)
    node.agent.start()
    await node.says('serving CNI requests')
    node.put('a 10.64.1.0/24 via 192.168.0.1')
    t.deepEqual(addressesOf(await adding), ['10.64.1.2'])
    await runtime.succeeds('CHECK', pod)
    await runtime.succeeds('DEL', pod)
    await runtime.clean()
  })

test('an ADD that the runtime never hears of is undone', async t => {
  const node = await startNode(t, {nodes: ['a via 192.168.0.1'], config: PTP})
  const runtime = new Runtime(t, node)
  await node.says('serving CNI requests')
  const [a, b, c] = (await runtime.pods(3)) as [Pod, Pod, Pod]
  const shim = runtime.start('ADD', a)
  await sleep(300)
  shim.kill('SIGKILL')
  await once(shim, 'close')
  node.put('a 10.64.1.0/24 via 192.168.0.1')
  await node.says('it is undone', a.id)
  await runtime.clean()
  const request = (pod: Pod) => {
    const env = new Map(Object.entries(runtime.variables('ADD', pod, {})))
    const stdin = Buffer.from(JSON.stringify(runtime.config({})))
    return encodeRequest({id: randomBytes(16).toString('hex'), env, stdin})
  }
  t.true((await runtime.send(request(b), {acknowledge: false})).length > 12)
  await node.says('it is undone', b.id)
  const hasty = await runtime.connect()
  hasty.end(request(c))
  hasty.resume()
  await node.says('it is undone', c.id)
  await runtime.clean()
  await runtime.add(c)
  await runtime.succeeds('DEL', c)
})
