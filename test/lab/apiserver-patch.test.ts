import test from 'ava'
import {jsonPatch, mergePatch, strategicPatch} from '../../src/lab/apiserver/patch.ts'
import {Registry} from '../../src/lab/apiserver/resources.ts'
import {selector} from '../../src/lab/apiserver/selectors.ts'
import {age} from '../../src/lab/apiserver/table.ts'

const outcome = (act: () => unknown): string => {
  try {
    return JSON.stringify(act())
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const patches: [name: string, apply: typeof mergePatch, old: unknown, patch: unknown, want: string][] = [
  [
    'merge: sets, nests, removes',
    mergePatch,
    {a: 1, b: {c: 2, d: 3}},
    {b: {c: null, e: [1]}, f: 4},
    '{"a":1,"b":{"d":3,"e":[1]},"f":4}',
  ],
  ['merge: nulls in new objects are dropped', mergePatch, {}, {a: {b: null}}, '{"a":{}}'],
  ['merge: a list replaces a list', mergePatch, {a: [1, 2]}, {a: [3]}, '{"a":[3]}'],
  ['merge: __proto__ is a field', mergePatch, {}, JSON.parse('{"__proto__":{"x":1}}'), '{"__proto__":{"x":1}}'],
  [
    'json: add, append, insert',
    jsonPatch,
    {a: [1, 3]},
    [
      {op: 'add', path: '/a/1', value: 2},
      {op: 'add', path: '/a/-', value: 4},
    ],
    '{"a":[1,2,3,4]}',
  ],
  [
    'json: remove and replace',
    jsonPatch,
    {a: 1, b: 2},
    [
      {op: 'remove', path: '/a'},
      {op: 'replace', path: '/b', value: 3},
    ],
    '{"b":3}',
  ],
  [
    'json: replace keeps the place in a list',
    jsonPatch,
    {a: [1, 2, 3]},
    [{op: 'replace', path: '/a/1', value: 9}],
    '{"a":[1,9,3]}',
  ],
  [
    'json: move and copy',
    jsonPatch,
    {a: {x: 1}},
    [
      {op: 'copy', from: '/a', path: '/b'},
      {op: 'move', from: '/a/x', path: '/c'},
    ],
    '{"a":{},"b":{"x":1},"c":1}',
  ],
  ['json: escapes in keys', jsonPatch, {'a/b~c': 1}, [{op: 'replace', path: '/a~1b~0c', value: 2}], '{"a/b~c":2}'],
  ['json: a passing test', jsonPatch, {a: {b: [1]}}, [{op: 'test', path: '/a', value: {b: [1]}}], '{"a":{"b":[1]}}'],
  [
    'json: a failing test',
    jsonPatch,
    {a: 1},
    [{op: 'test', path: '/a', value: 2}],
    'the server rejected our request due to an error in our request: testing value /a failed: test failed',
  ],
  [
    'json: nothing at the path',
    jsonPatch,
    {},
    [{op: 'remove', path: '/a/b'}],
    'the server rejected our request due to an error in our request: doc is missing path: /a/b: missing value',
  ],
  [
    'json: inherited fields are not there',
    jsonPatch,
    {},
    [{op: 'add', path: '/constructor/x', value: 1}],
    'the server rejected our request due to an error in our request: doc is missing path: /constructor: missing value',
  ],
  ['json: not an array', jsonPatch, {}, {a: 1}, 'cannot decode a JSON patch: it must be an array of operations'],
  [
    'strategic: conditions merge by type',
    strategicPatch,
    {conditions: [{type: 'A', status: 'F', x: 1}, {type: 'B'}]},
    {conditions: [{type: 'A', status: 'T'}, {type: 'C'}]},
    '{"conditions":[{"type":"A","status":"T","x":1},{"type":"B"},{"type":"C"}]}',
  ],
  [
    'strategic: $patch delete in a list',
    strategicPatch,
    {containers: [{name: 'a'}, {name: 'b'}]},
    {containers: [{name: 'a', $patch: 'delete'}]},
    '{"containers":[{"name":"b"}]}',
  ],
  [
    'strategic: $patch replace of a list',
    strategicPatch,
    {containers: [{name: 'a'}, {name: 'b'}]},
    {containers: [{$patch: 'replace'}, {name: 'c'}]},
    '{"containers":[{"name":"c"}]}',
  ],
  [
    'strategic: $patch replace of an object',
    strategicPatch,
    {spec: {a: 1}},
    {spec: {b: 2, $patch: 'replace'}},
    '{"spec":{"b":2}}',
  ],
  [
    'strategic: taints are replaced',
    strategicPatch,
    {taints: [{key: 'a'}]},
    {taints: [{key: 'b'}]},
    '{"taints":[{"key":"b"}]}',
  ],
  [
    'strategic: finalizers are a set',
    strategicPatch,
    {finalizers: ['a', 'b']},
    {'$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c', 'b'], '$setElementOrder/finalizers': ['b', 'c']},
    '{"finalizers":["b","c"]}',
  ],
  ['strategic: $retainKeys', strategicPatch, {s: {a: 1, b: 2}}, {s: {$retainKeys: ['b'], b: 3}}, '{"s":{"b":3}}'],
  ['strategic: null removes', strategicPatch, {labels: {a: '1', b: '2'}}, {labels: {a: null}}, '{"labels":{"b":"2"}}'],
]

for (const [name, apply, old, patch, want] of patches)
  test(`patch, ${name}`, t => {
    const before = JSON.stringify(old)
    t.is(
      outcome(() => apply(old, patch)),
      want,
    )
    t.is(JSON.stringify(old), before, 'the old value is left alone')
  })

test('patch, json: copies that would double for ever are refused', t => {
  const patch = Array.from({length: 60}, (_, i) => ({op: 'copy', from: '', path: `/${i}`}))
  t.regex(
    outcome(() => jsonPatch({a: 'x'.repeat(1000)}, patch)),
    /accumulated size increase of copy/,
  )
})

const registry = new Registry()
const pods = [
  {name: 'a', labels: {app: 'web', zone: 'x'}, nodeName: 'n1', phase: 'Running'},
  {name: 'b', labels: {app: 'db'}, nodeName: 'n2', phase: 'Running'},
  {name: 'c', labels: {}, nodeName: undefined, phase: 'Pending'},
].map(({name, labels, nodeName, phase}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {name, namespace: 'default', labels},
  spec: {...(nodeName && {nodeName})},
  status: {phase},
}))

const selectors: [labels: string, fields: string, want: string][] = [
  ['', '', 'a b c'],
  ['app=web', '', 'a'],
  ['app==web,zone=x', '', 'a'],
  ['app!=web', '', 'b c'],
  ['app in (web, db)', '', 'a b'],
  ['app notin (web)', '', 'b c'],
  ['zone', '', 'a'],
  ['!zone', '', 'b c'],
  ['app,!zone', '', 'b'],
  ['app in (web),zone notin (y)', '', 'a'],
  ['app=', '', ''],
  ['app=(', '', "unable to parse requirement: found 'app=(', expected: a label requirement"],
  ['constructor', '', ''],
  ['', 'metadata.name=b', 'b'],
  ['', 'metadata.name!=b,metadata.namespace=default', 'a c'],
  ['', 'spec.nodeName=n1', 'a'],
  ['', 'spec.nodeName=', 'c'],
  ['', 'status.phase==Running,spec.nodeName!=n1', 'b'],
  ['app', 'status.phase=Running', 'a b'],
  ['', 'spec.color=red', 'field label not supported: spec.color'],
  ['', 'nonsense', "invalid selector: 'nonsense'; can't understand 'nonsense'"],
]

for (const [labels, fields, want] of selectors)
  test(`selector, labels "${labels}" fields "${fields}"`, t => {
    const found = outcome(() => {
      const matches = selector(registry.named('pods')!, labels, fields)
      return pods
        .filter(matches)
        .map(pod => pod.metadata.name)
        .join(' ')
    })
    t.is(found, want.length < 6 ? `"${want}"` : want)
  })

test('ages read as kubectl prints them', t => {
  const seconds = [
    -5, 0, 119, 120, 599, 600, 10_799, 10_800, 28_800, 172_799, 172_800, 691_200, 63_072_000, 300_000_000,
  ]
  t.is(
    seconds.map(s => age('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:00Z') + s * 1000)).join(' '),
    '0s 0s 119s 2m 9m59s 10m 179m 3h 8h 47h 2d 8d 2y 9y',
  )
  t.is(age('soon'), '<unknown>')
})
