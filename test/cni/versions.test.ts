import {execFileSync} from 'node:child_process'
import {join} from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import {CniError} from '../../src/cni/error.ts'
import type {CniResult} from '../../src/cni/result.ts'
import {formatResult, isAtLeast, parseResult, VERSIONS, versionOf} from '../../src/cni/versions.ts'
import {namespaces} from '../netlink/namespace.ts'
import {SEARCH_PATH, temporary, upstreamIn} from './exec-support.ts'

/** Versions that the installed plugins of upstream speak. */
const UPSTREAMS = VERSIONS.filter(version => version !== '1.1.0')

const full = {
  cniVersion: '1.1.0',
  interfaces: [
    {name: 'br0', mac: '02:00:00:00:00:01', mtu: 1450, pciID: '0000:00:01.0', socketPath: '/run/s', vendor: {x: 1}},
    {name: 'eth0', mac: '02:00:00:00:00:02', sandbox: '/run/netns/a'},
  ],
  ips: [
    {interface: 1, address: '10.1.2.3/24', gateway: '10.1.2.1'},
    {interface: 1, address: 'fd00::3/64', vendor: 'y'},
  ],
  routes: [
    {dst: '0.0.0.0/0', gw: '10.1.2.1', mtu: 1400, advmss: 1300, priority: 10, table: 100, scope: 0},
    {dst: 'fd01::/64', vendor: []},
  ],
  dns: {nameservers: ['10.0.0.10'], domain: 'local', search: ['a', 'b'], options: ['ndots:5']},
  vendor: null,
}

test('a version is one that we speak', t => {
  for (const version of VERSIONS) t.is(versionOf(version), version)
  for (const other of [undefined, null, '', '0.1.0', '0.2.0', '1.2.0', '1.0', 'latest', '1.1.0 ', '__proto__']) {
    const error = t.throws(() => versionOf(other), {instanceOf: CniError})!
    t.is(error.number, 1)
    t.regex(error.message, /^cniVersion is .*; supported are 0\.3\.0, 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0$/)
  }
  t.regex(t.throws(() => versionOf(undefined))!.message, /missing, which means 0\.1\.0/)
  t.is(t.throws(() => versionOf(1), {instanceOf: CniError})!.number, 7)
  t.true(isAtLeast('1.0.0', '0.4.0') && isAtLeast('0.4.0', '0.4.0'))
  t.false(isAtLeast('0.3.1', '0.4.0') || isAtLeast('0.2.0', '0.3.0') || isAtLeast('', '0.3.0'))
})

test('a result of 1.1.0 comes out as it came in', t => {
  const {cniVersion, vendor, ...rest} = full
  t.is(JSON.stringify(parseResult(full, '1.1.0')), JSON.stringify({vendor, ...rest}))
  t.deepEqual(formatResult(parseResult(full, '1.1.0'), '1.1.0') as unknown, full)
})

test('older versions have less', t => {
  const parsed = parseResult(full, '1.1.0')
  t.deepEqual(formatResult(parsed, '1.0.0') as unknown, {
    ...full,
    cniVersion: '1.0.0',
    interfaces: [{name: 'br0', mac: '02:00:00:00:00:01', vendor: {x: 1}}, full.interfaces[1]],
    routes: [{dst: '0.0.0.0/0', gw: '10.1.2.1'}, full.routes[1]],
  })
  for (const version of ['0.3.0', '0.3.1', '0.4.0'])
    t.deepEqual((formatResult(parsed, version) as {ips: unknown}).ips, [
      {version: '4', ...full.ips[0]},
      {version: '6', ...full.ips[1]},
    ])
})

test('null and empty are as good as absent', t => {
  const nothing = {interfaces: [], ips: [], routes: [], dns: {}}
  t.deepEqual(parseResult({cniVersion: null, interfaces: null, ips: null, dns: null}, '0.4.0'), nothing)
  t.is(JSON.stringify(formatResult(nothing, '0.4.0')), '{"cniVersion":"0.4.0","dns":{}}')
  const odd = {
    ips: [{version: '4', address: '10.0.0.1/8', gateway: '', interface: null}],
    routes: [{dst: '::/0', gw: null}],
  }
  t.deepEqual(parseResult(odd, '0.4.0'), {...nothing, ips: [{address: '10.0.0.1/8'}], routes: [{dst: '::/0'}]})
})

test('what matters must be right, and is named when it is not', t => {
  const link = {name: 'eth0'}
  for (const [json, message] of [
    [[], /^a result must be an object/],
    [null, /^a result must be an object/],
    [{cniVersion: '0.2.0'}, /^the result's cniVersion is "0\.2\.0"/],
    [{interfaces: {}}, /^interfaces must be a list/],
    [{interfaces: ['eth0']}, /^interfaces\[0\] must be an object/],
    [{interfaces: [{}]}, /^interfaces\[0\]\.name is missing/],
    [{interfaces: [link, {name: 7}]}, /^interfaces\[1\]\.name must be a text/],
    [{interfaces: [{name: 'a', mtu: '1500'}]}, /^interfaces\[0\]\.mtu must be a whole number, not "1500"/],
    [{interfaces: [{name: 'a', mac: {}}]}, /^interfaces\[0\]\.mac must be a text/],
    [{ips: [{}]}, /^ips\[0\]\.address: /],
    [{ips: [{address: '10.0.0.1'}]}, /^ips\[0\]\.address: /],
    [{ips: [{address: '10.0.0.1/24', gateway: '10.0.0.1/24'}]}, /^ips\[0\]\.gateway: /],
    [{ips: [{address: '10.0.0.1/24', interface: -1}]}, /^ips\[0\]\.interface must be a whole number/],
    [{ips: [{address: '10.0.0.1/24', interface: 1}], interfaces: [link]}, /^ips\[0\]\.interface is 1, but the last/],
    [{routes: [{dst: 'default'}]}, /^routes\[0\]\.dst: /],
    [{routes: [{dst: '0.0.0.0/0', gw: 'x'}]}, /^routes\[0\]\.gw: /],
    [{routes: [{dst: '0.0.0.0/0', table: 1.5}]}, /^routes\[0\]\.table must be/],
    [{dns: []}, /^dns must be an object/],
    [{dns: {nameservers: '10.0.0.1'}}, /^dns\.nameservers must be a list/],
    [{dns: {search: ['a', 1]}}, /^dns\.search\[1\] must be a text/],
  ] as const)
    t.throws(() => parseResult(json, '1.0.0'), {instanceOf: CniError, message}, JSON.stringify(json))
})

test('whatever comes is a result or a CniError', t => {
  const keys = fc.constantFrom(
    'cniVersion',
    'interfaces',
    'ips',
    'routes',
    'dns',
    'name',
    'address',
    'dst',
    '__proto__',
  )
  const json = fc.letrec(tie => ({
    value: fc.oneof(
      {maxDepth: 4},
      fc.constantFrom(null, '1.0.0', '10.0.0.1/24', 'eth0', 0, -1, true, ''),
      fc.array(tie('value'), {maxLength: 3}),
      fc.dictionary(keys, tie('value'), {maxKeys: 4, noNullPrototype: true}),
    ),
  })).value
  fc.assert(
    fc.property(json, fc.constantFrom(...VERSIONS), (value, version) => {
      try {
        const result = parseResult(value, version)
        const again = parseResult(JSON.parse(JSON.stringify(formatResult(result, '1.1.0'))), version)
        t.deepEqual(again, result)
      } catch (error) {
        if (!(error instanceof CniError)) throw error
      }
    }),
    {numRuns: 2000},
  )
})

test('upstream reads and writes the same, at each of its versions', async t => {
  const [host, pod] = await namespaces(t, 2)
  const path = await upstreamIn(t, host)
  const folder = await temporary(t)
  const run = (command: string, config: {readonly type: string; readonly [key: string]: unknown}, ifname = 'eth0') =>
    execFileSync(join(path, config.type), {
      input: JSON.stringify(config),
      encoding: 'utf8',
      env: {
        PATH: SEARCH_PATH,
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'ng-versions',
        CNI_NETNS: pod.path,
        CNI_IFNAME: ifname,
        CNI_PATH: path,
      },
    })
  const addresses = [
    {address: '10.7.0.2/24', gateway: '10.7.0.1'},
    {address: 'fd07::2/64', gateway: 'fd07::1'},
  ]
  const routes = [{dst: '0.0.0.0/0', gw: '10.7.0.1'}, {dst: '::/0'}]
  const dns = {nameservers: ['10.7.0.10'], search: ['svc']}
  const fixed = {type: 'static', addresses, routes, dns}
  const ipamSaid = new Map<string, CniResult>()
  for (const [n, cniVersion] of UPSTREAMS.entries()) {
    const ifname = `eth${n}`
    const local = {
      type: 'host-local',
      dataDir: join(folder, cniVersion),
      subnet: `10.8.${n}.0/24`,
      routes: [{dst: '0.0.0.0/0'}],
    }
    for (const config of [
      {cniVersion, name: 'a', type: 'static', ipam: fixed},
      {cniVersion, name: 'b', type: 'ptp', ipam: local, dns},
      {
        cniVersion,
        name: 'c',
        type: 'bridge',
        bridge: `br${n}`,
        isGateway: true,
        ipam: {...local, dataDir: join(folder, 'b')},
      },
      {cniVersion, name: 'd', type: 'bridge', bridge: 'br-l2', ipam: {}},
    ]) {
      const said: unknown = JSON.parse(run('ADD', config, ifname))
      const result = parseResult(said, '1.1.0')
      t.deepEqual(formatResult(result, cniVersion) as unknown, said, `${config.type} ${cniVersion}`)
      if (config.type === 'static') ipamSaid.set(cniVersion, result)
      // Chained behind it, upstream passes on what we have written.
      const prevResult = formatResult(result, cniVersion)
      const passed = run('ADD', {cniVersion, name: 'e', type: 'tuning', dataDir: folder, prevResult}, ifname)
      t.deepEqual(JSON.parse(passed), said)
      run('DEL', config, ifname)
    }
  }
  for (const result of ipamSaid.values()) t.deepEqual(result, ipamSaid.get('1.0.0')!)
})
