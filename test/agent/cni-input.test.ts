/** Whatever is asked for, and however: an error in CNI's form, an agent that lives, and nothing left behind. Needs root. */
import {randomBytes} from 'node:crypto'
import {mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {decodeAnswer, encodeRequest} from '../../src/cni/protocol.ts'
import {type Pod, Runtime, reaches, type Verb} from './support/cni.ts'
import {built, startNode, type TestNode} from './support/node.ts'

test.before(built)

/** A node with a pod that must not notice, and one to be maltreated. */
async function serving(t: ExecutionContext): Promise<{node: TestNode; runtime: Runtime; living: Pod; pod: Pod}> {
  const node = await startNode(t, {config: {networks: [{backend: 'direct'}]}})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const [living, pod] = (await runtime.pods(2)) as [Pod, Pod]
  await runtime.add(living)
  return {node, runtime, living, pod}
}

async function unharmed(t: ExecutionContext, node: TestNode, runtime: Runtime, living: Pod, pod?: Pod): Promise<void> {
  t.true(await node.agent.ready())
  t.is(node.agent.stderr, '')
  await runtime.succeeds('CHECK', living)
  t.true(await reaches(living.namespace, '10.64.1.1'))
  if (pod)
    t.deepEqual(
      pod.namespace.json('link', 'show').map(({ifname}) => ifname),
      ['lo'],
    )
  await runtime.succeeds('DEL', living)
  await runtime.clean()
}

test('variables that are missing, or cannot be', async t => {
  const {node, runtime, living, pod} = await serving(t)
  const folder = mkdtempSync(join(tmpdir(), 'ng-input-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  writeFileSync(join(folder, 'file'), 'x')
  writeFileSync(join(folder, 'empty'), '')
  symlinkSync(join(folder, 'loop'), join(folder, 'loop'))
  const bad: readonly [name: string, values: readonly (string | undefined)[]][] = [
    ['CNI_CONTAINERID', [undefined, '', '../../etc', 'a/b', 'a\nb', '-a', 'a b', 'é', 'a'.repeat(300)]],
    ['CNI_IFNAME', [undefined, '', 'a\nb', 'a/b', '..', '.', 'lo', 'a b', 'eth%d', 'a:b', 'a'.repeat(16)]],
    [
      'CNI_NETNS',
      [
        undefined,
        '',
        'relative',
        '/nowhere',
        '/dev/null',
        '/proc/self/ns/mnt',
        '/proc/1/ns/net/x',
        folder,
        `/${'a'.repeat(5000)}`,
        ...['file', 'empty', 'loop', 'nothing'].map(name => join(folder, name)),
        // The node's own.
        node.namespace.path,
        '/proc/self/ns/net',
      ],
    ],
    ['CNI_PATH', [undefined, '', 'relative', '/a:relative', Array(100).fill('/a').join(':')]],
    [
      'CNI_ARGS',
      ['x', '=', 'K8S_POD_NAME=a/b', 'K8S_POD_NAME=a\nb', 'K8S_POD_INFRA_CONTAINER_ID=a/b', 'K8S_POD_UID=$(x)'],
    ],
    ['CNI_COMMAND', [undefined, '', 'add', 'ADD\n', 'INSTALL']],
  ]
  for (const [name, values] of bad)
    for (const value of values) {
      const {code, msg} = await runtime.fails('ADD', pod, {env: {[name]: value}})
      t.is(code, 4, `${name} ${value}: ${msg}`)
      t.regex(msg, new RegExp(name), msg)
      t.false(/[\n\r]/.test(msg), msg)
      t.true(msg.length < 400, msg)
    }
  // A DEL has to succeed wherever there is nothing that could be meant.
  for (const netns of ['/nowhere', '/dev/null', folder, join(folder, 'file'), node.namespace.path, '/proc/self/ns/mnt'])
    await runtime.succeeds('DEL', pod, {env: {CNI_NETNS: netns}})
  t.is((await runtime.fails('CHECK', living, {env: {CNI_IFNAME: 'eth7'}})).code, 3)
  await unharmed(t, node, runtime, living, pod)
})

const deep = (open: string, close: string, depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`

test('a config that is none', async t => {
  const {node, runtime, living, pod} = await serving(t)
  const whole = (more: object) => JSON.stringify({...runtime.config({}), ...more})
  const front = whole({}).slice(0, -1)
  const inputs: readonly (readonly [string, string | Buffer, ...codes: number[]])[] = [
    ['a broken end', front, 6],
    ['two of them', `${whole({})}${whole({})}`, 6],
    ['a deep list', `${front},"x":${deep('[', ']', 100_000)}}`, 6, 7, 0],
    ['a deep object', `${front},"delegates":[${deep('{"a":', '}', 100_000)}]}`, 6, 7],
    ['a large text', `${front},"x":"${'a'.repeat(1024 * 1024 - 400)}"}`, 0],
    ['too much', `${front},"x":"${'a'.repeat(1024 * 1024)}"}`, 6],
    ['not UTF-8', Buffer.concat([Buffer.from(`${front},"x":"`), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]), 6],
    ['a zero', `${front},"x":"\0"}`, 6],
    ['no type', whole({type: undefined}), 7],
    ['no version', whole({cniVersion: undefined}), 1],
    ...[null, 7, [], {}, 'x', 'x\ny', '9.9.9'].map(
      value => [`cniVersion ${JSON.stringify(value)}`, whole({cniVersion: value}), 1, 7] as const,
    ),
    ...[null, 7, [], {}, '', '../x', 'a\nb'].map(
      value => [`name ${JSON.stringify(value)}`, whole({name: value}), 7] as const,
    ),
    ...[7, 'x', {}, [7], [[]], [{type: 7}], [{type: '../x'}], [{type: ''}]].map(
      value => [`chain ${JSON.stringify(value)}`, whole({chain: value}), 7] as const,
    ),
    ...[7, 'x', [], true].map(
      value => [`runtimeConfig ${JSON.stringify(value)}`, whole({runtimeConfig: value}), 7] as const,
    ),
    ['__proto__', `${front},"__proto__":{"chain":[{"type":"x"}]}}`, 0],
    ['constructor', `${front},"constructor":7,"hasOwnProperty":7,"toString":null}`, 0],
  ]
  for (const [name, input, ...codes] of inputs) {
    const {status, stdout} = await runtime.call('ADD', pod, {input})
    const code = status === 0 ? 0 : JSON.parse(stdout).code
    t.true(codes.includes(code), `${name}: ${code} ${stdout.slice(0, 300)}`)
    await runtime.succeeds('DEL', pod)
  }
  await unharmed(t, node, runtime, living, pod)
})

test('any JSON in any place of the config', async t => {
  const {node, runtime, living, pod} = await serving(t)
  const keys = [
    'cniVersion',
    'name',
    'chain',
    'delegates',
    'runtimeConfig',
    'prevResult',
    'args',
    'ipam',
    'dns',
    'capabilities',
    'plugins',
    'cni.dev/valid-attachments',
  ]
  const config = fc.dictionary(
    fc.constantFrom(...keys),
    fc.oneof(fc.jsonValue(), fc.array(fc.record({type: fc.string()}))),
    {maxKeys: 3},
  )
  const verbs = fc.constantFrom<Verb>('ADD', 'CHECK', 'DEL', 'GC', 'STATUS', 'VERSION')
  await fc.assert(
    fc.asyncProperty(verbs, config, async (verb, more) => {
      // What may well be valid is tried elsewhere.
      if (verb === 'GC') delete (more as Record<string, unknown>)['cni.dev/valid-attachments']
      const id = randomBytes(16).toString('hex')
      const outcome = await runtime.ask(id, verb, pod, {config: more, env: {CNI_PATH: '/nowhere'}})
      t.truthy(outcome)
      if (outcome!.status === 0) return
      const {code, msg} = JSON.parse(outcome!.stdout)
      t.true(Number.isInteger(code) && msg.length > 0 && !/[\n\r]/.test(msg), outcome!.stdout)
    }),
    {numRuns: 300},
  )
  await runtime.succeeds('DEL', pod)
  await unharmed(t, node, runtime, living, pod)
})

test('any bytes on the socket', async t => {
  const {node, runtime, living, pod} = await serving(t)
  const stdin = Buffer.from(JSON.stringify(runtime.config({})))
  const frame = () =>
    encodeRequest({
      id: randomBytes(16).toString('hex'),
      env: new Map(Object.entries(runtime.variables('ADD', pod, {}))),
      stdin,
    })
  const mutated = fc
    .array(fc.tuple(fc.nat(frame().length - 1), fc.nat(255)), {minLength: 1, maxLength: 4})
    .map(changes => {
      const bytes = frame()
      for (const [at, value] of changes) bytes[at] = value
      return bytes
    })
  const cut = fc.nat(frame().length - 1).map(length => frame().subarray(0, length))
  const noise = fc.uint8Array({minLength: 1, maxLength: 4096}).map(bytes => Buffer.from(bytes))
  const headed = fc.tuple(fc.uint8Array({maxLength: 200}), fc.nat()).map(([bytes, length]) => {
    const header = Buffer.from('NGQ1\0\0\0\0\0\0\0\0')
    header.writeUInt32LE(length >>> 0, 4)
    return Buffer.concat([header, bytes])
  })
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, cut, noise, headed), async bytes => {
      const socket = await runtime.connect()
      const got: Buffer[] = []
      socket.on('data', (chunk: Buffer) => got.push(chunk))
      const closed = new Promise(resolve => socket.once('close', resolve))
      // A frame that is cut short is never answered: we hang up.
      socket.end(bytes)
      await closed
      const all = Buffer.concat(got)
      if (all.length === 0) return
      const {status, stdout} = decodeAnswer(all)
      if (status === 1) t.true(JSON.parse(stdout.toString()).code > 0)
    }),
    {numRuns: 400},
  )
  // Some have been whole; nobody has acknowledged them.
  await node.until(async () => (await runtime.traces()).every(line => !line.includes(pod.id)))
  const many = await Promise.all(Array.from({length: 200}, () => runtime.connect()))
  await runtime.succeeds('CHECK', living)
  for (const socket of many) socket.destroy()
  await unharmed(t, node, runtime, living)
})

test('namespaces that vanish while they are wired', async t => {
  const {node, runtime, living} = await serving(t)
  const pods = await runtime.pods(24)
  const outcomes = await Promise.all(
    pods.map(async (pod, i) => {
      const adding = runtime.call('ADD', pod)
      await sleep(i * 3)
      pod.namespace.remove()
      return adding
    }),
  )
  t.log(`${outcomes.filter(({status}) => status === 0).length} of ${pods.length} were answered with success`)
  for (const {status, stdout} of outcomes) if (status !== 0) t.true([4, 100].includes(JSON.parse(stdout).code), stdout)
  await Promise.all(pods.map(pod => runtime.succeeds('DEL', pod)))
  await unharmed(t, node, runtime, living)
})
