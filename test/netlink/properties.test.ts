/** What holds for any object and any bytes. */
import test from 'ava'
import fc from 'fast-check'
import type {LinkSpec} from '../../src/model/net.ts'
import {addAddress, decodeAddress} from '../../src/netlink/address.ts'
import {decodeError} from '../../src/netlink/errors.ts'
import {addLink, decodeLink} from '../../src/netlink/link.ts'
import {attributes, type Message, messages, NLM_F, read, Writer} from '../../src/netlink/message.ts'
import {addFdb, addNeighbour, decodeFdb, decodeNeighbour} from '../../src/netlink/neighbour.ts'
import type {Request} from '../../src/netlink/request.ts'
import {addRoute, decodeRoute, formatRoute} from '../../src/netlink/route.ts'
import {addRule, decodeRule} from '../../src/netlink/rule.ts'
import * as arbitrary from './arbitrary.ts'
import {answers} from './golden/answers.ts'
import {answers as linkAnswers} from './golden/link-answers.ts'
import {bytes} from './golden/tree.ts'

/** Requests as one batch, numbered from 1. */
function batch(requests: readonly Request[]): Buffer {
  const writer = new Writer()
  for (const [i, request] of requests.entries()) {
    writer.begin(request.type, NLM_F.REQUEST | request.flags, i + 1)
    request.encode(writer)
    writer.end()
  }
  return Buffer.from(writer.finish())
}

const body = (request: Request): Buffer => {
  const [message, ...rest] = messages(batch([request]))
  if (!message || rest.length > 0) throw new Error('one request is not one message')
  return message.body
}

test('a route is read as it was written', t => {
  fc.assert(fc.property(arbitrary.route, route => void t.deepEqual(decodeRoute(body(addRoute(route))), route)))
})

test('an address is read as it was written', t => {
  fc.assert(fc.property(arbitrary.address, each => void t.deepEqual(decodeAddress(body(addAddress(each))), each)))
})

test('a neighbour is read as it was written', t => {
  fc.assert(
    fc.property(
      arbitrary.neighbour,
      each => void t.deepEqual(decodeNeighbour(body(addNeighbour({...each, mac: each.mac!}))), each),
    ),
  )
})

test('a forwarding entry is read as it was written', t => {
  fc.assert(fc.property(arbitrary.fdbEntry, each => void t.deepEqual(decodeFdb(body(addFdb(each))), each)))
})

test('a rule is read as it was written', t => {
  fc.assert(fc.property(arbitrary.rule, each => void t.deepEqual(decodeRule(body(addRule(each))), each)))
})

test('a link is read as it was written, but for what only the kernel knows', t => {
  fc.assert(
    fc.property(arbitrary.linkSpec, spec => {
      const {index, carrier, loopback, ...link} = decodeLink(body(addLink(spec)))!
      t.deepEqual(link, expectedLink(spec))
      t.deepEqual({index, carrier, loopback}, {index: 0, carrier: false, loopback: false} as object)
    }),
  )
})

function expectedLink({kind, netns, ...rest}: LinkSpec): object {
  const link = {kind: kind.type, up: false, mtu: 0, group: 0, ...rest}
  if (kind.type === 'macvlan') return {...link, parent: kind.parent, macvlan: {mode: kind.mode}}
  if (kind.type !== 'vxlan') return link
  const {type, ...vxlan} = kind
  return {...link, vxlan}
}

test('a batch of 50,000 messages is read back whole, in order', t => {
  const route = fc.sample(arbitrary.route, {numRuns: 50, seed: 1})
  const requests = Array.from({length: 50_000}, (_, i) => addRoute(route[i % route.length]!))
  let count = 0
  for (const {sequence, body} of messages(batch(requests))) {
    if (sequence !== ++count) t.fail(`message ${count} is numbered ${sequence}`)
    if (count % 1000 === 0) t.deepEqual(decodeRoute(body), route[(count - 1) % route.length]!)
  }
  t.is(count, requests.length)
})

/** Every reader, on every part of a buffer. Returns how many things were met. */
function readAll(buffer: Buffer): number {
  let met = 0
  for (const message of messages(buffer)) {
    met++
    readMessage(message)
    for (const offset of [0, 8, 12, 16])
      attributes(message.body, offset, (_, payload) => {
        met++
        for (const reader of Object.values(read)) reader(payload)
      })
  }
  return met
}

function readMessage(message: Message): void {
  const {body} = message
  const route = decodeRoute(body)
  if (route) formatRoute(route)
  decodeLink(body)
  decodeAddress(body)
  decodeNeighbour(body)
  decodeFdb(body)
  decodeRule(body)
  const refusal = decodeError(message)
  if (typeof refusal.errno !== 'number') throw new Error('an errno that is no number')
}

/** Each message takes 16 bytes at least and each attribute 4, seen from four offsets: more would be a loop. */
const bounded = (buffer: Buffer): boolean => readAll(buffer) <= buffer.length / 16 + buffer.length

test('arbitrary bytes neither throw nor loop', t => {
  fc.assert(
    fc.property(fc.uint8Array({maxLength: 512}), noise => bounded(Buffer.from(noise))),
    {numRuns: 2000},
  )
  t.pass()
})

test('arbitrary bodies neither throw nor loop', t => {
  const message = fc.record({
    type: arbitrary.u16,
    flags: arbitrary.u16,
    sequence: arbitrary.u32,
    port: arbitrary.u32,
    body: fc.uint8Array({maxLength: 256}).map(each => Buffer.from(each)),
  })
  fc.assert(fc.property(message, readMessage), {numRuns: 5000})
  t.pass()
})

test('an extended ACK whose echoed length is absurd is still an errno', t => {
  for (const echoed of [0xffffffff, 0xfffffffd, 0x80000000, 0x7fffffff, 37]) {
    const body = Buffer.alloc(40)
    body.writeInt32LE(-22, 0)
    body.writeUInt32LE(echoed, 4)
    t.is(decodeError({type: 2, flags: 0x200, sequence: 1, port: 1, body}).errno, 22, `${echoed}`)
  }
})

/** What the kernel and we really say. */
const real: readonly Buffer[] = [
  ...[...answers, ...linkAnswers].map(golden => bytes(golden.bytes)),
  ...fc.sample(arbitrary.route, {numRuns: 20, seed: 2}).map(each => batch([addRoute(each)])),
  ...fc.sample(arbitrary.linkSpec, {numRuns: 20, seed: 3}).map(each => batch([addLink(each)])),
]

type Mutation = {at: number; value: number; cut: boolean}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(1600),
  // Lengths and types are where it hurts.
  value: fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 127, 128, 254, 255), fc.nat(255)),
  cut: fc.nat(9).map(n => n === 0),
})

function mutated(buffer: Buffer, mutations: readonly Mutation[]): Buffer {
  let result = Buffer.from(buffer)
  for (const {at, value, cut} of mutations) {
    if (result.length === 0) break
    if (cut) result = result.subarray(0, at % result.length)
    else result[at % result.length] = value
  }
  return result
}

test('mutated messages neither throw nor loop', t => {
  fc.assert(
    fc.property(fc.constantFrom(...real), fc.array(mutation, {minLength: 1, maxLength: 12}), (each, mutations) =>
      bounded(mutated(each, mutations)),
    ),
    {numRuns: 10_000},
  )
  t.pass()
})

test('mutated bodies behind an intact header neither throw nor loop', t => {
  fc.assert(
    fc.property(fc.constantFrom(...real), fc.array(mutation, {minLength: 1, maxLength: 12}), (each, mutations) => {
      for (const message of messages(each)) readMessage({...message, body: mutated(message.body, mutations)})
    }),
    {numRuns: 10_000},
  )
  t.pass()
})
