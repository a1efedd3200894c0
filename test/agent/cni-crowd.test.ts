/** A hundred pods at once come and go. Needs root. */
import test from 'ava'
import {addressesOf, Runtime, reaches} from './support/cni.ts'
import {built, startNode} from './support/node.ts'

test.before(built)

const COUNT = 100

for (const mode of ['ptp', 'bridge'])
  test.serial(`${mode}: ${COUNT} pods at once`, async t => {
    const node = await startNode(t, {config: {networks: [{backend: 'direct', pods: {mode}}]}})
    const runtime = new Runtime(t, node)
    await runtime.serving()
    const pods = await runtime.pods(COUNT)
    const began = performance.now()
    const results = await Promise.all(pods.map(pod => runtime.add(pod)))
    t.log(`added in ${Math.round(performance.now() - began)} ms`)
    const addresses = results.flatMap(addressesOf)
    t.is(new Set(addresses).size, 2 * COUNT)
    const ends = results.map(result => runtime.hostEnd(result))
    t.is(new Set(ends).size, COUNT)
    for (const pod of pods.slice(0, 20)) t.true(await reaches(pod.namespace, '10.64.1.1'))
    t.true(await reaches(pods[0]!.namespace, addressesOf(results.at(-1)!)[1]!))
    await Promise.all(pods.map(pod => runtime.succeeds('DEL', pod)))
    await runtime.clean()
    t.is(await node.agent.metric('netgraft_cni_requests_total'), 2 * COUNT)
    for (const command of ['ADD', 'DEL']) {
      t.is(await node.agent.metric('netgraft_cni_requests_total', {command, code: '0'}), COUNT)
      t.is(await node.agent.metric('netgraft_cni_request_seconds_count', {command}), COUNT)
      const seconds = (await node.agent.metric('netgraft_cni_request_seconds_sum', {command}))!
      t.true(seconds > 0 && seconds < COUNT * 60, `${seconds}`)
    }
    // All of them are answered with addresses that nobody else has had so far.
    const again = await runtime.add(pods[0]!)
    t.false(addresses.includes(addressesOf(again)[0]!))
    await runtime.succeeds('DEL', pods[0])
    await runtime.clean()
    t.deepEqual(runtime.troubles(), [])
  })
