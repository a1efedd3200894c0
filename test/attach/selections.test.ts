/** Both annotations as lists: what is selected, in which order, and what one broken part means for the rest. */
import test from 'ava'
import {parseDefaultNetwork, parseSelections} from '../../src/attach/selections.ts'
import type {Selection} from '../../src/model/attachment.ts'

const NPWG = 'k8s.v1.cni.cncf.io/networks'

/** "ns/name", with "@interface" and marks of what else is there. */
const said = ({dialect, namespace, name, interface: ifname, primary, optional, startOnly}: Selection): string =>
  `${dialect === 'kaloom' ? 'k:' : ''}${namespace}/${name}${ifname ? `@${ifname}` : ''}${primary ? '!' : ''}${optional ? '?' : ''}${startOnly ? '^' : ''}`

const parse = (annotations: Readonly<Record<string, string>>) => parseSelections(annotations, 'pod')
const texts = (annotations: Readonly<Record<string, string>>) =>
  parse(annotations).selected.map(({selection}) => said(selection))

test('the comma list', t => {
  const rows: readonly [text: string, want: readonly string[]][] = [
    ['a', ['pod/a']],
    ['a,b', ['pod/a', 'pod/b']],
    [' a , other/b@ext1 ,\n c@net7', ['pod/a', 'other/b@ext1', 'pod/c@net7']],
    [' other / b @ ext1 ', ['other/b@ext1']],
    ['a,a,a', ['pod/a', 'pod/a', 'pod/a']],
    ['/a', ['pod/a']],
    ['a@', ['pod/a']],
    ['null', ['pod/null']],
    ['0', ['pod/0']],
    ['', []],
    [' \t\n ', []],
  ]
  for (const [text, want] of rows) {
    t.deepEqual(texts({[NPWG]: text}), want, text)
    t.deepEqual(parse({[NPWG]: text}).problems, [], text)
  }
})

test('a faulty part of the comma list leaves the others', t => {
  const rows: readonly [text: string, at: string, means?: object][] = [
    ['a,,b', '[1]'],
    ['a, ,b', '[1]'],
    ['a,x/y/z,b', '[1]'],
    ['a,x@y@z,b', '[1]'],
    ['a,/,b', '[1]'],
    ['a,@eth1,b', '[1]'],
    ['a,Blue,b', '[1].name'],
    ['a,blue-,b', '[1].name'],
    ['a,b.c,b', '[1].name'],
    ['a,b c,b', '[1].name'],
    ['a,Other/x,b', '[1].namespace'],
    ['a,x@eth0,b', '[1].interface', {namespace: 'pod', name: 'x'}],
    ['a,o/x@lo,b', '[1].interface', {namespace: 'o', name: 'x'}],
    [`a,x@${'i'.repeat(16)},b`, '[1].interface', {namespace: 'pod', name: 'x'}],
    ['a,x@a%d,b', '[1].interface', {namespace: 'pod', name: 'x'}],
  ]
  for (const [text, at, means] of rows) {
    const {problems} = parse({[NPWG]: text})
    t.deepEqual(texts({[NPWG]: text}), ['pod/a', 'pod/b'], text)
    t.is(problems.length, 1, text)
    t.is(problems[0]!.at, `${NPWG}${at}`, text)
    t.deepEqual(problems[0]!.means as object | undefined, means, text)
    t.false('means' in problems[0]! && means === undefined)
  }
  t.deepEqual(parse({[NPWG]: 'a,'}).problems, [
    {
      at: `${NPWG}[1]`,
      message: `annotation ${NPWG}[1] is ""; write [<namespace>/]<name>[@<interface>], with commas between them`,
    },
  ])
})

test('JSON of both dialects', t => {
  const rows: readonly [annotations: Record<string, string>, want: readonly string[]][] = [
    [{networks: '[{"name":"green"},{"name":"blue","namespace":"n"}]'}, ['k:pod/green', 'k:n/blue']],
    [{networks: '[{"name":"green","isPrimary":true,"upperLayers":["x"],"podagentSkip":true}]'}, ['k:pod/green!^']],
    [{networks: '[{"name":"green","isPrimary":false,"podagentSkip":false,"required":true}]'}, ['k:pod/green']],
    [{networks: '[{"name":"green","required":false}]'}, ['k:pod/green?']],
    [{networks: '[{"name":"green","upperLayers":7,"interface":"x","ips":9}]'}, ['k:pod/green']],
    [{[NPWG]: '[{"name":"a","namespace":"n","interface":"x"},{"name":"a"}]'}, ['n/a@x', 'pod/a']],
    [{[NPWG]: '[{"name":"a","namespace":null,"interface":null,"unknown":{}}]'}, ['pod/a']],
    [{[NPWG]: '[{"name":"a","namespace":"","interface":""}]'}, ['pod/a']],
    [{[NPWG]: '[{"name":"a","required":false,"podagentSkip":"x","ifMac":3}]'}, ['pod/a?']],
    [{[NPWG]: '[{"name":"a","isPrimary":true,"interface":"eth0"}]'}, ['pod/a@eth0!']],
    [{[NPWG]: ' [ ] ', networks: '[]'}, []],
    [{other: '[{"name":"a"}]'}, []],
    [{networks: '[{"name":"k"}]', [NPWG]: 'n'}, ['pod/n', 'k:pod/k']],
  ]
  for (const [annotations, want] of rows) {
    t.deepEqual(texts(annotations), want, JSON.stringify(annotations))
    t.deepEqual(parse(annotations).problems, [], JSON.stringify(annotations))
  }
})

test('where each stands', t => {
  const {selected} = parse({[NPWG]: 'a,b', networks: '[{"name":"c"}]'})
  t.deepEqual(
    selected.map(({at}) => at),
    [`${NPWG}[0]`, `${NPWG}[1]`, 'networks[0]'],
  )
})

test('keys in any case, and the exact one first', t => {
  const rows: readonly [element: string, want: string][] = [
    ['{"NAME":"a","NameSpace":"n","INTERFACE":"x"}', 'n/a@x'],
    ['{"name":"a","Name":"b"}', 'pod/a'],
    ['{"Name":"b","name":"a"}', 'pod/a'],
    ['{"Name":"b","NAME":"c"}', 'pod/c'],
    ['{"name":"a","name":"b"}', 'pod/b'],
    ['{"name":"a","ISPRIMARY":true}', 'pod/a!'],
    ['{"__proto__":{"namespace":"evil"},"constructor":1,"toString":2,"name":"a"}', 'pod/a'],
  ]
  for (const [element, want] of rows) t.deepEqual(texts({[NPWG]: `[${element}]`}), [want], element)
})

test('an annotation that cannot be read is one problem, and may mean anything', t => {
  const rows: readonly [text: string, why: RegExp][] = [
    ['[', /^annotation networks is not JSON: /],
    ['[{"name":"green"}', /^annotation networks is not JSON: /],
    ['[{"name":"green"},]', /^annotation networks is not JSON: /],
    ['green', /^annotation networks is not JSON: /],
    ['{"name":"green"}', /^annotation networks is an object; write a list/],
    ['"green"', /^annotation networks is "green"; write a list/],
    ['null', /^annotation networks is null; write a list/],
    ['7', /^annotation networks is 7; write a list/],
    [`[${'{},'.repeat(1024)}{}]`, /^annotation networks names 1025 networks; at most 1024 are attached/],
    ['['.repeat(100_000), /^annotation networks nests objects and lists more than 64 deep/],
    [`[{"name":"a","x":${'['.repeat(64)}${']'.repeat(64)}}]`, /^annotation networks nests/],
    [`[{"name":"a","x":"${'ä'.repeat(128 * 1024)}"}]`, /^annotation networks is longer than 262144 bytes/],
  ]
  for (const [text, why] of rows) {
    const {selected, problems} = parse({networks: text, [NPWG]: 'a'})
    t.deepEqual(
      selected.map(({selection}) => said(selection)),
      ['pod/a'],
    )
    t.is(problems.length, 1)
    t.regex(problems[0]!.message, why)
    t.true(problems[0]!.message.length <= 300)
    t.is(problems[0]!.at, 'networks')
    t.false('means' in problems[0]!)
  }
  for (const text of ['{"name":"a"}', '"a"', '[a]', 'a,[b]', '[{"name":"a"},'])
    t.is(parse({[NPWG]: text}).problems.length, 1, text)
})

test('what both annotations name is one, and NPWG says how', t => {
  const rows: readonly [
    npwg: string,
    kaloom: readonly object[],
    want: readonly string[],
    problems?: readonly string[],
  ][] = [
    ['a@x', [{name: 'a'}], ['pod/a@x']],
    ['a', [{name: 'b'}, {name: 'a'}], ['pod/a', 'k:pod/b']],
    ['n/a', [{name: 'a'}], ['n/a', 'k:pod/a']],
    ['n/a', [{name: 'a', namespace: 'n'}], ['n/a']],
    ['a,a', [{name: 'a'}], ['pod/a', 'pod/a']],
    ['a,a', [{name: 'a'}, {name: 'a'}], ['pod/a', 'pod/a']],
    ['a', [{name: 'a'}, {name: 'a'}], ['pod/a', 'k:pod/a']],
    ['a,a', [{name: 'a'}, {name: 'b'}, {name: 'a'}], ['pod/a', 'pod/a', 'k:pod/b']],
    // Faulty, it still counts: what stands of it is not to be attached once more.
    ['a@lo', [{name: 'a'}], [], [`${NPWG}[0].interface`]],
    // Faulty, it is told of, though another one is served.
    ['a', [{name: 'a', ifMac: 'x'}], ['pod/a'], ['networks[0].ifMac']],
  ]
  for (const [npwg, kaloom, want, problems = []] of rows) {
    const annotations = {[NPWG]: npwg, networks: JSON.stringify(kaloom)}
    t.deepEqual(texts(annotations), want, JSON.stringify(annotations))
    t.deepEqual(
      parse(annotations).problems.map(({at}) => at),
      problems,
    )
  }
})

test("kaloom's interfaces that would have one name", t => {
  const {selected, problems} = parse({
    networks: JSON.stringify([{name: 'green'}, {name: 'green', namespace: 'n'}, {name: 'blue'}, {name: 'green'}]),
  })
  t.deepEqual(
    selected.map(({selection}) => said(selection)),
    ['k:pod/green', 'k:pod/blue'],
  )
  t.deepEqual(
    problems.map(({at, means}) => [at, means]),
    [
      ['networks[1].name', {namespace: 'n', name: 'green'}],
      ['networks[3].name', {namespace: 'pod', name: 'green'}],
    ],
  )
  t.is(
    problems[0]!.message,
    `annotation networks[1].name is that of networks[0] again, and both would be the interface net9f27410725ab; remove one, or name it in ${NPWG}`,
  )
  // A faulty one keeps its interface.
  t.deepEqual(texts({networks: '[{"name":"a","ifMac":"x"},{"name":"a","namespace":"n"}]'}), [])
  // A primary has the runtime's name.
  t.deepEqual(texts({networks: '[{"name":"a","isPrimary":true},{"name":"a"}]'}), ['k:pod/a!', 'k:pod/a'])
})

test('two primaries, in one annotation or in both', t => {
  const rows: readonly [annotations: Record<string, string>, ats: readonly string[], want: readonly string[]][] = [
    [
      {networks: '[{"name":"a","isPrimary":true},{"name":"b"},{"name":"c","isPrimary":true}]'},
      ['networks[0]', 'networks[2]'],
      ['k:pod/b'],
    ],
    [
      {[NPWG]: '[{"name":"a","isPrimary":true},{"name":"b"}]', networks: '[{"name":"c","isPrimary":true}]'},
      [`${NPWG}[0]`, 'networks[0]'],
      ['pod/b'],
    ],
  ]
  for (const [annotations, ats, want] of rows) {
    const {problems} = parse(annotations)
    t.deepEqual(texts(annotations), want)
    t.deepEqual(
      problems.map(({at}) => at),
      ats.map(at => `${at}.isPrimary`),
    )
    t.true(problems.every(({means}) => means !== undefined))
    t.true(problems[0]!.message.includes(ats[1]!))
    t.true(problems[1]!.message.includes(ats[0]!))
  }
  const three = JSON.stringify(['a', 'b', 'c'].map(name => ({name, isPrimary: true})))
  t.is(parse({networks: three}).problems.length, 3)
  // One attachment that both call primary.
  const one = '[{"name":"a","isPrimary":true}]'
  t.deepEqual(texts({[NPWG]: one, networks: one}), ['pod/a!'])
})

test('what takes the place of the default network', t => {
  const rows: readonly [value: string, want: string | undefined][] = [
    ['a', 'pod/a!'],
    [' n/a ', 'n/a!'],
    ['n/a@eth0', 'n/a@eth0!'],
    ['[{"name":"a","namespace":"n"}]', 'n/a!'],
    ['', undefined],
    ['  ', undefined],
    ['[]', undefined],
  ]
  for (const [value, want] of rows) {
    const found = parseDefaultNetwork(value, 'pod')
    t.is(found && 'selection' in found ? said(found.selection) : found?.message, want, value)
  }
  const refused: readonly [value: string, at: string][] = [
    ['a,b', ''],
    ['[{"name":"a"},{"name":"b"}]', ''],
    ['{"name":"a"}', ''],
    ['[{"name":"a","mac":"x"}]', '[0].mac'],
    ['n/a/b', '[0]'],
    ['A', '[0].name'],
  ]
  for (const [value, at] of refused) {
    const found = parseDefaultNetwork(value, 'pod')
    if (!found || !('message' in found)) t.fail(`${value} was taken`)
    else {
      t.is(found.at, `v1.multus-cni.io/default-network${at}`)
      t.true(found.message.startsWith(`annotation ${found.at} `), found.message)
    }
  }
})

test('as long as an annotation can be', t => {
  const room = 256 * 1024
  const filled = (head: string, body: string, tail = '') =>
    head + body.repeat(Math.floor((room - head.length - tail.length) / body.length)) + tail
  const long = [
    filled('', 'a,'),
    filled('', 'a'),
    filled('', '-'),
    filled('a', '-'),
    filled('', ' '),
    filled('a', ' ', 'a'),
    filled('a@', ' ', ','),
    filled('', '/'),
    filled('', '@'),
    filled('', ','),
    filled('[', '{"name":"a"},', '{}]'),
    filled('[', '{},', '{}]'),
    filled('[', '[],', '[]]'),
    filled('[{"name":"', 'a', '-"}]'),
    filled('[{"name":"a","mac":"', '0:', '"}]'),
    filled('[{"name":"a","ips":["', '1.', '"]}]'),
    filled('[{"name":"a","ips":["', ':', '"]}]'),
    filled('[{"name":"a","ips":["::1/', '1', '"]}]'),
    filled('[{"name":"a","ips":[', '"::1",', '"::2"]}]'),
    filled('[{"name":"a","interface":"', '\\u0000', '"}]'),
    filled('[{"name":"a","cni-args":{', '"a":1,', '"b":2}}]'),
    filled('[{"name":"', '\\"', '"}]'),
    filled('[{"name":"a",', '"Name":"b",', '"x":1}]'),
    filled('[', '{"name":"a","isPrimary":true},', '{}]'),
    filled('"', '\\', '"'),
    filled('', '[{'),
  ]
  const many = (count: number) => Array.from({length: count}, (_, i) => `a${i}`)
  t.is(texts({[NPWG]: many(1024).join()}).length, 1024)
  t.deepEqual(texts({[NPWG]: many(1025).join()}), [])
  for (const text of long) {
    const both = parse({[NPWG]: text, networks: text})
    t.true(both.problems.every(({message}) => message.length <= 300))
    parseDefaultNetwork(text, 'pod')
  }
})
