import {join} from 'node:path'
import test from 'ava'
import {conf, GOOD, startGood} from './support/good.ts'
import type {Declared, Networks} from './support/networks.ts'
import {built} from './support/node.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'

/** Events that warn. */
const warnings = (networks: Networks, pod: Declared): string[] =>
  networks
    .events(pod)
    .filter(event => event.startsWith('Warning'))
    .sort()

test('who may use which definitions, at the start and hot', async t => {
  const grants = [
    {from: 'shared', names: ['open'], to: ['default']},
    {from: 'public', names: [], to: []},
  ]
  const {networks, dir} = await startGood(t, {grants})
  const {node, runtime} = networks
  for (const name of ['shared', 'public', 'other'])
    node.api.create({apiVersion: 'v1', kind: 'Namespace', metadata: {name}})
  for (const [namespace, name, net] of [
    ['shared', 'open', 1],
    ['shared', 'closed', 2],
    ['public', 'any', 3],
    ['other', 'own', 4],
  ] as const)
    networks.define(name, conf(dir, `${namespace}-${name}`.slice(0, 9), `10.${net}.0.0/24`), {namespace})
  const all = 'good@g,shared/open@o,public/any@p,shared/closed@c,other/own@x'
  const pod = await networks.declare({[NPWG]: all})
  t.regex(
    (await runtime.fails('ADD', pod, networks.asked(pod))).msg,
    /networks\[3\]: pods of namespace "default" may not use "shared\/closed"; use a definition of their own namespace, or add it to attachments\.grants/,
  )
  t.deepEqual(networks.interfaces(pod), [])
  networks.annotate(pod, {[NPWG]: null})
  const started = await networks.wire(pod)
  networks.annotate(pod, {[NPWG]: all})
  await networks.told(
    pod,
    GOOD,
    'attached shared/open o',
    'attached public/any p',
    /^failed shared\/closed c .*may not use/,
    /^failed other\/own x .*may not use/,
  )
  await node.until(() => warnings(networks, pod).length === 2)
  await networks.has(started, 'g 10.9.0.2/24', 'o 10.1.0.2/24', 'p 10.3.0.2/24')

  const other = await networks.start({}, true, {project: 'other'})
  networks.annotate(other, {[NPWG]: 'own@o,public/any@p,shared/open@x,default/good@g'})
  await networks.told(
    other,
    'attached other/own o',
    'attached public/any p',
    /^failed shared\/open x .*pods of namespace "other" may not use/,
    /^failed default\/good g .*may not use/,
  )
  // What was granted is taken back with the next start: what stands is not torn down for it.
  node.configure({
    networks: [{backend: 'direct'}],
    attachments: {definitionsFolder: join(dir, 'net.d'), isolation: true, namespaces: ['default', 'shared']},
  })
  await node.agent.restart()
  await runtime.serving()
  await networks.told(
    pod,
    GOOD,
    /^attached shared\/open o .*may not use/,
    /^attached public\/any p .*a namespace whose definitions this node does not watch; add it to attachments\.namespaces/,
    /^failed shared\/closed c .*may not use/,
    /^failed other\/own x .*does not watch/,
  )
  await networks.has(started, 'g 10.9.0.2/24', 'o 10.1.0.2/24', 'p 10.3.0.2/24')
  node.configure({networks: [{backend: 'direct'}], attachments: {isolation: false}})
  await node.agent.restart()
  await runtime.serving()
  await networks.told(
    pod,
    GOOD,
    'attached shared/open o',
    'attached public/any p',
    'attached shared/closed c',
    'attached other/own x',
  )
  for (const each of [started, other]) await runtime.succeeds('DEL', each, networks.asked(each))
  await runtime.clean()
})
