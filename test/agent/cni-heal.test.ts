/** Somebody has been at what pods hang on: it is put right, or told. Needs root. */
import test from 'ava'
import {addressesOf, type Pod, type Result, Runtime, reaches} from './support/cni.ts'
import {built, startNode, type TestNode} from './support/node.ts'

test.before(built)

const kernel = {resyncSeconds: 10}
const PTP = {networks: [{backend: 'direct'}], kernel}
const BRIDGE = {networks: [{backend: 'direct', pods: {mode: 'bridge'}}], kernel}

/** Commands of `ip` and `bridge`; $ is the host's end, % the pod's first address, _ an empty word. */
const DAMAGES: readonly {name: string; config: object; commands: readonly string[]}[] = [
  {
    name: 'ptp',
    config: PTP,
    commands: [
      'ip link set $ down',
      'ip addr flush dev $',
      'ip addr del 10.64.1.1/32 dev $',
      'ip route del %',
      'ip link set $ alias _',
      'ip link set $ group default',
    ],
  },
  {
    name: 'bridge',
    config: BRIDGE,
    commands: [
      'ip link set $ nomaster',
      'ip link set $ down',
      'bridge link set dev $ hairpin off',
      'ip link set ng-br0 down',
      'ip addr flush dev ng-br0',
      'ip addr del 10.64.1.1/24 dev ng-br0',
      'ip link del ng-br0',
      'ip link set $ group default',
    ],
  },
]

function damage({namespace}: TestNode, text: string, end: string, address: string): void {
  const given: Readonly<Record<string, string>> = {$: end, '%': address, _: ''}
  const [program, ...words] = text.split(' ').map(word => given[word] ?? word)
  if (program === 'ip') namespace.ip(...(words as string[]))
  else namespace.bridge(...(words as string[]))
}

const marksOf = (node: TestNode, end: string) => {
  const [{ifalias, group}] = node.namespace.json('link', 'show', 'dev', end)
  return {ifalias, group}
}

for (const {name, config, commands} of DAMAGES)
  test(`${name}: what is damaged on the host is put right`, async t => {
    const node = await startNode(t, {config})
    const runtime = new Runtime(t, node)
    await runtime.serving()
    const [a, b] = (await runtime.pods(2)) as [Pod, Pod]
    const [first, second] = (await Promise.all([a, b].map(pod => runtime.add(pod)))) as [Result, Result]
    const end = runtime.hostEnd(first)
    const marks = marksOf(node, end)
    t.deepEqual(marks, {ifalias: `netgraft:cni:${a.id}:eth0`, group: '28263'})
    for (const command of commands) {
      const began = performance.now()
      damage(node, command, end, addressesOf(first)[0]!)
      await node.until(
        async () =>
          (await runtime.call('CHECK', a)).status === 0 && JSON.stringify(marksOf(node, end)) === JSON.stringify(marks),
        () => `${command} is put right`,
        50,
      )
      t.log(`${command}: ${Math.round(performance.now() - began)} ms`)
      for (const address of addressesOf(second)) t.true(await reaches(a.namespace, address), `${command}: ${address}`)
      await runtime.succeeds('CHECK', b)
    }
    t.true((await node.agent.metric('netgraft_attachment_repairs_total'))! >= commands.length)
    t.false(runtime.troubles().some(line => line.includes('cannot be put right')))
    for (const pod of [a, b]) await runtime.succeeds('DEL', pod)
    await runtime.clean()
  })

test('what cannot be put right is told once; the pod can be taken down', async t => {
  const node = await startNode(t, {config: PTP})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const [a, b, c] = (await runtime.pods(3)) as [Pod, Pod, Pod]
  const [first, second] = (await Promise.all([a, b].map(pod => runtime.add(pod)))) as [Result, Result]
  await runtime.add(c)
  await node.ip(`link del ${runtime.hostEnd(first)}`)
  await node.says('error', 'cannot be put right', a.id, 'has gone')
  // Given to somebody else: it is theirs.
  await node.ip(`link set ${runtime.hostEnd(second)} alias theirs`)
  await node.says('error', 'cannot be put right', b.id, 'theirs')
  // Taken down without a word: found when it is looked for the next time.
  c.namespace.remove()
  await node.says('info', 'an attachment whose namespace has gone is removed', c.id)
  const told = runtime.troubles().filter(line => line.includes('cannot be put right'))
  t.is(told.length, 2, told.join('\n'))
  await node.ip(`link set ${runtime.hostEnd(second)} alias netgraft:cni:${b.id}:eth0`)
  await node.says('info', 'an attachment is right again', b.id)
  for (const pod of [a, b]) await runtime.succeeds('DEL', pod)
  await runtime.clean()
})
