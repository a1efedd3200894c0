import test from 'ava'
import fc from 'fast-check'
import {parseConfig, reference} from '../../src/model/config.ts'
import {ConfigError, nearest, pathText} from '../../src/model/config-problems.ts'

/** What is wrong with a value, one problem a line. */
function problems(value: unknown): string {
  try {
    parseConfig(value)
    return ''
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({path, message}) => `${path}: ${message}`).join('\n')
  }
}

const DEFAULTS = {
  node: undefined,
  kubernetes: {kubeconfig: undefined},
  networks: [
    {
      name: 'default',
      cidrs: {from: 'podCIDRs'},
      nodeAddresses: {
        from: 'InternalIP',
        map: new Map(),
        ipv6Prefix: undefined,
        hostPods: {namespace: undefined, selector: undefined},
        linkLocal: true,
      },
      backend: 'auto',
      mtu: 0,
      vxlan: {vni: 1, port: 8472, device: 'ng-vx0'},
      pods: {mode: 'ptp', bridge: 'ng-br0', masquerade: true, noMasquerade: []},
      protocol: 107,
    },
  ],
  clusterCIDRs: [],
  serviceCIDRs: [],
  attachments: {
    enabled: true,
    namespaces: [],
    isolation: true,
    grants: [],
    criSockets: ['/run/containerd/containerd.sock', '/run/crio/crio.sock'],
    podResources: '/var/lib/kubelet/pod-resources/kubelet.sock',
    definitionsFolder: '/etc/cni/net.d',
  },
  pairs: {
    enabled: true,
    port: 8473,
    vnis: {from: 1, to: 2 ** 24 - 1},
    isolation: true,
    grants: [],
    parent: {interface: undefined, address: undefined},
    aliveSeconds: 30,
    requiredSeconds: 30,
  },
  store: {
    type: 'kubernetes',
    endpoints: [],
    tls: {ca: undefined, cert: undefined, key: undefined},
    user: undefined,
    password: undefined,
    passwordFile: undefined,
    prefix: '/netgraft',
    namespace: 'kube-system',
  },
  folders: {state: '/var/lib/netgraft', run: '/run/netgraft'},
  cni: {deadlineSeconds: 60, concurrency: 32},
  kernel: {resyncSeconds: 300},
  metrics: {listen: {port: 9464}},
  log: {level: 'info'},
}

for (const empty of [
  undefined,
  null,
  {},
  {log: null, networks: null, node: null},
  {log: {level: null}, networks: [{}], metrics: {}},
])
  test(`all defaults: ${JSON.stringify(empty)}`, t => {
    const {metrics, ...rest} = parseConfig(empty)
    t.deepEqual({...rest, metrics: {listen: {...metrics.listen}}}, DEFAULTS as never)
  })

test('grants of definitions', t => {
  const grants = [{}, {from: 'infra', names: ['green'], to: ['a']}]
  t.deepEqual(parseConfig({attachments: {grants}}).attachments.grants, [
    {from: 'default', names: [], to: []},
    {from: 'infra', names: ['green'], to: ['a']},
  ])
  const wrong = {attachments: {grants: [{from: ''}, {from: 'a_b', names: ['x/y'], to: ['B']}]}}
  const error = t.throws(() => parseConfig(wrong))
  for (const path of ['grants[0].from', 'grants[1].from', 'grants[1].names[0]', 'grants[1].to[0]'])
    t.true(error.message.includes(path), error.message)
})

test('pairs', t => {
  const problemsOf = (value: object) => t.throws(() => parseConfig(value)).message.replace('config: ', '')
  t.is(
    problemsOf({pairs: {port: 8472}}),
    'pairs.port: 8472 is the port of the tunnels of network default, too; choose another one',
  )
  t.is(parseConfig({pairs: {port: 8472}, networks: [{backend: 'direct'}]}).pairs.port, 8472)
  t.is(parseConfig({pairs: {port: 8472, enabled: false}}).pairs.enabled, false)
  t.is(problemsOf({pairs: {vnis: {from: 9, to: 8}}}), 'pairs.vnis: ends at 8, before it begins at 9; swap the two')
  t.is(
    problemsOf({pairs: {parent: {address: '127.0.0.1'}}}),
    'pairs.parent.address: 127.0.0.1 cannot be the address of a node',
  )
  t.regex(problemsOf({pairs: {parent: {interface: 'a b'}}}), /cannot be the name of an interface/)
  t.deepEqual(parseConfig({pairs: {grants: [{from: 'a', to: 'b'}]}}).pairs.grants, [{from: 'a', to: 'b'}])
})

test('what is set is kept', t => {
  const config = parseConfig({
    node: 'node-1.example',
    kubernetes: {kubeconfig: '/etc/kubeconfig'},
    networks: [{name: 'a'}, {name: 'b', protocol: 108, vxlan: {vni: 2, device: 'ng-vx1'}}],
    kernel: {resyncSeconds: 60},
    log: {level: 'debug'},
  })
  t.like(config, {
    node: 'node-1.example',
    kubernetes: {kubeconfig: '/etc/kubeconfig'},
    kernel: {resyncSeconds: 60},
    log: {level: 'debug'},
  })
  t.is(config.networks.map(({name, protocol}) => `${name} ${protocol}`).join('\n'), 'a 107\nb 108')
})

for (const [text, listens] of [
  ['', 'nowhere'],
  [':9464', '* 9464'],
  ['127.0.0.1:1', '127.0.0.1 1'],
  ['localhost:65535', 'localhost 65535'],
  ['[::1]:9464', '::1 9464'],
  ['[FD00:0::1]:80', 'fd00::1 80'],
] as const)
  test(`metrics.listen "${text}"`, t => {
    const {listen} = parseConfig({metrics: {listen: text}}).metrics
    t.is(listen ? `${listen.host ?? '*'} ${listen.port}` : 'nowhere', listens)
  })

for (const [nodeAddresses, want] of [
  [{map: {n1: 'FD00::1', 'n2.example': ['192.168.1.2', 'fe80::1']}}, 'n1 fd00::1; n2.example 192.168.1.2 fe80::1'],
  [{map: {constructor: '10.0.0.1', prototype: [], 7: '10.0.0.7'}}, '7 10.0.0.7; constructor 10.0.0.1; prototype '],
  [{map: null, ipv6Prefix: '1000:1::/96'}, 'prefix 1000:1::'],
  [{ipv6Prefix: '1000:1::'}, 'prefix 1000:1::'],
  [{ipv6Prefix: '1000::1:0:0'}, 'prefix 1000::1:0:0'],
  [{hostPods: {namespace: 'kube-system', selector: 'app=a, !b, c in (d,e)'}}, 'pods kube-system app=a, !b, c in (d,e)'],
  [{hostPods: {selector: 'example.org/app'}}, 'pods * example.org/app'],
  [{hostPods: {selector: '  '}}, ''],
  [{linkLocal: false}, 'no link-local'],
] as const)
  test(`nodeAddresses: ${JSON.stringify(nodeAddresses)}`, t => {
    const {map, ipv6Prefix, hostPods, linkLocal} = parseConfig({networks: [{nodeAddresses}]}).networks[0]!.nodeAddresses
    const got = [...map].map(([name, addresses]) => `${name} ${addresses.join(' ')}`)
    if (ipv6Prefix) got.push(`prefix ${ipv6Prefix}`)
    if (hostPods.selector) got.push(`pods ${hostPods.namespace ?? '*'} ${hostPods.selector}`)
    if (!linkLocal) got.push('no link-local')
    t.is(got.join('; '), want)
  })

const addresses = (nodeAddresses: object) => ({networks: [{nodeAddresses}]})
const ADDRESSES = 'networks[0].nodeAddresses'
const NO_ADDRESS = 'must be an address or a list of addresses, not'
const NO_SELECTOR = 'is not a label selector; write it as for "kubectl get pods -l"'

const ONE_ADDRESS = 'does not name an IP address before its port; leave the address away to listen on all of them'
const FORM = 'is not an address with a port; write it as ":9464", "127.0.0.1:9464" or "[::1]:9464"'

for (const [value, want] of [
  [
    {networks: [{backend: 'dierct'}]},
    'networks[0].backend: "dierct" is not one of auto, direct, vxlan, none; did you mean direct?',
  ],
  [
    {networks: [{backend: 'Direct'}]},
    'networks[0].backend: "Direct" is not one of auto, direct, vxlan, none; did you mean direct?',
  ],
  [{networks: [{backend: 'wireguard'}]}, 'networks[0].backend: "wireguard" is not one of auto, direct, vxlan, none'],
  [{networks: [{backend: {toString: 1}}]}, 'networks[0].backend: a mapping is not one of auto, direct, vxlan, none'],
  [{networks: [{mtu: 500}]}, 'networks[0].mtu: 500 is less than the 576 bytes of IPv4'],
  [{networks: [{vxlan: {vni: 0}}]}, 'networks[0].vxlan.vni: must be a whole number from 1 to 16777215, not 0'],
  [{networks: [{vxlan: {port: 65536}}]}, 'networks[0].vxlan.port: must be a whole number from 1 to 65535, not 65536'],
  [
    {networks: [{vxlan: {device: 'a-name-too-long'}}]},
    `networks[0].vxlan.device: "a-name-too-long" cannot be a device's name; use at most 13 letters, digits and hyphens`,
  ],
  [
    {networks: [{vxlan: {device: 'a/b'}}]},
    `networks[0].vxlan.device: "a/b" cannot be a device's name; use at most 13 letters, digits and hyphens`,
  ],
  [
    {networks: [{}, {name: 'b', protocol: 108}]},
    `networks[1].vxlan.device: ng-vx0 is already the device of networks[0]; give each network its own
networks[1].vxlan.vni: 1 with port 8472 is already the vni of networks[0]; give each network its own`,
  ],
  [addresses({map: ['a']}), `${ADDRESSES}.map: must be a mapping of keys to values, not a list`],
  [addresses({map: new Map()}), `${ADDRESSES}.map: must be a mapping of keys to values, not an object`],
  [
    addresses({map: {Node_1: '10.0.0.1', 'a.b': '10.0.0', c: ['10.0.0.1', 7, '::1'], d: null, e: {f: '10.0.0.1'}}}),
    `${ADDRESSES}.map.Node_1: "Node_1" cannot be a node's name; write it as "kubectl get nodes" shows it
${ADDRESSES}.map["a.b"]: "10.0.0" is not an IP address
${ADDRESSES}.map.c[1]: ${NO_ADDRESS} 7
${ADDRESSES}.map.c[2]: ::1 cannot be the address of a node
${ADDRESSES}.map.d: ${NO_ADDRESS} nothing
${ADDRESSES}.map.e: ${NO_ADDRESS} a mapping`,
  ],
  [
    addresses(JSON.parse('{"map": {"__proto__": "10.0.0.1"}}')),
    `${ADDRESSES}.map.__proto__: "__proto__" cannot be a node's name; write it as "kubectl get nodes" shows it`,
  ],
  [addresses({mpa: {}}), `${ADDRESSES}.mpa: is not a known key; did you mean map?`],
  [{map: {}}, 'map: is not a known key here; did you mean networks[].nodeAddresses.map?'],
  [addresses({ipv6Prefix: '1000'}), `${ADDRESSES}.ipv6Prefix: "1000" is not an IPv6 prefix; write it as "1000:1::/96"`],
  [
    addresses({ipv6Prefix: '10.0.0.0/8'}),
    `${ADDRESSES}.ipv6Prefix: "10.0.0.0/8" is not an IPv6 prefix; write it as "1000:1::/96"`,
  ],
  [
    addresses({ipv6Prefix: '1000:1::/64'}),
    `${ADDRESSES}.ipv6Prefix: "1000:1::/64" leaves no room of 32 bits for an IPv4 address, or too much; make it a /96`,
  ],
  [
    addresses({ipv6Prefix: '1000::1'}),
    `${ADDRESSES}.ipv6Prefix: "1000::1" has bits where a node's IPv4 address goes, its last 32`,
  ],
  [addresses({ipv6Prefix: 'ff02::'}), `${ADDRESSES}.ipv6Prefix: "ff02::" cannot begin the address of a node`],
  [addresses({hostPods: {selector: 'app=a b'}}), `${ADDRESSES}.hostPods.selector: "app=a b" ${NO_SELECTOR}`],
  [addresses({hostPods: {selector: 'app in (a'}}), `${ADDRESSES}.hostPods.selector: "app in (a" ${NO_SELECTOR}`],
  [addresses({hostPods: {selector: 'app=a,'}}), `${ADDRESSES}.hostPods.selector: "app=a," ${NO_SELECTOR}`],
  [
    addresses({hostPods: {namespace: 'Kube'}}),
    `${ADDRESSES}.hostPods.namespace: "Kube" cannot be a namespace; write it as "kubectl get namespaces" shows it`,
  ],
  [addresses({linkLocal: 'yes'}), `${ADDRESSES}.linkLocal: must be true or false, not "yes"`],
  [addresses({linkLocal: 'true'}), `${ADDRESSES}.linkLocal: must be true or false, not "true"; remove the quotes`],
  [{networks: [{pods: {mode: 'l2'}}]}, 'networks[0].pods.mode: "l2" is not one of ptp, bridge'],
  [
    {clusterCIDRs: '10.0.0.0/8'},
    'clusterCIDRs: must be a list of prefixes, not "10.0.0.0/8"; begin each entry with "- "',
  ],
  [
    {clusterCIDRs: ['10.0.0.0/8', '10.0.0.1', 7]},
    'clusterCIDRs[1]: "10.0.0.1" is not a prefix; write it as 10.244.0.0/16\nclusterCIDRs[2]: 7 is not a prefix; write it as 10.244.0.0/16',
  ],
  [{cni: {deadlineSeconds: 120}}, 'cni.deadlineSeconds: must be a whole number from 5 to 110, not 120'],
  [{folders: {state: 'state'}}, 'folders.state: "state" is not an absolute path; begin it with /'],
  [{log: {level: 'warning'}}, 'log.level: "warning" is not one of trace, debug, info, warn, error'],
  [{log: {level: 'wran'}}, 'log.level: "wran" is not one of trace, debug, info, warn, error; did you mean warn?'],
  [{log: {levle: 'info'}}, 'log.levle: is not a known key; did you mean level?'],
  [{level: 'info'}, 'level: is not a known key here; did you mean log.level?'],
  [{protocol: 107}, 'protocol: is not a known key here; did you mean networks[].protocol?'],
  [
    {console: {type: 'etcd'}},
    'console: is not a known key; remove it, or use one of node, kubernetes, clusterCIDRs, serviceCIDRs, store, networks, folders, cni, attachments, pairs, kernel, metrics, log',
  ],
  [
    {'a.b\n': 1},
    '["a.b\\n"]: is not a known key; remove it, or use one of node, kubernetes, clusterCIDRs, serviceCIDRs, store, networks, folders, cni, attachments, pairs, kernel, metrics, log',
  ],
  [
    JSON.parse('{"__proto__": {"node": "x"}, "constructor": 1}'),
    `__proto__: is not a known key; remove it, or use one of node, kubernetes, clusterCIDRs, serviceCIDRs, store, networks, folders, cni, attachments, pairs, kernel, metrics, log
constructor: is not a known key; remove it, or use one of node, kubernetes, clusterCIDRs, serviceCIDRs, store, networks, folders, cni, attachments, pairs, kernel, metrics, log`,
  ],
  [[], '(file): must be a mapping of keys to values, not a list'],
  ['text', '(file): must be a mapping of keys to values, not "text"'],
  [new Map(), '(file): must be a mapping of keys to values, not an object'],
  [{log: []}, 'log: must be a mapping of keys to values, not a list'],
  [{log: 'debug'}, 'log: must be a mapping of keys to values, not "debug"'],
  [{networks: {name: 'a'}}, 'networks: must be a list, not a mapping; begin each entry with "- "'],
  [{networks: ['a']}, 'networks[0]: must be a mapping of keys to values, not "a"'],
  [{networks: [null]}, 'networks[0]: must be a mapping of keys to values, not nothing'],
  [{networks: []}, 'networks: is empty; leave the key away for the default network'],
  [{node: 7}, 'node: must be text, not 7; put it in quotes'],
  [{node: true}, 'node: must be text, not true; put it in quotes'],
  [{node: []}, 'node: must be text, not a list'],
  [{node: 'Node_1'}, `node: "Node_1" cannot be a node's name; write it as "kubectl get nodes" shows it`],
  [
    {networks: [{name: '-a'}]},
    `networks[0].name: "-a" cannot be a network's name; use at most 58 lower-case letters, digits and inner hyphens`,
  ],
  [
    {networks: [{name: 'a'.repeat(59)}]},
    `networks[0].name: "${'a'.repeat(59)}" cannot be a network's name; use at most 58 lower-case letters, digits and inner hyphens`,
  ],
  [{kernel: {resyncSeconds: '60'}}, 'kernel.resyncSeconds: must be a number, not "60"; remove the quotes'],
  [{kernel: {resyncSeconds: '1m'}}, 'kernel.resyncSeconds: must be a number, not "1m"'],
  [{kernel: {resyncSeconds: 9}}, 'kernel.resyncSeconds: must be a whole number from 10 to 86400, not 9'],
  [{kernel: {resyncSeconds: 60.5}}, 'kernel.resyncSeconds: must be a whole number from 10 to 86400, not 60.5'],
  [{kernel: {resyncSeconds: Number.NaN}}, 'kernel.resyncSeconds: must be a number, not NaN'],
  [
    {networks: [{protocol: 2}]},
    'networks[0].protocol: 2 marks the routes of the kernel; choose a number that nobody on the node uses',
  ],
  [
    {networks: [{protocol: 12}]},
    'networks[0].protocol: 12 marks the routes of BIRD; choose a number that nobody on the node uses',
  ],
  [{networks: [{protocol: 256}]}, 'networks[0].protocol: must be a whole number from 5 to 255, not 256'],
  [
    {networks: [{backend: 'direct'}, {name: 'b', backend: 'direct'}, {protocol: 108, backend: 'direct'}]},
    `networks[2].name: "default" is already the name of networks[0]; give each network its own
networks[1].protocol: 107 is already the protocol of networks[0]; give each network its own`,
  ],
  [{metrics: {listen: '9464'}}, `metrics.listen: "9464" ${FORM}`],
  [{metrics: {listen: '::1:9464'}}, `metrics.listen: "::1:9464" ${FORM}`],
  [{metrics: {listen: ':0'}}, 'metrics.listen: ":0" has a port outside 1 to 65535; choose a free TCP port'],
  [{metrics: {listen: '1.2.3:80'}}, `metrics.listen: "1.2.3:80" ${ONE_ADDRESS}`],
  [{metrics: {listen: 'example.org:80'}}, `metrics.listen: "example.org:80" ${ONE_ADDRESS}`],
  [{metrics: {listen: '[1.2.3.4]:80'}}, `metrics.listen: "[1.2.3.4]:80" ${ONE_ADDRESS}`],
  [{metrics: {listen: '[]:80'}}, `metrics.listen: "[]:80" ${ONE_ADDRESS}`],
  [
    {
      node: 1,
      nod: 2,
      networks: [
        {protocol: 3, name: 'A'},
        {protocol: 108, name: 'b'},
        {protocol: 108, backend: 'x'},
      ],
    },
    `nod: is not a known key; did you mean node?
node: must be text, not 1; put it in quotes
networks[0].name: "A" cannot be a network's name; use at most 58 lower-case letters, digits and inner hyphens
networks[0].protocol: 3 marks the routes of whoever set up the network at boot; choose a number that nobody on the node uses
networks[2].backend: "x" is not one of auto, direct, vxlan, none
networks[2].protocol: 108 is already the protocol of networks[1]; give each network its own
networks[1].vxlan.device: ng-vx0 is already the device of networks[0]; give each network its own
networks[1].vxlan.vni: 1 with port 8472 is already the vni of networks[0]; give each network its own`,
  ],
] as const)
  test(`refused: ${JSON.stringify(value)}`, t => t.is(problems(value), want))

test('a thousand problems are all there, but not all shown', t => {
  const error = t.throws(() => parseConfig(Object.fromEntries(Array.from({length: 1000}, (_, i) => [`k${i}`, 1]))), {
    instanceOf: ConfigError,
  })
  t.is(error?.problems.length, 1000)
  t.is(error?.message.split('\n').length, 51)
  t.is(error?.message.split('\n').at(-1), 'config: and 950 problems more')
})

for (const [text, option] of [
  ['dierct', 'direct'],
  ['direc', 'direct'],
  ['directt', 'direct'],
  ['DIRECT', 'direct'],
  ['ifno', 'info'],
  ['vxlan', undefined],
  ['', undefined],
  ['x'.repeat(1e6), undefined],
] as const)
  test(`nearest to ${JSON.stringify(text.slice(0, 20))} is ${option}`, t =>
    t.is(nearest(text, ['info', 'direct']), option))

test('a path as text', t => t.is(pathText(['networks', 0, 'a-b', 'c d']), 'networks[0].a-b["c d"]'))

test('every key of the reference has a meaning, a form and a default', t => {
  for (const row of reference()) {
    t.truthy(row.meaning, row.path)
    t.truthy(row.values, row.path)
    t.not(row.default, undefined, row.path)
  }
})

/** Values that have the schema's keys in wrong places and with wrong contents. */
const names = [
  ...['node', 'kubernetes', 'kubeconfig', 'networks', 'name', 'cidrs', 'from', 'backend', 'protocol', 'log'],
  ...['nodeAddresses', 'map', 'ipv6Prefix', 'hostPods', 'selector', 'linkLocal'],
]
const {value: shaped} = fc.letrec(tie => ({
  value: fc.oneof(
    {depthSize: 'small'},
    fc.constantFrom(
      '',
      'default',
      'direct',
      '10.0.0.1',
      'fd00::',
      107,
      2,
      1e300,
      null,
      undefined,
      true,
      Symbol('s'),
      1n,
    ),
    fc.anything({withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true}),
    fc.array(tie('value'), {maxLength: 4}),
    fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie('value'), {maxKeys: 5}),
  ),
}))

test('no value makes the check throw anything but ConfigError, and each problem has a path and a message', t => {
  fc.assert(
    fc.property(shaped, value => {
      try {
        t.true(parseConfig(value).networks.length > 0)
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        t.true(error.problems.length > 0)
        for (const {path, message} of error.problems) {
          t.regex(path, /./)
          t.regex(message, /./)
          t.notRegex(`${path}${message}`, /\n|undefined|\[object/)
        }
      }
    }),
    {numRuns: 2000},
  )
  t.pass()
})
