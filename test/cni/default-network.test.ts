import test from 'ava'
import {delegated, type OwnConfig, type PodSite, podNetwork} from '../../src/cni/default-network.ts'
import {CNI_CODES, CniError} from '../../src/cni/error.ts'
import type {PlannedList} from '../../src/cni/journal.ts'
import {parseCidr} from '../../src/model/ip.ts'

const own = (change: Partial<OwnConfig> = {}): OwnConfig => ({
  cniVersion: '1.0.0',
  name: 'netgraft',
  chain: [],
  delegates: [],
  runtimeConfig: {},
  ...change,
})

const site = (ranges: readonly string[], mtu: PodSite['mtu'] = {}): PodSite => ({ranges: ranges.map(parseCidr), mtu})

/** "cniVersion name runtimeConfig", then a line for each plugin. */
const format = ({cniVersion, name, plugins, runtimeConfig}: PlannedList): string =>
  [
    [cniVersion, name, ...(runtimeConfig ? [JSON.stringify(runtimeConfig)] : [])].join(' '),
    ...plugins.map(({type, ...rest}) => `${type} ${JSON.stringify(rest)}`),
  ].join('\n')

const PTP = {mode: 'ptp', bridge: 'ng0'} as const
const BRIDGE = {mode: 'bridge', bridge: 'ng0'} as const

test('the pod network of a node', t => {
  const rows: readonly [site: PodSite, pods: typeof PTP | typeof BRIDGE, want: string][] = [
    [
      site(['10.1.2.0/24'], {4: 1450, 6: 1300}),
      PTP,
      '1.0.0 netgraft\nptp {"mtu":1450,"ipam":{"type":"node-local","routes":[{"dst":"0.0.0.0/0"}]}}',
    ],
    [
      site(['fd00::/64', '10.1.2.0/24'], {4: 1450, 6: 1430}),
      PTP,
      '1.0.0 netgraft\nptp {"mtu":1430,"ipam":{"type":"node-local","routes":[{"dst":"::/0"},{"dst":"0.0.0.0/0"}]}}',
    ],
    [
      site(['10.1.2.0/24', '10.1.3.0/24']),
      BRIDGE,
      '1.0.0 netgraft\nbridge {"bridge":"ng0","isGateway":true,"hairpinMode":true,' +
        '"ipam":{"type":"node-local","routes":[{"dst":"0.0.0.0/0"}]}}',
    ],
    [site([]), PTP, '1.0.0 netgraft\nptp {"ipam":{"type":"node-local","routes":[]}}'],
  ]
  for (const [where, pods, want] of rows) t.is(format(podNetwork(own(), where, pods)), want)
})

test('a plugin of the chain runs where the runtime says something for one of its capabilities', t => {
  const rows: readonly [capabilities: unknown, runtimeConfig: OwnConfig['runtimeConfig'], runs: boolean][] = [
    [undefined, {}, true],
    [null, {}, true],
    ['portMappings', {}, true],
    [{}, {}, true],
    [{portMappings: false}, {}, true],
    [{portMappings: true}, {}, false],
    [{portMappings: true}, {portMappings: []}, false],
    [{portMappings: true}, {portMappings: null}, false],
    [{portMappings: true}, {portMappings: [{hostPort: 80, containerPort: 8080}]}, true],
    [{portMappings: false, mac: true}, {portMappings: [{hostPort: 80}]}, false],
    [{bandwidth: true}, {bandwidth: {}}, false],
    [{bandwidth: true}, {bandwidth: {ingressRate: 0, egressRate: 0}}, false],
    [{bandwidth: true}, {bandwidth: {ingressRate: 0, egressRate: 1}}, true],
    [{dns: true}, {dns: {Servers: [], Searches: null}}, false],
    [{dns: true}, {dns: {Servers: ['10.0.0.10']}}, true],
    [{mac: true}, {mac: ''}, false],
    [{mac: true}, {mac: '02:00:00:00:00:01'}, true],
    [{x: true}, {x: false}, false],
    [{portMappings: true, bandwidth: true}, {bandwidth: {ingressRate: 1}}, true],
    [{portMappings: true}, {bandwidth: {ingressRate: 1}}, false],
  ]
  for (const [capabilities, runtimeConfig, runs] of rows) {
    const config = own({chain: [{type: 'x', ...(capabilities !== undefined && {capabilities})}], runtimeConfig})
    const {plugins, runtimeConfig: said} = podNetwork(config, site([]), PTP)
    const why = JSON.stringify([capabilities, runtimeConfig])
    t.is(plugins.map(({type}) => type).join(), runs ? 'ptp,x' : 'ptp', why)
    t.deepEqual(said, Object.keys(runtimeConfig).length > 0 ? runtimeConfig : undefined, why)
  }
})

test('a list is of the version of its config', t => {
  const chain = [{type: 'x'}]
  const rows: readonly [cniVersion: string, chain: OwnConfig['chain'], want: string][] = [
    ['1.1.0', [], '1.1.0'],
    ['1.1.0', chain, '1.1.0'],
    ['1.0.0', chain, '1.0.0'],
    ['0.4.0', chain, '0.4.0'],
    ['0.3.1', [], '0.3.1'],
  ]
  for (const [cniVersion, plugins, want] of rows)
    t.is(podNetwork(own({cniVersion, chain: plugins}), site([]), PTP).cniVersion, want)
})

/** What a conf that says nothing of itself has of ours. */
const SAID = '{"cniVersion":"1.0.0","name":"netgraft"}'

test('a delegate takes the place of the pod network', t => {
  const rows: readonly [delegates: OwnConfig['delegates'], want: string | undefined][] = [
    [[], undefined],
    [[{type: 'flannel'}], `1.0.0 netgraft\nflannel ${SAID}\nx {}`],
    [[{type: 'flannel', masterPlugin: false}], `1.0.0 netgraft\nflannel ${SAID}\nx {}`],
    [[{type: 'a', name: 'other', cniVersion: '0.3.1'}], '0.3.1 other\na {"cniVersion":"0.3.1","name":"other"}\nx {}'],
    [
      [{type: 'a'}, {type: 'b', k: 1, masterPlugin: true}],
      '1.0.0 netgraft\nb {"cniVersion":"1.0.0","k":1,"name":"netgraft"}\nx {}',
    ],
    [[{type: 'a', masterplugin: true}, {type: 'b'}], `1.0.0 netgraft\na ${SAID}\nx {}`],
    [
      [{name: 'list', cniVersion: '0.4.0', plugins: [{type: 'a'}, {type: 'b', k: 1}], masterPlugin: true}],
      '0.4.0 list\na {"cniVersion":"0.4.0","name":"list"}\nb {"k":1,"cniVersion":"0.4.0","name":"list"}\nx {}',
    ],
    [
      [{cniVersion: '1.1.0', plugins: [{type: 'a'}]}],
      '1.1.0 netgraft\na {"cniVersion":"1.1.0","name":"netgraft"}\nx {}',
    ],
  ]
  for (const [delegates, want] of rows) {
    const list = delegated(own({delegates, chain: [{type: 'x'}]}))
    t.is(list && format(list), want, JSON.stringify(delegates))
  }
})

test('delegates among which there is no choice are refused', t => {
  const one = 'delegates: exactly one of several must have "masterPlugin": true'
  const rows: readonly [delegates: OwnConfig['delegates'], message: string][] = [
    [[{type: 'a'}, {type: 'b'}], one],
    [
      [
        {type: 'a', masterPlugin: true},
        {type: 'b', masterplugin: true},
      ],
      one,
    ],
    [[{type: 'a', masterPlugin: 'true'}, {type: 'b'}], one],
    [[{plugins: []}], 'plugins is empty; it must list at least one plugin'],
    [[{plugins: {type: 'a'}}], 'plugins must be a list, not "{\\"type\\":\\"a\\"}"'],
  ]
  for (const [delegates, message] of rows) {
    const error = t.throws(() => delegated(own({delegates})), {instanceOf: CniError, message})
    t.is(error.number, CNI_CODES.invalidConfig)
  }
})
