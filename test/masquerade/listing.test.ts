/** What is read of our table, and what is written of it, as text. */
import test from 'ava'
import fc from 'fast-check'
import {desired} from '../../src/masquerade/desired.ts'
import {diff, podChanges} from '../../src/masquerade/diff.ts'
import {readListing, WHOLE_FRAME} from '../../src/masquerade/listing.ts'
import {chainOf, FRAME, rewrite, subnetOf, words} from '../../src/masquerade/table.ts'
import {Cidr, Ip, parseCidr} from '../../src/model/ip.ts'
import {facts, format, pod} from './support.ts'

const NAMES = ['own4', 'own6', 'skip4', 'pods4', 'pods6', 'postrouting', 'beyond-10.0.0.0/24', 'beyond-x', 'mine']
const element = fc.oneof(
  fc.constantFrom<unknown>('10.0.0.1', 'fd00::1', 'x', {prefix: {addr: '10.0.0.0', len: 24}}, {prefix: {}}, {elem: {}}),
  fc.constantFrom<unknown>({range: ['10.0.0.9', '10.0.0.1']}, {range: ['::', '10.0.0.1']}, {range: []}, [], null),
  fc.constantFrom<unknown>(['10.0.0.5', {jump: {target: 'beyond-10.0.0.0/24'}}], ['10.0.0.5', {accept: null}]),
  fc.jsonValue(),
)
const object = fc.oneof(
  fc.jsonValue(),
  fc
    .tuple(
      fc.constantFrom('table', 'set', 'map', 'chain', 'rule', 'element', 'metainfo'),
      fc.record({
        name: fc.constantFrom(...NAMES),
        chain: fc.constantFrom(...NAMES),
        elem: fc.array(element),
        expr: element,
      }),
    )
    .map(([kind, fields]) => ({[kind]: fields})),
)

test('no listing makes it throw, and after any there is a way to what is wanted', t => {
  const want = desired(facts(['10.1.0.0/24']), [pod('10.9.0.5', '10.9.0.0/24')])
  fc.assert(
    fc.property(fc.array(object), objects => {
      const have = readListing(objects as unknown[])
      return diff(want, have).commands.length > 0
    }),
    {numRuns: 1000},
  )
  t.pass()
})

test('what has been written reads as it was wanted', t => {
  const want = desired(facts(['10.1.0.0/24', 'fd00::/64'], ['10.0.0.0/8']), [
    pod('10.9.0.5', '10.9.0.0/24'),
    pod('fd00:9::5', 'fd00:9::/64'),
  ])
  const objects = rewrite(want).flatMap(({add}) => (add ? [add] : []))
  const have = readListing(objects.map(({element, ...rest}) => (element ? {set: element} : rest)))
  t.is(format(have.ruleset), format(want))
  t.deepEqual([...have.chains.keys()], ['10.9.0.0/24', 'fd00:9::/64'])
})

test('an element that cannot be read makes the listing unsound', t => {
  for (const elem of [['x'], [{range: ['10.0.0.9', '10.0.0.1']}], [{elem: {val: '10.0.0.1', timeout: 5}}], ['fd00::1']])
    t.false(readListing([{set: {name: 'own4', elem}}]).sound, JSON.stringify(elem))
  for (const elem of [['10.0.0.1'], [['10.0.0.1', {accept: null}]], [['10.0.0.1', {jump: {target: 'mine'}}]]])
    t.false(readListing([{map: {name: 'pods4', elem}}]).sound, JSON.stringify(elem))
  t.true(readListing([{set: {name: 'own4', elem: ['10.0.0.1', {prefix: {addr: '10.1.0.0', len: 16}}]}}]).sound)
})

test('a frame reads the same in any order of its sets, not of its rules', t => {
  const frame = (objects: readonly unknown[]) => readListing([{table: {name: 'netgraft', handle: 3}}, ...objects]).frame
  t.is(frame(FRAME), WHOLE_FRAME)
  const sets = FRAME.filter(each => !('rule' in each))
  const rules = FRAME.filter(each => 'rule' in each)
  t.is(frame([...rules, ...sets.toReversed()]), WHOLE_FRAME)
  t.not(frame([...sets, ...rules.toReversed()]), WHOLE_FRAME)
  t.not(frame([...FRAME, rules[0]]), WHOLE_FRAME)
  t.not(readListing([{table: {name: 'netgraft', flags: 'dormant'}}, ...FRAME]).frame, WHOLE_FRAME)
})

test('ways of writing that say the same', t => {
  t.is(words({masquerade: null}), words({masquerade: {}}))
  t.is(words({flags: 'fully-random'}), words({flags: ['fully-random']}))
  t.is(words({right: '::1.2.3.4'}), words({right: '::102:304'}))
  t.not(words({op: '=='}), words({op: '!='}))
})

test("a subnet is its chain's name and back", t => {
  const bytes = fc.constantFrom(4, 16).chain(length => fc.uint8Array({minLength: length, maxLength: length}))
  fc.assert(
    fc.property(bytes, fc.nat(128), (each, length) => {
      const subnet = new Cidr(new Ip(each), Math.min(length, each.length * 8))
      return /^[a-z][a-z0-9/_.-]*$/.test(chainOf(subnet)) && `${subnetOf(chainOf(subnet))}` === `${subnet}`
    }),
  )
  for (const strange of [
    'beyond-',
    'beyond-x',
    'beyond-10.0.0.1/24',
    'beyond-fd00:/64',
    'postrouting',
    '',
    'Beyond-::/0',
  ])
    t.is(subnetOf(strange), undefined, strange)
})

test('one node more is a change of two elements, however many there are', t => {
  const nodes = Array.from({length: 5000}, (_, i) => new Cidr(new Ip(Uint8Array.of(10, i >> 8, i & 255, 0)), 24))
  const own = [parseCidr('10.0.0.0/24')]
  const have = desired({own, skip: nodes.slice(0, -1)}, [])
  const want = desired({own, skip: nodes}, [])
  t.is(have.skip.length, want.skip.length)
  const {commands, rules} = diff(want, {ruleset: have, frame: WHOLE_FRAME, chains: new Map(), sound: true})
  t.false(rules)
  t.deepEqual(commands.map(words), [
    'delete element elem range 10.0.0.0 10.19.134.255 family inet name skip4 table netgraft',
    'add element elem range 10.0.0.0 10.19.135.255 family inet name skip4 table netgraft',
  ])
})

test('pods that are to be written again are, others only where they differ', t => {
  const [a, b] = [pod('10.9.0.5', '10.9.0.0/24'), pod('10.9.0.6', '10.9.0.0/24')]
  const pods = new Map([a, b].map(each => [`${each.ip}`, each]))
  t.deepEqual(podChanges(pods, pods), [])
  t.deepEqual(podChanges(pods, pods, new Set(['10.9.0.6'])).map(words), [
    'add element elem 10.9.0.6 jump target beyond-10.9.0.0/24 family inet name pods4 table netgraft',
  ])
})
