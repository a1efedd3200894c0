import {createHash} from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import {checkNodeFile, formatBody, formatHead, type Head, parseBody} from '../../src/agent/node-file.ts'
import {InvalidInput} from '../../src/model/errors.ts'
import type {NodeFacts} from '../../src/model/facts.ts'
import {equalNodeFacts, projectNode} from '../../src/streams/nodes.ts'

const SAVED_AT = Date.parse('2026-01-02T03:04:05.678Z')

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex')

async function bodyOf(nodes: readonly NodeFacts[]): Promise<string> {
  let body = ''
  for await (const piece of formatBody(nodes)) body += piece
  return body
}

async function fileOf(nodes: readonly NodeFacts[], head: Partial<Head> = {}): Promise<Buffer> {
  const body = await bodyOf(nodes)
  return Buffer.from(formatHead({cluster: 'c', savedAt: SAVED_AT, sha256: sha256(body), ...head}) + body)
}

/** With a digest that fits: only what is in it can be wrong. */
const sealed = (body: string): Buffer =>
  Buffer.from(formatHead({cluster: 'c', savedAt: SAVED_AT, sha256: sha256(body)}) + body)

/** Throws InvalidInput, or it is a bug. */
async function read(file: Buffer) {
  const {body, ...head} = checkNodeFile(file)
  return {...head, nodes: await parseBody(body)}
}

const node = (name: string, more: object = {}): NodeFacts =>
  projectNode({
    metadata: {
      name,
      creationTimestamp: '2026-01-02T03:04:05Z',
      annotations: {
        'netgraft.dev/vtep-default':
          '{"vni":1,"port":8472,"ends":[{"ip":"192.168.0.2","mac":"02:00:00:00:00:02"},{"ip":"fd00:100::2","mac":"02:00:00:00:00:03"}]}',
      },
    },
    spec: {podCIDRs: ['10.64.2.0/24', 'fd00:64:2::/64', 'no range']},
    status: {
      nodeInfo: {machineID: '0123'},
      addresses: [{type: 'InternalIP', address: '192.168.0.2'}],
    },
    ...more,
  })

test('a line for each node, in the order of their names, all of it one JSON document', async t => {
  const file = (await fileOf([node('b'), node('a', {metadata: {name: 'a'}, spec: {}, status: {}})])).toString()
  t.is(
    file,
    `{"version":1,"cluster":"c","savedAt":"2026-01-02T03:04:05.678Z","sha256":"${sha256(file.slice(file.indexOf('\n') + 1))}","nodes":[
{"name":"a","machineId":"","createdAt":0,"podCIDRs":[],"addresses":[],"vteps":[],"problems":[]},
{"name":"b","machineId":"0123","createdAt":1767323045000,"podCIDRs":["10.64.2.0/24","fd00:64:2::/64"],"addresses":["192.168.0.2"],"vteps":[{"network":"default","vni":1,"port":8472,"ends":[{"ip":"192.168.0.2","mac":"02:00:00:00:00:02"},{"ip":"fd00:100::2","mac":"02:00:00:00:00:03"}]}],"problems":["node b: spec.podCIDRs[2]: \\"no range\\" is not an address with a prefix length (as in 10.1.2.0/24)"]}
]}
`,
  )
  t.is(JSON.parse(file).nodes.length, 2)
  t.like(await read(Buffer.from(file)), {cluster: 'c', savedAt: SAVED_AT, count: 2})
})

test('no node at all, and a cluster that nobody could tell', async t => {
  const {nodes, cluster, count} = await read(await fileOf([], {cluster: undefined}))
  t.deepEqual([nodes.size, cluster, count], [0, undefined, 0])
})

const ipv4 = fc.ipV4()
const ip = fc.oneof(ipv4, fc.ipV6())
const mac = fc
  .tuple(fc.nat(127), fc.array(fc.nat(255), {minLength: 5, maxLength: 5}))
  .map(([first, rest]) => [first * 2, ...rest].map(byte => byte.toString(16).padStart(2, '0')).join(':'))
const vtep = fc.record({
  vni: fc.integer({min: 0, max: 2 ** 24}),
  port: fc.integer({min: 0, max: 65536}),
  ends: fc.array(fc.record({ip, mac}), {maxLength: 2}),
})
const nodeObject = fc.record({
  metadata: fc.record(
    {
      name: fc.string({unit: 'binary', minLength: 1, maxLength: 20}),
      creationTimestamp: fc.oneof(
        fc.date({noInvalidDate: true}).map(date => date.toISOString()),
        fc.jsonValue(),
      ),
      annotations: fc.dictionary(
        fc.string({maxLength: 5}).map(name => `netgraft.dev/vtep-${name}`),
        fc.oneof(
          vtep.map(value => JSON.stringify(value)),
          fc.string(),
        ),
        {maxKeys: 3},
      ),
    },
    {requiredKeys: ['name']},
  ),
  spec: fc.record({
    podCIDRs: fc.array(
      fc.oneof(
        fc.tuple(ipv4, fc.nat(33)).map(([address, length]) => `${address}/${length}`),
        fc.tuple(fc.ipV6(), fc.nat(129)).map(([address, length]) => `${address}/${length}`),
        fc.jsonValue(),
      ),
      {maxLength: 4},
    ),
  }),
  status: fc.record({
    nodeInfo: fc.record({machineID: fc.oneof(fc.string({unit: 'binary'}), fc.jsonValue())}),
    addresses: fc.array(fc.record({type: fc.constant('InternalIP'), address: fc.oneof(ip, fc.string())}), {
      maxLength: 4,
    }),
  }),
})
/** Whatever an API server may say of its nodes. */
const nodes = fc.uniqueArray(nodeObject.map(projectNode), {selector: facts => facts.name, maxLength: 8})

test('property: what was written is what is read, and is the same text whatever the order', async t => {
  await fc.assert(
    fc.asyncProperty(nodes, fc.option(fc.string(), {nil: undefined}), async (facts, cluster) => {
      const file = await fileOf(facts, {cluster})
      const back = await read(file)
      t.is(back.cluster, cluster)
      t.is(back.count, facts.length)
      t.is(back.nodes.size, facts.length)
      for (const each of facts) t.true(equalNodeFacts(each, back.nodes.get(each.name)!))
      t.is(await bodyOf([...back.nodes.values()]), await bodyOf(facts.toReversed()))
      t.is(JSON.parse(file.toString()).nodes.length, facts.length)
    }),
    {numRuns: 300},
  )
})

test('property: a file that is cut off, or has one other byte, is not believed', async t => {
  const file = await fileOf([node('a'), node('b'), node('c')])
  const start = file.indexOf('\n') + 1
  for (let length = 0; length < file.length; length++)
    await t.throwsAsync(async () => read(file.subarray(0, length)), {instanceOf: InvalidInput})
  await t.throwsAsync(async () => read(Buffer.concat([file, Buffer.from('\n')])), {instanceOf: InvalidInput})
  await fc.assert(
    fc.asyncProperty(
      fc.integer({min: start, max: file.length - 1}),
      fc.integer({min: 1, max: 255}),
      async (at, flip) => {
        const other = Buffer.from(file)
        other[at]! ^= flip
        await t.throwsAsync(async () => read(other), {instanceOf: InvalidInput, message: /not as it was written/})
      },
    ),
    {numRuns: 300},
  )
})

test('property: no bytes make the reader do anything but refuse', async t => {
  const whole = await fileOf([node('a'), node('b')])
  const lines = whole.toString().split('\n')
  const scraps = fc.array(fc.constantFrom(...lines, '{"version":1,', '{"version":2}', ']}', '\0', '{', '['), {
    maxLength: 6,
  })
  const any = fc.oneof(
    fc.uint8Array({maxLength: 200}).map(bytes => Buffer.from(bytes)),
    fc.string({unit: 'binary'}).map(text => Buffer.from(`{"version":1,${text}`)),
    scraps.map(each => Buffer.from(each.join('\n'))),
    fc.jsonValue().map(value => Buffer.from(JSON.stringify(value))),
    // Sealed: what is inside has to be refused for what it is.
    fc.uint8Array({maxLength: 200}).map(bytes => {
      const body = Buffer.from(bytes)
      const head = formatHead({cluster: 'c', savedAt: SAVED_AT, sha256: sha256(body)})
      return Buffer.concat([Buffer.from(head), body])
    }),
    fc
      .array(fc.jsonValue(), {maxLength: 3})
      .map(values => sealed(`${values.map(v => JSON.stringify(v)).join(',\n')}\n]}\n`)),
    scraps.map(each => sealed(`${each.join('\n')}\n]}\n`)),
  )
  await fc.assert(
    fc.asyncProperty(any, async file => {
      try {
        await read(file)
      } catch (error) {
        if (!(error instanceof InvalidInput) || error.message.length > 300) throw error
      }
    }),
    {numRuns: 3000},
  )
  t.pass()
})

const LINE = (more: object) =>
  JSON.stringify({
    name: 'a',
    machineId: '',
    createdAt: 0,
    podCIDRs: [],
    addresses: [],
    vteps: [],
    problems: [],
    ...more,
  })
const VTEP = {network: 'default', vni: 1, port: 8472, ends: [{ip: '192.168.0.2', mac: '02:00:00:00:00:02'}]}

const REFUSED: readonly [what: string, file: string | Buffer, message: string][] = [
  ['an empty file', '', 'it does not begin as one'],
  ['another file', '{"nodes":[]}', 'it does not begin as one'],
  ['another version', '{"version":2,"nodes":{}}', 'it has version 2; known is version 1'],
  [
    'no time',
    '{"version":1,"savedAt":"soon","sha256":"","nodes":[\n]}\n',
    'it cannot be read in line 1: savedAt is not a time',
  ],
  [
    'a cluster that is no text',
    '{"version":1,"cluster":null,"savedAt":"2026-01-01","sha256":"","nodes":[\n]}\n',
    'it cannot be read in line 1: cluster is not a text',
  ],
  [
    'no digest',
    '{"version":1,"savedAt":"2026-01-01","nodes":[\n]}\n',
    'it cannot be read in line 1: sha256 is not a text',
  ],
  [
    'another digest',
    '{"version":1,"savedAt":"2026-01-01","sha256":"","nodes":[\n]}\n',
    'it is not whole, or not as it was written',
  ],
  ['no end', sealed(`${LINE({})}\n`), 'its end is missing'],
  ['one node twice', sealed(`${LINE({})},\n${LINE({})}\n]}\n`), 'it has the node of line 3 twice'],
  [
    'no comma',
    sealed(`${LINE({})}\n${LINE({name: 'b'})}\n]}\n`),
    'it cannot be read in line 2: it ends without a comma',
  ],
  ['no object', sealed('[]\n]}\n'), 'it cannot be read in line 2: not an object'],
  ['no name', sealed(`${LINE({name: ''})}\n]}\n`), 'it cannot be read in line 2: name is empty'],
  [
    'no time of birth',
    sealed(`${LINE({createdAt: '0'})}\n]}\n`),
    'it cannot be read in line 2: createdAt is not a number',
  ],
  [
    'an endless time of birth',
    sealed(`${LINE({}).replace('"createdAt":0', '"createdAt":1e999')}\n]}\n`),
    'it cannot be read in line 2: createdAt is not a number',
  ],
  [
    'a range that is none',
    sealed(`${LINE({podCIDRs: ['10.0.0.0/33']})}\n]}\n`),
    'it cannot be read in line 2: "10.0.0.0/33": the prefix length of IPv4 is at most 32',
  ],
  [
    'an address that is none',
    sealed(`${LINE({addresses: ['010.0.0.1']})}\n]}\n`),
    'it cannot be read in line 2: "010.0.0.1" is not an IP address',
  ],
  [
    'an address that is no text',
    sealed(`${LINE({addresses: [1]})}\n]}\n`),
    'it cannot be read in line 2: addresses is not a text',
  ],
  [
    'a tunnel of no network',
    sealed(`${LINE({vteps: [{...VTEP, network: 1}]})}\n]}\n`),
    'it cannot be read in line 2: network is not a text',
  ],
  [
    "a group's MAC",
    sealed(`${LINE({vteps: [{...VTEP, ends: [{ip: '192.168.0.2', mac: '01:00:00:00:00:02'}]}]})}\n]}\n`),
    'it cannot be read in line 2: "01:00:00:00:00:02" is not the MAC of one device',
  ],
]

for (const [what, file, message] of REFUSED) {
  test(`refused: ${what}`, async t => {
    await t.throwsAsync(async () => read(Buffer.from(file)), {instanceOf: InvalidInput, message})
  })
}

test('neither deep nesting nor a very long line is more than refused', async t => {
  const deep = `${'['.repeat(1_000_000)}\n]}\n`
  for (const file of [sealed(deep), sealed('\n'.repeat(100_000)), Buffer.from(`{"version":1,${'['.repeat(1_000_000)}`)])
    await t.throwsAsync(async () => read(file), {instanceOf: InvalidInput})
})
