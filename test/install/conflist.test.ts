import test from 'ava'
import fc from 'fast-check'
import {buildConflist, type ConflistOptions, isOurConflist, parseDelegate} from '../../src/install/conflist.ts'
import {InvalidInput} from '../../src/model/errors.ts'
import {FOREIGN} from './support.ts'

const PLAIN: ConflistOptions = {
  socket: '/run/netgraft/cni.sock',
  spool: '/var/lib/netgraft/spool',
  programs: [],
  delegates: [],
}
const build = (options: Partial<ConflistOptions>) => JSON.parse(buildConflist({...PLAIN, ...options}))
const plugin = (options: Partial<ConflistOptions>) => build(options).plugins[0]
const delegate = (value: unknown, name = '10-x.conflist') => parseDelegate(name, Buffer.from(JSON.stringify(value)))

const OURS = {'io.kubernetes.cri.pod-annotations': true, mac: true, ips: true}

test('a host without any other plugin', t => {
  t.deepEqual(build({}), {
    cniVersion: '1.0.0',
    cniVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    name: 'netgraft',
    plugins: [{type: 'netgraft', capabilities: OURS}],
  })
})

test('what the host can do besides, and where the agent is', t => {
  t.deepEqual(plugin({programs: ['portmap', 'bandwidth'], socket: '/run/other.sock', spool: '/srv/spool'}), {
    type: 'netgraft',
    capabilities: {...OURS, portMappings: true, bandwidth: true},
    chain: [
      {type: 'portmap', snat: true, capabilities: {portMappings: true}},
      {type: 'bandwidth', capabilities: {bandwidth: true}},
    ],
    socket: '/run/other.sock',
    spool: '/srv/spool',
  })
  t.deepEqual(plugin({programs: ['bandwidth']}).capabilities, {...OURS, bandwidth: true})
})

test('a delegate is kept as it is; the runtime is asked for what it can use, and nothing is done twice', t => {
  const made = plugin({programs: ['portmap', 'bandwidth'], delegates: [delegate(FOREIGN)]})
  t.deepEqual(made.delegates, [FOREIGN])
  t.deepEqual(made.capabilities, {...OURS, portMappings: true, bandwidth: true})
  t.deepEqual(
    made.chain.map(({type}: {type: string}) => type),
    ['bandwidth'],
  )
  const odd = {name: 'x', type: 'y', capabilities: {dns: true, aliases: false, __proto__: null, infinibandGUID: 'yes'}}
  t.deepEqual(plugin({delegates: [delegate(odd, 'x.conf')]}).capabilities, {...OURS, dns: true})
})

test('ours is known again, whatever it holds; what only names us is not ours', t => {
  t.true(isOurConflist(Buffer.from(buildConflist(PLAIN))))
  t.true(isOurConflist(Buffer.from(buildConflist({...PLAIN, delegates: [delegate(FOREIGN)], socket: '/s'}))))
  const others = [
    '',
    'null',
    '[]',
    '{}',
    '{"name":"netgraft"}',
    '{"name":"netgraft","plugins":[null]}',
    '{"name":"netgraft","plugins":{"0":{"type":"netgraft"},"length":1}}',
    '{"name":"other","plugins":[{"type":"netgraft"}]}',
    '{"name":"netgraft","plugins":[{"type":"netgraft"},{"type":"tuning"}]}',
    '{"name":"netgraft","plugins":[{"type":"bridge"}]}',
    JSON.stringify(FOREIGN),
    buildConflist(PLAIN).slice(0, -3),
  ]
  for (const text of others) t.false(isOurConflist(Buffer.from(text)), text)
})

const REFUSED: readonly [name: string, content: string | Buffer, why: RegExp][] = [
  ['a.conflist', '', /^it is not JSON \(/],
  ['a.conflist', '{"name": "x",\n', /^it is not JSON \([^\n]*\)$/],
  ['a.conflist', '\ufeff{"name":"x","plugins":[{"type":"y"}]}', /^it is not JSON/],
  ['a.conflist', Buffer.from([0x7b, 0xff, 0x7d]), /^it is not UTF-8 text$/],
  ['a.conflist', 'null', /^it is not a JSON object$/],
  ['a.conflist', '[]', /^it is not a JSON object$/],
  ['a.conflist', '{"plugins":[{"type":"y"}]}', /^it has no "name"$/],
  ['a.conflist', '{"name":"","plugins":[{"type":"y"}]}', /^it has no "name"$/],
  ['a.conflist', '{"name":"x","type":"y"}', /^it has no list of "plugins"$/],
  ['a.conflist', '{"name":"x","plugins":[]}', /^it has no list of "plugins"$/],
  ['a.conflist', '{"name":"x","plugins":[{"type":"y"},{"type":""}]}', /^its plugins\[1\] has no "type"$/],
  ['a.conf', '{"name":"x"}', /^it has no "type"$/],
  ['a.conf', JSON.stringify(FOREIGN), /^it has no "type": a list of plugins is read only from .*\.conflist$/],
  ['a.json', '{"name":"x","type":7}', /^it has no "type"$/],
  ['a.conf', '{"name":"x","type":"netgraft"}', /^it names the plugin type "netgraft" itself, which would go round$/],
  ['a.conf', '{"name":"x","type":"multus","delegates":[{"plugins":[{"type":"netgraft"}]}]}', /itself/],
  ['a.conf', `{"name":"x","type":"y","z":${'['.repeat(200)}${']'.repeat(200)}}`, /^it nests too deeply$/],
  ['a.conf', `{"name":"x","type":"y","z":${'['.repeat(90_000)}${']'.repeat(90_000)}}`, /^it (nests too|is not JSON)/],
  ['a.conf', Buffer.alloc(2 << 20, ' '), /^it has 2097152 bytes, and 1048576 are the most$/],
]

for (const [i, [name, content, why]] of REFUSED.entries()) {
  test(`a foreign configuration that no runtime would take, or that leads back to us: ${i} ${why}`, t => {
    const error = t.throws(() => parseDelegate(name, Buffer.from(content as string)), {instanceOf: InvalidInput})
    t.regex(error!.message, why)
  })
}

const conf = fc.record({name: fc.string({minLength: 1}), type: fc.constantFrom('flannel', 'calico-ipam', '\ud800')})
const list = fc.record({name: fc.string({minLength: 1}), plugins: fc.array(conf, {minLength: 1, maxLength: 3})})

test('any foreign configuration comes out as it went in, and the whole is known again', t => {
  fc.assert(
    fc.property(fc.oneof(conf, list), fc.dictionary(fc.string(), fc.jsonValue()), (base, more) => {
      const text = JSON.stringify({...more, ...base})
      const parsed = parseDelegate('plugins' in base ? 'x.conflist' : 'x.conf', Buffer.from(text))
      const built = buildConflist({...PLAIN, programs: ['portmap'], delegates: [parsed]})
      t.is(JSON.stringify(JSON.parse(built).plugins[0].delegates[0]), JSON.stringify(JSON.parse(text)))
      t.true(isOurConflist(Buffer.from(built)))
      t.is(built, buildConflist({...PLAIN, programs: ['portmap'], delegates: [parsed]}))
    }),
    {numRuns: 300},
  )
})

test('whatever a file holds, it is taken or refused with one sentence', t => {
  const text = JSON.stringify(FOREIGN)
  const spoiled = fc
    .tuple(fc.nat(text.length), fc.nat(20), fc.string({unit: 'binary'}))
    .map(([at, length, other]) => Buffer.from(text.slice(0, at) + other + text.slice(at + length)))
  const bytes = fc.uint8Array({maxLength: 200}).map(array => Buffer.from(array))
  const json = fc.json().map(value => Buffer.from(value))
  fc.assert(
    fc.property(fc.oneof(spoiled, bytes, json), fc.constantFrom('a.conf', 'a.conflist'), (content, name) => {
      t.notThrows(() => isOurConflist(content))
      try {
        parseDelegate(name, content)
      } catch (error) {
        if (!(error instanceof InvalidInput) || error.message.includes('\n')) throw error
      }
    }),
    {numRuns: 1000},
  )
  t.pass()
})
