/** What users read on their pods. */
import test from 'ava'
import fc from 'fast-check'
import {
  type AttachmentState,
  attachmentsStatus,
  type InterfaceFacts,
  networkStatus,
  parseStates,
} from '../../src/attach/status.ts'

const GREEN: InterfaceFacts = {
  name: 'n/green',
  interface: 'net1',
  ips: ['10.0.0.2/24', 'fd00::2/64'],
  mac: '02:00:00:00:00:01',
  mtu: 1400,
  gateway: ['10.0.0.1'],
  dns: {nameservers: ['10.0.0.53']},
  device: '0000:03:02.0',
}
const FIRST: InterfaceFacts = {name: 'netgraft', interface: 'eth0', ips: ['10.64.0.2'], dns: {}}

test('network-status: the first network first, addresses without prefix lengths', t => {
  t.deepEqual(JSON.parse(networkStatus(FIRST, [GREEN])), [
    {name: 'netgraft', interface: 'eth0', ips: ['10.64.0.2'], dns: {}, default: true},
    {
      name: 'n/green',
      interface: 'net1',
      ips: ['10.0.0.2', 'fd00::2'],
      mac: '02:00:00:00:00:01',
      mtu: 1400,
      dns: {nameservers: ['10.0.0.53']},
      gateway: ['10.0.0.1'],
      'device-info': {type: 'pci', version: '1.1.0', pci: {'pci-address': '0000:03:02.0'}},
    },
  ])
  t.is(networkStatus(undefined, []), '[]')
  t.is(
    networkStatus({...FIRST, ips: [], mtu: 0}, []),
    '[{"name":"netgraft","interface":"eth0","dns":{},"default":true}]',
  )
})

test('network-status: what others have made and told of stays, as long as it is asked for', t => {
  const before =
    '[{"name":"n/green","interface":"net1","ips":["1.2.3.4"]},{"name":"n/old","interface":"net7"},{"name":"cbr0","interface":"eth0","default":true}]'
  t.deepEqual(JSON.parse(networkStatus(undefined, [], before, ['net1', 'net3'])), [
    {name: 'cbr0', interface: 'eth0', default: true},
    {name: 'n/green', interface: 'net1', ips: ['1.2.3.4']},
  ])
})

test('network-status: of a first network that is not known, what is said of it stays', t => {
  const before = '[{"name":"x","interface":"net7"},{"name":"cbr0","interface":"eth0","default":true,"ips":["1.2.3.4"]}]'
  const names = (first: InterfaceFacts | undefined, text?: string) =>
    JSON.parse(networkStatus(first, [GREEN], text)).map(({name}: {name: string}) => name)
  t.deepEqual(names(undefined, before), ['cbr0', 'n/green'])
  t.deepEqual(names(FIRST, before), ['netgraft', 'n/green'])
  for (const text of ['', 'null', '{}', '[null, 7, "x"]', '[{"default":"true"}]', undefined])
    t.deepEqual(names(undefined, text), ['n/green'], text)
})

const AT = Date.UTC(2030, 0, 2, 3, 4, 5, 678)
const LATER = AT + 60_000
const attached: AttachmentState = {name: 'n/green', interface: 'net1', state: 'attached'}
const failed: AttachmentState = {name: 'n/blue', interface: 'net2', state: 'failed', reason: 'no such thing'}

test('attachments-status: the time since when it is so', t => {
  const first = attachmentsStatus([attached, failed], [undefined, null], AT)
  t.deepEqual(JSON.parse(first), [
    {...attached, since: '2030-01-02T03:04:05Z'},
    {...failed, since: '2030-01-02T03:04:05Z'},
  ])
  t.is(attachmentsStatus([attached, failed], [first], LATER), first)
  const times = (states: readonly AttachmentState[], ...before: (string | undefined)[]) =>
    parseStates(attachmentsStatus(states, before, LATER)).map(({since}) => since?.slice(14, 16))
  t.deepEqual(times([failed, attached], first), ['04', '04'])
  t.deepEqual(times([attached, {...failed, reason: 'another'}], first), ['04', '05'])
  t.deepEqual(times([{...attached, state: 'pending'}], first), ['05'])
  t.deepEqual(times([{...attached, interface: 'net9'}], first), ['05'])
  t.deepEqual(times([attached, failed], 'nonsense'), ['05', '05'])
  t.deepEqual(times([attached, failed], undefined, first), ['04', '04'])
})

test('attachments-status: what it has no room for is counted', t => {
  const many = Array.from({length: 2000}, (_, i) => ({...failed, interface: `net${i}`, reason: 'ä'.repeat(100)}))
  const text = attachmentsStatus([attached, ...many], [], AT)
  t.true(Buffer.byteLength(text) < 66_000)
  const states = parseStates(text)
  t.like(states[0], attached)
  const {reason} = states.at(-1)!
  t.is(reason, `${2001 - (states.length - 1)} more are not listed: an annotation has no room for them`)
  t.is(attachmentsStatus([attached, ...many], [text], LATER), text)
})

const anything = fc.oneof(fc.string(), fc.json(), fc.constant('[null,[],{"name":7,"state":{}}]'))
const state = fc.record(
  {
    name: fc.constantFrom('', 'n/a', 'n/b'),
    interface: fc.constantFrom('net1', 'net2'),
    state: fc.constantFrom('attached' as const, 'pending' as const, 'failed' as const),
    reason: fc.string({maxLength: 5}),
  },
  {requiredKeys: ['name', 'state'], noNullPrototype: true},
)

test('whatever somebody else has written, it says what is', t => {
  fc.assert(
    fc.property(fc.array(state, {maxLength: 5}), anything, (states, before) => {
      const text = attachmentsStatus(states, [before], AT)
      t.deepEqual(
        parseStates(text).map(({since, ...each}) => each),
        states,
      )
      t.is(attachmentsStatus(states, [text], LATER), text)
      t.notThrows(() => JSON.parse(networkStatus(undefined, [GREEN], before)))
    }),
  )
})
