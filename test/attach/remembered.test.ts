/** What a pod's status tells of networks that nobody else remembers. */
import test from 'ava'
import fc from 'fast-check'
import {rememberedNetworks} from '../../src/attach/remembered.ts'
import type {Selected} from '../../src/model/attachment.ts'
import {selection} from './support.ts'

const asked = (...selections: Partial<Selected['selection']>[]): Selected[] =>
  selections.map((each, i) => ({at: `[${i}]`, selection: {dialect: 'npwg', namespace: 'n', name: '', ...each}}))

const format = (status: unknown, ...selections: Partial<Selected['selection']>[]): string[] => {
  const text = typeof status === 'string' ? status : JSON.stringify(status)
  return rememberedNetworks(text, asked(...selections)).map(({ifname, selected: {at, selection: each}}) =>
    [ifname, `${each.namespace}/${each.name}`, at].filter(Boolean).join(' '),
  )
}

const status = [
  {name: 'netgraft', interface: 'eth0', default: true},
  {name: 'n/a', interface: 'net2'},
  {name: 'n/b', interface: 'data'},
]

test('every interface but the first, for the element that asks for it', t => {
  t.deepEqual(format(status), ['net2 n/a', 'data n/b'])
  t.deepEqual(format(status, {name: 'b', interface: 'data', mac: '02:00:00:00:00:01'}, {name: 'a'}), [
    'net2 n/a [1]',
    'data n/b [0]',
  ])
})

test('an element that asks for another name, or for the first interface, is not it', t => {
  t.deepEqual(format(status, {name: 'a', interface: 'net7'}, {name: 'b', primary: true}), ['net2 n/a', 'data n/b'])
  t.deepEqual(format(status, {name: 'a', dialect: 'kaloom'}), ['net2 n/a', 'data n/b'])
  const hashed = [{name: 'n/green', interface: 'net9f27410725ab'}]
  t.deepEqual(format(hashed, {name: 'green', dialect: 'kaloom'}), ['net9f27410725ab n/green [0]'])
})

test('two of one network are two elements', t => {
  const two = [
    {name: 'n/a', interface: 'net1'},
    {name: 'n/a', interface: 'net2'},
  ]
  t.deepEqual(format(two, {name: 'a'}, {name: 'a', interface: 'net1'}), ['net1 n/a [0]', 'net2 n/a'])
})

test('what nobody of ours has written is left out', t => {
  for (const text of ['', 'null', '{}', '[', '[null, 1, []]']) t.deepEqual(format(text), [])
  const hostile = ['../../secrets', 'lo', '', 'a b', 'x'.repeat(16)].map(ifname => ({name: 'n/a', interface: ifname}))
  t.deepEqual(format(hostile), [])
  const names = ['a', '/a', 'n/', 'n/a/b', 'n/../../pods/x', 'N/a', 'n/a?x', '__proto__/a'].map((name, i) => ({
    name,
    interface: `net${i}`,
  }))
  t.deepEqual(format(names), [])
  t.deepEqual(format([...status, {name: 'n/c', interface: 'net2'}]), ['net2 n/a', 'data n/b'])
})

test('any text and any elements: each name once, each element once', t => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .array(fc.record({name: fc.string(), interface: fc.string()}, {requiredKeys: []}))
      .map(list => JSON.stringify(list)),
  )
  const elements = fc.array(selection).map(list => list.map((each, i) => ({at: String(i), selection: each})))
  fc.assert(
    fc.property(text, elements, (status, selected) => {
      const found = rememberedNetworks(status, selected)
      const own = found.map(each => each.selected).filter(each => each.at !== '')
      return new Set(found.map(each => each.ifname)).size === found.length && new Set(own).size === own.length
    }),
  )
  t.pass()
})
