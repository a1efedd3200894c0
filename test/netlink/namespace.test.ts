/** Namespaces as pods are wired with them, on the real kernel. Needs root. */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {InvalidInput} from '../../src/model/errors.ts'
import {parseCidr, parseIp} from '../../src/model/ip.ts'
import {type NamespaceKernel, SandboxGone, type Step} from '../../src/model/namespace.ts'
import type {IfIndex, Mac, Route} from '../../src/model/net.ts'
import {namespaceKernel, namespaces as openNamespaces} from '../../src/netlink/namespace.ts'
import {lines, linksOf} from './iproute.ts'
import {type Namespace, namespaces} from './namespace.ts'

const kernelOf = async (at: Namespace): Promise<NamespaceKernel> => namespaceKernel(await at.kernel())

const veth = (name: string, peer: string, netns?: number): Step => ({
  op: 'add',
  object: 'link',
  item: {name, kind: {type: 'veth', peer: {name: peer, ...(netns !== undefined && {netns})}}},
})

const folder = (t: ExecutionContext): string => {
  const path = mkdtempSync(join(tmpdir(), 'ng-namespace-'))
  t.teardown(() => rmSync(path, {recursive: true, force: true, maxRetries: 5}))
  return path
}

test('a veth into a pod is known by both its indexes at once', async t => {
  const [host, pod] = await namespaces(t, 2)
  const [kernel, inside] = [await kernelOf(host), await kernelOf(pod)]
  const [outcome] = await kernel.change([veth('v0', 'eth0', await pod.fd())])
  t.is(outcome?.refusal, undefined)
  t.is(outcome?.link?.index, host.index('v0'))
  t.is(outcome?.link?.parent, pod.index('eth0'))
  t.is((await inside.link('eth0'))?.index, pod.index('eth0'))
  t.is((await inside.link(pod.index('eth0')))?.name, 'eth0')
})

test('a refusal does not keep the others from being tried, and says what was refused', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await kernelOf(at)
  const outcomes = await kernel.change([
    veth('v0', 'p0'),
    veth('v0', 'p1'),
    {op: 'set', object: 'link', item: 'gone', to: {up: true}},
    {op: 'read', object: 'link', item: 'gone'},
    {op: 'set', object: 'link', item: 'v0', to: {up: true}},
    {op: 'read', object: 'link', item: 'v0'},
  ])
  t.deepEqual(
    outcomes.map(({refusal}) => refusal?.code),
    [undefined, 'EEXIST', 'ENODEV', 'ENODEV', undefined, undefined],
  )
  t.regex(outcomes[1]!.refusal!.message, /^link add v0 type veth: /)
  t.is(outcomes[5]?.link?.name, 'v0')
  t.true(outcomes[5]?.link?.up)
  t.is(await kernel.link('gone'), undefined)
  t.is(await kernel.link(4711 as IfIndex), undefined)
})

test('settings of links are read as they were made', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await kernelOf(at)
  await kernel.change([
    {op: 'add', object: 'link', item: {name: 'br0', up: true, kind: {type: 'bridge'}}},
    veth('v0', 'p0'),
  ])
  const br0 = at.index('br0')
  const outcomes = await kernel.change([
    {op: 'set', object: 'link', item: 'br0', to: {promiscuous: true}},
    {op: 'set', object: 'link', item: 'v0', to: {master: br0, alias: 'one', group: 7, mtu: 1400, up: true}},
    {op: 'set', object: 'link', item: 'v0', to: {hairpin: true, mac: '02:00:00:00:00:01' as Mac}},
  ])
  t.true(outcomes.every(({refusal}) => !refusal))
  t.true((await kernel.link('br0'))?.promiscuous)
  const port = await kernel.link('v0')
  t.like(port, {
    master: br0,
    alias: 'one',
    group: 7,
    mtu: 1400,
    up: true,
    hairpin: true,
    mac: '02:00:00:00:00:01' as Mac,
  })
  t.true(at.json('link', 'show', 'dev', 'v0')[0].linkinfo.info_slave_data.hairpin)
  const without = ({hairpin: _, promiscuous: __, ...link}: object & {hairpin?: true; promiscuous?: true}) => link
  t.deepEqual(lines((await kernel.links()).map(without)), lines(linksOf(at)))
  await kernel.change([
    {op: 'set', object: 'link', item: 'br0', to: {promiscuous: false}},
    {op: 'set', object: 'link', item: 'v0', to: {hairpin: false}},
  ])
  t.is((await kernel.link('br0'))?.promiscuous, undefined)
  t.is((await kernel.link('v0'))?.hairpin, undefined)
})

test('a prepended route goes before what stands, an added one is refused', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await kernelOf(at)
  await kernel.change([veth('v0', 'p0'), {op: 'set', object: 'link', item: 'p0', to: {up: true}}])
  const dev = at.index('v0')
  const to = (gateway: string): Route => ({
    destination: parseCidr('10.1.0.0/16'),
    type: 'unicast',
    table: 254,
    protocol: 3,
    metric: 0,
    scope: 'global',
    nextHops: [{dev, gateway: parseIp(gateway)}],
  })
  const outcomes = await kernel.change([
    {op: 'set', object: 'link', item: dev, to: {up: true}},
    {op: 'add', object: 'address', item: {index: dev, ip: parseIp('192.168.0.1'), length: 24}},
    {op: 'add', object: 'route', item: to('192.168.0.2')},
    {op: 'add', object: 'route', item: to('192.168.0.3')},
    {op: 'prepend', object: 'route', item: to('192.168.0.4')},
    {op: 'prepend', object: 'route', item: to('192.168.0.4')},
  ])
  t.deepEqual(
    outcomes.map(({refusal}) => refusal?.code),
    [undefined, undefined, undefined, 'EEXIST', undefined, 'EEXIST'],
  )
  t.deepEqual(
    at.json('route', 'show', '10.1.0.0/16').map(each => each.gateway),
    ['192.168.0.4', '192.168.0.2'],
  )
  const routes = await kernel.routes({family: 4, table: 254})
  t.is(routes.filter(({destination}) => `${destination}` === '10.1.0.0/16').length, 2)
  t.is((await kernel.addresses({index: dev, family: 4})).length, 1)
})

test('what is asked for is done in the order of the calls', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await kernelOf(at)
  const path = 'ipv4/conf/v0/arp_notify'
  const [, , value, , gone] = await Promise.all([
    kernel.change([veth('v0', 'p0')]),
    kernel.writeSysctl(path, '1'),
    kernel.readSysctl(path),
    kernel.change([{op: 'delete', object: 'link', item: 'v0'}]),
    kernel.readSysctl(path).catch(error => error.code),
  ])
  t.is(value, '1')
  t.is(gone, 'ENOENT')
})

test('a group of links goes together', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await kernelOf(at)
  const names = ['a', 'b', 'c']
  await kernel.change([
    ...names.map(name => veth(name, `${name}p`)),
    ...['a', 'b'].map((name): Step => ({op: 'set', object: 'link', item: name, to: {group: 4711}})),
    {op: 'delete', object: 'link group', item: 4711},
  ])
  t.deepEqual((await kernel.links()).map(({name}) => name).sort(), ['c', 'cp', 'lo'])
  const [none] = await kernel.change([{op: 'delete', object: 'link group', item: 4711}])
  t.is(none?.refusal?.code, 'ENODEV')
})

test('a sandbox is a network namespace that is there, and not that of the host', async t => {
  const [at] = await namespaces(t, 1)
  const path = folder(t)
  writeFileSync(join(path, 'empty'), '')
  writeFileSync(join(path, 'full'), 'x')
  mkdirSync(join(path, 'folder'))
  const {open} = openNamespaces()
  for (const gone of [join(path, 'none'), join(path, 'empty'), join(path, 'full', 'x'), '/proc/4194305/ns/net'])
    await t.throwsAsync(open(gone), {instanceOf: SandboxGone}, gone)
  for (const wrong of [
    join(path, 'full'),
    join(path, 'folder'),
    '/proc/self/ns/net',
    '/proc/self/ns/mnt',
    '/dev/null',
    'a\0b',
  ])
    await t.throwsAsync(open(wrong), {instanceOf: InvalidInput}, wrong)
  const [one, two] = [await open(at.path), await open(at.path)]
  t.is(one.id, two.id)
  t.is(one.path, at.path)
  const kernel = await one.kernel()
  t.is(await one.kernel(), kernel)
  t.deepEqual(
    (await kernel.links()).map(({name}) => name),
    ['lo'],
  )
  await one.close()
  await t.throwsAsync(kernel.links())
  await two.close()
})

test('a sandbox that is open outlives its name, and nothing of it is left after that', async t => {
  const [at] = await namespaces(t, 1)
  const sandbox = await openNamespaces().open(at.path)
  at.remove()
  t.deepEqual(
    (await (await sandbox.kernel()).links()).map(({name}) => name),
    ['lo'],
  )
  await t.throwsAsync(openNamespaces().open(at.path), {instanceOf: SandboxGone})
  await sandbox.close()
})
