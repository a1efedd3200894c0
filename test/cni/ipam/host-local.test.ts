import {execFile} from 'node:child_process'
import {mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import {CniError} from '../../../src/cni/error.ts'
import {hostLocal} from '../../../src/cni/ipam/host-local.ts'
import type {PluginConfig} from '../../../src/cni/plugin.ts'
import {fileLocks} from '../../../src/netlink/file-lock.ts'
import {openFiles} from '../../../src/netlink/files.ts'
import {callOf, leasesIn, ours, temporaryFolder} from './upstream.ts'

const run = promisify(execFile)
const configOf = (dataDir: string, ipam: object = {ranges: [[{subnet: '10.1.0.0/24'}]]}): PluginConfig => ({
  cniVersion: '1.0.0',
  name: 'net',
  type: 'bridge',
  ipam: {type: 'host-local', dataDir, ...ipam},
})
const files = await openFiles()
const plugin = () => hostLocal({files})

for (const [says, ipam, more] of [
  ['ipam has no addresses to give out: it needs "ranges"', {}],
  ['ipam.ranges must be a list, not "{}"', {ranges: {}}],
  ['ipam.ranges[0]: it has no range', {ranges: [[]]}],
  [
    'ipam.ranges[0][0].subnet must be an address with its prefix length (as 10.1.0.5/24), not "x"',
    {ranges: [[{subnet: 'x'}]]},
  ],
  ['ipam.ranges[0][0].subnet must be a text, not "7"', {ranges: [[{subnet: 7}]]}],
  [
    'ipam.ranges[0][0]: subnet 10.1.0.9/24 has host bits set: its network address is 10.1.0.0',
    {ranges: [[{subnet: '10.1.0.9/24'}]]},
  ],
  ['ipam: subnet 10.1.0.0/31 is too small to give addresses out of', {subnet: '10.1.0.0/31'}],
  [
    'ipam.ranges[0][0]: rangeStart 10.2.0.1 is not in the subnet 10.1.0.0/24',
    {ranges: [[{subnet: '10.1.0.0/24', rangeStart: '10.2.0.1'}]]},
  ],
  [
    'ipam.ranges[0][0]: no address lies from 10.1.0.9 to 10.1.0.5, its start and its end',
    {ranges: [[{subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.5'}]]},
  ],
  [
    'ipam: the range sets 0 and 1 overlap, in 10.1.0.0/24 and 10.1.0.0/16',
    {ranges: [[{subnet: '10.1.0.0/24'}], [{subnet: '10.1.0.0/16'}]]},
  ],
  [
    'ipam.ranges[0]: it has ranges of IPv4 and of IPv6: make a set of each',
    {ranges: [[{subnet: '10.1.0.0/24'}, {subnet: 'fd00::/64'}]]},
  ],
  ['ipam.dataDir must be an absolute path, not "leases"', {subnet: '10.1.0.0/24', dataDir: 'leases'}],
  [
    'ipam.routes[0].gw must be an IP address (as 10.1.0.5), not "x"',
    {subnet: '10.1.0.0/24', routes: [{dst: '::/0', gw: 'x'}]},
  ],
  ['ipam must be an object', {}, {ipam: null}],
  ['args.cni must be an object, not "7"', {subnet: '10.1.0.0/24'}, {args: {cni: 7}}],
  [
    'the requested 10.2.0.9 of',
    {ranges: [[{subnet: '10.2.0.0/24', gateway: '10.2.0.9'}]]},
    {runtimeConfig: {ips: ['10.2.0.9']}},
  ],
  [
    'network "net" cannot give out the requested 10.7.0.9:',
    {subnet: '10.1.0.0/24'},
    {runtimeConfig: {ips: ['10.7.0.9']}},
  ],
] as const)
  test(`host-local says: ${says}`, async t => {
    const config = {...configOf(await temporaryFolder(t), ipam), ...more} as PluginConfig
    const outcome = await ours(plugin(), {verb: 'ADD', config})
    t.true('error' in outcome && outcome.error.startsWith(says), JSON.stringify(outcome))
  })

for (const name of ['', '.', '..', '../x', 'a/b', '/x', 'a\0b', '-a', 'a b', 'ü', 7])
  test(`host-local takes no network called ${JSON.stringify(name)}`, async t => {
    const dataDir = join(await temporaryFolder(t), 'leases')
    const config = {...configOf(dataDir), name} as unknown as PluginConfig
    for (const verb of ['ADD', 'DEL', 'CHECK'] as const)
      t.regex(String(Object.values(await ours(plugin(), {verb, config}))), /^(the network's name|name must be)/)
    await t.throwsAsync(readdir(dataDir), {code: 'ENOENT'})
  })

test('host-local says who holds what, and why nothing is left', async t => {
  const dataDir = await temporaryFolder(t)
  const config = configOf(dataDir, {ranges: [[{subnet: '10.1.0.0/24', rangeStart: '10.1.0.2', rangeEnd: '10.1.0.4'}]]})
  const at = (verb: 'ADD' | 'CHECK', id: string, more: object = {}) =>
    ours(plugin(), {verb, id, config: {...config, ...more}})
  await at('ADD', 'a')
  await at('ADD', 'b')
  t.deepEqual(await at('ADD', 'a'), {
    error: 'this interface has 10.1.0.2 of network "net" already: it must be deleted before it is added again',
  })
  t.deepEqual(await at('ADD', 'c', {runtimeConfig: {ips: ['10.1.0.3']}}), {
    error: 'the requested 10.1.0.3 of network "net" cannot be given out: it is in use by "b\\r\\neth0"',
  })
  await writeFile(join(dataDir, 'net/10.1.0.4'), '')
  t.deepEqual(await at('ADD', 'c'), {
    error:
      'no free address in 10.1.0.2-10.1.0.4 of 10.1.0.0/24 of network "net" (3 in use, 1 of them by lease files that name no owner): delete pods, or give the network more addresses',
  })
  t.deepEqual(await at('CHECK', 'c'), {error: '"eth0" of container "c" has no address of network "net" any more'})
})

for (const [title, more] of Object.entries({
  'a key of the section': {ipam: {subnet: '10.1.0.0/24', exclude: []}},
  'a key of a range': {ipam: {ranges: [[{subnet: '10.1.0.0/24', exclude: []}]]}},
  'a key of a range of the capability': {runtimeConfig: {ipRanges: [[{subnet: '10.1.0.0/24', x: 1}]]}},
  'a key of a route': {ipam: {subnet: '10.1.0.0/24', routes: [{dst: '::/0', mtu: 1400}]}},
  'another spelling in the section': {ipam: {Subnet: '10.1.0.0/24'}},
  'another spelling of a capability': {runtimeConfig: {IPs: ['10.1.0.9']}},
  'another spelling in args.cni': {args: {cni: {IPS: ['10.1.0.9']}}},
  'another spelling on top': {RuntimeConfig: {ips: ['10.1.0.9']}},
  'a folder that depends on where one is': {ipam: {subnet: '10.1.0.0/24', dataDir: 'leases'}},
}))
  test(`host-local leaves to the program: ${title}`, t =>
    t.false(plugin().knows({...configOf('/x'), ...more} as PluginConfig)))

test('host-local serves what belongs to others beside its own', t => {
  const others = {mtu: 1400, runtimeConfig: {mac: 'x', portMappings: []}, args: {cni: {mac: 'x'}, other: 1}}
  t.true(plugin().knows({...configOf('/x'), ...others}))
})

test('host-local gives up when the lock is not let go, and goes on when it is', async t => {
  const dataDir = await temporaryFolder(t)
  const config = configOf(dataDir)
  const it = plugin()
  await it.add(callOf({id: 'a', config}))
  const lock = await fileLocks.acquire(join(dataDir, 'net/lock'), AbortSignal.timeout(300_000))
  const waiting = AbortSignal.timeout(20)
  const refused = [
    it.add({...callOf({id: 'b', config}), signal: waiting}),
    it.del({...callOf({id: 'a', config}), signal: waiting}),
    it.check({...callOf({id: 'a', config}), signal: AbortSignal.abort()}),
  ]
  const patient = it.add(callOf({id: 'c', config}))
  for (const each of refused) {
    const error = await t.throwsAsync(each, {instanceOf: CniError})
    t.is(error.code, 'tryAgainLater')
    t.regex(error.message, /^gave up waiting for the lock of /)
  }
  await lock.release()
  t.is((await patient).ips[0]?.address, '10.1.0.3/24')
})

test('host-local says when a folder cannot be used', async t => {
  const dataDir = await temporaryFolder(t)
  await writeFile(join(dataDir, 'net'), 'a file')
  for (const verb of ['ADD', 'DEL', 'CHECK'] as const) {
    const call = callOf({config: configOf(dataDir)})
    const act = {ADD: plugin().add, DEL: plugin().del, CHECK: plugin().check}[verb]
    const error = await t.throwsAsync(act(call), {instanceOf: CniError})
    t.is(error.code, 'io')
    t.regex(error.message, /^the leases in .*: E[A-Z]+:/)
  }
})

test('host-local undoes what it has refused', async t => {
  const dataDir = await temporaryFolder(t)
  const whole = configOf(dataDir)
  await plugin().add(callOf({id: 'a', config: whole}))
  for (const ipam of [{subnet: '10.1.0.0'}, {ranges: 'x'}, {}, {subnet: '10.1.0.0/24', routes: [{dst: 'x'}]}]) {
    const config = configOf(dataDir, {ranges: undefined, ...ipam})
    await t.throwsAsync(plugin().add(callOf({id: 'b', config})), {instanceOf: CniError})
    await t.notThrowsAsync(plugin().del(callOf({id: 'b', config})), JSON.stringify(ipam))
  }
  await t.notThrowsAsync(plugin().del(callOf({id: 'b', config: configOf(dataDir, {dataDir: 7})})))
  const given = async () => (await readdir(join(dataDir, 'net'))).filter(name => name.startsWith('10.'))
  t.deepEqual(await given(), ['10.1.0.2'])
  // What it has given out is not forgotten.
  await t.throwsAsync(plugin().del(callOf({id: 'a', config: configOf(dataDir, {subnet: '10.1.0.0'})})))
  t.deepEqual(await given(), ['10.1.0.2'])
})

test('host-local says what to do where the folder cannot be made, and has nothing to give back there', async t => {
  const config = configOf('/sys/leases')
  const error = await t.throwsAsync(plugin().add(callOf({config})), {instanceOf: CniError})
  t.is(error.code, 'io')
  t.regex(
    error.message,
    /^the leases in "\/sys\/leases\/net": E(PERM|ROFS|ACCES): .*; (choose another ipam.dataDir|.* ipam.dataDir|see .*)$/,
  )
  await t.notThrowsAsync(plugin().del(callOf({config})))
  // Its addresses are kept somewhere that is not seen from here.
  const prevResult = {cniVersion: '1.0.0', ips: [{address: '10.1.0.2/24'}]}
  await t.throwsAsync(plugin().del(callOf({config: {...config, prevResult}})), {instanceOf: CniError})
})

test('host-local tidies up what killed processes left beside the folder, and copes with who takes its own', async t => {
  const dataDir = await temporaryFolder(t)
  const drafts = async () => (await readdir(dataDir)).filter(name => name.endsWith('.lease')).sort()
  const old = new Date(Date.now() - 3_600_000)
  for (const name of ['.0123456789ab.lease', '.fedcba987654.lease', '.other.lease'])
    await writeFile(join(dataDir, name), '')
  for (const name of ['.0123456789ab.lease', '.other.lease']) await utimes(join(dataDir, name), old, old)
  const it = plugin()
  await it.add(callOf({id: 'a', config: configOf(dataDir)}))
  await leasesIn(join(dataDir, 'net'))
  const left = await drafts()
  t.false(left.includes('.0123456789ab.lease'))
  t.true(left.includes('.fedcba987654.lease') && left.includes('.other.lease'))
  for (let i = 0; i < 20; i++) {
    for (const name of await drafts()) await utimes(join(dataDir, name), old, old).catch(() => {})
    await plugin().check(callOf({id: 'a', config: configOf(dataDir)}))
    await it.add(callOf({id: `b${i}`, config: configOf(dataDir)}))
  }
  t.is((await leasesIn(join(dataDir, 'net'))).length, 21 + 2)
})

test('host-local: a change right behind ours is seen', async t => {
  const dataDir = await temporaryFolder(t)
  const net = join(dataDir, 'net')
  const it = plugin()
  const check = (id: string) => ours(it, {verb: 'CHECK', id, config: configOf(dataDir)})
  await it.add(callOf({id: 'a', config: configOf(dataDir)}))
  for (let i = 0; i < 50; i++) {
    await it.add(callOf({id: `a${i}`, config: configOf(dataDir)}))
    const lock = await fileLocks.acquire(join(net, 'lock'), AbortSignal.timeout(300_000))
    await writeFile(join(net, `10.1.1.${i}`), `b${i}\r\neth0`)
    await lock.release()
    t.deepEqual(await check(`b${i}`), {ok: {}})
  }
})

test('host-local: whatever is remembered, the files decide', async t => {
  const dataDir = await temporaryFolder(t)
  const net = join(dataDir, 'net')
  const it = plugin()
  /** Changes the folder, and makes it look as if nobody had. */
  const unseen = async (change: () => Promise<unknown>) => {
    await leasesIn(net)
    // To the nanosecond, which numbers do not hold.
    await run('touch', ['-r', net, join(dataDir, 'before')])
    await change()
    await run('touch', ['-r', join(dataDir, 'before'), net])
  }
  const config = configOf(dataDir, {ranges: [[{subnet: '10.1.0.0/29'}], [{subnet: 'fd00::/64'}]]})
  const add = (id: string) => ours(it, {verb: 'ADD', id, config})
  await add('a')
  await unseen(() => writeFile(join(net, '10.1.0.3'), 'x\r\neth0'))
  const outcome = await add('b')
  t.deepEqual('ok' in outcome && (outcome.ok as {ips: {address: string}[]}).ips.map(({address}) => address), [
    '10.1.0.4/29',
    'fd00::3/64',
  ])
  for (const id of ['c', 'd']) t.true('ok' in (await add(id)))
  await unseen(() => rm(join(net, '10.1.0.5')))
  // Nobody is refused because of what is only remembered.
  t.true('ok' in (await add('e')))
  t.true('error' in (await add('f')))
  await unseen(() => rm(join(net, '10.1.0.2')))
  t.deepEqual(await ours(it, {verb: 'DEL', id: 'a', config}), {ok: {}})
  t.true('ok' in (await add('f')))
})

test("host-local: leases on another filesystem than the folder's", async t => {
  const dataDir = await temporaryFolder(t)
  const elsewhere = await mkdtemp('/dev/shm/ng-ipam-')
  t.teardown(() => rm(elsewhere, {recursive: true, force: true, maxRetries: 5}))
  await symlink(elsewhere, join(dataDir, 'net'))
  const it = plugin()
  for (const id of ['a', 'b']) await it.add(callOf({id, config: configOf(dataDir)}))
  await it.del(callOf({id: 'a', config: configOf(dataDir)}))
  t.deepEqual(await leasesIn(elsewhere), [
    '10.1.0.3 644 "b\\r\\neth0"',
    'last_reserved_ip.0 644 "10.1.0.3"',
    'lock 750 ""',
  ])
})

/** What an address plan of one range comes to, said in the simplest way. */
test('host-local: any sequence is like the model', async t => {
  const folder = await temporaryFolder(t)
  let n = 0
  const ids = fc.constantFrom(...'abcdefgh')
  const steps = fc.array(
    fc.oneof(
      fc.record({verb: fc.constant('ADD' as const), id: ids, ask: fc.option(fc.integer({min: 0, max: 9}))}),
      fc.record({verb: fc.constant('DEL' as const), id: ids, ask: fc.constant(null)}),
      fc.record({verb: fc.constant('CHECK' as const), id: ids, ask: fc.constant(null)}),
      fc.constant({verb: 'RESTART' as const, id: '', ask: null}),
    ),
    {maxLength: 40},
  )
  await fc.assert(
    fc.asyncProperty(steps, async sequence => {
      const dataDir = join(folder, `${n++}`)
      const config = configOf(dataDir, {ranges: [[{subnet: '10.1.0.0/29'}]]})
      const held = new Map<number, string>()
      let last = 6
      let it = plugin()
      for (const {verb, id, ask} of sequence) {
        if (verb === 'RESTART') {
          it = plugin()
          continue
        }
        const asked = ask === null ? {} : {runtimeConfig: {ips: [`10.1.0.${ask}`]}}
        const outcome = await ours(it, {verb, id, config: {...config, ...asked}})
        const has = [...held.values()].includes(id)
        if (verb === 'CHECK') t.is('ok' in outcome, has)
        if (verb === 'DEL') {
          t.deepEqual(outcome, {ok: {}})
          for (const [address, owner] of held) if (owner === id) held.delete(address)
        }
        if (verb !== 'ADD') continue
        const order = Array.from({length: 6}, (_, i) => ((last + i) % 6) + 1)
        const free = (ask === null ? order : [ask]).find(host => host >= 2 && host <= 6 && !held.has(host))
        const want = ask === null && has ? undefined : free
        t.is('ok' in outcome, want !== undefined, JSON.stringify(outcome))
        // What is asked for in vain costs its turn the address that would have been given beside it.
        const inVain = ask !== null && (ask < 1 || ask > 6) && !has
        if (inVain) last = order.find(host => host >= 2 && !held.has(host)) ?? last
        if (want === undefined) continue
        t.deepEqual(outcome, {ok: {ips: [{address: `10.1.0.${want}/29`, gateway: '10.1.0.1'}], routes: [], dns: {}}})
        held.set(want, id)
        last = want
      }
    }),
    {numRuns: 100},
  )
})

test('host-local: whatever the section is, only a CniError comes of it', async t => {
  const dataDir = await temporaryFolder(t)
  const keys = ['ranges', 'subnet', 'rangeStart', 'rangeEnd', 'gateway', 'routes', 'resolvConf', 'type', 'name']
  const section = fc.dictionary(fc.constantFrom(...keys), fc.oneof(fc.jsonValue(), fc.constant('10.1.0.0/24')))
  const beside = fc.dictionary(fc.constantFrom('ips', 'ipRanges', 'cni'), fc.jsonValue())
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({weight: 4, arbitrary: section}, fc.jsonValue()),
      beside,
      fc.string(),
      async (ipam, more, args) => {
        const whole = typeof ipam === 'object' && ipam !== null && !Array.isArray(ipam) ? {...ipam, dataDir} : ipam
        const config = {...configOf(dataDir), ipam: whole, runtimeConfig: more, args: more} as unknown as PluginConfig
        t.is(typeof plugin().knows(config), 'boolean')
        for (const verb of ['ADD', 'CHECK', 'DEL'] as const) await ours(plugin(), {verb, args, config})
      },
    ),
    {numRuns: 500},
  )
  t.pass()
})

test('host-local: hundreds of leases, and many networks', async t => {
  const dataDir = await temporaryFolder(t)
  const it = plugin()
  const config = configOf(dataDir, {ranges: [[{subnet: '10.1.0.0/16'}]]})
  await mkdir(join(dataDir, 'net'))
  for (let i = 0; i < 600; i++) await writeFile(join(dataDir, 'net', `10.1.${i >> 8}.${i & 255}`), `x${i}\r\neth0`)
  t.is((await it.add(callOf({id: 'a', config}))).ips[0]?.address, '10.1.2.88/16')
  for (let i = 0; i < 150; i++) {
    const other = {...config, name: `net${i % 75}`}
    const {ips} = await it.add(callOf({id: `c${i}`, config: other}))
    t.is(ips[0]?.address, i < 75 ? '10.1.0.2/16' : '10.1.0.3/16')
  }
  await it.del(callOf({id: 'a', config}))
  t.is((await leasesIn(join(dataDir, 'net'))).length, 602)
})
