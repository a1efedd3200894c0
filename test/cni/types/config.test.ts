/** What the native types take for theirs, and what they say of configs that cannot be served. */
import test from 'ava'
import fc from 'fast-check'
import {CniError} from '../../../src/cni/error.ts'
import type {NativePlugin, PluginCall, PluginConfig} from '../../../src/cni/plugin.ts'
import {bridge} from '../../../src/cni/types/bridge.ts'
import {isLinkName, macArgument, parseMac} from '../../../src/cni/types/config.ts'
import {macvlan} from '../../../src/cni/types/macvlan.ts'
import {aliasOf, birthName, hostName, parseAlias, randomHostMac, randomMac} from '../../../src/cni/types/marks.ts'
import type {TypePorts} from '../../../src/cni/types/ports.ts'
import {ptp} from '../../../src/cni/types/ptp.ts'

/** Whatever is asked of it is refused. */
const refuses = new Proxy({}, {get: (_, key) => () => Promise.reject(new Error(`asked for ${String(key)}`))})
const nowhere = {
  host: refuses,
  removals: {pending: () => undefined},
  masquerade: refuses,
  find: () => refuses,
} as unknown as TypePorts
const TYPES: Readonly<Record<string, NativePlugin>> = {
  bridge: bridge(nowhere),
  ptp: ptp(nowhere),
  macvlan: macvlan(nowhere),
}
const base = {cniVersion: '1.0.0', name: 'net', ipam: {type: 'host-local'}}
const configOf = (type: string, more: object): PluginConfig => ({...base, type, ...more}) as PluginConfig
const callOf = (config: PluginConfig, args = ''): PluginCall => ({
  containerId: 'c1',
  netns: '/run/netns/x',
  ifname: 'eth0',
  args,
  path: [],
  config,
  sandbox: undefined,
  signal: AbortSignal.timeout(300_000),
  later: () => {},
})

test('keys of a type are known, others are not', t => {
  const injected = {
    dns: {},
    args: {cni: {x: 1}},
    runtimeConfig: {ips: []},
    prevResult: {},
    capabilities: {mac: true},
    disableCheck: true,
    cniVersions: ['1.0.0'],
  }
  const known: Readonly<Record<string, object[]>> = {
    bridge: [
      {
        bridge: 'b',
        isGateway: true,
        isDefaultGateway: true,
        forceAddress: true,
        ipMasq: true,
        mtu: 1,
        hairpinMode: true,
      },
      {promiscMode: true, vlan: 0, macspoofchk: false, enabledad: false},
      {isGateway: 'yes', mtu: 'x'},
    ],
    ptp: [{ipMasq: true, mtu: 1400}, {mtu: {}}],
    macvlan: [{master: 'eth0', mode: 'bridge', mtu: 0, mac: 'x'}, {linkInContainer: false}],
  }
  const unknown: Readonly<Record<string, object[]>> = {
    bridge: [{vlan: 7}, {macspoofchk: true}, {enabledad: true}, {isgateway: true}, {vlanTrunk: []}, {x: 1}],
    ptp: [{bridge: 'b'}, {x: null}],
    macvlan: [{linkInContainer: true}, {bcqueuelen: 1}],
  }
  for (const [type, plugin] of Object.entries(TYPES)) {
    t.true(plugin.knows(configOf(type, injected)), type)
    for (const more of known[type]!) t.true(plugin.knows(configOf(type, more)), JSON.stringify(more))
    for (const more of unknown[type]!) t.false(plugin.knows(configOf(type, more)), JSON.stringify(more))
    const ipam = {type: 'x', routes: [{dst: '0.0.0.0/0', advmss: 1400}]}
    t.false(plugin.knows(configOf(type, {ipam})))
  }
})

test('what is wrong is named', async t => {
  const cases: readonly (readonly [type: string, more: object, message: string, args?: string])[] = [
    ['bridge', {isGateway: 'yes'}, 'isGateway of network "net" must be true or false, not "yes"'],
    ['bridge', {mtu: '1400'}, 'mtu of network "net" must be a whole number of bytes, not "1400"'],
    ['bridge', {mtu: 1.5}, 'mtu of network "net" must be a whole number of bytes, not "1.5"'],
    ['bridge', {bridge: 7}, 'bridge of network "net" must be a string, not "7"'],
    [
      'bridge',
      {bridge: '../x'},
      'bridge of network "net" must be the name of an interface (1 to 15 characters, no "/", ":" or white space), not "../x"',
    ],
    ['bridge', {dns: {search: 'x'}}, 'dns.search of network "net" must be a list of strings, not "x"'],
    ['bridge', {ipam: {type: 7}}, 'ipam.type of network "net" must be a string, not "7"'],
    ['bridge', {args: {cni: {mac: 7}}}, 'args.cni.mac of network "net" must be a string, not "7"'],
    [
      'bridge',
      {hairpinMode: true, promiscMode: true},
      'network "net" has both hairpinMode and promiscMode: a bridge can only do one of them',
    ],
    ['bridge', {}, 'CNI_ARGS has "x", which is not NAME=VALUE', 'x'],
    ['ptp', {ipam: {}}, 'network "net" of type ptp has no ipam: it needs addresses'],
    ['ptp', {ipMasq: 1}, 'ipMasq of network "net" must be true or false, not "1"'],
    ['macvlan', {mode: 'x'}, 'mode of network "net" must be one of bridge, private, vepa, passthru, not "x"'],
    [
      'macvlan',
      {mode: 'toString'},
      'mode of network "net" must be one of bridge, private, vepa, passthru, not "toString"',
    ],
    ['macvlan', {mac: 'x'}, 'mac of network "net" must be a MAC address (as in 02:00:00:00:00:01), not "x"'],
  ]
  for (const [type, more, message, args] of cases)
    for (const verb of ['add', 'check'] as const) {
      const error = await t.throwsAsync(async () => TYPES[type]![verb](callOf(configOf(type, more), args)))
      t.true(error instanceof CniError)
      t.is(error.message, message)
    }
})

test('whatever stands in a config, the answer is a CniError', async t => {
  const keys = [
    'bridge',
    'isGateway',
    'ipMasq',
    'mtu',
    'dns',
    'ipam',
    'args',
    'runtimeConfig',
    'prevResult',
    'master',
    'mode',
    'mac',
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('bridge', 'ptp', 'macvlan'),
      fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()),
      fc.string(),
      async (type, more, args) => {
        const plugin = TYPES[type]!
        const config = configOf(type, more)
        plugin.knows(config)
        for (const verb of ['add', 'check'] as const) {
          const error = await plugin[verb](callOf(config, args)).then(
            () => undefined,
            each => each,
          )
          // What is right goes on until it needs the world.
          if (!(error instanceof CniError)) t.regex(String(error), /asked for/)
        }
      },
    ),
    {numRuns: 500},
  )
  t.pass()
})

test('MACs are read in all spellings', t => {
  const config = configOf('bridge', {})
  for (const text of ['02:aB:00:00:00:01', '02-ab-00-00-00-01', '02ab.0000.0001'])
    t.is(`${parseMac(config, 'mac', text)}`, '02:ab:00:00:00:01')
  for (const text of [
    '',
    '02:ab:00:00:00',
    '02:ab-00:00:00:01',
    '02ab00000001',
    '02:ab:00:00:00:01:02:03',
    '02:ab:00:00:00:0g',
  ])
    t.throws(() => parseMac(config, 'mac', text), {instanceOf: CniError})
  t.is(macArgument(config, 'IgnoreUnknown=1;IP=1.2.3.4'), undefined)
  t.is(`${macArgument(config, 'MAC=02:00:00:00:00:01')}`, '02:00:00:00:00:01')
  t.throws(() => macArgument(config, 'IgnoreUnknown=0;IP=1.2.3.4'), {message: /"IP"/})
})

test('names of links are those that the kernel takes', t => {
  for (const name of ['eth0', 'x', 'a-b.7', 'é', '123456789012345']) t.true(isLinkName(name), name)
  for (const name of ['', '.', '..', 'a/b', 'a b', 'a\nb', 'a:b', '1234567890123456', 'a\0b'])
    t.false(isLinkName(name), name)
})

test('marks lead back to the attachment', t => {
  const id = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/)
  const ifname = fc.stringMatching(/^[^\s/:\0]{1,15}$/)
  fc.assert(
    fc.property(id, ifname, (containerId, name) => {
      const attached = {containerId, ifname: name}
      t.deepEqual(parseAlias(aliasOf(attached)), attached)
      for (const link of [hostName(attached), birthName(attached)]) t.true(link.length === 15 && isLinkName(link))
    }),
  )
  t.not(hostName({containerId: 'a', ifname: 'b'}), hostName({containerId: 'ab', ifname: ''}))
  for (const alias of [
    undefined,
    '',
    'x',
    'netgraft:',
    'netgraft:cni:',
    'netgraft:cni:x',
    'netgraft:cni::x',
    'netgraft:cni:x:',
  ])
    t.is(parseAlias(alias), undefined, alias)
  fc.assert(fc.property(fc.string(), text => parseAlias(text) === undefined || aliasOf(parseAlias(text)!) === text))
})

test('MACs of our choice are for one station, and locally administered', t => {
  for (let i = 0; i < 200; i++)
    for (const mac of [randomMac(), randomHostMac()]) {
      t.regex(mac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)
      t.is(Number.parseInt(mac.slice(0, 2), 16) & 3, 2)
    }
  t.true(randomHostMac().startsWith('fe:'))
})
