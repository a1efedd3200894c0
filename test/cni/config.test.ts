import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {type NetworkList, parseConfig, pluginConfig, readConfig} from '../../src/cni/config.ts'
import {CniError} from '../../src/cni/error.ts'
import {parseResult, VERSIONS} from '../../src/cni/versions.ts'

const conf = {cniVersion: '1.0.0', name: 'net', type: 'bridge'}
const list = {cniVersion: '1.0.0', name: 'net', plugins: [{type: 'bridge'}, {type: 'portmap'}]}

const refused = (t: ExecutionContext, json: unknown): CniError =>
  t.throws(() => parseConfig(typeof json === 'string' ? json : JSON.stringify(json)), {instanceOf: CniError})!

test('a conf is a list of one', t => {
  const text = '{"z": 1, "cniVersion": "0.4.0", "type": "bridge", "name": "a.b-c_D", "plugins": 3, "a": {"10": 1}}'
  const parsed = parseConfig(text)
  t.deepEqual(parsed, {cniVersion: '0.4.0', name: 'a.b-c_D', plugins: [JSON.parse(text)]})
  t.is(JSON.stringify(parsed.plugins[0]), JSON.stringify(JSON.parse(text)), 'in its order')
})

test('a conflist', t => {
  t.deepEqual(parseConfig(JSON.stringify({...list, disableCheck: true, disableGC: 'False', more: 1})), {
    cniVersion: '1.0.0',
    name: 'net',
    disableCheck: true,
    plugins: [
      {type: 'bridge', cniVersion: '1.0.0', name: 'net'},
      {type: 'portmap', cniVersion: '1.0.0', name: 'net'},
    ],
  })
  t.true(parseConfig(JSON.stringify({...list, disableGC: 'TRUE'})).disableGC)
})

test('the newest version that a list allows and we speak', t => {
  const version = (versions: object) => readConfig({...list, cniVersion: undefined, ...versions}).cniVersion
  t.is(version({cniVersion: '0.4.0', cniVersions: ['0.3.1', '1.0.0', '9.0.0']}), '1.0.0')
  t.is(version({cniVersion: '1.1.0', cniVersions: ['0.3.1']}), '1.1.0')
  t.is(version({cniVersion: '9.0.0', cniVersions: ['0.3.1']}), '0.3.1')
  t.is(version({cniVersions: ['0.4.0']}), '0.4.0')
  for (const versions of [
    {},
    {cniVersions: []},
    {cniVersions: ['2.0.0', '0.2.0']},
    {cniVersion: '0.2.0'},
    {cniVersion: ''},
  ])
    t.is(t.throws(() => version(versions), {instanceOf: CniError})!.number, 1, JSON.stringify(versions))
  t.is(t.throws(() => version({cniVersions: '1.0.0'}), {instanceOf: CniError})!.number, 7)
  t.is(t.throws(() => version({cniVersions: ['9.0.0', {}]}), {instanceOf: CniError})!.number, 7)
})

test('what is no JSON has code 6', t => {
  for (const text of ['', ' ', '{', 'nope', '{"a":1}{', '\u0000', '"\u0001"', '{\n"name": oops\n}']) {
    const error = refused(t, text)
    t.is(error.number, 6, text)
    t.regex(error.message, /^the network config is not JSON: [^\n]+$/)
  }
  t.regex(refused(t, `{"a": "${'x'.repeat(1 << 20)}"}`).message, /characters long; at most 1048576 are read/)
})

test('bombs of depth are refused before they are parsed', t => {
  const inside = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth)
  for (const text of [
    inside('[', ']', 100_000),
    '['.repeat(500_000),
    inside('{"a":', '}', 100_000),
    `{"name": "a", "x": ${inside('[', ']', 64)}}`,
  ]) {
    const error = refused(t, text)
    t.is(error.number, 6)
    t.is(error.message, 'the network config nests objects and lists more than 64 deep')
  }
  const brackets = JSON.stringify({...conf, text: `\\"${'[{'.repeat(1000)}\\`, x: JSON.parse(inside('[', ']', 63))})
  t.notThrows(() => parseConfig(brackets), 'in a text they are no depth')
})

test('what is wrong is named', t => {
  for (const [json, message, number] of [
    [[], /^a network config must be an object/, 7],
    ['null', /^a network config must be an object/, 7],
    [{...conf, cniVersion: undefined}, /^cniVersion is missing, which means 0\.1\.0; supported are 0\.3\.0/, 1],
    [{...conf, cniVersion: '0.2.0'}, /^cniVersion is "0\.2\.0"; supported/, 1],
    [{...conf, cniVersion: 1}, /^cniVersion must be a text/, 7],
    [{...conf, name: undefined}, /^name is missing/, 7],
    [{...conf, name: 7}, /^name must be a text/, 7],
    [{...conf, name: '-a'}, /^name is "-a"; it must begin with a letter or digit/, 7],
    [{...conf, name: 'a/b'}, /^name is "a\/b"/, 7],
    [{...conf, name: 'a\n'}, /^name is "a\\n"/, 7],
    [{...conf, type: undefined}, /^type is missing/, 7],
    [{...conf, type: '../x'}, /^type is "\.\.\/x"; it must be a plain file name, not a path/, 7],
    [{...conf, type: 'a\0'}, /^type is "a\\u0000"/, 7],
    [{...conf, type: '..'}, /^type is "\.\."/, 7],
    [{...conf, ipam: []}, /^ipam must be an object/, 7],
    [{...conf, ipam: {type: '/x'}}, /^ipam\.type is "\/x"/, 7],
    [{...conf, capabilities: {mac: 'yes'}}, /^capabilities\.mac must be true or false, not "yes"/, 7],
    [{...list, name: ''}, /^name is missing/, 7],
    [{...list, plugins: []}, /^plugins is empty/, 7],
    [{...list, plugins: {}}, /^plugins must be a list/, 7],
    [{...list, plugins: [conf, 'portmap']}, /^plugins\[1\] must be an object/, 7],
    [{...list, plugins: [conf, {}]}, /^plugins\[1\]\.type is missing/, 7],
    [{...list, plugins: [conf, {type: {}}]}, /^plugins\[1\]\.type must be a text/, 7],
    [{...list, plugins: [conf, {type: 'a/b'}]}, /^plugins\[1\]\.type is "a\/b"/, 7],
    [{...list, plugins: [{...conf, ipam: {type: 7}}]}, /^plugins\[0\]\.ipam\.type must be a text/, 7],
    [{...list, plugins: [{...conf, dns: 'x'}]}, /^plugins\[0\]\.dns must be an object/, 7],
    [{...list, disableCheck: 'maybe'}, /^disableCheck must be true or false, not "maybe"/, 7],
  ] as const) {
    const error = refused(t, json)
    t.regex(error.message, message, JSON.stringify(json))
    t.is(error.number, number)
  }
  t.is(readConfig({...conf, name: undefined}, {name: 'given'}).plugins[0]!.name, 'given')
  t.is(readConfig(conf, {name: 'given'}).name, 'net')
})

test('a plugin gets what libcni gives it', t => {
  const written: NetworkList = {
    ...readConfig({...list, plugins: [{b: 1, name: 'other', type: 'x', a: 2, capabilities: {mac: true, ips: false}}]}),
    runtimeConfig: {ips: ['10.0.0.1/24'], mac: '02:00:00:00:00:01', portMappings: [], toString: 1},
  }
  t.is(
    JSON.stringify(pluginConfig(written, 0)),
    '{"b":1,"name":"net","type":"x","a":2,"capabilities":{"mac":true,"ips":false},"cniVersion":"1.0.0","runtimeConfig":{"mac":"02:00:00:00:00:01"}}',
  )
  const prevResult = parseResult({ips: [{address: '10.0.0.1/24'}]}, '0.4.0')
  const older = {...written, cniVersion: '0.4.0'}
  t.deepEqual(pluginConfig(older, 0, {prevResult, capabilities: false}) as unknown, {
    ...written.plugins[0],
    cniVersion: '0.4.0',
    prevResult: {cniVersion: '0.4.0', ips: [{version: '4', address: '10.0.0.1/24'}], dns: {}},
  })
  const none = readConfig({...conf, runtimeConfig: {mac: 'written'}, prevResult: {ips: []}, capabilities: null})
  t.deepEqual(pluginConfig({...none, runtimeConfig: {mac: 'x'}}, 0), none.plugins[0]!, 'what is written stays')
})

test('a key named __proto__ is a key', t => {
  const text =
    '{"cniVersion":"1.0.0","name":"a","type":"x","__proto__":{"type":"../y","mac":true},"capabilities":{"__proto__":true}}'
  const parsed = parseConfig(text)
  t.is(JSON.stringify(parsed.plugins[0]), text)
  const whole = pluginConfig({...parsed, runtimeConfig: {mac: 1, ['__proto__']: {polluted: 1}}}, 0)
  t.is(Object.getPrototypeOf(whole), Object.prototype)
  t.is(Object.getPrototypeOf(whole.runtimeConfig), Object.prototype)
  t.is(({} as {polluted?: unknown}).polluted, undefined)
})

const anyJson = fc.jsonValue({maxDepth: 3})
const plainName = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}$/)
const plugin = fc.tuple(fc.dictionary(fc.string(), anyJson, {noNullPrototype: true}), plainName).map(([keys, type]) => {
  const {ipam, dns, args, runtimeConfig, capabilities, prevResult, ...others} = keys
  return {...others, type}
})
const anyList = fc.record({
  cniVersion: fc.constantFrom(...VERSIONS),
  name: plainName,
  plugins: fc.array(plugin, {minLength: 1, maxLength: 4}),
  disableCheck: fc.constantFrom(undefined, true, 'true', 'false'),
  runtimeConfig: fc.option(fc.dictionary(fc.string(), anyJson, {noNullPrototype: true}), {nil: undefined}),
})

test('a list reads the same when it has been written down', t => {
  fc.assert(
    fc.property(anyList, written => {
      const once = parseConfig(JSON.stringify(written))
      const text = JSON.stringify(once)
      t.is(JSON.stringify(parseConfig(text)), text)
      for (const [i, plugin] of written.plugins.entries()) {
        const {name, cniVersion, ...own} = once.plugins[i]!
        const {name: _, cniVersion: __, ...asWritten} = plugin as Record<string, unknown>
        t.is(JSON.stringify(own), JSON.stringify(asWritten))
      }
    }),
  )
})

test('whatever comes is a list or a CniError', t => {
  const keys = fc.constantFrom('cniVersion', 'cniVersions', 'name', 'type', 'plugins', 'ipam', 'capabilities', 'dns')
  const near = fc.letrec(tie => ({
    value: fc.oneof(
      {maxDepth: 4},
      fc.constantFrom(null, '1.0.0', 'bridge', 'a/b', 7, true),
      fc.array(tie('value'), {maxLength: 3}),
      fc.dictionary(keys, tie('value'), {maxKeys: 6, noNullPrototype: true}),
    ),
  })).value
  const texts = fc.oneof(
    fc.string({unit: 'binary'}),
    fc.uint8Array({maxLength: 500}).map(bytes => Buffer.from(bytes).toString()),
    anyJson.map(json => JSON.stringify(json)),
    near.map(json => JSON.stringify(json)),
    fc.tuple(anyList, fc.nat()).map(([json, at]) => JSON.stringify(json).slice(0, at % 500)),
  )
  fc.assert(
    fc.property(texts, text => {
      try {
        t.true(parseConfig(text).plugins.length > 0)
      } catch (error) {
        if (!(error instanceof CniError)) throw error
        t.false(error.message.includes('\n'))
      }
    }),
    {numRuns: 5000},
  )
})
