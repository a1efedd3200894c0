/** Each field of an element: what it becomes, and the sentence where it cannot be. */
import test from 'ava'
import {parseSelections} from '../../src/attach/selections.ts'
import type {Dialect, Selection} from '../../src/model/attachment.ts'
import {ANNOTATION} from './support.ts'

/** `element`: but for the name. */
const parse = (dialect: Dialect, element: object) =>
  parseSelections({[ANNOTATION[dialect]]: JSON.stringify([{name: 'a', ...element}])}, 'pod')

type Row = readonly [element: object, want: Partial<Selection>]

const accepted = (dialect: Dialect, rows: readonly Row[]) =>
  test(`${dialect}: taken as`, t => {
    for (const [element, want] of rows) {
      const {selected, problems} = parse(dialect, element)
      t.deepEqual(problems, [], JSON.stringify(element))
      t.deepEqual(
        selected[0]!.selection,
        {dialect, namespace: 'pod', name: 'a', ...want} as Selection,
        JSON.stringify(element),
      )
    }
  })

accepted('npwg', [
  [{}, {}],
  [{namespace: 'n'.repeat(63)}, {namespace: 'n'.repeat(63)}],
  [{name: 'n'.repeat(253)}, {name: 'n'.repeat(253)}],
  [{interface: 'net1'}, {interface: 'net1'}],
  [{interface: 'äöü-15-bytes'}, {interface: 'äöü-15-bytes'}],
  [{mac: '02:AB:cd:00:00:01'}, {mac: '02:ab:cd:00:00:01'}],
  [{mac: '02-ab-cd-00-00-01'}, {mac: '02:ab:cd:00:00:01'}],
  [{mac: ''}, {}],
  [{mac: null}, {}],
  [
    {ips: ['10.0.0.1', '10.0.0.2/24', 'FD00::0:1', 'fd00::2/64']},
    {ips: ['10.0.0.1', '10.0.0.2/24', 'fd00::1', 'fd00::2/64']},
  ],
  [{ips: []}, {}],
  [{ips: null}, {}],
  [{'infiniband-guid': 'C2:11:22:33:44:55:66:77'}, {infinibandGuid: 'c2:11:22:33:44:55:66:77'}],
  [{'INFINIBAND-GUID': 'c2-11-22-33-44-55-66-77'}, {infinibandGuid: 'c2:11:22:33:44:55:66:77'}],
  [
    {
      portMappings: [
        {hostPort: 1, containerPort: 65535},
        {HostPort: 80, ContainerPort: 8080, Protocol: 'UDP', HostIP: '::0'},
        {hostPort: 80, containerPort: 8080, protocol: 'sctp', hostIP: ''},
      ],
    },
    {
      portMappings: [
        {hostPort: 1, containerPort: 65535, protocol: 'tcp'},
        {hostPort: 80, containerPort: 8080, protocol: 'udp', hostIP: '::'},
        {hostPort: 80, containerPort: 8080, protocol: 'sctp'},
      ],
    },
  ],
  [{portMappings: []}, {}],
  [
    {bandwidth: {ingressRate: 0, INGRESSBURST: 1, egressRate: 9007199254740991, egressBurst: null, x: 'y'}},
    {bandwidth: {ingressRate: 0, ingressBurst: 1, egressRate: 9007199254740991}},
  ],
  [{bandwidth: {}}, {}],
  [{bandwidth: null}, {}],
  [{'cni-args': {a: {b: [1, 'x', null, true]}}}, {cniArgs: {a: {b: [1, 'x', null, true]}}}],
  [{'cni-args': {}}, {}],
  [{'default-route': ['10.0.0.254', 'fd00:0::1']}, {defaultRoute: ['10.0.0.254', 'fd00::1']}],
  [{'default-route': []}, {}],
  [{deviceID: '0000:03:02.3'}, {deviceId: '0000:03:02.3'}],
  [{'ipam-claim-reference': 'claim'}, {ipamClaim: 'claim'}],
  [
    {isPrimary: true, interface: 'eth0'},
    {primary: true, interface: 'eth0'},
  ],
  [{isPrimary: false, required: true}, {}],
  [{isPrimary: null, required: null}, {}],
  [{required: false}, {optional: true}],
])

accepted('kaloom', [
  [{}, {}],
  [{ifMac: '02:AB:CD:00:00:01'}, {mac: '02:ab:cd:00:00:01'}],
  [{ifmac: ''}, {}],
  [{ifMac: null}, {}],
  [
    {isPrimary: true, ifMac: '02:00:00:00:00:01'},
    {primary: true, mac: '02:00:00:00:00:01'},
  ],
  [{podagentSkip: true}, {startOnly: true}],
  [{podagentSkip: false}, {}],
  [{required: false}, {optional: true}],
  // Keys of the other dialect are nothing here.
  [{mac: 7, ips: 'x', interface: 'lo', portMappings: 3, upperLayers: {}}, {}],
])

test('prototype keys of cni-args do not come through', t => {
  const text = '[{"name":"a","cni-args":{"__proto__":{"x":1},"b":[{"__proto__":2,"c":3}],"\\u005f_proto__":4}}]'
  const {selected} = parseSelections({[ANNOTATION.npwg]: text}, 'pod')
  t.is(JSON.stringify(selected[0]!.selection.cniArgs), '{"b":[{"c":3}]}')
})

const refused = (dialect: Dialect, rows: readonly (readonly [element: object, message: string])[]) =>
  test(`${dialect}: refused with`, t => {
    for (const [element, message] of rows) {
      const {selected, problems} = parse(dialect, element)
      t.deepEqual(selected, [], JSON.stringify(element))
      t.deepEqual(
        problems.map(each => each.message),
        [`annotation ${ANNOTATION[dialect]}[0]${message}`],
      )
      t.deepEqual(problems[0]!.means, {namespace: 'pod', name: 'a'}, JSON.stringify(element))
      t.is(problems[0]!.at, `${ANNOTATION[dialect]}[0]${message.split(' ')[0]}`)
    }
  })

const IP = 'write an IPv4 or IPv6 address'
const MAC = 'write six pairs of hexadecimal digits with colons, as in 02:00:00:00:00:01'
const OTHER_NAME = 'choose another name, or leave it away'
const PORT = 'write a whole number from 1 to 65535, without quotes'
const RATE = 'write a whole number from 0 to 9007199254740991, without quotes'
const mapping = (change: object) => ({portMappings: [{hostPort: 1, containerPort: 2, ...change}]})

refused('npwg', [
  [{interface: 'eth0'}, `.interface is "eth0", the pod's first interface; ${OTHER_NAME}`],
  [{interface: 'eth0', isPrimary: false}, `.interface is "eth0", the pod's first interface; ${OTHER_NAME}`],
  [{interface: 'lo'}, `.interface "lo" cannot be a pod interface's name; ${OTHER_NAME}`],
  [{interface: 'all'}, `.interface "all" cannot be a pod interface's name; ${OTHER_NAME}`],
  [{interface: '..'}, `.interface ".." cannot be a pod interface's name; ${OTHER_NAME}`],
  [{interface: 'sixteen-bytes-16'}, `.interface "sixteen-bytes-16" is longer than 15 bytes; ${OTHER_NAME}`],
  [
    {interface: 'a\n'},
    `.interface "a\\n" has a slash, a colon, a percent sign, white space or a control character; ${OTHER_NAME}`,
  ],
  [{interface: 7}, '.interface is 7; write a text in quotes'],
  [{mac: '02:00:00:00:00'}, `.mac is "02:00:00:00:00"; ${MAC}`],
  [{mac: '02:00:00:00:00:0'}, `.mac is "02:00:00:00:00:0"; ${MAC}`],
  [{mac: '02:00-00:00:00:00'}, `.mac is "02:00-00:00:00:00"; ${MAC}`],
  [{mac: '020000000000'}, `.mac is "020000000000"; ${MAC}`],
  [{mac: '02.00.00.00.00.01'}, `.mac is "02.00.00.00.00.01"; ${MAC}`],
  [{mac: '0g:00:00:00:00:01'}, `.mac is "0g:00:00:00:00:01"; ${MAC}`],
  [{mac: ' 2:00:00:00:00:01'}, `.mac is " 2:00:00:00:00:01"; ${MAC}`],
  [
    {mac: '01:00:00:00:00:01'},
    '.mac is "01:00:00:00:00:01"; that is a group address: write one whose first pair is even, as in 02:00:00:00:00:01',
  ],
  [
    {mac: '00:00:00:00:00:00'},
    '.mac is "00:00:00:00:00:00"; no interface can have that: write another one, as in 02:00:00:00:00:01',
  ],
  [{mac: 2}, '.mac is 2; write a text in quotes'],
  [{mac: []}, '.mac is a list; write a text in quotes'],
  [{ips: '10.0.0.1'}, '.ips is "10.0.0.1"; write a list, as in […]'],
  [{ips: {}}, '.ips is an object; write a list, as in […]'],
  [{ips: [7]}, `.ips[0] is 7; ${IP} with or without a prefix length`],
  [{ips: [null]}, `.ips[0] is null; ${IP} with or without a prefix length`],
  [{ips: ['']}, `.ips[0] is ""; ${IP} with or without a prefix length`],
  [{ips: ['10.0.0.1', '10.0.0.300']}, `.ips[1] is "10.0.0.300"; ${IP} with or without a prefix length`],
  [{ips: ['10.0.0.1/33']}, `.ips[0] is "10.0.0.1/33"; ${IP} with or without a prefix length`],
  [{ips: ['10.0.0.01']}, `.ips[0] is "10.0.0.01"; ${IP} with or without a prefix length`],
  [{ips: ['fe80::1%eth0']}, `.ips[0] is "fe80::1%eth0"; ${IP} with or without a prefix length`],
  [{ips: [' 10.0.0.1']}, `.ips[0] is " 10.0.0.1"; ${IP} with or without a prefix length`],
  [{ips: ['10.0.0.1', '10.0.0.1']}, '.ips[1] is "10.0.0.1", which [0] is already; remove one'],
  [{ips: ['fd00::1', '10.0.0.1', 'fd00:0::1/64']}, '.ips[2] is "fd00:0::1/64", which [0] is already; remove one'],
  [
    {'infiniband-guid': '02:00:00:00:00:01'},
    '.infiniband-guid is "02:00:00:00:00:01"; write eight pairs of hexadecimal digits with colons',
  ],
  [{portMappings: {}}, '.portMappings is an object; write a list, as in […]'],
  [{portMappings: [null]}, '.portMappings[0] is null; write an object, as in {"hostPort": 80, "containerPort": 8080}'],
  [{portMappings: [80]}, '.portMappings[0] is 80; write an object, as in {"hostPort": 80, "containerPort": 8080}'],
  [{portMappings: [{containerPort: 2}]}, '.portMappings[0].hostPort is missing; write a port from 1 to 65535'],
  [mapping({hostPort: 0}), `.portMappings[0].hostPort is 0; ${PORT}`],
  [mapping({hostPort: '80'}), `.portMappings[0].hostPort is "80"; ${PORT}`],
  [mapping({containerPort: 65536}), `.portMappings[0].containerPort is 65536; ${PORT}`],
  [mapping({containerPort: 1.5}), `.portMappings[0].containerPort is 1.5; ${PORT}`],
  [mapping({protocol: 'icmp'}), '.portMappings[0].protocol is "icmp"; write one of tcp, udp, sctp'],
  [mapping({protocol: 6}), '.portMappings[0].protocol is 6; write a text in quotes'],
  [mapping({hostIP: '10.0.0.1/24'}), `.portMappings[0].hostIP is "10.0.0.1/24"; ${IP} without a prefix length`],
  [{bandwidth: []}, '.bandwidth is a list; write an object, as in {"key": …}'],
  [{bandwidth: {ingressRate: -1}}, `.bandwidth.ingressRate is -1; ${RATE}`],
  [{bandwidth: {egressBurst: '1000'}}, `.bandwidth.egressBurst is "1000"; ${RATE}`],
  [{bandwidth: {egressRate: 1e30}}, `.bandwidth.egressRate is 1e+30; ${RATE}`],
  [{'cni-args': []}, '.cni-args is a list; write an object, as in {"key": …}'],
  [{'cni-args': '{}'}, '.cni-args is "{}"; write an object, as in {"key": …}'],
  [{'default-route': '10.0.0.1'}, '.default-route is "10.0.0.1"; write a list, as in […]'],
  [{'default-route': ['10.0.0.1/24']}, `.default-route[0] is "10.0.0.1/24"; ${IP} without prefix length`],
  [{'default-route': ['::1', '0::1']}, '.default-route[1] is "0::1", which [0] is already; remove one'],
  [{deviceID: 3}, '.deviceID is 3; write a text in quotes'],
  [{'ipam-claim-reference': {}}, '.ipam-claim-reference is an object; write a text in quotes'],
  [{isPrimary: 'true'}, '.isPrimary is "true"; write true or false, without quotes'],
  [{required: 0}, '.required is 0; write true or false, without quotes'],
])

refused('kaloom', [
  [
    {ifMac: 'ff:ff:ff:ff:ff:ff'},
    '.ifMac is "ff:ff:ff:ff:ff:ff"; that is a group address: write one whose first pair is even, as in 02:00:00:00:00:01',
  ],
  [{ifMac: true}, '.ifMac is true; write a text in quotes'],
  [{isPrimary: 1}, '.isPrimary is 1; write true or false, without quotes'],
  [{podagentSkip: 'no'}, '.podagentSkip is "no"; write true or false, without quotes'],
])

test('an element of which nobody knows what it means', t => {
  const rows: readonly [element: unknown, message: string][] = [
    [null, ' is null; write an object, as in {"name": "green"}'],
    ['green', ' is "green"; write an object, as in {"name": "green"}'],
    [7, ' is 7; write an object, as in {"name": "green"}'],
    [[], ' is a list; write an object, as in {"name": "green"}'],
    [{}, '.name is missing; write the name of a network'],
    [{name: ''}, '.name is missing; write the name of a network'],
    [{name: null}, '.name is missing; write the name of a network'],
    [{name: 7}, '.name is 7; write a text in quotes'],
    [{name: 'Green'}, '.name is "Green"; a name has at most 253 lower-case letters, digits and inner dashes'],
    [{name: 'a\n'}, '.name is "a\\n"; a name has at most 253 lower-case letters, digits and inner dashes'],
    [
      {name: 'a', namespace: 'n'.repeat(64)},
      `.namespace is "${'n'.repeat(64)}"; a name has at most 63 lower-case letters, digits and inner dashes`,
    ],
    [{name: 'a', namespace: false}, '.namespace is false; write a text in quotes'],
  ]
  for (const [element, message] of rows) {
    const {selected, problems} = parseSelections({networks: JSON.stringify([{name: 'ok'}, element])}, 'pod')
    t.is(selected.length, 1)
    t.deepEqual(
      problems.map(each => each.message),
      [`annotation networks[1]${message}`],
    )
    t.false('means' in problems[0]!)
  }
})
