import test from 'ava'
import fc from 'fast-check'
import {CNI_CODES, CniError} from '../../src/cni/error.ts'
import type {ShimRequest} from '../../src/cni/protocol.ts'
import {asCniError, COMMANDS, decodeCall, parseArgs} from '../../src/cni/request.ts'
import {InvalidInput} from '../../src/model/errors.ts'
import {ifnameFault} from '../../src/model/ifname.ts'
import {addLink, dumpLinks} from '../../src/netlink/link.ts'
import {namespaces} from '../netlink/namespace.ts'

const ID = '0'.repeat(32)
const GOOD = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/x',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
}

const call = (env: {readonly [name: string]: string}, stdin: Buffer = Buffer.from('{}')): ShimRequest => ({
  id: ID,
  env: new Map(Object.entries(env)),
  stdin,
})

/** The error of a good request with these variables in it. Undefined: it is taken. */
function faultOf(change: {readonly [name: string]: string}): string | undefined {
  try {
    decodeCall(call({...GOOD, ...change}))
    return undefined
  } catch (error) {
    if (!(error instanceof CniError) || error.number !== CNI_CODES.invalidEnvironment) throw error
    return error.message
  }
}

test('a request of a kubelet, whole', t => {
  const args =
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=8f3c-1;X=a=b;'
  t.deepEqual(decodeCall(call({...GOOD, CNI_ARGS: args, CNI_PATH: '/a:/b/c::'}, Buffer.from('{"name":"ü"}'))), {
    id: ID,
    command: 'ADD',
    containerId: 'c1',
    netns: '/run/netns/x',
    ifname: 'eth0',
    args,
    pod: {namespace: 'ns', name: 'web-0', uid: '8f3c-1'},
    path: ['/a', '/b/c'],
    stdin: '{"name":"ü"}',
  })
})

test('each command needs what the specification says, and knows nothing of the rest', t => {
  const taken = (command: string, ...names: (keyof typeof GOOD)[]) => {
    const env = Object.fromEntries(names.map(name => [name, GOOD[name]]))
    try {
      const {containerId, netns, ifname, path} = decodeCall(call({...env, CNI_COMMAND: command}))
      return [containerId, netns, ifname, ...path].join(' ')
    } catch (error) {
      return (error as CniError).message
    }
  }
  const all = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'] as const
  for (const command of ['ADD', 'CHECK']) {
    t.is(taken(command, ...all), 'c1 /run/netns/x eth0 /opt/cni/bin')
    for (const missing of all)
      t.is(taken(command, ...all.filter(name => name !== missing)), `${missing} is not set; ${command} needs it`)
  }
  t.is(taken('DEL', ...all), 'c1 /run/netns/x eth0 /opt/cni/bin')
  t.is(taken('DEL', 'CNI_CONTAINERID', 'CNI_IFNAME'), 'c1  eth0')
  t.is(taken('DEL', 'CNI_IFNAME'), 'CNI_CONTAINERID is not set; DEL needs it')
  t.is(taken('DEL', 'CNI_CONTAINERID'), 'CNI_IFNAME is not set; DEL needs it')
  for (const command of ['GC', 'STATUS', 'VERSION']) t.is(taken(command), '  ')
  t.is(taken('GC', ...all), '   /opt/cni/bin')
  t.is(taken('STATUS', ...all), '   /opt/cni/bin')
  t.is(taken('VERSION', ...all), '  ')
})

test('a variable that a command does not have cannot fail it', t => {
  const broken = {CNI_CONTAINERID: '/', CNI_NETNS: 'x', CNI_IFNAME: 'lo', CNI_ARGS: 'x'}
  for (const CNI_COMMAND of ['GC', 'STATUS']) t.is(faultOf({...broken, CNI_COMMAND}), undefined)
  t.is(faultOf({...broken, CNI_COMMAND: 'VERSION', CNI_PATH: 'x'}), undefined)
})

test('variables that are taken', t => {
  const good: readonly [name: string, value: string][] = [
    ['CNI_CONTAINERID', '0'],
    ['CNI_CONTAINERID', `A_b.c-${'9'.repeat(194)}`],
    ['CNI_NETNS', '/'],
    ['CNI_NETNS', `/${'n'.repeat(4095)}`],
    ['CNI_NETNS', '/proc/1/ns/net'],
    ['CNI_NETNS', '/a folder/ü'],
    ['CNI_IFNAME', 'a'],
    ['CNI_IFNAME', '...'],
    ['CNI_IFNAME', 'eth0.100@x-y_z+'],
    ['CNI_IFNAME', 'ééééééé'],
    ['CNI_PATH', '/'],
    ['CNI_PATH', Array(64).fill('/x').join(':')],
    ['CNI_ARGS', ''],
    ['CNI_ARGS', ';;A=;'],
    ['CNI_ARGS', 'K8S_POD_NAME=;K8S_POD_NAMESPACE='],
    ['CNI_ARGS', `K8S_POD_NAME=${'a'.repeat(253)};K8S_POD_NAMESPACE=My_container-`],
    ['CNI_ARGS', 'K8S_POD_INFRA_CONTAINER_ID=another'],
  ]
  for (const [name, value] of good) t.is(faultOf({[name]: value}), undefined, `${name}=${value}`)
})

test('variables that are refused, each with one plain sentence', t => {
  const id =
    'is no container id; letters, digits, dots, dashes and underscores are allowed, the first one a letter or digit'
  const ifname = 'has a slash, a colon, a percent sign, white space or a control character'
  const notArgs = 'which is not KEY=VALUE'
  const pod = 'cannot be that of a pod'
  const bad: readonly [name: string, value: string, fault: string][] = [
    ['CNI_COMMAND', '', 'CNI_COMMAND is not set; it must be one of ADD, DEL, CHECK, GC, STATUS, VERSION'],
    ['CNI_COMMAND', 'add', 'CNI_COMMAND is "add"; it must be one of ADD, DEL, CHECK, GC, STATUS, VERSION'],
    ['CNI_COMMAND', '__proto__', 'CNI_COMMAND is "__proto__"; it must be one of ADD, DEL, CHECK, GC, STATUS, VERSION'],
    ['CNI_CONTAINERID', '', 'CNI_CONTAINERID is not set; ADD needs it'],
    ['CNI_CONTAINERID', '../x', `CNI_CONTAINERID "../x" ${id}`],
    ['CNI_CONTAINERID', 'a/b', `CNI_CONTAINERID "a/b" ${id}`],
    ['CNI_CONTAINERID', '.a', `CNI_CONTAINERID ".a" ${id}`],
    ['CNI_CONTAINERID', 'a@b', `CNI_CONTAINERID "a@b" ${id}`],
    ['CNI_CONTAINERID', 'a\n', `CNI_CONTAINERID "a\\n" ${id}`],
    ['CNI_CONTAINERID', 'é', `CNI_CONTAINERID "é" ${id}`],
    ['CNI_CONTAINERID', 'x'.repeat(201), `CNI_CONTAINERID "${'x'.repeat(100)}…" has more than 200 characters`],
    ['CNI_NETNS', 'run/netns/x', 'CNI_NETNS "run/netns/x" is not an absolute path'],
    ['CNI_NETNS', `/${'n'.repeat(4096)}`, `CNI_NETNS "/${'n'.repeat(99)}…" has more than 4096 characters`],
    ['CNI_IFNAME', '1234567890123456', 'CNI_IFNAME "1234567890123456" is longer than 15 bytes'],
    ['CNI_IFNAME', 'éééééééé', 'CNI_IFNAME "éééééééé" is longer than 15 bytes'],
    ['CNI_IFNAME', 'a/b', `CNI_IFNAME "a/b" ${ifname}`],
    ['CNI_IFNAME', 'eth0:1', `CNI_IFNAME "eth0:1" ${ifname}`],
    ['CNI_IFNAME', 'eth%d', `CNI_IFNAME "eth%d" ${ifname}`],
    ['CNI_IFNAME', 'a b', `CNI_IFNAME "a b" ${ifname}`],
    ['CNI_IFNAME', 'eth0\n', `CNI_IFNAME "eth0\\n" ${ifname}`],
    ['CNI_IFNAME', '\u007f', `CNI_IFNAME "\u007f" ${ifname}`],
    ['CNI_IFNAME', 'à', 'CNI_IFNAME "à" has a letter with a byte that the kernel takes for white space'],
    ['CNI_IFNAME', 'lo', `CNI_IFNAME "lo" cannot be a pod interface's name`],
    ['CNI_IFNAME', '.', `CNI_IFNAME "." cannot be a pod interface's name`],
    ['CNI_IFNAME', '..', `CNI_IFNAME ".." cannot be a pod interface's name`],
    ['CNI_PATH', '/a:b', 'CNI_PATH has "b", which is not an absolute path'],
    ['CNI_PATH', Array(65).fill('/x').join(':'), 'CNI_PATH has 65 folders; 64 are the most'],
    ['CNI_ARGS', 'A', `CNI_ARGS has "A", ${notArgs}`],
    ['CNI_ARGS', 'A=1;=2', `CNI_ARGS has "=2", ${notArgs}`],
    ['CNI_ARGS', 'A=1;\n', `CNI_ARGS has "\\n", ${notArgs}`],
    ['CNI_ARGS', 'K8S_POD_NAME=a/../b', `CNI_ARGS: K8S_POD_NAME "a/../b" ${pod}`],
    ['CNI_ARGS', 'K8S_POD_NAME=.', `CNI_ARGS: K8S_POD_NAME "." ${pod}`],
    ['CNI_ARGS', `K8S_POD_NAME=${'a'.repeat(254)}`, `CNI_ARGS: K8S_POD_NAME "${'a'.repeat(100)}…" ${pod}`],
    ['CNI_ARGS', 'K8S_POD_NAMESPACE=a b', `CNI_ARGS: K8S_POD_NAMESPACE "a b" ${pod}`],
    ['CNI_ARGS', 'K8S_POD_UID=a.b', `CNI_ARGS: K8S_POD_UID "a.b" ${pod}`],
    ['CNI_ARGS', 'K8S_POD_INFRA_CONTAINER_ID=/x', `CNI_ARGS: K8S_POD_INFRA_CONTAINER_ID "/x" ${id}`],
  ]
  for (const [name, value, fault] of bad) t.is(faultOf({[name]: value}), fault)
})

test('of arguments the last of a name counts, and a value may hold an equals sign', t => {
  t.deepEqual(
    [...parseArgs('A=1;B==;A=2')],
    [
      ['A', '2'],
      ['B', '='],
    ],
  )
})

test('a pod has a namespace and a name, or nothing is said of it', t => {
  const podOf = (CNI_ARGS: string) => decodeCall(call({...GOOD, CNI_ARGS})).pod
  t.deepEqual(podOf('K8S_POD_NAMESPACE=a;K8S_POD_NAME=b'), {namespace: 'a', name: 'b'})
  t.is(podOf('K8S_POD_NAMESPACE=a'), undefined)
  t.is(podOf('K8S_POD_NAME=b;K8S_POD_UID=c'), undefined)
  t.is(podOf(''), undefined)
})

test('standard input that is no text is refused', t => {
  const error = t.throws(() => decodeCall(call(GOOD, Buffer.from([0xff]))), {instanceOf: CniError})
  t.is(error.number, CNI_CODES.undecodable)
  t.is(error.message, 'the config on standard input is not UTF-8 text')
})

test('whatever is thrown is one line for the runtime', t => {
  const told = (error: unknown) => {
    const {number, message} = asCniError(error)
    return `${number} ${message}`
  }
  t.is(told(new CniError('tryAgainLater', 'x')), '11 x')
  t.is(told(new InvalidInput('x')), '4 x')
  t.is(told(new Error('a\n  b')), '100 a b')
  t.is(told('x'), '100 x')
  t.is(told(undefined), '100 undefined')
  t.is(
    told(new DOMException('x', 'TimeoutError')),
    '11 it took longer than cni.deadlineSeconds; the runtime tries again',
  )
})

const name = fc.oneof(
  fc.constantFrom('CNI_COMMAND', 'CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH', 'CNI_ARGS'),
  fc.string(),
)
const value = fc.oneof(
  fc.string({unit: 'binary'}),
  fc.string({unit: fc.constantFrom('K8S_POD_NAME', 'K8S_POD_UID', '=', ';', ':', '/', 'a', '\n', '%', '.', 'é')}),
  fc.constantFrom(...COMMANDS, ...Object.values(GOOD)),
)

test('property: whatever is in the environment, it is taken or refused with one line', t => {
  let taken = 0
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), fc.uint8Array(), fc.boolean(), (changes, stdin, isGood) => {
      const env = new Map([...(isGood ? Object.entries(GOOD) : []), ...changes])
      try {
        const {containerId, ifname} = decodeCall({id: ID, env, stdin: Buffer.from(stdin)})
        t.notRegex(`${containerId}${ifname}`, /[/\s]/)
        taken++
      } catch (error) {
        if (!(error instanceof CniError)) throw error
        t.notRegex(error.message, /[\r\n]/)
        t.true(error.message.length < 400)
      }
    }),
    {numRuns: 3000},
  )
  t.true(taken > 0)
})

test('property: an interface can have every name that is taken', async t => {
  const [space] = await namespaces(t, 1)
  const names = fc.oneof(
    fc.string({unit: 'binary', minLength: 1, maxLength: 5}),
    fc.string({unit: 'grapheme', minLength: 1, maxLength: 5}),
    fc.string({unit: fc.constantFrom('%', 'd', 'à', 'é', '@', '.', '~', '-'), minLength: 1, maxLength: 5}),
  )
  const taken = new Set(fc.sample(names, 2000).filter(each => each.isWellFormed() && ifnameFault(each) === undefined))
  t.true(taken.size > 100)
  const kernel = await space.kernel()
  const [refusal] = await kernel.batch([addLink({name: 'à', kind: {type: 'bridge'}})], () => {})
  t.is(refusal?.code, 'EINVAL')
  const wanted = [...taken].slice(0, 200)
  const refusals = await kernel.batch(
    wanted.map(each => addLink({name: each, kind: {type: 'bridge'}})),
    () => {},
  )
  t.deepEqual(
    wanted.filter((_, i) => refusals[i]),
    [],
  )
  const links = await kernel.dump(dumpLinks())
  t.deepEqual(links.flatMap(link => (link.loopback ? [] : [link.name])).toSorted(), wanted.toSorted())
})
