/** host-local against the program of that name: the same requests, on folders of their own. */
import {mkdir, rename, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import {hostLocal} from '../../../src/cni/ipam/host-local.ts'
import type {PluginConfig} from '../../../src/cni/plugin.ts'
import {openFiles} from '../../../src/netlink/files.ts'
import {leasesIn, ours, type Request, temporaryFolder, theirs, type Verb} from './upstream.ts'

interface Step extends Partial<Omit<Request, 'verb' | 'config'>> {
  readonly verb: Verb
  /** In place of the case's. */
  readonly ipam?: object
  /** Beside the IPAM section. */
  readonly beside?: object
  /** Of which one the program remembers the address is chance. */
  readonly byChance?: true
}

/** Something done to the folder of the network. */
type Act = (folder: string) => Promise<unknown>

const files = await openFiles()

const configOf = (dataDir: string, ipam: object, beside: object = {}): PluginConfig => ({
  cniVersion: '1.0.0',
  name: 'net',
  type: 'bridge',
  ipam: {type: 'host-local', dataDir, ...ipam},
  ...beside,
})

const add = (id: string, more: Partial<Step> = {}): Step => ({verb: 'ADD', id, ...more})
const del = (id: string, more: Partial<Step> = {}): Step => ({verb: 'DEL', id, ...more})
const check = (id: string, more: Partial<Step> = {}): Step => ({verb: 'CHECK', id, ...more})
const ips = (...list: unknown[]) => ({beside: {runtimeConfig: {ips: list}}})
const cniIps = (...list: unknown[]) => ({beside: {args: {cni: {ips: list}}}})
const write =
  (name: string, content: string): Act =>
  async folder => {
    await writeFile(`${folder}.new`, content)
    await rename(`${folder}.new`, join(folder, name))
  }
const remove =
  (name: string): Act =>
  folder =>
    rm(join(folder, name))

const small = {ranges: [[{subnet: '10.1.0.0/29'}]]}
const wide = {ranges: [[{subnet: '10.1.0.0/24'}]]}
const dual = {ranges: [[{subnet: '10.1.0.0/24'}], [{subnet: 'fd00::/64'}]]}
const two = {
  ranges: [
    [
      {subnet: '10.1.0.0/24', rangeStart: '10.1.0.10', rangeEnd: '10.1.0.11'},
      {subnet: '10.2.0.0/24', rangeStart: '10.2.0.254', gateway: '10.2.0.9'},
    ],
  ],
}

const sequences: Record<string, {ipam: object; steps: readonly (Step | Act)[]}> = {
  'one after the other': {ipam: wide, steps: [add('a'), add('b'), add('c'), check('a'), del('b'), add('d')]},
  'twice the same': {ipam: wide, steps: [add('a'), add('a'), check('a'), add('a', {ifname: 'net1'})]},
  'DEL twice, and of nobody': {ipam: wide, steps: [del('a'), add('a'), del('a'), del('a'), check('a')]},
  'DEL of one interface': {
    ipam: wide,
    steps: [add('a'), add('a', {ifname: 'net1'}), del('a'), check('a'), check('a', {ifname: 'net1'})],
  },
  exhausted: {ipam: small, steps: [...'abcdefg'].map(id => add(id)).concat(del('c'), add('h'), add('i'))},
  'round and round': {
    ipam: small,
    steps: [...'abcdefghijkl'].flatMap(id => [add(id), del(id)]),
  },
  'several ranges in a set': {
    ipam: two,
    steps: [add('a'), add('b'), add('c'), add('d'), del('a'), del('c'), add('e'), add('f'), add('g')],
  },
  'dual-stack': {ipam: dual, steps: [add('a'), add('b'), check('a'), del('a'), add('c'), del('b'), del('c')]},
  'dual-stack, the second exhausted': {
    ipam: {ranges: [[{subnet: '10.1.0.0/24'}], [{subnet: 'fd00::/126'}]]},
    steps: [add('a'), add('b'), add('c'), add('d'), del('a'), add('e')],
  },
  'three of a family': {
    ipam: {ranges: ['10.1.0.0/24', '10.2.0.0/24', '10.3.0.0/24'].map(subnet => [{subnet}])},
    steps: [add('a'), add('b', ips('10.2.0.77', '10.1.0.66')), del('a')],
  },
  'a huge range': {ipam: {ranges: [[{subnet: 'fd00::/8'}]]}, steps: [add('a'), add('b'), del('a'), add('c')]},
  'in the section itself': {
    ipam: {subnet: '10.1.0.0/24', rangeStart: '10.1.0.10', rangeEnd: '10.1.0.11', gateway: '10.1.0.254'},
    steps: [add('a'), add('b'), add('c')],
  },
  'in the section and in ranges': {
    ipam: {subnet: '10.9.0.0/24', ranges: [[{subnet: '10.1.0.0/24'}], [{subnet: 'fd00:1::/120'}]]},
    steps: [add('a'), add('b'), del('a')],
  },
  'the end is the broadcast address': {
    ipam: {ranges: [[{subnet: '10.1.0.0/29', rangeStart: '10.1.0.0', rangeEnd: '10.1.0.7'}]]},
    steps: [...'abcdefghi'].map(id => add(id)),
  },
  'the gateway is the only address': {
    ipam: {ranges: [[{subnet: '10.1.0.0/24', rangeStart: '10.1.0.1', rangeEnd: '10.1.0.1'}]]},
    steps: [add('a')],
  },
  'requested in CNI_ARGS': {
    ipam: wide,
    steps: [
      add('a', {args: 'IP=10.1.0.77'}),
      add('b', {args: 'IgnoreUnknown=1;K8S_POD_NAME=x;IP=10.1.0.78/24'}),
      add('c', {args: 'IP=10.1.0.79/8;IgnoreUnknown=true'}),
      add('d', {args: 'IP=::ffff:10.1.0.80'}),
      add('e', {args: 'IP='}),
      add('f', {args: 'IP=10.1.0.77'}),
      add('g', {args: 'IP=10.1.0.1'}),
      add('h', {args: 'IP=10.2.0.1'}),
      add('i', {args: 'IP=10.1.0.300'}),
      add('j', {args: 'IP=10.1.0.5;IP=10.1.0.6'}),
      add('k', {args: 'K8S_POD_NAME=x'}),
      add('l', {args: 'IgnoreUnknown=perhaps'}),
      add('m', {args: 'IP'}),
      add('n', {args: 'IgnoreUnknown=1;'}),
      add('o', {args: 'IgnoreUnknown=1;A=B=C'}),
      add('p', {args: 'ip=10.1.0.90'}),
      del('a', {args: 'nonsense'}),
    ],
  },
  'requested in args.cni and by the capability': {
    ipam: dual,
    steps: [
      add('a', cniIps('10.1.0.50')),
      add('b', cniIps('10.1.0.51/24', 'fd00::51')),
      add('c', ips('10.1.0.52/16', 'fd00::52/128')),
      add('d', ips('10.1.0.52')),
      add('e', ips('10.1.0.53', '10.1.0.53')),
      add('g', ips('10.3.0.54')),
      add('h', ips('')),
      add('i', cniIps('x')),
      add('j', {args: 'IP=10.1.0.60', beside: {args: {cni: {ips: ['fd00::60']}}, runtimeConfig: {ips: []}}}),
      add('k', {args: 'IP=10.1.0.61', ...ips('10.1.0.61')}),
      add('l', ips('FD00:0::00AB')),
      add('m', {...ips('10.1.0.54', '10.1.0.55'), byChance: true}),
    ],
  },
  'a requested address twice by the same': {
    ipam: wide,
    steps: [add('a', ips('10.1.0.50')), add('a', ips('10.1.0.50')), add('a', ips('10.1.0.51')), add('a'), del('a')],
  },
  'requested outside of the part that is given out': {
    ipam: two,
    steps: [add('a', ips('10.1.0.12')), add('b', ips('10.1.0.11')), add('c', ips('10.2.0.254')), add('d')],
  },
  'ranges by the capability': {
    ipam: {...wide},
    steps: [
      add('a', {beside: {runtimeConfig: {ipRanges: [[{subnet: '10.7.0.0/24'}], [{subnet: 'fd07::/64'}]]}}}),
      add('b', {beside: {runtimeConfig: {ipRanges: [[{subnet: '10.1.0.0/25'}]]}}}),
      add('c'),
      del('a', {beside: {runtimeConfig: {ipRanges: [[{subnet: '10.7.0.0/24'}]]}}}),
    ],
  },
  routes: {
    ipam: {
      ...wide,
      routes: [{dst: '0.0.0.0/0'}, {dst: '10.9.0.5/8', gw: '10.1.0.1'}, {dst: 'FD00::1/64', gw: ''}, {dst: '::/0'}],
    },
    steps: [add('a')],
  },
  'a lease file taken away': {ipam: wide, steps: [add('a'), remove('10.1.0.2'), check('a'), add('a'), check('a')]},
  'files of old plugins hold only the id': {
    ipam: wide,
    steps: [
      add('x'),
      write('10.1.0.9', 'a'),
      write('10.1.0.10', 'b\n'),
      check('a'),
      add('a'),
      del('a'),
      check('a'),
      del('b', {ipam: dual}),
      check('b'),
    ],
  },
  'old and new files of one container': {
    ipam: wide,
    steps: [add('a'), write('10.1.0.9', 'a'), del('a'), check('a'), del('a'), check('a')],
  },
  'old and new files, two range sets': {ipam: dual, steps: [add('a'), write('10.1.0.9', 'a'), del('a'), check('a')]},
  'files that power failures have left empty': {
    ipam: small,
    steps: [
      add('a'),
      write('10.1.0.3', ''),
      write('last_reserved_ip.0', ''),
      add('b'),
      add('c'),
      add('d'),
      add('e'),
      del('b'),
      add('f'),
    ],
  },
  'a last address that is none, or elsewhere': {
    ipam: wide,
    steps: [
      add('a'),
      write('last_reserved_ip.0', '10.1.0.50\n'),
      add('b'),
      write('last_reserved_ip.0', '10.2.0.50'),
      add('c'),
      write('last_reserved_ip.0', '10.1.0.50'),
      add('d'),
      write('last_reserved_ip.0', '10.1.0.254'),
      add('e'),
      write('last_reserved_ip.0', 'fd00::5'),
      add('f'),
    ],
  },
  'a folder in the place of a lease': {
    ipam: wide,
    steps: [
      add('a'),
      folder => mkdir(join(folder, '10.1.0.3')),
      add('b'),
      folder => rm(join(folder, '10.1.0.3'), {recursive: true, maxRetries: 5}),
      add('c'),
    ],
  },
  'the folder taken away': {
    ipam: wide,
    steps: [add('a'), add('b'), folder => rm(folder, {recursive: true, maxRetries: 5}), check('a'), add('c'), add('a')],
  },
  'a changed range': {
    ipam: wide,
    steps: [add('a'), add('b', {ipam: {ranges: [[{subnet: '10.4.0.0/24'}]]}}), del('a', {ipam: two}), add('c')],
  },
}

for (const [title, {ipam, steps}] of Object.entries(sequences))
  test(`host-local: ${title}`, async t => {
    const [our, their] = [await temporaryFolder(t), await temporaryFolder(t)]
    const plugin = hostLocal({files})
    for (const [i, step] of steps.entries()) {
      if (typeof step === 'function') {
        await leasesIn(join(our, 'net'))
        await step(join(our, 'net'))
        await step(join(their, 'net'))
        continue
      }
      const at = (dataDir: string) => ({...step, config: configOf(dataDir, step.ipam ?? ipam, step.beside)})
      t.true(plugin.knows(at(our).config))
      const [outcome, expected] = [await ours(plugin, at(our)), await theirs('host-local', at(their))]
      const about = `step ${i}, ${JSON.stringify(step)}: ${JSON.stringify(outcome)}, theirs ${JSON.stringify(expected)}`
      // With nothing to give back ours succeeds whatever the config says, so that what was refused for it can be undone.
      if (step.verb !== 'DEL' || 'error' in outcome) t.is('ok' in outcome, 'ok' in expected, about)
      if ('ok' in outcome && 'ok' in expected) t.deepEqual(outcome.ok, expected.ok, about)
      if (step.byChance) continue
      t.deepEqual(await leasesIn(join(our, 'net')), await leasesIn(join(their, 'net')), about)
    }
  })

test('host-local: resolv.conf becomes DNS settings', async t => {
  const folder = await temporaryFolder(t)
  const plugin = hostLocal({files})
  const path = join(folder, 'resolv.conf')
  for (const [i, text] of [
    '',
    'nameserver 10.0.0.1\nnameserver\tfd00::1 # ours\n\nsearch a.example b.example\nsearch c.example\noptions ndots:5 rotate\n',
    '# nameserver 1.1.1.1\n;search x\n  domain example.org  \ndomain example.net\nnameserver\nsortlist 10.0.0.0\r\nnameserver 10.0.0.9\r\n',
  ].entries()) {
    await writeFile(path, text)
    const at = (name: string): Request => ({
      verb: 'ADD',
      id: `c${i}`,
      config: configOf(join(folder, name), {...wide, resolvConf: path}),
    })
    t.deepEqual(await ours(plugin, at('ours')), await theirs('host-local', at('theirs')))
  }
  const without = {verb: 'ADD', config: configOf(folder, {...wide, resolvConf: join(folder, 'none')})} as const
  t.regex(String(Object.values(await ours(plugin, without))), /resolvConf: .* cannot be read/)
  t.true('error' in (await theirs('host-local', without)))
})

const texts = (...list: string[]) => fc.constantFrom(...list)
const addresses = texts(
  '10.1.0.0',
  '10.1.0.1',
  '10.1.0.5',
  '10.1.0.254',
  '10.2.0.9',
  'fd00::5',
  '::ffff:10.1.0.7',
  '',
  'x',
)
const subnets = texts(
  '10.1.0.0/24',
  '10.1.0.0/30',
  '10.2.0.0/16',
  '10.1.0.9/24',
  '10.1.0.0/31',
  'fd00::/64',
  'fd00::/127',
)
const some = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({weight: 4, arbitrary}, {weight: 1, arbitrary: fc.constant(null)})
const ranges = fc.record(
  {
    subnet: fc.oneof({weight: 9, arbitrary: subnets}, fc.constant('10.1.0.0/0024'), fc.constant(7)),
    rangeStart: some(addresses),
    rangeEnd: some(addresses),
    gateway: some(addresses),
  },
  {requiredKeys: ['subnet']},
)
const sections = fc.record(
  {
    ranges: fc.array(fc.array(ranges, {maxLength: 2}), {maxLength: 2}),
    subnet: subnets,
    rangeStart: some(addresses),
    routes: some(fc.array(fc.record({dst: subnets, gw: addresses}, {requiredKeys: ['dst']}), {maxLength: 2})),
  },
  {requiredKeys: ['ranges']},
)

test('host-local: any section is taken, or refused, as by the program', async t => {
  const folder = await temporaryFolder(t)
  const plugin = hostLocal({files})
  let n = 0
  await fc.assert(
    fc.asyncProperty(sections, fc.array(addresses, {maxLength: 2}), async (ipam, asked) => {
      n++
      const at = (name: string): Request => ({
        verb: 'ADD',
        config: configOf(join(folder, `${name}${n}`), ipam, {runtimeConfig: {ips: asked}}),
      })
      t.true(plugin.knows(at('ours').config))
      const [outcome, expected] = [await ours(plugin, at('ours')), await theirs('host-local', at('theirs'))]
      // A range that ends before it begins: the program goes on from its start until the addresses end.
      if ('error' in outcome && outcome.error.includes('no address lies from')) return
      t.deepEqual(
        'ok' in outcome ? outcome.ok : 'error',
        'ok' in expected ? expected.ok : 'error',
        JSON.stringify({ipam, outcome, expected}),
      )
    }),
    {numRuns: 150},
  )
})
