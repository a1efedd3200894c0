/** Many pods at once, on one bridge that nobody has made yet, and routed: all come, all can be reached, all go. */
import test from 'ava'
import {parseResult} from '../../../src/cni/versions.ts'
import {openSandboxes} from './crowd.ts'

const PODS = 24

for (const type of ['bridge', 'ptp'] as const)
  test(`${PODS} pods of type ${type} come and go at once`, async t => {
    const {world, pods, run} = await openSandboxes(t, PODS)
    const config = {
      type,
      ...(type === 'bridge' && {bridge: 'br7', isDefaultGateway: true}),
      ipam: {
        type: 'host-local',
        ranges: [[{subnet: '10.9.0.0/24'}], [{subnet: 'fd09::/64'}]],
        routes: type === 'ptp' ? [{dst: '0.0.0.0/0'}] : [],
      },
    }
    const answers = await Promise.all(pods.map((_, i) => run('add', i, {config})))
    t.deepEqual(answers.map(({error}) => error).filter(Boolean), [])
    const results = answers.map(({result}) => parseResult(result, '1.0.0'))
    const addresses = results.flatMap(({ips}) => ips.map(({address}) => address.split('/')[0]!))
    t.is(new Set(addresses).size, 2 * PODS)
    const first = addresses[0]!
    // Through the gateway, or the bridge: to another pod, and to the host.
    for (const to of [first, '10.9.0.1']) pods[PODS - 1]!.exec('ping', '-c1', '-W5', to)
    pods[PODS - 1]!.exec('ping', '-6', '-c1', '-W5', addresses[1]!)
    const checks = await Promise.all(answers.map(({result}, i) => run('check', i, {config, prevResult: result})))
    t.deepEqual(checks.map(({error}) => error).filter(Boolean), [])
    const repairs = await Promise.all(answers.map(({result}, i) => run('repair', i, {config, prevResult: result})))
    t.deepEqual(
      repairs.flatMap(({result}) => result),
      [],
    )
    const gone = await Promise.all(answers.map(({result}, i) => run('del', i, {config, prevResult: result})))
    t.deepEqual(gone.map(({error}) => error).filter(Boolean), [])
    const left = world.json('link', 'show').map(each => each.ifname)
    t.deepEqual(left.sort(), type === 'bridge' ? ['br7', 'lo'] : ['lo'])
    for (const pod of pods) t.is(pod.json('link', 'show').length, 1)
  })
