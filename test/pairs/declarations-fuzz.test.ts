/** Whatever an annotation, a label or a document holds: never an exception, never a sentence that cannot be read. */
import {isDeepStrictEqual} from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import {InvalidInput} from '../../src/model/errors.ts'
import type {Endpoint, PairProblem} from '../../src/model/pair.ts'
import {parsePairs, withStanding} from '../../src/pairs/declarations.ts'
import {ENDPOINTS, parseEndpoint, VNIS} from '../../src/pairs/documents.ts'
import {matchPairs} from '../../src/pairs/pairs.ts'
import {planEnds} from '../../src/pairs/plan.ts'
import {POD_LABELS} from '../../src/streams/pods.ts'
import {endpoints, names, PAIRS, rules} from './support.ts'

const POD = {namespace: 'd', name: 'a'}
const [NODE] = [...names('n1')]

function mustBeSayable({at, message}: PairProblem): void {
  if (message.length > 500) throw new Error(`${message.length} characters: ${message}`)
  if (!message.includes(at)) throw new Error(`${at} is not in: ${message}`)
  if (message.includes('\n') || !message.includes(';')) throw new Error(`not a sentence with an advice: ${message}`)
}

const [frame] = [...endpoints('a').values()] as [Endpoint]

/** All that follows takes what has been read. */
function mustHold(annotation: string, labels: Record<string, string>): void {
  const parsed = parsePairs({[PAIRS]: annotation, 'netgraft.dev/pairs-required': annotation}, labels, POD)
  parsed.problems.forEach(mustBeSayable)
  withStanding(parsed, parsed.declarations)
  const {declarations, ratchetName} = parsed
  const endpoint: Endpoint = {...frame, declarations, ...(ratchetName !== undefined && {ratchetName})}
  mustBeEqual(parseEndpoint(JSON.parse(JSON.stringify(endpoint))), endpoint)
  const others = endpoints('b: in1>a', 'c@n2: in1>a name=x')
  const {pairs, problems} = matchPairs(new Map([['d/a', endpoint], ...others]), rules())
  for (const list of problems.values()) list.forEach(mustBeSayable)
  for (const key of pairs.keys()) if (!isKey(key)) throw new Error(`${key} is no object's name`)
  planEnds(pairs, new Map(), {self: NODE!, alive: names('n1 n2'), port: 1})
}

const isKey = (key: string) =>
  Buffer.byteLength(key) <= 241 &&
  /^[a-z0-9-]+\/[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(key)

const mustBeEqual = (one: unknown, other: unknown): void => {
  if (!isDeepStrictEqual(one, other)) throw new Error(`${JSON.stringify(one)}: ${JSON.stringify(other)}`)
}

const word = fc.oneof(
  fc.string(),
  fc.string({unit: 'binary', maxLength: 15}),
  fc.constantFrom(
    '',
    'a',
    'b',
    'c',
    'e/b',
    'in1',
    'in2',
    'eth0',
    'lo',
    '10.0.0.1/24',
    '::1/64',
    'fd00::1/64',
    '0.0.0.0/0',
    'Ä',
    '__proto__',
  ),
)
const anything = fc.oneof(
  word,
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.jsonValue(),
  fc.array(word),
)
const labels = fc.dictionary(
  fc.constantFrom(...POD_LABELS),
  fc.oneof(word, fc.constantFrom('true', 'false', '10.0.0.1')),
)
const primary = fc.record({
  ratchet: fc.constant('true'),
  'ratchet.primary': fc.constant('true'),
  'ratchet.pod_name': word,
  'ratchet.pair_name': word,
  'ratchet.local_ip': fc.oneof(word, fc.ipV4()),
  'ratchet.pair_ip': fc.oneof(word, fc.ipV4()),
  'ratchet.local_ifname': word,
  'ratchet.pair_ifname': word,
})
const KEYS = [
  'name',
  'peer',
  'interface',
  'peerInterface',
  'ips',
  'mac',
  'mtu',
  'routes',
  '__proto__',
  'PEER',
  'dst',
  'gw',
] as const
const flat = fc.array(fc.tuple(fc.constantFrom(...KEYS), anything)).map(entries => Object.fromEntries(entries))
const element = fc
  .array(fc.tuple(fc.constantFrom(...KEYS), fc.oneof(anything, flat, fc.array(flat, {maxLength: 2}))))
  .map(entries => Object.fromEntries([['peer', 'b'], ['interface', 'in1'], ...entries]) as object)

test('any text, any labels', t => {
  const text = fc.oneof(fc.string(), fc.string({unit: 'binary'}), fc.json())
  fc.assert(fc.property(text, fc.oneof(labels, primary), mustHold), {numRuns: 2000})
  t.pass()
})

test('any element', t => {
  const list = fc.array(fc.oneof(element, anything), {maxLength: 5}).map(elements => JSON.stringify(elements))
  fc.assert(fc.property(list, fc.oneof(labels, primary), mustHold), {numRuns: 3000})
  t.pass()
})

test('any document', t => {
  const spec = fc.oneof(
    anything,
    fc.record(
      {
        ...{namespace: word, pod: word, uid: word, createdAt: anything, node: word, sandbox: word, ratchetName: word},
        underlay: fc.oneof(anything, fc.record({4: anything, 6: fc.record({ip: fc.ipV6(), mtu: anything})})),
        declarations: fc.oneof(anything, fc.array(element)),
        ...{pair: word, vni: anything},
      },
      {requiredKeys: []},
    ),
  )
  const property = fc.property(spec, fc.boolean(), (value, bare) => {
    for (const {parse} of [ENDPOINTS, VNIS])
      try {
        parse(bare ? value : {spec: value})
      } catch (error) {
        if (!(error instanceof InvalidInput)) throw error
      }
  })
  fc.assert(property, {numRuns: 3000})
  t.pass()
})

test('a document that is damaged in one place', t => {
  const [good] = [
    ...endpoints('a (ratchet=true): in1>b name=x ip=10.0.0.1/24 route=10.1.0.0/16~10.0.0.2 mtu=1400').values(),
  ]
  t.deepEqual(parseEndpoint(JSON.parse(JSON.stringify(good))), good!)
  const rows: readonly [key: string, value: unknown][] = [
    ['namespace', 'D'],
    ['pod', '../x'],
    ['uid', ''],
    ['createdAt', -1],
    ['node', 'N 1'],
    ['sandbox', 'a/b'],
    ['ratchetName', 'a/b'],
    ['underlay', {4: {ip: 'fd00::1', mtu: 1500}}],
    ['underlay', {4: {ip: '127.0.0.1', mtu: 1500}}],
    ['underlay', {6: {ip: 'fd00::1'}}],
    ['declarations', [{...good!.declarations[0], by: 'x'}]],
    ['declarations', [{...good!.declarations[0], at: 'a\nb'}]],
    ['declarations', [{...good!.declarations[0], interface: 'eth0'}]],
    ['declarations', [{...good!.declarations[0], by: 'labels', peer: 'e/b'}]],
  ]
  for (const [key, value] of rows)
    t.throws(() => parseEndpoint({...good, [key]: value}), {instanceOf: InvalidInput}, key)
})
