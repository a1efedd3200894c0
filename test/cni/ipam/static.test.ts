import test from 'ava'
import fc from 'fast-check'
import {staticIpam} from '../../../src/cni/ipam/static.ts'
import type {PluginConfig} from '../../../src/cni/plugin.ts'
import {type Outcome, ours, type Request, theirs} from './upstream.ts'

const configOf = (ipam: unknown, beside: object = {}): PluginConfig =>
  ({cniVersion: '1.0.0', name: 'net', type: 'macvlan', ipam, ...beside}) as PluginConfig

const one = {type: 'static', addresses: [{address: '10.1.0.5/24', gateway: '10.1.0.1'}]}
const addresses = (...list: unknown[]) => ({type: 'static', addresses: list})
const comparable = (outcome: Outcome) => ('ok' in outcome ? outcome.ok : 'error')

const cases: Record<string, Omit<Request, 'verb' | 'config'> & {ipam: unknown; beside?: object}> = {
  'one address': {ipam: one},
  none: {ipam: {type: 'static'}},
  'dual-stack': {
    ipam: addresses({address: 'FD00:0::5/64', gateway: 'fd00::1'}, {address: '10.1.0.5/024', gateway: ''}),
  },
  'a gateway of anywhere': {ipam: addresses({address: '10.1.0.5/32', gateway: 'fe80::1'}, {address: 'fd00::1/128'})},
  'mapped addresses': {
    ipam: addresses({address: '::ffff:10.1.0.5/120', gateway: '::ffff:10.1.0.1'}),
  },
  'no prefix length': {ipam: addresses({address: '10.1.0.5'})},
  'no address': {ipam: addresses({})},
  'null for an address': {ipam: addresses(null)},
  'a number for an address': {ipam: addresses({address: 7})},
  'no list': {ipam: {type: 'static', addresses: {}}},
  'a bad gateway': {ipam: addresses({address: '10.1.0.5/24', gateway: '10.1.0'})},
  'routes and DNS': {
    ipam: {
      ...one,
      routes: [{dst: '0.0.0.0/0', gw: '10.1.0.254'}, {dst: '10.9.9.9/8'}],
      dns: {nameservers: ['10.0.0.1', 'any'], domain: 'a.example', search: ['b.example'], options: ['ndots:5']},
    },
  },
  'empty DNS': {ipam: {...one, dns: {nameservers: [], domain: '', search: null}, routes: null}},
  'wrong DNS': {ipam: {...one, dns: {nameservers: '10.0.0.1'}}},
  'a bad route': {ipam: {...one, routes: [{dst: '10.0.0.0'}]}},
  CNI_ARGS: {ipam: one, args: 'IP=10.2.0.9/24;GATEWAY=10.2.0.1'},
  'CNI_ARGS, lists': {ipam: one, args: 'IP=10.2.0.9/24, fd00::5/64;GATEWAY=10.2.0.254 ,fd00::1,10.2.0.1'},
  'CNI_ARGS, a gateway for the address of the config': {ipam: one, args: 'GATEWAY=10.1.0.9'},
  'CNI_ARGS, empty': {ipam: one, args: 'IP=;GATEWAY='},
  'CNI_ARGS, no prefix length': {ipam: one, args: 'IP=10.2.0.9'},
  'CNI_ARGS, a comma too many': {ipam: one, args: 'IP=10.2.0.9/24,'},
  'CNI_ARGS, a gateway with prefix length': {ipam: one, args: 'IP=10.2.0.9/24;GATEWAY=10.2.0.1/24'},
  'CNI_ARGS, mapped': {ipam: one, args: 'IP=::ffff:10.2.0.9/120;GATEWAY=10.2.0.1'},
  'CNI_ARGS, unknown': {ipam: one, args: 'K8S_POD_NAME=x'},
  'CNI_ARGS, unknown and ignored': {ipam: one, args: 'K8S_POD_NAME=x;IgnoreUnknown=1;IP=10.2.0.9/24'},
  'CNI_ARGS, other letters': {ipam: one, args: 'ip=10.2.0.9/24'},
  'args.cni.ips': {ipam: one, beside: {args: {cni: {ips: ['10.3.0.1/24', 'fd00::3/64']}}}},
  'args.cni.ips, without the config': {ipam: addresses({address: 'x'}), beside: {args: {cni: {ips: ['10.3.0.1/24']}}}},
  'args.cni.ips, no prefix length': {ipam: one, beside: {args: {cni: {ips: ['10.3.0.1']}}}},
  'args.cni.ips, null': {ipam: one, beside: {args: {cni: {ips: [null]}}}},
  'args.cni.ips and CNI_ARGS': {
    ipam: one,
    args: 'IP=10.2.0.9/24;GATEWAY=10.3.0.9',
    beside: {args: {cni: {ips: ['10.3.0.1/24']}}},
  },
  'the capability': {ipam: one, beside: {runtimeConfig: {ips: ['10.4.0.1/24', '10.4.0.2/24']}}},
  'the capability and args.cni.ips': {
    ipam: one,
    beside: {runtimeConfig: {ips: ['10.4.0.1/24']}, args: {cni: {ips: ['10.3.0.1/24']}}},
  },
  'the capability and bad args.cni.ips': {
    ipam: one,
    beside: {runtimeConfig: {ips: ['10.4.0.1/24']}, args: {cni: {ips: ['x']}}},
  },
  'the capability, empty': {ipam: one, beside: {runtimeConfig: {ips: []}, args: {cni: null}}},
  'no section': {ipam: null},
  'a list for the section': {ipam: []},
}

for (const [title, {ipam, args = '', beside}] of Object.entries(cases))
  test(`static: ${title}`, async t => {
    const config = configOf(ipam, beside)
    for (const verb of ['ADD', 'DEL'] as const) {
      const [outcome, expected] = [
        await ours(staticIpam(), {verb, args, config}),
        await theirs('static', {verb, args, config}),
      ]
      t.deepEqual(comparable(outcome), comparable(expected), JSON.stringify({verb, outcome, expected}))
    }
  })

for (const [title, prevResult, ipam] of [
  ['as it was', {ips: [{address: '10.1.0.5/24', gateway: '10.1.0.1'}]}, one],
  ['another gateway', {ips: [{address: '10.1.0.5/24', gateway: '10.1.0.2'}]}, one],
  ['no gateway', {ips: [{address: '10.1.0.5/24'}]}, one],
  [
    'no gateway, and none wanted',
    {ips: [{address: '10.1.0.5/24', gateway: '10.1.0.2'}]},
    addresses({address: '10.1.0.5/24'}),
  ],
  ['another address', {ips: [{address: '10.1.0.6/24', gateway: '10.1.0.1'}]}, one],
  ['nothing', {}, one],
  ['no result', undefined, one],
] as const)
  test(`static CHECK: ${title}`, async t => {
    const config = configOf(ipam, prevResult && {prevResult: {cniVersion: '1.0.0', ...prevResult}})
    const request = {verb: 'CHECK', config} as const
    t.deepEqual(comparable(await ours(staticIpam(), request)), comparable(await theirs('static', request)))
  })

for (const [title, more] of Object.entries({
  'a key of the section': {ipam: {...one, subnet: 'x'}},
  'a key of an address': {ipam: addresses({address: '10.1.0.5/24', version: '4'})},
  'another spelling': {ipam: addresses({Address: '10.1.0.5/24'})},
  'a key of DNS': {ipam: {...one, dns: {nameserver: 'x'}}},
  'a key of a route': {ipam: {...one, routes: [{dst: '::/0', priority: 5}]}},
  'another spelling of a capability': {ipam: one, runtimeConfig: {IPs: ['10.1.0.9/24']}},
}))
  test(`static leaves to the program: ${title}`, t =>
    t.false(staticIpam().knows({...configOf(one), ...more} as PluginConfig)))

for (const [says, ipam] of [
  ['ipam must be an object', 7],
  [
    'ipam.addresses[0].address must be an address with its prefix length (as 10.1.0.5/24), not "10.1.0.5"',
    addresses({address: '10.1.0.5'}),
  ],
  ['ipam.dns.search must be a list, not "x"', {...one, dns: {search: 'x'}}],
] as const)
  test(`static says: ${says}`, async t =>
    t.deepEqual(await ours(staticIpam(), {verb: 'ADD', config: configOf(ipam)}), {error: says}))

test('static: whatever the section is, only a CniError comes of it', async t => {
  const section = fc.dictionary(fc.constantFrom('addresses', 'routes', 'dns', 'type'), fc.jsonValue())
  await fc.assert(
    fc.asyncProperty(fc.oneof(section, fc.jsonValue()), fc.jsonValue(), fc.string(), async (ipam, beside, args) => {
      const config = configOf(ipam, {runtimeConfig: beside, args: {cni: beside}, prevResult: beside})
      t.is(typeof staticIpam().knows(config), 'boolean')
      for (const verb of ['ADD', 'CHECK', 'DEL'] as const) await ours(staticIpam(), {verb, args, config})
    }),
    {numRuns: 1000},
  )
  t.pass()
})
